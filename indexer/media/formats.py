"""Which files are photos, videos and sounds: by name for the watcher, by content for the decoders."""

from __future__ import annotations

import io
import re
import struct
from pathlib import PurePath
from typing import Final

from PIL import TiffImagePlugin

from indexer.media.border import DECODER_ERRORS
from indexer.records import Kind

RAW: Final = "RAW"
"""The one name for every camera's own format."""

_PHOTOS: Final = """
    jpg jpeg jpe jif jfif mpo jps insp png apng webp gif bmp dib tif tiff heic heics heif heifs hif avif avifs jxl
    jp2 j2k jpf jpx j2c jpc pnm ppm pgm pbm psd psb
    3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl sr2 srf srw x3f
"""
_FILMS: Final = """
    mp4 m4v mov qt 3gp 3gpp 3g2 f4v insv 360 osv lrv lrf mkv webm avi divx mpg mpeg mpe m1v m2v m2p vob vro evo
    mts m2ts m2t trp tod dvr-ms wmv asf flv ogv ogm mxf dv gxf rm rmvb wtv nut ivf h264 h265 hevc
"""
_RECORDINGS: Final = """
    mp3 mp2 m4a m4b m4r aac flac wav wave w64 ogg oga opus spx wma aif aiff aifc caf amr awb 3ga qcp
    ape wv tta ac3 eac3 dts mka mpc au snd dsf dff oma
"""
_COMPANIONS: Final = """
    xmp json xml aae srt vtt ass ssa sub idx sup lrc nfo ini db url lnk md5 sfv
    ifo bup cpi mpl bdm ctg modd moff ppn pgi
"""
PHOTO_SUFFIXES: Final = frozenset("." + suffix for suffix in _PHOTOS.split())
"""Lower case, with the dot; the last line is cameras' own formats."""
VIDEO_SUFFIXES: Final = frozenset("." + suffix for suffix in _FILMS.split())
"""Low-resolution copies (".lrv", ".lrf") stay out beside their recordings, as does ".thm" (`indexer.media.proxies`)."""
AUDIO_SUFFIXES: Final = frozenset("." + suffix for suffix in _RECORDINGS.split())
MEDIA_SUFFIXES: Final = PHOTO_SUFFIXES | VIDEO_SUFFIXES | AUDIO_SUFFIXES
"""No playlist (m3u8, mpd, pls): it only names other files."""
OPEN_SUFFIXES: Final = frozenset({".ts", ".tp", ".mod", ".dat", ".vdr", ".rec", ".pvr", ".thm"})
"""Recorders use these, and so do others: TypeScript and Qt (.ts), music and Go modules (.mod), everybody (.dat), and
themes of desktops (.thm). Only the content tells."""
COMPANION_SUFFIXES: Final = frozenset("." + suffix for suffix in _COMPANIONS.split())
"""Sidecars, subtitles, indexes and notes, which go with media files and are none."""
HEAD: Final = 1 << 16
"""Bytes of the beginning from which `kind_of` tells what a file is."""

_MAGIC: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\xff\x0a", "JXL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JXL"),
    (b"8BPS\x00\x01", "PSD"),
    (b"8BPS\x00\x02", "PSD"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"II\x1a\x00\x00\x00HEAPCCDR", RAW),  # Canon CRW
    (b"IIRO", RAW),  # Olympus ORF
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\x00", RAW),  # Panasonic RW2
    (b"FOVb", RAW),  # Sigma X3F
    (b"\x00MRM", RAW),  # Minolta MRW
)
_TIFF_MAGIC: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_BMP_HEADER_SIZES: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PATTERNS: Final = (
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"P[1-6]\s"), "PPM"),
)
_SOUNDS: Final = (b"ID3", b"fLaC", b"#!AMR", b"caff", b"wvpk", b"MAC ", b"TTA1", b".snd", b"MPCK", b"MP+", b"DSD ")
_VIDEOS: Final = (b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x06\x0e\x2b\x34", b"DKIF")
_EITHER: Final = (b"\x1aE\xdf\xa3", b"OggS", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b".RMF")
"""Matroska, Ogg, ASF and RealMedia hold sound with a picture or alone."""
_OGG_PICTURES: Final = (b"\x80theora", b"BBCD\x00", b"OVP80", b"\x01video\x00\x00\x00")
_QUICKTIME_ATOMS: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""What a QuickTime file that is older than `ftyp` begins with."""
_SOUND_BRANDS: Final = frozenset({b"M4A ", b"M4B ", b"M4P "})
_NOT_TEXT: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_FRAMED_SOUND: Final = re.compile(rb"\xff[\xf1\xf2\xf3\xf9\xfa\xfb]")
"""MPEG audio and AAC without a header of their own."""
_PACKETS: Final = 6
_HAS_CONTENT: Final = 0x30
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_LONGEST_FTYP: Final = 256

_TIFF_HEADER: Final = 8
_BIG_TIFF_HEADER: Final = 16
_BIG_TIFF_VERSION: Final = 43
_NEW_SUBFILE_TYPE: Final = 254
_PHOTOMETRIC: Final = 262
_SUB_IFDS: Final = 330
_DNG_VERSION: Final = 50706
_SENSOR_PHOTOMETRICS: Final = frozenset({32803, 34892})  # colour filter array, linear raw (TIFF/EP, DNG)
_REDUCED: Final = 1


def is_photo(path: str) -> bool:
    """Whether the name is one of a photo: what is worth opening."""
    return _suffix(path) in PHOTO_SUFFIXES


def is_media(path: str) -> bool:
    """Whether the name is one of a photo, a video or a sound."""
    return _suffix(path) in MEDIA_SUFFIXES


def is_open(path: str) -> bool:
    """Whether the name leaves it open if this is a photo, video or sound."""
    return _suffix(path) in OPEN_SUFFIXES


def suffix_passed_over(name: str) -> str | None:
    """Under which suffix, in lower case, a file that is no media file is counted; None: it only goes with others."""
    suffix = _suffix(name)
    return None if suffix in COMPANION_SUFFIXES else suffix


def is_media_content(head: bytes) -> bool:
    """Whether the first `HEAD` bytes, or a few thousand of them, are those of a photo, a video or a sound."""
    if _NOT_TEXT.search(head) is None:
        return False
    return _kind_by_content(head) is not None or _holds_either(head) or _FRAMED_SOUND.match(head) is not None


def kind_of(path: str, head: bytes) -> Kind:
    """What a file probably is, by the first `HEAD` bytes of its content, and by its name where they leave it open.

    A guess: whether there is a moving picture in an MP4 or Matroska file may be written anywhere in it.
    """
    said = _kind_by_content(head)
    if said is not None:
        return said
    suffix = _suffix(path)
    if suffix in AUDIO_SUFFIXES or (suffix not in MEDIA_SUFFIXES and _FRAMED_SOUND.match(head)):
        return Kind.AUDIO
    return Kind.VIDEO if suffix in VIDEO_SUFFIXES or _holds_either(head) else Kind.PHOTO


def sniff(data: bytes) -> str | None:
    """The decoder's name for the content (Pillow's format name, or RAW), or None when it is none of ours."""
    name = next((name for magic, name in _MAGIC if data.startswith(magic)), None)
    name = name or next((name for pattern, name in _PATTERNS if pattern.match(data)), None)
    if name is not None:
        return name
    if data.startswith(_TIFF_MAGIC):
        return RAW if _is_raw_tiff(data) else "TIFF"
    if data[4:8] == b"ftyp":
        return _sniff_iso_media(data)
    # "BM" alone begins many a text: the size of the header that follows is one of a few.
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return None


def name_unknown(data: bytes) -> str:
    """Say in plain words what content that `sniff` does not know looks like."""
    if data[4:8] == b"ftyp" or data.startswith((b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"\x00\x00\x01\xba")):
        return "a video or sound file"
    if data.startswith(b"%PDF"):
        return "a PDF document"
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")):
        return "an archive"
    head = data[:512]
    if not head.strip(b"\x00"):
        return "nothing but zeros, as in a copy that never finished"
    return "something else" if _NOT_TEXT.search(head) else "text"


def _kind_by_content(head: bytes) -> Kind | None:
    """None: it is none of ours, or may be a video as well as a sound."""
    if head.startswith(_TIFF_MAGIC) or sniff(head) is not None:
        return Kind.PHOTO
    if head.startswith(_SOUNDS) or _is_chunked(head, b"RIFF", b"RF64", kinds=(b"WAVE",)):
        return Kind.AUDIO
    if head.startswith(_VIDEOS) or _is_chunked(head, b"RIFF", kinds=(b"AVI ", b"CDXA")) or _is_transport_stream(head):
        return Kind.VIDEO
    if _is_chunked(head, b"FORM", kinds=(b"AIFF", b"AIFC")) or (head[4:8] == b"ftyp" and head[8:12] in _SOUND_BRANDS):
        return Kind.AUDIO
    if head.startswith(b"OggS"):
        return Kind.VIDEO if any(mark in head for mark in _OGG_PICTURES) else Kind.AUDIO
    return None


def is_mpeg_stream(head: bytes) -> bool:
    """Whether a file of these first bytes is a transport or a program stream: what can be joined end to end."""
    return head.startswith(b"\x00\x00\x01\xba") or _is_transport_stream(head)


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes that each begin with "G" (ISO/IEC 13818-1, 2.4.3), with a time before or a checksum after
    each in files of some recorders. A recorder may have begun in the middle of one."""
    for size in (188, 192, 204):
        for at in range(min(size, len(head))):
            marks, controls = (head[at + offset : at + size * _PACKETS : size] for offset in (0, 3))
            if marks == b"G" * _PACKETS and all(control & _HAS_CONTENT for control in controls):
                return True
    return False


def _is_chunked(head: bytes, *names: bytes, kinds: tuple[bytes, ...]) -> bool:
    """A file of chunks (EA IFF 85, RIFF): its name, its size, its kind."""
    return head.startswith(names) and head[8:12] in kinds


def _holds_either(head: bytes) -> bool:
    return head[4:8] == b"ftyp" or head[4:8] in _QUICKTIME_ATOMS or head.startswith(_EITHER)


def _suffix(path: str) -> str:
    return PurePath(path).suffix.lower()


def _sniff_iso_media(data: bytes) -> str | None:
    """HEIF, AVIF and Canon CR3 share one container with MP4; the brands tell them apart (ISO/IEC 14496-12, 4.3)."""
    size = min(struct.unpack_from(">I", data)[0], _LONGEST_FTYP)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, size, 4))}
    if data[8:12] == b"crx ":
        return RAW
    if data[8:12] not in _AVIF_BRANDS | _HEIF_BRANDS:
        return None
    return "AVIF" if brands & _AVIF_BRANDS else "HEIF"


def _is_raw_tiff(data: bytes) -> bool:
    """Most cameras' RAW formats are TIFF files whose first picture is not the photo, or is a sensor's mosaic."""
    if data[8:10] == b"CR":
        return True
    try:
        header = _BIG_TIFF_HEADER if _BIG_TIFF_VERSION in data[2:4] else _TIFF_HEADER
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[:header])
        stream = io.BytesIO(data)
        stream.seek(directory.next)
        directory.load(stream)
        return (
            _DNG_VERSION in directory
            or directory.get(_PHOTOMETRIC) in _SENSOR_PHOTOMETRICS
            or (directory.get(_NEW_SUBFILE_TYPE) == _REDUCED and _SUB_IFDS in directory)
        )
    except DECODER_ERRORS:
        return False
