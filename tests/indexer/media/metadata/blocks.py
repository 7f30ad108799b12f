"""Photos with any metadata in them, written byte by byte: no writer of ours can be wrong in the way a reader is."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

from PIL import Image

from indexer.media.limits import Limits
from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.metadata.sidecars import NOTHING_BESIDE, Beside
from indexer.media.photo import shape_of
from indexer.records import MediaInfo

LIMITS = Limits(max_pixels=1_000_000, max_bytes=10_000_000)

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
}

Entry = tuple[int, int, int, bytes]
"""Tag, type, how many values, and their bytes."""


def ascii_entry(tag: int, text: str, kind: int = 2) -> Entry:
    data = text.encode() + b"\x00"
    return tag, kind, len(data), data


def rationals(tag: int, *values: tuple[int, int]) -> Entry:
    return tag, 5, len(values), b"".join(struct.pack("<LL", *value) for value in values)


def exif_block(image: Iterable[Entry] = (), photo: Iterable[Entry] = (), gps: Iterable[Entry] = ()) -> bytes:
    """A little-endian EXIF block of up to three directories."""
    parts = [list(image), list(photo), list(gps)]
    parts[0] += [(tag, 4, 1, b"") for tag, part in ((0x8769, parts[1]), (0x8825, parts[2])) if part]
    starts, at = [], 8
    for number, part in enumerate(parts):
        starts.append(at)
        if not number or part:
            at += 2 + 12 * len(part) + 4 + sum(len(data) for *_, data in part if len(data) > 4)
    block = b"II*\x00" + struct.pack("<L", 8)
    for part, start in zip(parts, starts, strict=True):
        if start > 8 and not part:
            continue
        far, rows = b"", b""
        for tag, kind, count, data in sorted(part):
            if tag in (0x8769, 0x8825):
                data = struct.pack("<L", starts[1 if tag == 0x8769 else 2])  # noqa: PLW2901
            where = start + 2 + 12 * len(part) + 4 + len(far)
            rows += struct.pack("<HHL", tag, kind, count)
            rows += data.ljust(4, b"\x00") if len(data) <= 4 else struct.pack("<L", where)
            far += data if len(data) > 4 else b""
        block += struct.pack("<H", len(part)) + rows + bytes(4) + far
    return b"Exif\x00\x00" + block


def xmp_packet(body: str = "", **attributes: str) -> bytes:
    """A packet; attributes as `xmp_Rating="3"`."""
    spaces = " ".join(f'xmlns:{name}="{space}"' for name, space in NAMESPACES.items())
    written = " ".join(f'{name.replace("_", ":", 1)}="{value}"' for name, value in attributes.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces} {written}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def listed(name: str, *items: str, kind: str = "Bag") -> str:
    return f"<{name}><rdf:{kind}>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:{kind}></{name}>"


def iptc_block(*sets: tuple[int, bytes]) -> bytes:
    """Data sets of record 2, as they stand in a Photoshop block."""
    data = b"".join(b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(value)) + value for number, value in sets)
    return b"8BIM\x04\x04\x00\x00" + struct.pack(">L", len(data)) + data + bytes(len(data) % 2)


def jpeg(*, exif: bytes = b"", xmp: bytes = b"", iptc: bytes = b"", comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "green").save(buffer, "JPEG")
    data = buffer.getvalue()
    segments = [
        (0xE1, exif),
        (0xE1, xmp and b"http://ns.adobe.com/xap/1.0/\x00" + xmp),
        (0xED, iptc and b"Photoshop 3.0\x00" + iptc),
        (0xFE, comment),
    ]
    between = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments if body
    )
    return data[:2] + between + data[2:]


def png(*chunks: tuple[bytes, bytes], late: bool = False) -> bytes:
    """A PNG file with chunks before its pixels, or behind them."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "green").save(buffer, "PNG")
    data = buffer.getvalue()
    at = len(data) - 12 if late else 33
    written = b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:at] + written + data[at:]


def described(data: bytes, beside: Beside = NOTHING_BESIDE) -> MediaInfo:
    return describe_photo(data, shape_of(data), beside)


def notes_of(info: MediaInfo) -> dict[str, str]:
    return {note.label: note.text for note in info.notes}
