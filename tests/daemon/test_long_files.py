"""Videos and sounds beside photos: neither waits for the other, and what was noted on them goes when they are done."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from daemon.indexing import Indexing
from daemon.scheduler import BACKOFF_SECONDS, LOOK_SECONDS, MOST_ATTEMPTS, Scheduler
from indexer import notes
from indexer.notes import Notes
from tests.daemon.clip import Clips, write_tone
from tests.daemon.line import Line
from tests.daemon.workers import ScriptedWorkers, record
from tests.search.library import media


@pytest.fixture
def workers() -> ScriptedWorkers:
    return ScriptedWorkers()


@pytest.fixture
def scheduler(line: Line, workers: ScriptedWorkers) -> Scheduler:
    return Scheduler(
        line.catalog,
        workers,
        line.progress,
        look_ahead=2,
        stored=lambda: None,
        done=lambda work: notes.forget(line.folder / "notes", work.content_hash),
        given_up=lambda work: notes.forget(line.folder / "notes", work.content_hash),
        clock=line.clock,
    )


@pytest.fixture
def sounds(line: Line, tmp_path: Path) -> list[int]:
    """Three sounds that wait."""
    return line.add(*(write_tone(tmp_path / f"{number}.wav", number) for number in (1, 2, 3)))


def noted(line: Line, media_id: int) -> bool:
    """Whether there are notes on a file."""
    [row] = line.catalog.photos([media_id])
    return row.content_hash in notes.contents(line.folder / "notes")


def take_notes(line: Line, media_id: int) -> None:
    [row] = line.catalog.photos([media_id])
    Notes(line.folder / "notes", row.content_hash, "stages").add(0, b"the first chunk")


def test_photos_do_not_wait_for_sounds_nor_sounds_for_photos(
    line: Line, photos: list[Path], sounds: list[int], workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    numbers = line.add(*photos)
    for _ in range(len(photos)):
        scheduler.step(0)
        assert len(set(sounds) & set(workers.in_flight)) == 2  # one that is gone through, and one that waits
        waiting = set(numbers) & set(workers.in_flight)
        assert waiting
        workers.finish(min(waiting))
    scheduler.step(0)
    assert line.catalog.counts().done == len(photos)
    [third] = set(sounds) - set(workers.in_flight)
    workers.finish(sounds[0])
    scheduler.step(0)
    scheduler.step(0)
    assert third in workers.in_flight


def test_sounds_that_come_later_are_found_though_photos_keep_the_worker_busy(
    line: Line, photos: list[Path], tmp_path: Path, workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    line.add(*photos)
    scheduler.step(0)
    [sound] = line.add(write_tone(tmp_path / "new.wav"))
    line.clock.ahead += LOOK_SECONDS + 0.1
    scheduler.step(0)
    assert sound in workers.in_flight


def test_how_far_a_long_file_is_is_told_with_its_path(
    line: Line, sounds: list[int], tmp_path: Path, workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    scheduler.step(0)
    workers.shares = {sounds[0]: 0.34}
    assert scheduler.long_files == [(str(tmp_path / "1.wav"), 0.34)]
    assert scheduler.long_in_hand == 2
    assert line.catalog.counts().pending_long == 1


def test_a_photo_on_trial_waits_for_the_sounds_while_other_photos_go_on(
    line: Line, photos: list[Path], sounds: list[int], workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    [bad] = line.add(photos[0])
    scheduler.step(0)
    workers.die(bad)
    scheduler.step(0)  # it is to be tried again, alone, after a while
    others = line.add(*photos[1:])
    scheduler.step(0)
    assert set(sounds[:2]) < set(workers.in_flight)
    line.clock.ahead += BACKOFF_SECONDS[0] + 1
    for other in others:
        workers.finish(other)
        scheduler.step(0)
        scheduler.step(0)
    assert {line.states(other).pop() for other in others} == {"done"}
    assert workers.in_flight == sounds[:2]  # and no third one
    for sound in sounds[:2]:
        workers.finish(sound)
        scheduler.step(0)
    scheduler.step(0)
    assert workers.in_flight == [bad]


def test_a_sound_that_was_there_when_a_photo_killed_the_worker_is_not_tried(
    line: Line, photos: list[Path], sounds: list[int], workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    [bad] = line.add(photos[0])
    scheduler.step(0)
    workers.die(sounds[0], bad)
    scheduler.step(0)
    scheduler.step(0)
    assert workers.in_flight == [bad]  # photos first: a trial of a sound takes long
    workers.die(bad)
    scheduler.step(0)
    scheduler.step(0)
    assert workers.in_flight == sounds[:2]
    [row] = line.catalog.photos([sounds[0]])
    assert {job.attempts for job in row.jobs} == {0}


def test_a_sound_that_is_gone_from_every_path_is_broken_off(
    line: Line, tmp_path: Path, workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    paths = [write_tone(tmp_path / f"{number}.wav", number) for number in (1, 2)]
    [gone, copied] = line.add(*paths)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(paths[1].read_bytes())
    assert record(line.catalog, copy, {"sound": 1}) == copied
    scheduler.step(0)
    assert set(workers.in_flight) == {gone, copied}
    line.catalog.record_missing([str(path) for path in paths])
    line.clock.ahead += 60
    scheduler.step(0)
    assert workers.cancelled == [gone]


def test_notes_stay_until_the_file_is_stored(
    line: Line, sounds: list[int], workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    scheduler.step(0)
    take_notes(line, sounds[0])
    take_notes(line, sounds[1])
    workers.finish(sounds[0])
    scheduler.step(0)
    assert (noted(line, sounds[0]), noted(line, sounds[1])) == (False, True)


@pytest.mark.parametrize("permanent", [True, False])
def test_notes_go_when_the_file_is_given_up(
    line: Line, sounds: list[int], workers: ScriptedWorkers, scheduler: Scheduler, *, permanent: bool
) -> None:
    take_notes(line, sounds[0])
    for attempt in range(1, 2 if permanent else MOST_ATTEMPTS + 1):
        assert noted(line, sounds[0])
        while sounds[0] not in workers.in_flight:
            line.clock.ahead += 31
            for other in set(sounds[1:]) & set(workers.in_flight):
                workers.finish(other)
                scheduler.step(0)
            scheduler.step(0)
        workers.refuse(sounds[0], permanent=permanent)
        scheduler.step(0)
        assert (line.states(sounds[0]) == {"quarantined"}) is (permanent or attempt == MOST_ATTEMPTS)
    assert not noted(line, sounds[0])


def test_notes_on_files_that_nothing_is_to_be_done_for_are_swept(tmp_path: Path) -> None:
    clips = Clips(tmp_path / "clips")
    environ = {"HOME": str(tmp_path), "REVERIE_LIBRARY": str(tmp_path / "another")}
    settings = load(environ=environ, files=())
    clips.remember(settings.paths)
    indexing = Indexing(settings)
    waiting = record(indexing.catalog, write_tone(tmp_path / "waiting.wav", 2), indexing.profiles.stages)
    film = media(indexing.catalog, str(clips.film))
    hashes = {row.media_id: row.content_hash for row in indexing.catalog.photos([waiting, film])}
    for content_hash in (hashes[waiting], hashes[film], "0" * 64):
        Notes(settings.paths.notes, content_hash, "stages").add(0, b"the first chunk")
    indexing.forget()
    assert notes.contents(settings.paths.notes) == [hashes[waiting]]
    indexing.close()


def test_a_long_file_is_not_blamed_as_long_as_each_attempt_gets_further(
    line: Line, tmp_path: Path, workers: ScriptedWorkers, scheduler: Scheduler
) -> None:
    [sound] = line.add(write_tone(tmp_path / "long.wav"))

    def die_at(share: float) -> None:
        scheduler.step(0)
        scheduler.step(0)  # one that failed before is tried alone
        assert workers.in_flight == [sound]
        workers.shares = {sound: share}
        workers.die(sound)
        scheduler.step(0)
        line.clock.ahead += max(BACKOFF_SECONDS) + LOOK_SECONDS

    for share in (0.2, 0.4, 0.6, 0.8):
        die_at(share)
        assert line.states(sound) == {"pending"}
    for _ in range(MOST_ATTEMPTS):
        assert line.states(sound) == {"pending"}
        die_at(0.8)
    assert line.states(sound) == {"quarantined"}
