"""Subtitles and telemetry beside a recording and inside it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.subtitles.codeccontext import SubtitleCodecContext

from indexer.media.container import VideoLimits
from indexer.media.metadata.companions import Companions
from indexer.media.metadata.embedded_text import embedded_subtitles, merged
from indexer.media.metadata.sidecars import facts_beside
from indexer.media.metadata.subtitle_files import parse_subtitles
from indexer.media.video import open_video
from tests.indexer.media.metadata.blocks import LIMITS

SRT = """1
00:00:01,000 --> 00:00:03,000
<i>The elephant crossed the river.</i>

2
00:00:03,500 --> 00:00:05,000
Welcome to Zanzibar.
"""
VTT = """WEBVTT

00:01.000 --> 00:03.000
The elephant crossed the river.

00:03.500 --> 00:05.000
Welcome to Zanzibar.
"""
ASS = """[Script Info]
[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\i1}The elephant crossed the river.{\\i0}
Dialogue: 0,0:00:03.50,0:00:05.00,Default,,0,0,0,,Welcome to Zanzibar.
"""
LRC = "[ar:Nobody]\n[00:01.00]The elephant crossed the river.\n[00:03.50]Welcome to Zanzibar.\n"


@pytest.mark.parametrize("text", [SRT, VTT, ASS, LRC], ids=["srt", "vtt", "ass", "lrc"])
def test_words_and_their_times_in_each_format(text: str) -> None:
    said = parse_subtitles(text.encode())
    assert [(one.text, one.start) for one in said] == [
        ("The elephant crossed the river.", 1.0),
        ("Welcome to Zanzibar.", 3.5),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_that_nobody_states(encoding: str) -> None:
    said = parse_subtitles(SRT.replace("Zanzibar", "Zürich, à bientôt").encode(encoding))
    assert said[1].text == "Welcome to Zürich, à bientôt."


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"1\n00:00:xx", bytes(range(256)), b"[Events]\nDialogue: 0"])
def test_broken_subtitles_say_nothing(data: bytes) -> None:
    assert parse_subtitles(data) == ()


def test_names_of_subtitles() -> None:
    folder = Companions(["film.srt", "film.en.srt", "film.pt-BR.forced.ass", "film.mp4.vtt", "filmed.srt", "film.lrc"])
    named = {"film.srt", "film.en.srt", "film.pt-BR.forced.ass", "film.mp4.vtt", "film.lrc"}
    assert set(folder.of("film.mp4")) == named
    assert folder.of("film.jpg") == (), "nobody speaks in a photo"


DJI = """1
00:00:00,000 --> 00:00:01,000
<font size="28">FrameCnt: 1, DiffTime: 33ms
2023-06-05 14:22:31.512
[iso: 100] [shutter: 1/640.0] [latitude: 46.523100] [longitude: 8.012300] [rel_alt: 1.2 abs_alt: 1893.1] </font>
"""


def test_the_telemetry_of_a_drone_is_place_and_time_and_nobody_says_it(tmp_path: Path) -> None:
    (tmp_path / "DJI_0001.SRT").write_text(DJI, encoding="utf-8")
    beside = facts_beside(str(tmp_path / "DJI_0001.MP4"), [str(tmp_path / "DJI_0001.SRT")], LIMITS)
    assert beside.subtitles == ()
    assert beside.weaker.place is not None
    assert (beside.weaker.place.latitude, beside.weaker.place.longitude) == (46.5231, 8.0123)
    assert beside.weaker.moments[0].local == "2023-06-05T14:22:31"


STYLES = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@pytest.mark.parametrize(("name", "codec"), [("film.mkv", "subrip"), ("film.mp4", "mov_text")])
def test_subtitles_inside_a_film(tmp_path: Path, name: str, codec: str) -> None:
    words = b"Welcome to Zanzibar."
    with av.open(str(tmp_path / name), "w") as film:
        picture = film.add_stream("libx264", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        titles = film.add_stream(codec)
        assert isinstance(titles.codec_context, SubtitleCodecContext)
        titles.codec_context.subtitle_header = STYLES
        titles.codec_context.time_base = Fraction(1, 1000)
        for _ in range(60):
            film.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        film.mux(picture.encode())
        packet = av.Packet(words if codec == "subrip" else len(words).to_bytes(2) + words)
        packet.stream, packet.time_base = titles, Fraction(1, 1000)
        packet.pts = packet.dts = 3500
        packet.duration = 1500
        film.mux(packet)
    with open_video(str(tmp_path / name), VideoLimits()) as video:
        said = merged(embedded_subtitles(video.source))
    assert said is not None
    assert [(one.text, one.start, one.end) for one in said.said] == [("Welcome to Zanzibar.", 3.5, 5.0)]
