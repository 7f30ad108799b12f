"""Two plans, the builtin one and one that is changed to, and what their stages say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.records import Analysis, Detection, Embedding, Plan, Space, Stage, Tag
from search.catalog import Catalog, Work
from tests.search.library import SPACE, STAGES, add, analysis, stat, unit

OTHER = Space("clip@0123456789ab/1", 16)
OLD = Plan("builtin", SPACE, STAGES)
NEW = Plan(
    "standard",
    OTHER,
    {
        Stage.METADATA: 1,
        Stage.DESCRIBE: 1,
        Stage.PIXELS: 1,
        "embedding:clip": 1,
        "labels:clip": 1,
        "aesthetic:clip": 1,
        "detection:dfine": 1,
    },
)
ONLY_NEW = tuple(sorted(NEW.stages.keys() - OLD.stages.keys()))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "library", clock=lambda: 1000.0)
    made.activate(OLD)
    yield made
    made.close()


def outcome(work: Work) -> Analysis:
    """What the stages that a media owes find in it, whichever plan they belong to."""
    said = {
        Stage.CONCEPTS: (Tag("tabby", 0.5, "imagenet"),),
        Stage.PIXELS: (Tag("red", 0.5, "colour"),),
        "labels:clip": (Tag("kitten", 0.6, "labels"),),
        "detection:dfine": (Tag("cat", 0.9, "detection", count=2),),
    }
    boxes = (Detection("cat", 0.9, (0.0, 0.0, 0.5, 0.5)), Detection("cat", 0.7, (0.5, 0.5, 1.0, 1.0)))
    spaces = {Stage.CONCEPTS: SPACE, "embedding:clip": OTHER}
    whole = analysis(work.media_id)
    return Analysis(
        media_id=work.media_id,
        stages=dict.fromkeys(work.stages, 1),
        info=whole.info if Stage.DESCRIBE in work.stages else None,
        pixels=whole.pixels if Stage.PIXELS in work.stages else None,
        tags={stage: tags for stage, tags in said.items() if stage in work.stages},
        detections={"detection:dfine": boxes} if "detection:dfine" in work.stages else {},
        aesthetic={"aesthetic:clip": 0.75} if "aesthetic:clip" in work.stages else {},
        embeddings=tuple(
            Embedding(space, unit(work.media_id, space).astype("<f2").tobytes())
            for stage, space in spaces.items()
            if stage in work.stages
        ),
    )


def do_all(catalog: Catalog) -> None:
    while work := catalog.claim(500):
        catalog.store([outcome(one) for one in work], [])


def swept(catalog: Catalog) -> None:
    while catalog.sweep(3):
        pass


def rows(directory: Path, sql: str) -> list[Any]:
    with sqlite3.connect(directory / "library" / "catalog.sqlite3") as db:
        return db.execute(sql).fetchall()


def photos(*names: str) -> list[Any]:
    return [stat(f"/p/{name}.jpg") for name in names]


def index_with(catalog: Catalog, plan: Plan) -> list[int]:
    ids = add(catalog, *photos("a"))
    catalog.ensure_jobs(plan.stages)
    do_all(catalog)
    return ids


def content(directory: Path) -> dict[str, list[Any]]:
    """Every row that means something; a retirement that has been carried out does not."""
    with sqlite3.connect(directory / "catalog.sqlite3") as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")]
        kept = [name for name in tables if not name.startswith(("sqlite_", "fulltext_")) and name != "retired"]
        dump = {name: sorted(map(repr, db.execute(f"SELECT * FROM {name}"))) for name in kept}
        dump["fulltext"] = sorted(map(repr, db.execute("SELECT rowid, * FROM fulltext")))
        dump["retired"] = sorted(map(repr, db.execute("SELECT * FROM retired WHERE step != 'swept'")))
        return dump
