"""When is a file that appeared or changed complete? The answer, as pure code: no disk, no clock of its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Signature: TypeAlias = tuple[int, ...]
"""Size in bytes first, then whatever else changes when the file does: mtime in ns, inode, ..."""

WRITING_FACTOR = 3.0
"""A file last seen being written waits this many quiet times: writers pause, and then go on."""

EMPTY_FACTOR = 5.0
"""An empty file waits this many quiet times: many writers make the name first and fill it later."""

HELD_SECONDS = 600.0
"""A file that somebody holds open for writing waits until it has been quiet for so long: perhaps the writer only forgot
to close it."""

HELD_LOOK_SECONDS = 1.0
"""How often it is looked whether it is still held, at most."""


@dataclass(slots=True)
class _Entry:
    signature: Signature
    since: float
    """When this signature was first read, or the file was last seen being written."""
    writing: bool
    due: float
    pause: float = 0.0
    """For how many seconds its writer has paused before."""
    held: bool = False


class SettleTracker:
    """Follows files until they are complete.

    The contract: a file is *ready* when two readings of its signature, one quiet time apart, agree. The caller reads
    (`stat`) and tells; the tracker says when to read again. It exists for these cases:

    - a slow copy: size or mtime differ at every reading, so the quiet time starts anew each time;
    - a copy that stalls (a Wi-Fi camera, a busy disk): seen being written and not closed, the file waits
      `WRITING_FACTOR` quiet times. Closing is not demanded: `cp -r` into new folders loses the closing events
      of most files, a network mount has none;
    - a recording that pauses (a surveillance camera): while its writer has it open the file waits, but no longer than
      `HELD_SECONDS` of quiet. Where nobody can tell whether it is open, it waits if it was seen being written and not
      closed, or for twice as long as its writer has paused before;
    - a scanner, Samba or rsync that opens and closes a file several times: closing alone is not trusted either;
    - a copy that keeps the old modification time: a recent mtime is not asked for, only an unchanged one;
    - a download to `x.part` that is renamed to `x.jpg`: the name appears with its whole content, so it is ready at
      once (`renamed`). Should somebody write to it later, that is a new change;
    - a name made first and filled later: an empty file waits `EMPTY_FACTOR` quiet times, then is ready all the same,
      so that it can be reported as empty;
    - a file that is gone, or replaced by another inode, before it was ready: dropped, or begun anew.

    What was ready is forgotten. Any later sign of change is simply observed again.

    Args:
        quiet_seconds: the quiet time; 0 makes every second reading enough.
        clock: seconds that never go back (`time.monotonic`).
        held: whether somebody has a file open for writing; None: cannot be told.
    """

    def __init__(
        self, quiet_seconds: float, clock: Callable[[], float], held: Callable[[str], bool | None] = lambda _: False
    ) -> None:
        self._quiet = quiet_seconds
        self._clock = clock
        self._held = held
        self._entries: dict[str, _Entry] = {}
        self._due: list[tuple[float, str]] = []  # a heap; pairs that disagree with their entry are stale
        self._ready: dict[str, Signature] = {}

    def wait_for(self, quiet_seconds: float) -> None:
        """Change the quiet time; what is followed already is read again when that was due before."""
        self._quiet = quiet_seconds

    def __len__(self) -> int:
        """How many files are being followed, those that are ready and not yet taken included."""
        return len(self._entries) + len(self._ready)

    def __contains__(self, path: str) -> bool:
        """Whether a file is being followed, and not ready."""
        return path in self._entries

    @property
    def held(self) -> list[str]:
        """Those that only wait for their writers. From any thread."""
        return [path for path, entry in self._entries.copy().items() if entry.held]

    def observe(
        self,
        path: str,
        signature: Signature | None,
        *,
        renamed: bool = False,
        writing: bool | None = None,
        pause: float = 0.0,
    ) -> None:
        """Tell what a reading of `path` gave, just now.

        Args:
            path: the file.
            signature: what was read; None if the file is gone, which drops it.
            renamed: it arrived under this name by a rename.
            writing: True if an event says that it is being written, False if a writer closed it, None if unknown.
            pause: for how many seconds its writer has paused before, if it has.
        """
        if signature is None:
            self._entries.pop(path, None)
            self._ready.pop(path, None)
            return
        now = self._clock()
        entry = self._entries.get(path)
        if renamed and signature[0] > 0 and not writing and not self._held(path):
            self._promote(path, signature)
            return
        if entry is None:
            if self._ready.get(path) == signature and not writing:
                return
            self._ready.pop(path, None)  # changed again before it was taken
            entry = self._entries[path] = _Entry(signature, now, writing=bool(writing), due=now, pause=pause)
        elif signature == entry.signature and not writing:
            if writing is False:
                entry.writing = False
            if now >= entry.since + self._patience(entry):
                entry.held = self._waits_for_writer(path, entry, now - entry.since)
                if not entry.held:
                    self._promote(path, signature)
                    return
        else:
            entry.signature, entry.since, entry.held = signature, now, False
            if writing is not None:
                entry.writing = writing
        soonest = now + max(self._quiet, HELD_LOOK_SECONDS) if entry.held else now
        entry.due = max(soonest, entry.since + self._patience(entry))
        heapq.heappush(self._due, (entry.due, path))

    def due(self) -> list[str]:
        """The files that want to be read again now. Each stays due until it is observed."""
        now = self._clock()
        found: dict[str, float] = {}
        while self._due and self._due[0][0] <= now:
            moment, path = heapq.heappop(self._due)
            if self._current(moment, path):
                found[path] = moment
        for path, moment in found.items():
            heapq.heappush(self._due, (moment, path))
        return list(found)

    def ready(self) -> list[str]:
        """Take the files that are complete, in the order they became so."""
        taken = list(self._ready)
        self._ready.clear()
        return taken

    def next_due(self) -> float | None:
        """Seconds until there is something to do: 0 if there is now, None if nothing is followed."""
        if self._ready:
            return 0.0
        while self._due and not self._current(*self._due[0]):
            heapq.heappop(self._due)
        return max(0.0, self._due[0][0] - self._clock()) if self._due else None

    def _promote(self, path: str, signature: Signature) -> None:
        self._entries.pop(path, None)
        self._ready[path] = signature

    def _current(self, moment: float, path: str) -> bool:
        entry = self._entries.get(path)
        return entry is not None and entry.due == moment

    def _waits_for_writer(self, path: str, entry: _Entry, quiet: float) -> bool:
        if quiet >= HELD_SECONDS:
            return False
        held = self._held(path)
        return held if held is not None else entry.writing or quiet < 2 * entry.pause

    def _patience(self, entry: _Entry) -> float:
        if entry.signature[0] == 0:
            return EMPTY_FACTOR * self._quiet
        return WRITING_FACTOR * self._quiet if entry.writing else self._quiet
