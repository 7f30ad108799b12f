"""What a video or a sound file says about itself; the two halves of a Live Photo know each other."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import piexif
import pytest
from PIL import Image

from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.metadata.describe_recording import describe_audio, describe_video
from indexer.media.metadata.live import live_id_of_note
from indexer.media.metadata.sidecars import Beside
from indexer.media.metadata.xmp import xmp_facts
from indexer.media.photo import Limits, decode_photo
from indexer.media.sound import open_audio
from indexer.media.video import VideoLimits, open_video
from indexer.records import Kind, MediaInfo
from tests.indexer.media.clips import four_corners, write_clip

LIMITS = VideoLimits()
APPLE = {
    "creation_time": "2021-06-01T10:00:00.000000Z",
    "com.apple.quicktime.creationdate": "2021-06-01T12:00:00+0200",
    "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.1/",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 12",
    "com.apple.quicktime.content.identifier": "5a3b9d2e-77aa-4c0f-9b1a-0c5e2f1d8e90",
}
PAIR = "5A3B9D2E-77AA-4C0F-9B1A-0C5E2F1D8E90"
SIDECAR = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">The candles</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>birthday</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def of_video(path: Path, sidecar: bytes | None = None) -> MediaInfo:
    with open_video(str(path), LIMITS) as video:
        return describe_video(video, Beside(xmp_facts(sidecar or b""))).info


def of_audio(path: Path, sidecar: bytes | None = None) -> MediaInfo:
    with open_audio(str(path), LIMITS) as audio:
        return describe_audio(audio, Beside(xmp_facts(sidecar or b""))).info


def test_a_video_says_all_that_is_asked_of_it(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "IMG_0001.MOV",
        [four_corners()] * 50,
        fps=25,
        sound=np.zeros(2 * 48_000, np.float32),
        container_options={"movflags": "use_metadata_tags"},
        metadata=APPLE,
    )
    info = of_video(path)
    assert (info.kind, info.format, info.width, info.height) == (Kind.VIDEO, "MOV", 160, 96)
    assert (info.taken_at, info.utc_offset_minutes) == ("2021-06-01T12:00:00", 120)
    assert (info.latitude, info.longitude, info.altitude) == (48.8577, 2.295, 35.1)
    assert (info.camera, info.live_id) == ("Apple iPhone 12", PAIR)
    assert info.duration == pytest.approx(2.0, abs=0.05)
    assert (info.fps, info.variable_rate) == (25.0, False)
    assert (info.video_codec, info.audio_codec, info.hdr) == ("h264", "aac", False)
    assert info.bit_rate == pytest.approx(path.stat().st_size * 8 / 2, rel=0.05)


def test_the_sidecar_of_a_person_goes_before_the_container(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "a.mp4",
        [four_corners()] * 5,
        metadata={"title": "clip 7", "creation_time": "2021-06-01T10:00:00Z", "comment": "from the camera"},
    )
    info = of_video(path, SIDECAR)
    assert (info.title, info.description) == ("The candles", "from the camera")
    assert (info.keywords, info.rating) == (("birthday",), 4)
    assert (info.taken_at, info.utc_offset_minutes) == ("2021-06-01T10:00:00", 0)
    assert (info.audio_codec, info.live_id) == (None, None)


def test_what_a_truncated_video_claims_beyond_its_end_is_not_believed(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (250, 96, 160, 3), np.uint8)
    path = write_clip(tmp_path / "a.mp4", noise, fps=25, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    duration = of_video(path).duration
    assert duration == pytest.approx(5.0, abs=1.0)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.mp4", "libx264", "MP4"),
        ("a.mov", "libx264", "MOV"),
        ("a.3gp", "libx264", "3GP"),
        ("a.mkv", "libx264", "Matroska"),
        ("a.webm", "libvpx", "WebM"),
        ("a.avi", "mpeg4", "AVI"),
        ("a.ts", "libx264", "MPEG-TS"),
        ("a.mpg", "mpeg2video", "MPEG-PS"),
        ("a.flv", "libx264", "FLV"),
        ("a.wmv", "mpeg4", "ASF"),
    ],
)
def test_the_format_is_called_as_people_call_it(tmp_path: Path, name: str, codec: str, form: str) -> None:
    path = write_clip(tmp_path / name, [four_corners()] * 12, fps=25, codec=codec)
    assert of_video(path.rename(tmp_path / "anything.jpg")).format == form


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.m4a", "aac", "M4A"),
        ("a.wav", "pcm_s16le", "WAV"),
        ("a.flac", "flac", "FLAC"),
        ("a.mp3", "libmp3lame", "MP3"),
        ("a.ogg", "libopus", "Ogg"),
        ("a.aiff", "pcm_s16be", "AIFF"),
    ],
)
def test_sound_alone_has_no_picture(tmp_path: Path, name: str, codec: str, form: str) -> None:
    time = np.arange(2 * 48_000) / 48_000
    tone = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    path = write_clip(tmp_path / name, [], sound=tone, audio_codec=codec, metadata={"title": "Memo"})
    info = of_audio(path)
    assert (info.kind, info.format, info.width, info.height) == (Kind.AUDIO, form, None, None)
    assert info.duration == pytest.approx(2.0, abs=0.1)
    assert (info.video_codec, info.fps, info.hdr) == (None, None, None)
    assert info.audio_codec
    assert info.bit_rate
    assert of_audio(path, SIDECAR).title == "The candles"


def apple_note(identifier: bytes, tag: int = 0x11) -> bytes:
    """An iOS maker note: three entries, of which one is text beyond the directory."""
    text = identifier + b"\x00"
    entries = [
        struct.pack(">HHLL", 0x01, 9, 1, 14),
        struct.pack(">HHLL", tag, 2, len(text), 14 + 2 + 3 * 12 + 4),
        struct.pack(">HHLL", 0x14, 9, 1, 5),
    ]
    return b"Apple iOS\x00\x00\x01MM" + struct.pack(">H", 3) + b"".join(entries) + bytes(4) + text


@pytest.mark.parametrize("name", ["JPEG", "HEIF"])
def test_the_photo_of_a_live_photo_names_the_same_pair(name: str) -> None:
    buffer = io.BytesIO()
    block = piexif.dump({"Exif": {piexif.ExifIFD.MakerNote: apple_note(PAIR.encode())}})
    Image.new("RGB", (64, 48), "green").save(buffer, name, exif=block)
    data = buffer.getvalue()
    photo = decode_photo(data, limits=Limits(max_pixels=10_000, max_bytes=1_000_000))
    assert describe_photo(data, photo.shape).live_id == PAIR


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"Nikon\x00" + bytes(40),
        b"Apple iOS\x00\x00\x01MM",
        apple_note(PAIR.encode())[:40],
        apple_note(PAIR.encode())[:70],
        apple_note(b"<script>alert(1)</script>"),
        apple_note(PAIR.encode(), tag=0x12),
        b"Apple iOS\x00\x00\x01MM\xff\xff" + bytes(30),
    ],
)
def test_any_other_note_names_no_pair(note: bytes) -> None:
    assert live_id_of_note(note) is None
