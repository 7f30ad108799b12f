"""The file itself: who may open it, what happens when it is not what it should be, and the kill test."""

from __future__ import annotations

import json
import os
import random
import signal
import stat as modes
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.errors import CatalogError, NewerCatalog
from search.catalog import Catalog
from tests.search.catalog_file import assert_sound, opened, sqlite
from tests.search.library import STAGES, add, finish, found, index, media, stat

ROOT = Path(__file__).parents[2]


def test_a_new_library_is_private_and_survives_reopening(tmp_path: Path) -> None:
    library = tmp_path / "library"
    with opened(library) as catalog:
        index(catalog, stat("/p/a.jpg"))
        assert modes.S_IMODE(library.stat().st_mode) == 0o700
        assert {modes.S_IMODE(file.stat().st_mode) for file in library.iterdir()} == {0o600}
    with opened(library) as catalog:
        assert catalog.counts().done == 1


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
from tests.search.catalog_file import assert_sound, opened, sqlite
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
from tests.search.catalog_file import assert_sound, opened, sqlite
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
    for _ in range(10):
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
