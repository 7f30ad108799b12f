"""An ICC profile for colours that a file names by number or by their place in the CIE diagram (ICC.1:2022)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""x and y of CIE 1931."""

D65: Final[Point] = (0.3127, 0.3290)
DCI: Final[Point] = (0.314, 0.351)
EQUAL: Final[Point] = (1 / 3, 1 / 3)
SRGB: Final = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
BT2020: Final = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
P3: Final = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))

_WIDE: Final = {9: (BT2020, D65), 11: (P3, DCI), 12: (P3, D65)}
_GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
"""Of transfers (ITU-T H.273, table 3). Those of BT.709 and its kin are shown as sRGB is, as browsers do."""
_D50: Final = np.array([0.9642, 1.0, 0.8249])
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@dataclass(frozen=True, slots=True)
class Colours:
    """How three numbers become a colour."""

    primaries: tuple[Point, Point, Point] = SRGB
    white: Point = D65
    gamma: float | None = None
    """None: the curve of sRGB."""


def named_colours(primaries: int, transfer: int) -> Colours:
    """By the numbers of ITU-T H.273; those that are unknown, and those of standard television, are taken for sRGB."""
    points, white = _WIDE.get(primaries, (SRGB, D65))
    return Colours(points, white, _GAMMAS.get(transfer))


@cache
def icc_profile(colours: Colours) -> bytes | None:
    """None: they are those of sRGB. Raises LinAlgError, which is a ValueError, for points that span no colours."""
    if colours == Colours():
        return None
    to_xyz = _adapted(colours)
    curve = (
        struct.pack(">4s4xH2x", b"para", 0) + _fixed(colours.gamma)
        if colours.gamma is not None
        else struct.pack(">4s4xH2x", b"para", 3) + _fixed(*_SRGB_CURVE)
    )
    tags = {
        b"desc": _text("RGB"),
        b"cprt": _text("CC0"),
        b"wtpt": _xyz(_D50),
        b"rXYZ": _xyz(to_xyz[:, 0]),
        b"gXYZ": _xyz(to_xyz[:, 1]),
        b"bXYZ": _xyz(to_xyz[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _assembled(tags)


def _adapted(colours: Colours) -> NDArray[np.float64]:
    """Linear RGB to XYZ as seen under D50."""
    points = np.array([_on_plane(point) for point in colours.primaries]).T
    white = _on_plane(colours.white)
    to_xyz = points * np.linalg.solve(points, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ to_xyz
    return adapted


def _on_plane(point: Point) -> NDArray[np.float64]:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*map(float, values))


def _text(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(content), 28) + content


def _assembled(tags: dict[bytes, bytes]) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s", at + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + _fixed(*map(float, _D50))
    return header.ljust(128, b"\0") + table + body
