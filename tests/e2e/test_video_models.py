"""What larger profiles see and hear in a video, with tiny models of the real architectures: stored, shown and found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests import tiny_tasks
from tests.e2e.driver import Reverie
from tests.films import View, film

STAGES = ("concepts", "detection:things", "action:actions", "sounds:noises", "speech:whisper-tiny-en")


def make_models(folder: Path) -> Path:
    """Models with random weights, and limits so low that they always find something. Returns the folder of their
    files; a list of them is written to `folder`/conf/reverie."""
    files = folder / "files"
    saved = {
        "things": ("detection", tiny_tasks.save_detector("yolos", files / "things")),
        "actions": ("action", tiny_tasks.save_action_model("videomae", files / "actions")),
        "noises": ("sounds", tiny_tasks.save_sounds_model(files / "noises")),
    }
    models: dict[str, Any] = {
        name: {
            "task": task,
            "title": "Tiny",
            "about": "A tiny network with random weights.",
            "licence": "none",
            "repository": f"test/{name}",
            "files": [{"path": path.name} for path in sorted(saved_in.iterdir())],
            "options": {"threshold": 0.0},
        }
        for name, (task, saved_in) in saved.items()
    }
    listed = {"models": models, "profiles": {"all": {"about": "For tests.", "stages": list(STAGES)}}}
    (folder / "conf" / "reverie").mkdir(parents=True)
    (folder / "conf" / "reverie" / "models.yaml").write_text(yaml.safe_dump(listed), encoding="utf-8")
    return files


def test_what_models_find_in_a_video_is_shown_and_found(make_reverie: Callable[..., Reverie], tmp_path: Path) -> None:
    files = make_models(tmp_path)
    media = tmp_path / "media"
    media.mkdir()
    clip = film(media / "clip.mp4", [View("coffee.png", 5), View("chelsea.png", 5)], plays=[(0, 10)], size=(320, 180))
    reverie = make_reverie(XDG_CONFIG_HOME=str(tmp_path / "conf"))
    pulled = reverie.run("models", "pull", "all", "--from", files)
    assert pulled.returncode == 0, pulled.stderr
    used = reverie.run("models", "use", "all")
    assert used.returncode == 0, used.stderr
    indexed = reverie.run("index", media)
    assert indexed.returncode == 0, indexed.stderr

    shown = reverie.json("show", clip)
    assert {job["stage"] for job in shown["jobs"]} == {"metadata", "describe", "pixels", "sound", *STAGES}
    assert {job["state"] for job in shown["jobs"]} == {"done"}
    events = {
        kind: [event for event in shown["events"] if event["kind"] == kind] for kind in ("action", "track", "sound")
    }
    assert {event["label"] for event in events["action"]} <= set(tiny_tasks.ACTIONS.values())
    assert all(0 <= event["start"] < event["end"] <= 10.1 for found in events.values() for event in found)
    assert {event["label"] for event in events["sound"]} >= {"music"}
    assert {event["label"] for event in events["sound"]} & {label.lower() for label in tiny_tasks.SOUNDS.values()}
    assert events["track"]
    action = events["action"][0]

    [result] = reverie.json("search", f'action:"{action["label"]}"')["results"]
    assert Path(result["path"]).name == "clip.mp4"
    assert result["moments"][0]["start"] < action["end"]
    assert action["start"] < result["moments"][0]["end"]
    assert reverie.found(f'-action:"{action["label"]}" type:video') == []
    assert reverie.json("status")["notes"] == []
    status = reverie.run("status").stdout
    assert all(f"model    {name}" in status for name in ("things", "actions", "noises"))
