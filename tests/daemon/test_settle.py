"""When is a file complete? Told by a clock that the test turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.settle import EMPTY_FACTOR, WRITING_FACTOR, SettleTracker

QUIET = 2.0
A = (100, 1, 7)
B = (200, 2, 7)
EMPTY = (0, 1, 7)


class Clock:
    """Seconds, as many as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_tracker() -> tuple[SettleTracker, Clock]:
    clock = Clock()
    return SettleTracker(QUIET, clock), clock


def test_two_equal_readings_a_quiet_time_apart_make_a_file_ready() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A)
    assert tracker.ready() == []
    assert tracker.due() == []
    assert tracker.next_due() == QUIET
    clock.now += QUIET
    assert tracker.ready() == []  # only a second reading makes it so
    assert tracker.due() == ["a.jpg"]
    tracker.observe("a.jpg", A)
    assert tracker.ready() == ["a.jpg"]
    assert tracker.ready() == []
    assert len(tracker) == 0
    assert tracker.next_due() is None


def test_a_slow_copy_waits_for_its_end() -> None:
    tracker, clock = a_tracker()
    for size in range(1, 20):
        tracker.observe("a.jpg", (size, size, 7))
        clock.now += 0.9 * QUIET
        assert tracker.due() == []
    assert tracker.ready() == []
    clock.now += 0.2 * QUIET
    for path in tracker.due():
        tracker.observe(path, (19, 19, 7))
    assert tracker.ready() == ["a.jpg"]


def test_a_reading_that_changed_when_due_starts_anew() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A)
    clock.now += QUIET
    tracker.observe("a.jpg", B)
    assert tracker.ready() == []
    assert tracker.due() == []
    clock.now += QUIET
    tracker.observe("a.jpg", B)
    assert tracker.ready() == ["a.jpg"]


def test_a_preserved_old_mtime_does_not_make_a_growing_file_look_settled() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", (100, 1, 7))
    clock.now += QUIET
    tracker.observe("a.jpg", (900, 1, 7))
    assert tracker.ready() == []


def test_a_replaced_file_of_equal_size_and_time_starts_anew() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", (100, 1, 7))
    clock.now += QUIET
    tracker.observe("a.jpg", (100, 1, 8))
    assert tracker.ready() == []


def test_a_file_seen_being_written_waits_longer() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A, writing=True)
    assert tracker.next_due() == WRITING_FACTOR * QUIET
    clock.now += 2 * QUIET
    tracker.observe("a.jpg", A)
    assert tracker.ready() == []
    clock.now += QUIET
    tracker.observe("a.jpg", A)
    assert tracker.ready() == ["a.jpg"]


def test_every_sign_of_writing_starts_the_wait_anew() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A, writing=True)
    clock.now += 2 * QUIET
    tracker.observe("a.jpg", A, writing=True)
    clock.now += 2 * QUIET
    tracker.observe("a.jpg", A)
    assert tracker.ready() == []


def test_closing_ends_the_longer_wait() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A, writing=True)
    clock.now += 1.0
    tracker.observe("a.jpg", A, writing=False)
    assert tracker.next_due() == QUIET - 1.0
    clock.now += QUIET - 1.0
    assert tracker.due() == ["a.jpg"]
    tracker.observe("a.jpg", A)
    assert tracker.ready() == ["a.jpg"]


def test_an_atomic_rename_is_ready_at_once() -> None:
    tracker, _ = a_tracker()
    tracker.observe("a.jpg", A, renamed=True)
    assert tracker.next_due() == 0.0
    assert tracker.ready() == ["a.jpg"]


def test_a_write_after_the_rename_settles_again() -> None:
    tracker, _ = a_tracker()
    tracker.observe("a.jpg", A, renamed=True)
    tracker.observe("a.jpg", B, writing=True)
    assert tracker.ready() == []
    assert len(tracker) == 1


def test_a_ready_file_stays_ready_when_it_is_read_again() -> None:
    tracker, _ = a_tracker()
    tracker.observe("a.jpg", A, renamed=True)
    tracker.observe("a.jpg", A)
    tracker.observe("a.jpg", A, writing=False)
    assert tracker.ready() == ["a.jpg"]


def test_an_empty_file_waits_but_is_not_forgotten() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", EMPTY, renamed=True)
    assert tracker.ready() == []
    assert tracker.next_due() == EMPTY_FACTOR * QUIET
    clock.now += EMPTY_FACTOR * QUIET
    tracker.observe("a.jpg", EMPTY)
    assert tracker.ready() == ["a.jpg"]


def test_an_empty_file_that_is_filled_needs_only_the_quiet_time() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", EMPTY)
    clock.now += QUIET
    tracker.observe("a.jpg", A)
    assert tracker.next_due() == QUIET


def test_a_vanished_file_is_dropped() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A)
    tracker.observe("b.jpg", A, renamed=True)
    tracker.observe("a.jpg", None)
    tracker.observe("b.jpg", None)
    tracker.observe("never seen.jpg", None)
    clock.now += 10 * QUIET
    assert tracker.due() == []
    assert tracker.ready() == []
    assert len(tracker) == 0
    assert tracker.next_due() is None


def test_a_due_file_stays_due_until_it_is_read() -> None:
    tracker, clock = a_tracker()
    tracker.observe("a.jpg", A)
    clock.now += QUIET
    assert tracker.due() == ["a.jpg"]
    assert tracker.due() == ["a.jpg"]
    assert tracker.next_due() == 0.0


def test_files_come_out_one_by_one_in_the_order_they_settled() -> None:
    tracker, clock = a_tracker()
    names = [f"{number}.jpg" for number in range(5)]
    for name in names:
        tracker.observe(name, A)
        clock.now += 0.1
    clock.now += QUIET
    for name in tracker.due():
        tracker.observe(name, A)
    assert tracker.ready() == names


def test_no_quiet_time_still_takes_two_readings() -> None:
    tracker = SettleTracker(0.0, Clock())
    tracker.observe("a.jpg", A)
    assert tracker.ready() == []
    assert tracker.due() == ["a.jpg"]
    tracker.observe("a.jpg", A)
    assert tracker.ready() == ["a.jpg"]


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 3 * QUIET),
            st.one_of(st.none(), st.sampled_from([A, B, EMPTY])),
            st.sampled_from([None, True, False]),
        ),
        max_size=30,
    )
)
def test_nothing_is_ready_that_has_not_been_quiet(
    readings: list[tuple[float, tuple[int, int, int] | None, bool | None]],
) -> None:
    """Whatever is read when: a file comes out only after equal readings over the quiet time, and each comes out."""
    tracker, clock = a_tracker()
    seen: tuple[int, int, int] | None = None
    since = clock.now
    for seconds, signature, writing in readings:
        clock.now += seconds
        tracker.observe("a.jpg", signature, writing=writing)
        if signature != seen:
            seen, since = signature, clock.now
        if tracker.ready():
            assert signature is not None
            assert clock.now - since >= QUIET - 1e-6
            seen = None  # what came out is forgotten
    rounds = 0
    while (wait := tracker.next_due()) is not None:
        clock.now += wait + 0.001
        for path in tracker.due():
            tracker.observe(path, A)
        tracker.ready()
        rounds += 1
        assert rounds < 10
