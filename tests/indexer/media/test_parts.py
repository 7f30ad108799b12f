"""Recordings whose clock begins again: joined transport streams, a DVD's chapters in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.media.cutting import cut
from indexer.media.frames import Strategy, sample
from indexer.media.sound import open_audio, read_sound
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import Picture, counting, number_of, write_clip
from tests.indexer.media.test_sound import clicks, onsets

LIMITS = VideoLimits()
WRAP = 2**33 / 90_000
"""Seconds after which the clock of an MPEG stream begins again (ISO/IEC 13818-1, 2.4.3.7)."""
FORMATS: list[dict[str, Any]] = [
    {"container": "mpegts"},
    {"container": "mpegts", "container_options": {"mpegts_m2ts_mode": "1"}},
    {"container": "vob", "codec": "mpeg2video", "audio_codec": "ac3"},
    {"container": "mpeg", "codec": "mpeg1video", "audio_codec": "mp2"},
]


def clip(path: Path, first: int, seconds: int, *, begins: float = 0.0, sound: bool = True, **options: Any) -> bytes:
    """A clip that counts its frames from `first` on, a click half a second after the beginning of each second."""
    settings = {**options.pop("container_options", {}), "output_ts_offset": str(begins)}
    write_clip(
        path,
        (counting(first + number) for number in range(30 * seconds)),
        sound=clicks([second + 0.5 for second in range(seconds)], seconds) if sound else None,
        container_options=settings,
        **options,
    )
    return path.read_bytes()


def joined(tmp_path: Path, *begins: float, **options: Any) -> Path:
    """Clips of two seconds, their clocks at the given seconds, their frames counted on from one to the next."""
    path = tmp_path / "joined"
    part = tmp_path / "part"
    path.write_bytes(
        b"".join(clip(part, 60 * number, 2, begins=begin, **options) for number, begin in enumerate(begins))
    )
    return path


def counted(pixels: Picture, number: int) -> bool:
    """Whether a picture is about the one of this number: each clip is a little longer than its frames."""
    return abs((number_of(pixels) - number + 20) % 40 - 20) <= 4


def check(path: Path, seconds: int) -> None:
    """Frames, keyframes and sounds at their times from the beginning of the file; from anywhere as from there."""
    with open_video(str(path), LIMITS) as video:
        assert video.info.duration == pytest.approx(seconds, abs=0.15)
        assert video.timeline.end == pytest.approx(seconds, abs=0.15)
        assert not video.timeline.truncated
        for start in (0.0, seconds - 1.3, 2.4):
            frames = list(sample(video, Strategy.UNIFORM, every=0.5, start=start))
            assert frames[0].time == pytest.approx(start, abs=0.6)
            assert seconds - 0.6 < frames[-1].time < seconds + 0.1
            assert all(counted(frame.pixels, round(frame.time * 30)) for frame in frames)
            heard = onsets(list(read_sound(video.source, start=start)))
            assert heard == pytest.approx([at + 0.5 for at in range(seconds) if at + 0.5 > start], abs=0.15)


@pytest.mark.parametrize("options", FORMATS, ids=["ts", "m2ts", "vob", "mpg"])
def test_joined_recordings_count_on(tmp_path: Path, options: dict[str, Any]) -> None:
    check(joined(tmp_path, 0.0, 0.0, 0.0, **options), 6)


@pytest.mark.parametrize(
    "begins",
    [(50_000.0, 3.0), (3.0, 50_000.0), (90_000.0, 20.0, 60_000.0), (100.0, 99.0)],
    ids=["much earlier", "much later", "to and fro", "a little earlier"],
)
def test_clocks_that_have_nothing_to_do_with_each_other(tmp_path: Path, begins: tuple[float, ...]) -> None:
    check(joined(tmp_path, *begins, container="mpegts"), 2 * len(begins))


def test_a_clock_that_runs_over_is_the_same_clock(tmp_path: Path) -> None:
    path = tmp_path / "long.ts"
    clip(path, 0, 4, begins=WRAP - 2.4)
    with open_video(str(path), LIMITS) as video:
        assert len(video.source.parts) == 1
    check(path, 4)


def test_one_damaged_time_begins_no_part(tmp_path: Path) -> None:
    path = tmp_path / "damaged.ts"
    data = bytearray(clip(path, 0, 4, sound=False))
    begins = [at for at in range(0, len(data), 188) if data[at + 1] & 0x40 and b"\0\0\1\xe0" in data[at : at + 188]]
    pictures = data.index(b"\0\0\1\xe0", begins[50])
    data[pictures + 9] ^= 0x08  # the highest bit but one of the time of display: hours
    data[pictures + 14] ^= 0x08  # of the time of decoding
    path.write_bytes(data)
    with open_video(str(path), LIMITS) as video:
        assert len(video.source.parts) == 1
        frames = list(sample(video, Strategy.UNIFORM, every=0.5))
        assert 3.4 < frames[-1].time < 4.0


def test_a_sound_that_pauses_is_no_other_clock(tmp_path: Path) -> None:
    """Nor is a picture that stays away for a while: only what all streams do is."""
    path = tmp_path / "pause.ts"
    numbers = [*range(30), *range(630, 660)]
    write_clip(
        path,
        (counting(number) for number in numbers),
        times=[number / 30 for number in numbers],
        sound=clicks([0.5, 20.5], 22.0),
        container_options={"max_interleave_delta": "0"},
    )
    with open_video(str(path), LIMITS) as video:
        assert len(video.source.parts) == 1
        assert video.timeline.end == pytest.approx(22.0, abs=0.1)


def test_a_joined_sound_is_as_long_as_its_parts(tmp_path: Path) -> None:
    path, part = tmp_path / "radio.ts", tmp_path / "part.ts"
    data = b""
    for seconds in (2, 3):
        write_clip(part, (), sound=clicks([0.5], seconds))
        data += part.read_bytes()
    path.write_bytes(data)
    with open_audio(str(path), LIMITS) as audio:
        assert audio.info.duration == pytest.approx(5.0, abs=0.1)
        assert onsets(list(read_sound(audio.source))) == pytest.approx([0.5, 2.5], abs=0.1)


def test_a_cut_across_the_seam_has_the_picture_and_the_sound_of_both_sides(tmp_path: Path) -> None:
    path, out = joined(tmp_path, 0.0, 0.0, container="mpegts"), tmp_path / "cut.mp4"
    cut(str(path), [(1.0, 3.0)], out, LIMITS)
    with open_video(str(out), LIMITS) as video:
        assert video.info.duration == pytest.approx(2.0, abs=0.1)
        frames = list(sample(video, Strategy.UNIFORM, every=0.5))
        assert all(counted(frame.pixels, round((frame.time + 1) * 30)) for frame in frames)
        assert onsets(list(read_sound(video.source))) == pytest.approx([0.5, 1.5], abs=0.15)
