"""Two channels as one, so that nothing in them cancels.

The mean of two channels is the usual way, and the best one for a voice in the middle: noise that differs between the
channels partly cancels, the voice does not. But what has opposite phases in the two channels cancels altogether: a
microphone wired the wrong way round, or a widened voice. Where the difference of the channels is loud, one of them is
therefore turned by 90 degrees at all frequencies (a Hilbert transformer) before they are added: then equal phases and
opposite ones are equally loud in the sum, and what is in one channel alone is there as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
_BLOCK = RATE // 4
"""Samples for which one way is chosen."""
_FADE = RATE // 50
"""Samples over which one way fades into the other."""
_LOUD = 0.25
"""How loud the difference may be, as a share of the mean's power, before the channels are turned: 6 dB below."""
_REACH = 63
"""Samples of the transformer to either side: it works from about 150 Hz on."""


def _transformer() -> NDArray[np.float32]:
    places = np.arange(-_REACH, _REACH + 1)
    odd = places % 2 != 0
    taps = np.zeros(len(places))
    taps[odd] = 2 / (np.pi * places[odd])
    return (taps * np.hamming(len(taps))).astype(np.float32)


_TRANSFORMER = _transformer()


class Downmix:
    """Adds two channels of one sound, part by part; the parts come out later, in all as long as they went in."""

    def __init__(self) -> None:
        self._held = np.zeros((2, _REACH), np.float32)
        self._turned = 0.0

    def add(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """(2, N) of 16 kHz to what can be said so far (M,)."""
        self._held = np.concatenate([self._held, channels], axis=1)
        blocks: list[NDArray[np.float32]] = []
        while self._held.shape[1] >= _BLOCK + 2 * _REACH:
            blocks.append(self._mixed(self._held[:, : _BLOCK + 2 * _REACH]))
            self._held = self._held[:, _BLOCK:]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def rest(self) -> NDArray[np.float32]:
        """What was held back, at the end."""
        if self._held.shape[1] == _REACH:
            return np.zeros(0, np.float32)
        return self._mixed(np.pad(self._held, ((0, 0), (0, _REACH))))

    def _mixed(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """A block; it comes with `_REACH` samples more on either side."""
        left, right = channels[:, _REACH:-_REACH]
        mean: NDArray[np.float32] = (left + right) / 2
        difference = (left - right) / 2
        before, self._turned = self._turned, float(np.square(difference).sum() > _LOUD * np.square(mean).sum())
        if not before and not self._turned:
            return mean
        turned = (left + np.convolve(channels[1], _TRANSFORMER, mode="valid")) / 2
        share = np.full(len(mean), self._turned, np.float32)
        fade = min(_FADE, len(mean))
        share[:fade] = np.linspace(before, self._turned, fade, dtype=np.float32)
        mixed: NDArray[np.float32] = mean + share * (turned - mean)
        return mixed
