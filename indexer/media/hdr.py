"""High dynamic range (PQ and HLG, BT.2100) to sRGB, for small pictures: frames of videos and photos alike.

Without it such a picture looks flat and grey, and neither networks nor people recognise much in it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

Linear = NDArray[np.float32]

_PEAK: Final = 1000.0
"""Nits that a picture is taken to reach: what most phones and films are graded for."""
_WHITE: Final = 203.0
"""Nits of white paper and of captions (ITU-R BT.2408)."""
_HLG_GAMMA: Final = 1.2
"""The system gamma of HLG on a display of 1000 nits (BT.2100, table 5)."""
_LUMA_2020: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
_TO_709: Final[dict[int, Linear]] = {
    ColorPrimaries.BT709: np.eye(3, dtype=np.float32),
    ColorPrimaries.SMPTE432: np.array(
        [[1.2249, -0.2249, 0.0], [-0.0421, 1.0421, 0.0], [-0.0196, -0.0786, 1.0983]], np.float32
    ),
}
"""Linear light of other primaries to BT.709; SMPTE432 is Display P3."""
_2020_TO_709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""The same of BT.2020 (ITU-R BT.2087)."""
_LEVELS: Final = 4096


def is_hdr(transfer: int) -> bool:
    """Whether a transfer characteristic (ITU-T H.273, 8.2) is PQ or HLG."""
    return transfer in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


def hdr_to_srgb(pixels: NDArray[np.uint16], transfer: int, primaries: int = ColorPrimaries.BT2020) -> NDArray[np.uint8]:
    """(H, W, 3) of 16 bits to (H, W, 3) sRGB of 8 bits.

    `transfer` and `primaries` are the numbers of ITU-T H.273; primaries that are unknown are taken for BT.2020.
    """
    index = pixels >> 4
    if transfer == ColorTrc.ARIB_STD_B67:
        scene = _hlg_table()[index]
        nits = scene * np.power(np.maximum(scene @ _LUMA_2020, 1e-6), np.float32(_HLG_GAMMA - 1))[..., None] * _PEAK
    else:
        nits = _pq_table()[index]
    # The brightest channel decides how much a pixel is dimmed, so that its hue stays.
    brightest = np.maximum(nits.max(axis=2, keepdims=True), 1e-4)
    linear = (nits * (_dimmed(brightest) / brightest)) @ _TO_709.get(primaries, _2020_TO_709).T / _WHITE
    return _encode(linear)


def _dimmed(nits: Linear) -> Linear:
    """The tone curve of ITU-R BT.2390 (5.4.1): dark tones as they are, a smooth shoulder from there to white."""
    peak, white = _to_pq(np.float32(_PEAK)), _to_pq(np.float32(_WHITE))
    target = white / peak
    knee = 1.5 * target - 0.5
    level = np.minimum(_to_pq(nits) / peak, 1)
    t = np.maximum((level - knee) / (1 - knee), 0)
    shoulder = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * target
    return _from_pq(np.where(level < knee, level, shoulder) * peak)


def _encode(linear: Linear) -> NDArray[np.uint8]:
    level = (np.clip(linear, 0, 1) * (_LEVELS - 1) + 0.5).astype(np.uint16)
    return _srgb_table()[level]


@cache
def _pq_table() -> Linear:
    return _from_pq(np.linspace(0, 1, _LEVELS, dtype=np.float32))


@cache
def _hlg_table() -> Linear:
    """The inverse of HLG's transfer: scene light, 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.linspace(0, 1, _LEVELS, dtype=np.float32)
    light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(light, np.float32)


@cache
def _srgb_table() -> NDArray[np.uint8]:
    linear = np.linspace(0, 1, _LEVELS)
    signal = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(signal * 255), np.uint8)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _from_pq(signal: Linear) -> Linear:
    """SMPTE ST 2084: a signal of 0 to 1 to nits of 0 to 10,000."""
    root = np.power(signal, 1 / _M2)
    return np.asarray(10_000 * np.power(np.maximum(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1), np.float32)


def _to_pq(nits: Linear | np.float32) -> Linear:
    power = np.power(np.asarray(nits, np.float32) / 10_000, _M1)
    return np.asarray(np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2), np.float32)
