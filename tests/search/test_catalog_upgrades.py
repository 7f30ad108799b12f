"""Libraries of older versions: they open with all they hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from indexer.records import WHOLE, Detection, Kind, Plan, Stage, Tag
from search.catalog import Plans
from search.catalog.database import APPLICATION_ID, statements
from search.catalog.schema import MIGRATIONS
from search.scripts import every
from tests.search.catalog_file import assert_sound, opened, sqlite
from tests.search.library import SPACE, STAGES, digest, found, stat, unit

FIRST = "bd53bff94ecc278cddb88f6f4ea628a7c894ff054d4910d85c98849cd5a69e2b"
"""SHA-256 of the first migration."""


def test_a_library_of_the_first_version_opens_with_all_it_holds(tmp_path: Path) -> None:
    first = MIGRATIONS[0].sql
    assert hashlib.sha256(first.encode()).hexdigest() == FIRST, "a released migration is never edited"
    tmp_path.chmod(0o700)
    with sqlite(tmp_path) as db:
        for statement in statements(first):
            db.execute(statement)
        db.executescript(OLD_LIBRARY)
        db.execute("UPDATE vector SET data = ?", (unit(1).astype("<f2").tobytes(),))
    with opened(tmp_path) as catalog:
        assert catalog.plans() == Plans(active=None, building=None)
        [row] = catalog.photos([1])
        assert row.info is not None
        assert (row.info.camera, row.info.keywords, row.info.taken_at) == (
            "Canon R5",
            ("paris",),
            "2019-07-04T10:00:00",
        )
        assert row.pixels is not None
        assert row.tags == (Tag("best", 1.0, "authored"), Tag("tower", 0.9, "imagenet"))
        assert row.detections == ()
        assert row.aesthetic is None
        assert row.paths == ("/p/a.jpg",)
        assert {job.stage: job.state for job in row.jobs} == dict.fromkeys(OLD_STAGES, "done")
        assert found(catalog, "tower") == found(catalog, "paris") == {1}
        assert catalog.vector_totals(SPACE) == (1, 1)
        assert [work.media_id for work in catalog.claim(10)] == [2], "its unfinished work goes on"
        catalog.release([2])
        plan = Plan("builtin", SPACE, STAGES)
        catalog.activate(plan)
        assert catalog.ensure_jobs(OLD_STAGES) == 0, "nothing is analysed again"
        assert catalog.ensure_jobs(plan.stages) == len(catalog.photos([1, 2]))
        works = {work.media_id: work.stages for work in catalog.claim(10)}
        assert works == {1: (Stage.METADATA,), 2: tuple(STAGES)}, "what the files say is read again, and no more"
        assert catalog.sweep() == 0
        assert catalog.plans().active == plan
    assert_sound(tmp_path)


OLD_STAGES = {stage: revision for stage, revision in STAGES.items() if stage != Stage.METADATA}
"""Metadata had no stage of its own."""

OLD_LIBRARY = f"""
PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID};
INSERT INTO media (id, content_hash, kind, size, added_at, format, width, height, taken_at, camera, keywords,
    sharpness, exposure, contrast, quality, brightness, perceptual_hash) VALUES
    (1, randomblob(32), 'photo', 10, 5.0, 'JPEG', 4, 3, '2019-07-04T10:00:00', 'Canon R5', '["paris"]',
     0.5, 0.5, 0.5, 0.5, 0.5, 7);
INSERT INTO media (id, content_hash, kind, size, added_at) VALUES (2, randomblob(32), 'photo', 10, 5.0);
INSERT INTO file (path, size, mtime_ns, inode, device, media_id) VALUES
    (CAST('/p/a.jpg' AS BLOB), 10, 5, 1, 1, 1), (CAST('/p/b.jpg' AS BLOB), 10, 5, 2, 1, 2);
INSERT INTO segment (id, media_id, ordinal) VALUES (1, 1, 0);
INSERT INTO tag (segment_id, stage, source, name, confidence) VALUES
    (1, 'concepts', 'imagenet', 'tower', 0.9), (1, 'authored', 'authored', 'best', 1.0);
INSERT INTO space (id, name, dimension) VALUES (1, '{SPACE.name}', {SPACE.dimension});
INSERT INTO vector (space_id, segment_id, data) VALUES (1, 1, x'00');
INSERT INTO job (media_id, stage, revision, state, updated_at) SELECT media.id, stage.value, 1,
    iif(media.id = 1, 'done', 'pending'), 5.0 FROM media, json_each('["describe", "pixels", "concepts"]') AS stage;
INSERT INTO fulltext (rowid, keywords, tags, path, camera) VALUES (1, 'paris', 'best tower', 'p a.jpg', 'Canon R5');
"""


def test_a_library_of_the_second_version_opens_with_all_it_holds(tmp_path: Path) -> None:
    second = MIGRATIONS[1].sql
    assert hashlib.sha256(second.encode()).hexdigest() == SECOND, "a released migration is never edited"
    tmp_path.chmod(0o700)
    with sqlite(tmp_path) as db:
        for statement in [*statements(MIGRATIONS[0].sql), *statements(second)]:
            db.execute(statement)
        db.executescript(OLD_LIBRARY + NEWER_ROWS)
        db.execute("UPDATE vector SET data = ?", (unit(1).astype("<f2").tobytes(),))
    with opened(tmp_path) as catalog:
        plan = Plan("builtin", SPACE, OLD_STAGES | {"detection:dfine": 3})
        assert catalog.plans() == Plans(active=plan, building=None)
        [row] = catalog.photos([1])
        assert row.tags == (
            Tag("best", 1.0, "authored"), Tag("tower", 0.9, "imagenet"), Tag("cat", 0.8, "detection", count=2)
        )  # fmt: skip
        assert row.detections == (Detection("cat", 0.8, (0.0, 0.25, 0.5, 1.0)),)
        assert (row.segments, row.events, row.transcript, row.live) == ((WHOLE,), (), None, None)
        assert row.info is not None
        assert (row.info.duration, row.info.hdr) == (None, None)
        assert catalog.counts().kinds == {"photo": 2}
        assert found(catalog, "tower") == found(catalog, "paris") == {1}
        assert catalog.vectors_of_media(SPACE, [1]).ordinals.tolist() == [0]
        assert catalog.claim(10, slow=True) == []
        [work] = catalog.claim(10)
        assert (work.media_id, work.kind, set(work.stages)) == (2, Kind.PHOTO, {*OLD_STAGES, "detection:dfine"})
        catalog.release([2])
        assert catalog.ensure_jobs(plan.stages | {Stage.SOUND: 1}) == 0, "photos are not listened to"
        film = stat("/p/film.mp4")
        catalog.record_files([film])
        catalog.identify([(film, digest("film"), Kind.VIDEO)], {Stage.DESCRIBE: 1, Stage.SOUND: 1})
        assert [work.kind for work in catalog.claim(10, slow=True)] == [Kind.VIDEO]
    assert_sound(tmp_path)


SECOND = "dfd7f61f78ac3ce1a768fa27f855d38fdbfbe0ef415e09ae038e91cd1d3555ef"
"""SHA-256 of the second migration."""

NEWER_ROWS = f"""
PRAGMA user_version = 2;
INSERT INTO plan (role, profile, space, dimension, stages, since) VALUES
    ('active', 'builtin', '{SPACE.name}', {SPACE.dimension}, '{json.dumps(OLD_STAGES | {"detection:dfine": 3})}', 5.0);
INSERT INTO tag (segment_id, stage, source, name, confidence, count) VALUES
    (1, 'detection:dfine', 'detection', 'cat', 0.8, 2);
INSERT INTO detection (segment_id, stage, label, score, box_left, box_top, box_right, box_bottom) VALUES
    (1, 'detection:dfine', 'cat', 0.8, 0.0, 0.25, 0.5, 1.0);
INSERT INTO job (media_id, stage, revision, state, updated_at) VALUES
    (1, 'detection:dfine', 3, 'done', 5.0), (2, 'detection:dfine', 3, 'pending', 5.0);
"""


def test_the_words_of_an_older_library_are_cut_anew_when_it_is_opened(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with sqlite(tmp_path) as db:
        for migration in MIGRATIONS[:3]:
            for statement in statements(migration.sql):
                db.execute(statement)
        db.executescript(OLD_LIBRARY + "PRAGMA user_version = 3;")
        db.execute("UPDATE media SET description = '東京の夏祭り', format = 'JPEG'")
        for text in ("明日は夏祭り", "nothing else"):
            db.execute(
                "INSERT INTO utterance (media_id, stage, start_seconds, end_seconds, confidence, text, words)"
                " VALUES (1, 'speech', 1, 2, 0.9, ?, '[]')",
                (text,),
            )
    for _ in range(2):
        with opened(tmp_path) as catalog:
            assert found(catalog, every(["夏祭り"])) == {1, 2}
            assert found(catalog, "tower") == found(catalog, "best") == {1}
            assert [match.text for match in catalog.spoken_matches(every(["夏祭り"]), 10)] == ["明日は夏祭り"]
            assert [match.text for match in catalog.spoken_matches("nothing", 10)] == ["nothing else"]
    assert_sound(tmp_path)
