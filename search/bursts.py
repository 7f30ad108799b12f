"""Bursts: several shots of one motif, of which one stands for all.

Two photos belong together when their perceptual hashes nearly agree *and* they were taken within seconds of each other
or show the same to the network. The hash alone will not do: all black or foggy photos have nearly the same one.
Films are no bursts, only copies: as long as each other, with the same cover, and showing the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from indexer.records import Kind
from search.catalog import Brief

NEAR_BITS = 8
"""Of the hash's 64: what the next shot of a burst changes."""
SAME_BITS = 4
"""What another size or compression of the same picture changes."""
BURST_SECONDS = 10.0
SAME_LENGTH_SECONDS = 0.5
"""What another size or compression of the same film changes."""

VectorsOf = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]
"""Unit vectors by media id, of a film the mean of its moments; media without one are left out."""


@dataclass(frozen=True, slots=True)
class Group:
    """Photos of one motif."""

    shown: int
    """Media id of the one with the best technical quality."""
    others: tuple[int, ...]


def collapse(media_ids: Sequence[int], known: Mapping[int, Brief], vectors_of: VectorsOf, same: float) -> list[Group]:
    """Group photos in their order; a group stands where its first photo stood.

    `same` is the cosine from which two photos show the same. Photos are compared with the first of a group, not with
    its last, so that a slow pan does not chain into one.
    """
    hashes = np.array([_unsigned(known[media_id]) for media_id in media_ids], np.uint64)
    hashed = np.array([known[media_id].perceptual_hash is not None for media_id in media_ids], bool)
    kinds = np.array([known[media_id].kind for media_id in media_ids])
    times = [_seconds(known[media_id].taken_at) for media_id in media_ids]
    groups: list[Group] = []
    taken = np.zeros(len(media_ids), bool)
    for first, media_id in enumerate(media_ids):
        if taken[first]:
            continue
        members = [media_id]
        if hashed[first]:
            bits = np.bitwise_count(hashes ^ hashes[first])
            near = np.flatnonzero((bits <= NEAR_BITS) & hashed & ~taken & (kinds == kinds[first]))
            doubtful = [
                place
                for place in near.tolist()
                if place > first and bits[place] <= SAME_BITS and _as_long(known[media_id], known[media_ids[place]])
            ]
            vectors = vectors_of([media_id, *(media_ids[place] for place in doubtful)]) if doubtful else {}
            for place in near[near > first].tolist():
                other = media_ids[place]
                still = known[media_id].kind == Kind.PHOTO
                if (still and _close_in_time(times[first], times[place])) or (
                    place in doubtful and _cosine(vectors, media_id, other) >= same
                ):
                    members.append(other)
                    taken[place] = True
        shown = max(members, key=lambda member: known[member].quality or 0.0)
        groups.append(Group(shown, tuple(member for member in members if member != shown)))
    return groups


def _unsigned(row: Brief) -> int:
    return (row.perceptual_hash or 0) & 0xFFFF_FFFF_FFFF_FFFF


def _seconds(taken_at: str | None) -> float | None:
    try:
        return datetime.fromisoformat(taken_at).replace(tzinfo=None).timestamp() if taken_at else None
    except (ValueError, OverflowError):
        return None


def _as_long(first: Brief, second: Brief) -> bool:
    return abs((first.duration or 0.0) - (second.duration or 0.0)) <= SAME_LENGTH_SECONDS


def _close_in_time(first: float | None, second: float | None) -> bool:
    return first is not None and second is not None and abs(first - second) <= BURST_SECONDS


def _cosine(vectors: Mapping[int, NDArray[np.float32]], first: int, second: int) -> float:
    if first not in vectors or second not in vectors:
        return 0.0
    return float(vectors[first] @ vectors[second])
