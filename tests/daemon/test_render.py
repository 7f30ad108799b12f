"""Answers as a person reads them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from daemon.render import duration, home_short, render_photo, render_results, render_status
from search.messages import PhotoMessage, SearchMessage, StatusMessage

HOME = {"HOME": "/home/ada"}


def result(path: str, **changes: Any) -> Any:
    return {
        "path": path,
        "kind": "photo",
        "score": 0.5,
        "reasons": ["looks like: espresso"],
        "taken_at": None,
        "collapsed": 0,
        "content_hash": "ab" * 32,
        "thumbnail": "/not/there.jpg",
        "moments": [],
    } | changes


def rendered(message: SearchMessage) -> str:
    out = io.StringIO()
    render_results(out, message, thumbnails=True, environ=HOME | {"KITTY_WINDOW_ID": "1"})
    return out.getvalue()


def test_results_have_number_path_date_and_reasons() -> None:
    first = result("/home/ada/a.jpg", taken_at="2019-07-04T10:00:00", collapsed=3, reasons=["tag: cup", "2019"])
    message: SearchMessage = {
        "results": [first, result("/srv/b.jpg")], "confident": True, "note": None, "seconds": 0.1,
    }  # fmt: skip
    assert rendered(message) == (
        "  1  ~/a.jpg  2019-07-04  (+3 near-identical)\n     tag: cup · 2019\n"
        "  2  /srv/b.jpg\n     looks like: espresso\n"
    )


def test_a_name_cannot_steer_the_terminal() -> None:
    nasty = result("/srv/\x1b[2J\nfake  1  /x.jpg", reasons=["title: \x07"])
    shown = rendered({"results": [nasty], "confident": True, "note": None, "seconds": 0.1})
    assert shown.count("\n") == 2
    assert not {"\x1b", "\x07"} & set(shown)


def test_a_weak_answer_says_so() -> None:
    message: SearchMessage = {"results": [], "confident": False, "note": "Nothing is near.", "seconds": 0.1}
    assert rendered(message) == "No confident match.\nNothing is near.\n"


@pytest.mark.parametrize(
    ("path", "home", "short"),
    [
        ("/home/ada/a.jpg", "/home/ada", "~/a.jpg"),
        ("/home/ada/a.jpg", "/home/ada/", "~/a.jpg"),
        ("/home/adam/a.jpg", "/home/ada", "/home/adam/a.jpg"),
        ("/a.jpg", "", "/a.jpg"),
        ("/a.jpg", "/", "/a.jpg"),
    ],
)
def test_the_home_folder_is_shortened(path: str, home: str, short: str) -> None:
    assert home_short(path, {"HOME": home}) == short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3569, "59 min"),
        (3599, "1 h 0 min"),
        (12000, "3 h 20 min"),
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_photo_is_told_fact_by_fact() -> None:
    message: PhotoMessage = {
        "paths": ["/a.jpg", "/copy.jpg"],
        "content_hash": "ab" * 32,
        "kind": "photo",
        "size": 1234567,
        "info": {
            "format": "JPEG", "width": 4000, "height": 3000, "taken_at": "2019-07-04T10:00:00", "camera": "Canon R5",
            "latitude": 48.8584, "longitude": 2.2945, "keywords": ["paris"], "people": [], "rating": 5,
        },
        "pixels": {"quality": 0.5, "sharpness": 0.25, "exposure": 1, "contrast": 0, "brightness": 0.125},
        "tags": [
            {"name": "tower", "confidence": 0.9, "source": "imagenet", "count": None},
            {"name": "trip", "confidence": 1.0, "source": "authored", "count": None},
            {"name": "dog", "confidence": 0.93, "source": "detection", "count": 2},
        ],
        "detections": [
            {"label": "dog", "score": 0.5 + n / 100, "box": [0.1, 0.2, 0.5, 0.9], "segment": 0} for n in range(14)
        ],
        "aesthetic": 0.625,
        "label": None,
        "jobs": [{"stage": "concepts", "revision": 1, "state": "quarantined", "attempts": 3, "problem": "It broke."}],
        "thumbnail": "/not/there.jpg",
        "cut_out": "/library/ab.png",
        "segments": [],
        "events": [],
        "transcript": None,
        "highlights": [],
        "summary": "",
        "preview": None,
        "live": "/a.mov",
    }  # fmt: skip
    out = io.StringIO()
    render_photo(out, message, thumbnails=False, environ={})
    facts = [(name, value.strip()) for name, _, value in (line.partition("  ") for line in out.getvalue().splitlines())]
    for fact in (
        ("path", "/a.jpg"),
        ("path", "/copy.jpg"),
        ("content", f"sha256 {'ab' * 32}, 1,234,567 bytes"),
        ("picture", "JPEG, 4000 x 3000"),
        ("camera", "Canon R5"),
        ("rating", "5"),
        ("place", "48.85840, 2.29450"),
        ("keywords", "paris"),
        ("tags (imagenet)", "tower 0.90"),
        ("tags (authored)", "trip 1.00"),
        ("tags (detection)", "2 \N{MULTIPLICATION SIGN} dog 0.93"),
        ("aesthetic", "0.62"),
        ("cut-out", "/library/ab.png"),
        ("seen", "dog 0.50, 40% x 70% of the picture, from 10% left, 20% top"),
        ("seen", "... and 2 more"),
        ("stage concepts", "quarantined: It broke."),
    ):
        assert fact in facts
    assert "people" not in dict(facts)


def status(**changes: Any) -> Any:
    names = ("files", "unidentified", "media", "pending", "running", "done", "quarantined", "problems", "missing")
    return {
        "library": "/library",
        "service": None,
        "counts": dict.fromkeys(names, 0) | {"files": 12, "done": 8, "pending": 2, "running": 1, "unidentified": 1},
        "kinds": {"photo": 11, "video": 1},
        "passed_over": {},
        "vectors": {"space": 1200},
        "profile": "builtin",
        "change": None,
        "models": [],
        "stages": [],
        "devices": [],
        "notes": [],
        "problems": [],
        "problems_total": 0,
    } | changes


def shown(message: StatusMessage) -> str:
    out = io.StringIO()
    render_status(out, message)
    return out.getvalue()


def test_status_without_a_service_says_how_to_start_one() -> None:
    text = shown(status())
    assert "not running (`reverie run` starts it)" in text
    assert "8 ready in 12 files, 4 to do" in text
    assert "1,200 in space" in text
    assert "Problems" not in text


def test_status_tells_what_the_service_does_and_what_ails_it() -> None:
    pace = {
        "photos_per_second": 7.5, "eta_seconds": 130.0, "bottleneck": "decoding photos (the CPU)",
        "seconds_per_step": {}, "finished": 8, "failed": 0, "long_left": 3,
    }  # fmt: skip
    service = {
        "pid": 42, "version": "0.1.0", "uptime_seconds": 75, "state": "indexing, 4 to do",
        "trouble": "The disk is full.", "settling": 2, "paused": "The card is at 93 °C.",
        "worker_pid": None, "pace": pace, "long_files": [{"path": "/nas/clip.mp4", "share": 0.3449}],
        "folders": [{"path": "/nas", "mode": "polling", "reason": "it is on a network", "remedy": "Nothing to do."}],
    }  # fmt: skip
    text = shown(status(service=service))
    for part in (
        "pid 42, version 0.1.0, up 1 min",
        "indexing, 4 to do",
        "The disk is full.",
        "The card is at 93 °C.",
        "7.5 photos/s, 2 min left for photos, then 3 videos and sounds",
        "/nas/clip.mp4 34%",
        "11 photos, 1 video",
        "decoding photos (the CPU)",
        "2 files are still being written",
        "none (it starts when there is work)",
        "/nas (polling: it is on a network)",
        "Nothing to do.",
    ):
        assert part in text


def test_status_tells_how_each_network_runs_and_what_would_be_faster() -> None:
    refusal = {"runtime": "TensorRT", "reason": "It is not installed.", "remedy": "pip install torch-tensorrt"}
    stage = {
        "stage": "embedding:clip", "model": "clip", "device": "GPU 0", "runtime": "PyTorch 2", "precision": "fp16",
        "batch_size": 64, "seconds": 0.002, "photos_per_second": 500.0, "refused": [refusal],
    }  # fmt: skip
    card = {
        "name": "GPU 0", "utilisation": 0.93, "memory_used": 4_000_000_000, "memory_total": 11_000_000_000,
        "celsius": 71.0, "watts": 180.0, "watts_limit": None,
    }  # fmt: skip
    change = {
        "profile": "standard", "since": 0.0, "done": 1200, "total": 5000, "photos_per_second": 20.0,
        "eta_seconds": 190.0, "long_left": 0, "trouble": None,
    }  # fmt: skip
    note = {"title": "A plug-in is left out.", "remedy": "Mend it."}
    text = shown(status(stages=[stage], devices=[card], change=change, notes=[note]))
    for part in (
        "embedding:clip: PyTorch 2, GPU 0, fp16, batch 64, 2.0 ms a photo (500 photos/s by itself)",
        "TensorRT: It is not installed. pip install torch-tensorrt",
        "GPU 0, 93% busy, 4.0 of 11.0 GB, 71 °C, 180 W",
        "Changing to standard: 1,200 of 5,000 files, 20.0 photos/s, 3 min left.",
        "A plug-in is left out. Mend it.",
    ):
        assert part in text


def test_status_lists_problems_and_says_how_many_it_leaves_out() -> None:
    problem = {"path": "/a.jpg", "title": "It is empty.", "remedy": "Copy it again.", "attempts": 1}
    text = shown(status(problems=[problem], problems_total=1300))
    assert "\nProblems (1,300):\n  /a.jpg\n    It is empty. Copy it again.\n  ... and 1,299 more\n" in text


def test_pictures_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    out = io.StringIO()
    message: SearchMessage = {
        "results": [result("/a.jpg", thumbnail=str(tmp_path / "none.jpg"))],
        "confident": True, "note": None, "seconds": 0.1,
    }  # fmt: skip
    render_results(out, message, thumbnails=True, environ={"KITTY_WINDOW_ID": "1"})
    assert "\x1b" not in out.getvalue()
