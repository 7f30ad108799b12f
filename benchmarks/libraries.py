"""Large libraries to measure with, filled through the catalog's own calls with plausible photos, always the same.

Analysing 100,000 photos would take hours and change nothing: a search sees rows. Each photo shows one of the 1,000
ImageNet classes, a few of them often and most of them rarely; its vector is made as the image network's are (a sum of
class vectors, most of the weight on one), so the vectors lie in clusters as real ones do. Photos are taken in series of
some dozens on one day, with cameras, colours, folders named after places, and now and then a title.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.models.builtin import SPACE, load_labels
from indexer.models.classes import PARENTS, tag_names
from indexer.models.concepts import MAX_TAGS, PARENT_CONFIDENCE, TAG_CONFIDENCE, TAGS_SOURCE, TOP_CLASSES
from indexer.records import Analysis, Embedding, Kind, MediaInfo, PixelStats, Stage, Tag
from indexer.stages import STAGES
from indexer.vocabulary import COLOUR_SOURCE, COLOURS, DARK, LIGHT_SOURCE
from search.catalog import Catalog, FileStat

BATCH = 500
SERIES = 40
"""Photos taken on one day, in one folder."""
FIRST_DAY = datetime.datetime(2008, 1, 1, 9)
PLACES = (
    "lisbon",
    "garden",
    "harbour",
    "birthday",
    "mountains",
    "office",
    "market",
    "seaside",
    "museum",
    "winter walk",
)
CAMERAS = ("Canon EOS 5D", "NIKON D90", "Apple iPhone 12", "Google Pixel 6", "FUJIFILM X-T3")
FILES_PER_FOLDER = 200


class Inventor:
    """Makes the analyses of photos that do not exist."""

    def __init__(self, model_cache: Path, *, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._labels = load_labels(model_cache, threads=2)
        self._names = tag_names()
        self._near = np.argsort(-(self._labels @ self._labels.T), axis=1)[:, 1:60]

    def analysis(self, media_id: int) -> Analysis:
        """What the worker would have said about one photo."""
        random = self._random
        series, place = divmod(media_id, SERIES)
        taken = FIRST_DAY + datetime.timedelta(days=series * 2.5, seconds=place * int(random.integers(5, 300)))
        colours = random.choice(len(COLOURS), int(random.integers(1, 4)), replace=False)
        tags, vector = self._concepts()
        info = MediaInfo(
            kind=Kind.PHOTO,
            format="JPEG",
            width=4000,
            height=3000,
            taken_at=taken.isoformat(timespec="seconds"),
            camera=CAMERAS[series % len(CAMERAS)],
            iso=int(random.choice([100, 200, 400, 800])),
            f_number=4.0,
            latitude=52.5 if series % 3 == 0 else None,
            longitude=13.4 if series % 3 == 0 else None,
            title=f"{tags[0].name} in the {PLACES[series % len(PLACES)]}" if tags and media_id % 30 == 0 else None,
            rating=int(random.integers(1, 6)) if media_id % 20 == 0 else None,
        )
        sharpness, exposure, contrast = random.random(3).tolist()
        stats = PixelStats(
            sharpness=sharpness,
            exposure=exposure,
            contrast=contrast,
            quality=(sharpness + exposure + contrast) / 3,
            brightness=exposure,
            perceptual_hash=int(random.integers(-(2**63), 2**63)),
        )
        seen = [Tag(COLOURS[number], 0.5, COLOUR_SOURCE) for number in colours]
        if exposure < 0.1:
            seen.append(Tag(DARK, 0.8, LIGHT_SOURCE))
        return Analysis(
            media_id=media_id,
            stages=dict(STAGES),
            info=info,
            pixels=stats,
            tags={Stage.PIXELS: tuple(seen), Stage.CONCEPTS: tags},
            embeddings=(Embedding(SPACE, vector.astype("<f2").tobytes()),),
        )

    def _concepts(self) -> tuple[tuple[Tag, ...], NDArray[np.float32]]:
        """Tags and a unit vector, from class probabilities of the usual shape."""
        random = self._random
        classes = len(self._names)
        main = int(classes * random.random() ** 2)
        others = random.choice(self._near[main], TOP_CLASSES - 1, replace=False)
        share = random.uniform(0.15, 0.95)
        weights = np.zeros(classes, np.float32)
        weights[others] = (1 - share) * random.dirichlet(np.full(len(others), 0.3))
        weights[main] += share
        vector = weights @ self._labels
        found = {self._names[number]: float(weights[number]) for number in np.flatnonzero(weights >= TAG_CONFIDENCE)}
        for name, members in PARENTS.items():
            total = float(weights[list(members)].sum()) if main in members else 0.0
            if total >= PARENT_CONFIDENCE:
                found[name] = min(total, 1.0)
        best = sorted(found.items(), key=lambda item: -item[1])[:MAX_TAGS]
        tags = tuple(Tag(name, round(confidence, 4), TAGS_SOURCE) for name, confidence in best)
        return tags, np.asarray(vector / np.linalg.norm(vector), np.float32)


def fill(library: Path, files: Sequence[FileStat], digests: Sequence[bytes], model_cache: Path) -> None:
    """Make the library know these files, with their content hashes, as if all had been analysed."""
    catalog = Catalog(library)
    inventor = Inventor(model_cache)
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        catalog.record_files(batch)
        hashed = zip(batch, digests[start : start + BATCH], strict=True)
        catalog.identify([(file, digest, Kind.PHOTO) for file, digest in hashed], STAGES)
        catalog.store([inventor.analysis(work.media_id) for work in catalog.claim(len(batch))], [])
    catalog.close()


def imaginary_files(count: int) -> tuple[list[FileStat], list[bytes]]:
    """Files that are not on any disk, and content hashes for them: enough for questions."""
    files = []
    for number in range(count):
        series = number // SERIES
        day = FIRST_DAY + datetime.timedelta(days=series * 2.5)
        folder = f"/photos/{day:%Y}/{day:%Y-%m-%d} {PLACES[series % len(PLACES)]}"
        files.append(FileStat(f"{folder}/IMG_{number:06}.jpg", 3_000_000 + number, 10**18 + number, number + 1, 1))
    return files, [hashlib.sha256(file.path.encode()).digest() for file in files]


def small_photos(folder: Path, count: int, *, seed: int = 2) -> Iterator[tuple[Path, bytes]]:
    """Write distinct 64 x 64 JPEGs into folders of `FILES_PER_FOLDER`; gives each path and its content hash."""
    random = np.random.default_rng(seed)
    for number in range(count):
        place = folder / f"{number // FILES_PER_FOLDER:04}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
        picture = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC)
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        path = place / f"IMG_{number:06}.jpg"
        path.write_bytes(data)
        yield path, hashlib.sha256(data).digest()
