"""Photos and long files in one worker: signs of life from one say nothing of the other."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from daemon.protocol import Began, Done, Reply, Working
from daemon.supervisor import Death, Result, Supervisor
from daemon.worker_pool import WorkerPool
from indexer.records import Analysis, Kind
from tests.daemon.clock import Clock
from tests.daemon.workers import assignment, worker_setup
from tests.sample_photos import locate


class Puppet(Supervisor):
    """A supervisor whose worker's answers are given by a test, through a pipe as any worker's."""

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(["sleep", "600"])
        self._connection = Connection(ours.detach())
        self.theirs = Connection(theirs.detach())
        self._last_sign = dict.fromkeys(self._last_sign, self._clock())

    def say(self, *replies: Reply) -> None:
        for reply in replies:
            self.theirs.send_bytes(msgspec.msgpack.encode(reply))

    def give(self, media_id: int, kind: Kind) -> None:
        self.send(msgspec.structs.replace(assignment(locate("coffee.png"), media_id), kind=kind))


@pytest.fixture
def make_puppet(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Puppet]]:
    made: list[Puppet] = []

    def make() -> Puppet:
        made.append(Puppet(worker_setup(tmp_path), stall_seconds=60, idle_seconds=600, clock=clock))
        return made[-1]

    yield make
    for puppet in made:
        if puppet.pid is not None:
            assert puppet._process is not None
            puppet._process.kill()
            puppet.theirs.close()
        puppet.stop()


def done(media_id: int) -> Done:
    return Done(Analysis(media_id=media_id, stages={}))


def told(outcome: object) -> list[Result]:
    assert isinstance(outcome, list), outcome
    return outcome


def test_a_film_that_hangs_is_noticed_though_photos_go_on(make_puppet: Callable[[], Puppet], clock: Clock) -> None:
    puppet = make_puppet()
    puppet.give(1, Kind.VIDEO)
    puppet.say(Began(1), Working(1, 0.5))
    outcome: object = puppet.receive(0)
    assert puppet.shares == {1: 0.5}
    number = 2
    while not isinstance(outcome, Death):
        assert number < 10
        puppet.give(number, Kind.PHOTO)
        puppet.say(Began(number), done(number))
        puppet.give(number + 100, Kind.PHOTO)  # there always is another one
        puppet.say(Began(number + 100))
        clock.ahead += 20
        outcome = puppet.receive(0)
        number += 1
    assert (outcome.reason, outcome.begun) == ("gave no answer for 60 seconds", (1,))
    assert set(outcome.waiting) >= set(range(102, 100 + number))  # no photo is suspected
    assert puppet.shares == {}


def test_a_photo_that_hangs_is_noticed_though_a_film_goes_on(make_puppet: Callable[[], Puppet], clock: Clock) -> None:
    puppet = make_puppet()
    puppet.give(1, Kind.VIDEO)
    puppet.give(2, Kind.PHOTO)
    puppet.say(Began(1), Began(2))
    outcome: object = puppet.receive(0)
    for share in (0.1, 0.2, 0.3):
        assert told(outcome) == []
        clock.ahead += 25
        puppet.say(Working(1, share))
        outcome = puppet.receive(0)
    assert isinstance(outcome, Death)
    assert (outcome.begun, outcome.waiting) == ((2,), (1,))


def test_a_film_that_tells_how_far_it_is_may_take_as_long_as_it_takes(
    make_puppet: Callable[[], Puppet], clock: Clock
) -> None:
    puppet = make_puppet()
    puppet.give(1, Kind.AUDIO)
    puppet.say(Began(1))
    for share in range(100):
        clock.ahead += 59
        puppet.say(Working(1, share / 100))
        assert told(puppet.receive(0)) == []
    puppet.say(done(1))
    assert len(told(puppet.receive(0))) == 1
    assert not puppet.in_flight
    assert puppet.shares == {}


def test_films_are_shared_among_workers_by_how_many_films_each_has(
    make_puppet: Callable[[], Puppet], clock: Clock
) -> None:
    first, second = make_puppet(), make_puppet()
    pool = WorkerPool([first, second], clock=clock)
    for number in range(4):
        pool.send(assignment(locate("coffee.png"), number))
    first.say(done(0), done(2))
    pool.receive(0)
    for number in range(10, 14):
        film = msgspec.structs.replace(assignment(locate("coffee.png"), number), kind=Kind.VIDEO)
        pool.send(film)
    assert (len(first.long), len(second.long)) == (2, 2)
    [of_first, _], [of_second, _] = sorted(first.long), sorted(second.long)
    first.say(Working(of_first, 0.25))
    second.say(Working(of_second, 0.75))
    pool.receive(0)
    assert pool.shares == {of_first: 0.25, of_second: 0.75}
