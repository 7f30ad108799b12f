"""The file itself: who may open it, what happens when it is not what it should be, and the kill test."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import stat as modes
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import CatalogError, NewerCatalog
from indexer.records import WHOLE, Detection, Kind, Plan, Stage, Tag
from search.catalog import Catalog, Plans
from search.catalog.database import APPLICATION_ID, statements
from search.catalog.schema import MIGRATIONS
from search.scripts import every
from tests.search.library import SPACE, STAGES, add, digest, finish, found, index, media, stat, unit

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Catalog]:
    catalog = Catalog(directory)
    try:
        yield catalog
    finally:
        catalog.close()


@contextlib.contextmanager
def sqlite(directory: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(directory / "catalog.sqlite3")
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def test_a_new_library_is_private_and_survives_reopening(tmp_path: Path) -> None:
    library = tmp_path / "library"
    with opened(library) as catalog:
        index(catalog, stat("/p/a.jpg"))
        assert modes.S_IMODE(library.stat().st_mode) == 0o700
        assert {modes.S_IMODE(file.stat().st_mode) for file in library.iterdir()} == {0o600}
    with opened(library) as catalog:
        assert catalog.counts().done == 1


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


def test_a_note_is_found_and_told_with_its_label(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        [media_id] = index(catalog, stat("/p/a.jpg"))
        with sqlite(tmp_path) as db:
            db.execute(
                "UPDATE media SET notes = ?", (json.dumps([["artist", "Ann\nOther"], ["comment", "a regatta"]]),)
            )
        catalog.set_authored_tags(media_id, ["mine"])
        [match] = catalog.text_matches("regatta", 10)
        assert (match.columns, match.notes) == (("notes",), (("comment", "a regatta"),))
        [match] = catalog.text_matches("other", 10)
        assert match.notes == (("artist", "Ann Other"),)


def test_a_newer_catalog_is_refused_and_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with sqlite(tmp_path) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = (tmp_path / "catalog.sqlite3").read_bytes()
    with pytest.raises(NewerCatalog) as refused:
        Catalog(tmp_path)
    assert "Update Reverie" in refused.value.remedy
    assert (tmp_path / "catalog.sqlite3").read_bytes() == before


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite(tmp_path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(CatalogError, match="another program"):
        Catalog(tmp_path)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "scribbled"])
def test_a_damaged_catalog_is_an_error_with_a_remedy_and_never_deleted(tmp_path: Path, damage: str) -> None:
    with opened(tmp_path) as catalog:
        index(catalog, *(stat(f"/p/{number}.jpg") for number in range(300)))
    file = tmp_path / "catalog.sqlite3"
    content = bytearray(file.read_bytes())
    if damage == "garbage":
        content[:100] = b"x" * 100
    elif damage == "truncated":
        del content[len(content) // 3 :]
    else:
        content[4096:] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(CatalogError) as raised, opened(tmp_path) as catalog:
        catalog.photos(range(1, 301))
        catalog.known_files("/")
    assert "damaged" in raised.value.title
    assert "move the file away" in raised.value.remedy
    assert file.read_bytes()[:64] == bytes(content[:64])


def test_a_library_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="cannot be opened"):
        Catalog(tmp_path / "file" / "library")


FILL = """
import resource, signal, sys
from pathlib import Path
from config.errors import CatalogError
from search.catalog import Catalog
from tests.search.library import add, stat
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
catalog = Catalog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
batch = 0
try:
    while True:
        add(catalog, *(stat(f"/p/{batch}/{number}.jpg") for number in range(100)))
        batch += 1
except CatalogError as error:
    print(batch, len(error.remedy) > 0)
"""


def test_a_disk_that_takes_no_more_raises_and_the_catalog_stays_whole(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    batches, has_remedy = run.stdout.split()
    assert int(batches) > 0
    assert has_remedy == "True"
    assert_whole(tmp_path)
    with opened(tmp_path) as catalog:
        assert catalog.counts().files in {100 * int(batches), 100 * int(batches) + 100}, "whole batches only"
        add(catalog, stat("/p/more.jpg"))


def test_a_failed_transaction_leaves_nothing_behind(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        with pytest.raises(UnicodeEncodeError):
            catalog.record_files([stat("/p/a.jpg"), stat("/p/\ud800.jpg")])
        assert catalog.known_files("/") == {}
        catalog.record_files([stat("/p/a.jpg")])
        assert catalog.known_files("/").keys() == {"/p/a.jpg"}


def test_readers_in_other_threads_never_see_half_a_batch(tmp_path: Path) -> None:
    with opened(tmp_path) as catalog:
        done = threading.Event()
        seen: set[int] = set()

        def read() -> None:
            while not done.is_set():
                counts = catalog.counts()
                seen.add(counts.files % 20)
                seen.add((counts.done - counts.vectors.get("test@1", 0)) % 20)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for batch in range(10):
            index(catalog, *(stat(f"/p/{batch}/{number}.jpg") for number in range(20)))
        done.set()
        for reader in readers:
            reader.join()
        assert seen == {0}


def test_two_processes_may_open_a_new_library_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from search.catalog import Catalog; Catalog(Path(sys.argv[1])).close()"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0, 0, 0, 0]


LOOP = """
import itertools, os, sys
from pathlib import Path
from search.catalog import Catalog
from tests.search.library import add, analysis, failure, stat
catalog = Catalog(Path(sys.argv[1]))
catalog.release_running()
print("ready", flush=True)
for batch in itertools.count():
    names = [f"/p/{os.getpid()}-{batch}-{number}.jpg" for number in range(6)]
    add(catalog, *map(stat, names))
    work = catalog.claim(6)
    catalog.store([analysis(one.media_id, tags=["cat"]) for one in work[1:]], [failure(one) for one in work[:1]])
    catalog.record_missing(names[:1])
    print(*names[1:], flush=True)
"""


def test_nothing_is_lost_whenever_the_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(4)
    acknowledged: list[str] = []
    for _ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", LOOP, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert child.stdout is not None
        child.stdout.readline()
        for _ in range(chance.randrange(4)):  # a slow machine gets as far, too
            acknowledged += child.stdout.readline().split()
        killer = threading.Timer(chance.uniform(0.0, 0.03), os.kill, (child.pid, signal.SIGKILL))
        killer.start()
        for line in child.stdout:
            if line.endswith("\n"):
                acknowledged += line.split()
        child.wait()
        child.stdout.close()
        killer.join()
        assert_whole(tmp_path)
    assert len(acknowledged) > 20
    with opened(tmp_path) as catalog:
        catalog.release_running()
        catalog.retry_problems()
        known = catalog.known_files("/p")
        assert all(known[path].media_id is not None for path in acknowledged)
        finish(catalog, tags=["cat"])
        counts = catalog.counts()
        assert (counts.pending, counts.running, counts.quarantined) == (0, 0, 0)
        assert counts.done == counts.media == len(catalog.select_media("TRUE"))
        assert media(catalog, acknowledged[0]) in {match.media_id for match in catalog.text_matches("cat", 10_000)}
        assert found(catalog, "nothing") == set()


def assert_sound(directory: Path) -> None:
    with sqlite(directory) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO fulltext (fulltext) VALUES ('integrity-check')")
        db.execute("INSERT INTO spoken (spoken, rank) VALUES ('integrity-check', 1)")


def assert_whole(directory: Path) -> None:
    """The file is sound, and agrees with itself."""
    assert_sound(directory)
    with sqlite(directory) as db:
        wrong = {
            "media without all its jobs": "SELECT id FROM media"
            f" WHERE (SELECT count(*) FROM job WHERE media_id = media.id) != {len(STAGES)}",
            "described, but not done": "SELECT media_id FROM job JOIN media ON media.id = media_id"
            " WHERE state = 'done' AND (format IS NULL OR sharpness IS NULL)",
            "done without a vector": "SELECT media_id FROM job WHERE state = 'done' AND stage = 'concepts'"
            " AND media_id NOT IN (SELECT media_id FROM segment JOIN vector ON segment_id = segment.id)",
            "visible without full text": "SELECT id FROM media m WHERE format IS NOT NULL AND EXISTS"
            " (SELECT 1 FROM file WHERE media_id = m.id AND missing_since IS NULL)"
            " AND id NOT IN (SELECT rowid FROM fulltext)",
            "full text of hidden media": "SELECT rowid FROM fulltext WHERE rowid NOT IN"
            " (SELECT media_id FROM file WHERE media_id NOT NULL AND missing_since IS NULL)",
        }
        assert {fault: rows for fault, sql in wrong.items() if (rows := db.execute(sql).fetchall())} == {}
