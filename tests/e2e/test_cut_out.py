"""The subject of a photo, from a profile of one's own to `reverie show`, and gone with the profile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from PIL import Image

from tests import tiny_tasks
from tests.e2e.driver import Reverie
from tests.sample_photos import copy_photos


def test_a_cut_out_is_made_shown_and_removed(make_reverie: Callable[..., Reverie], tmp_path: Path) -> None:
    files = tiny_tasks.save_segmenter(tmp_path / "files" / "tiny-areas")
    listed = {
        "models": {
            "tiny-areas": {
                "task": "segmentation",
                "title": "Tiny",
                "about": "A tiny network with random weights.",
                "licence": "none",
                "repository": "test/tiny-areas",
                "files": [{"path": path.name} for path in sorted(files.iterdir())],
            }
        },
        "profiles": {"cutting": {"about": "For tests.", "stages": ["concepts", "segmentation:tiny-areas"]}},
    }
    (tmp_path / "conf" / "reverie").mkdir(parents=True)
    (tmp_path / "conf" / "reverie" / "models.yaml").write_text(yaml.safe_dump(listed))
    copy_photos(tmp_path / "photos", "china.jpg")
    reverie = make_reverie(XDG_CONFIG_HOME=str(tmp_path / "conf"))
    assert reverie.run("models", "pull", "cutting", "--from", files.parent).returncode == 0
    used = reverie.run("models", "use", "cutting")
    assert used.returncode == 0, used.stderr
    indexed = reverie.run("index", tmp_path / "photos")
    assert indexed.returncode == 0, indexed.stderr

    shown = reverie.json("show", tmp_path / "photos" / "china.jpg")
    assert "area" in {tag["source"] for tag in shown["tags"]}
    with Image.open(shown["cut_out"]) as cut_out:
        assert (cut_out.format, cut_out.mode) == ("PNG", "RGBA")
        assert 0 < max(cut_out.size) <= 512

    back = reverie.run("models", "use", "builtin")
    assert back.returncode == 0, back.stderr
    assert reverie.json("show", tmp_path / "photos" / "china.jpg")["cut_out"] is None
    assert not list((reverie.library / "thumbnails").rglob("*.png"))
    assert len(list((reverie.library / "thumbnails").rglob("*.jpg"))) == 1
