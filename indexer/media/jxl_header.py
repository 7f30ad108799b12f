"""The colours of a JPEG XL picture, which its codestream names at the beginning (ISO/IEC 18181-1, annex D and E)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from indexer.media.icc import BT2020, D65, DCI, EQUAL, P3, SRGB, Colours, Point

_SIGNATURE_BITS: Final = 16
_GREY, _XYB = 1, 2
_CUSTOM: Final = 2
_ALPHA, _SPOT, _FILTER = 0, 2, 5
_WHITES: Final[dict[int, Point]] = {1: D65, 10: EQUAL, 11: DCI}
_PRIMARIES: Final = {1: SRGB, 9: BT2020, 11: P3}
_GAMMAS: Final = {8: 1.0, 17: 2.6}
_LOWER, _UPPER = 1e-3, 10.0

_Choice = tuple[int, int]
"""Base, and how many bits are added to it."""


@dataclass(frozen=True, slots=True)
class JxlColours:
    """The colours that libjxl gives the pixels in."""

    colours: Colours
    transfer: int
    """As ITU-T H.273 counts them: 16 is PQ, 18 is HLG."""
    primaries: int
    """Likewise; 2 if they are others."""


_LINEAR: Final = JxlColours(Colours(gamma=1.0), transfer=8, primaries=1)


def jxl_colours(codestream: bytes) -> JxlColours | None:
    """None: sRGB, or an ICC profile says it. Raises ValueError for a header that ends too early.

    A picture that is stored in XYB has no colours of its own. libjxl gives it in those that the header names, and in
    linear sRGB where the header refers to a profile, which then says nothing of the pixels.
    """
    bits = _Bits(codestream)
    bits.take(_SIGNATURE_BITS)
    _skip_size(bits)
    if bits.flag():
        return None
    if bits.flag():
        _skip_extra_fields(bits)
    _skip_depth(bits)
    bits.flag()  # whether 16 bits are enough while decoding
    for _ in range(bits.choose((0, 0), (1, 0), (2, 4), (1, 12))):
        _skip_channel(bits)
    return _colours(bits, in_xyb=bits.flag())


def _colours(bits: _Bits, *, in_xyb: bool) -> JxlColours | None:
    if bits.flag():
        return None
    in_icc, space = bits.flag(), bits.enum()
    if in_icc:
        return _LINEAR if in_xyb else None
    if space == _XYB:
        return None
    white_name = bits.enum()
    white = _point(bits) if white_name == _CUSTOM else _WHITES.get(white_name, D65)
    primaries, points = 1, SRGB
    if space != _GREY:
        primaries = bits.enum()
        points = (_point(bits), _point(bits), _point(bits)) if primaries == _CUSTOM else _PRIMARIES.get(primaries, SRGB)
    transfer, gamma = _CUSTOM, None
    if bits.flag():
        gamma = 1e7 / max(1, bits.take(24))
    else:
        transfer = bits.enum()
        gamma = _GAMMAS.get(transfer)
    if gamma is not None and not _LOWER < gamma < _UPPER:
        return None
    if primaries == 11 and white == D65:
        primaries = 12
    return JxlColours(Colours(points, white, gamma), transfer, primaries)


def _point(bits: _Bits) -> Point:
    x, y = (bits.choose((0, 19), (1 << 19, 19), (1 << 20, 20), (1 << 21, 21)) for _ in range(2))
    return _signed(x) * 1e-6, _signed(y) * 1e-6


def _signed(packed: int) -> int:
    return -((packed + 1) >> 1) if packed & 1 else packed >> 1


def _skip_size(bits: _Bits) -> None:
    small = bits.flag()

    def side() -> None:
        bits.take(5) if small else bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    side()
    if bits.take(3) == 0:
        side()


def _skip_extra_fields(bits: _Bits) -> None:
    bits.take(3)  # how it is turned
    if bits.flag():
        _skip_size(bits)
    if bits.flag():
        _skip_preview(bits)
    if bits.flag():
        bits.choose((100, 0), (1000, 0), (1, 10), (1, 30))
        bits.choose((1, 0), (1001, 0), (1, 8), (1, 10))
        bits.choose((0, 0), (0, 3), (0, 16), (0, 32))
        bits.flag()


def _skip_preview(bits: _Bits) -> None:
    eighths = bits.flag()

    def side() -> None:
        if eighths:
            bits.choose((16, 0), (32, 0), (1, 5), (33, 9))
        else:
            bits.choose((1, 6), (65, 8), (321, 10), (1345, 12))

    side()
    if bits.take(3) == 0:
        side()


def _skip_depth(bits: _Bits) -> None:
    if bits.flag():
        bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.choose((8, 0), (10, 0), (12, 0), (1, 6))


def _skip_channel(bits: _Bits) -> None:
    if bits.flag():
        return
    kind = bits.enum()
    _skip_depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))
    bits.take(8 * bits.choose((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == _ALPHA:
        bits.flag()
    elif kind == _SPOT:
        bits.take(4 * 16)
    elif kind == _FILTER:
        bits.choose((1, 0), (0, 2), (3, 4), (19, 8))


class _Bits:
    """Reads numbers whose lowest bit comes first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("a JPEG XL header ends too early")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        self._left -= count
        return value

    def flag(self) -> bool:
        return bool(self.take(1))

    def choose(self, *choices: _Choice) -> int:
        base, more = choices[self.take(2)]
        return base + self.take(more)

    def enum(self) -> int:
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))
