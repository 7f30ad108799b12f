"""How often a polled folder is looked at."""

from __future__ import annotations

from daemon.polling import MOST_OF_THE_TIME, SLOWEST, PollSchedule


def test_calm_slows_it_down_and_a_change_brings_it_back() -> None:
    now = 0.0
    schedule = PollSchedule(60.0, lambda: now)
    assert schedule.wait == 60.0
    now = 60.0
    assert schedule.wait == 0.0
    schedule.asked()
    assert schedule.wait == 60.0
    for _ in range(20):
        schedule.scanned(0.1, changed=False)
    assert schedule.wait == SLOWEST * 60.0
    schedule.scanned(0.1, changed=True)
    assert schedule.wait == 60.0


def test_a_costly_scan_is_made_seldom() -> None:
    schedule = PollSchedule(60.0, lambda: 0.0)
    schedule.scanned(30.0, changed=True)
    assert schedule.wait == 30.0 * MOST_OF_THE_TIME
