"""Pictures in a terminal, read back as a terminal of that kind would."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.terminal_images import KITTY_CHUNK, Protocol, detect_protocol, draw


@pytest.fixture
def thumbnail(tmp_path: Path) -> Path:
    """A JPEG that needs several pieces."""
    noise = np.random.default_rng(2).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "thumbnail.jpg")
    return tmp_path / "thumbnail.jpg"


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"KITTY_WINDOW_ID": "3"}, Protocol.KITTY),
        ({"TERM_PROGRAM": "ghostty"}, Protocol.KITTY),
        ({"KONSOLE_VERSION": "230804"}, Protocol.KITTY),
        ({"TERM_PROGRAM": "iTerm.app"}, Protocol.ITERM),
        ({"TERM_PROGRAM": "WezTerm"}, Protocol.ITERM),
        ({"LC_TERMINAL": "iTerm2"}, Protocol.ITERM),
        ({"TERM_PROGRAM": "vscode"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"KITTY_WINDOW_ID": "3", "TMUX": "/tmp/x"}, None),  # noqa: S108 - only a value
        ({"TERM_PROGRAM": "WezTerm", "STY": "1.pts"}, None),
    ],
)
def test_only_terminals_that_say_so_get_pictures(environ: Mapping[str, str], protocol: Protocol | None) -> None:
    assert detect_protocol(environ) is protocol


def test_kitty_gets_the_picture_in_pieces_it_takes(thumbnail: Path) -> None:
    out = io.StringIO()
    draw(out, Protocol.KITTY, thumbnail, columns=30)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", out.getvalue())
    assert len(pieces) > 2
    assert out.getvalue() == "".join(f"\x1b_G{control};{data}\x1b\\" for control, data in pieces) + "\n"
    assert pieces[0][0] == "a=T,f=100,c=30,m=1"
    assert [control for control, _ in pieces[1:]] == ["m=1"] * (len(pieces) - 2) + ["m=0"]
    assert all(len(data) <= KITTY_CHUNK and len(data) % 4 == 0 for _, data in pieces)
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in pieces)))) as image:
        assert (image.format, image.size) == ("PNG", (120, 90))


def test_iterm_gets_the_jpeg_as_it_is(thumbnail: Path) -> None:
    out = io.StringIO()
    draw(out, Protocol.ITERM, thumbnail, columns=30)
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;width=30;preserveAspectRatio=1:([^\a]*)\a\n", out.getvalue())
    assert found
    assert base64.b64decode(found[1]) == thumbnail.read_bytes()
