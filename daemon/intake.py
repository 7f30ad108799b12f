"""From "something may have changed here" to rows in the catalog: scan, settle, record.

The scan is the truth; a hint only says where to look sooner. Whatever the source, a path reaches the catalog only by
being looked at, and only once it has settled.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from config.errors import ReverieError
from config.schema import Watch
from daemon.elsewhere import judge, look_elsewhere
from daemon.hints import Hint
from daemon.identify import note_odd_name
from daemon.ignore import IgnoreRules
from daemon.roots import gone_sentence, question, remembered
from daemon.scan import Scan, compare, look, scan_root
from daemon.settle import SettleTracker
from indexer.media.formats import is_media
from search.catalog import Catalog, FileStat

logger = logging.getLogger(__name__)


class NoSuchPath(ReverieError):
    """A path that was to be indexed is not there, or is not a media file or a folder."""

    exit_status = 2


class Intake:
    """Notices what is new, changed or gone, and tells the catalog. Safe to use from several threads.

    Args:
        catalog: where settled files are recorded.
        watch: the settings of watching.
        recorded: called when the catalog has learned something.
    """

    def __init__(self, catalog: Catalog, watch: Watch, recorded: Callable[[], None]) -> None:
        self.rules = IgnoreRules(watch.ignore, watch.markers)
        self._catalog = catalog
        self._quiet_seconds = watch.quiet_seconds
        self._forget_days = watch.forget_after_days
        self._tracker = SettleTracker(watch.quiet_seconds, time.monotonic)
        self._recorded = recorded
        self._lock = threading.RLock()
        self._moving = threading.Lock()
        self._recording = 0  # files that have settled and are not in the catalog yet
        self._gone: list[str] = []
        self._obstacles: dict[str, str] = {}

    @property
    def settling(self) -> int:
        """How many files are still being written, or about to be recorded.

        Who reads this first and the catalog's counts afterwards misses no file on its way from here to there.
        """
        with self._moving:
            return len(self._tracker) + self._recording

    def obstacle(self, root: str) -> str | None:
        """Why the last scan of a root could not see all of it, if so."""
        return self._obstacles.get(root)

    def scan(self, path: str, *, below: str | None = None) -> bool:
        """Compare a root (or only the folder `below` it) with the catalog, or look at a single file.

        Files that have not changed for the quiet time are recorded at once; others have to settle.
        Returns whether anything differed.

        Raises:
            NoSuchPath: a single file that is no photo.
        """
        if below is None and not os.path.isdir(path) and os.path.lexists(path):
            self._scan_file(path)
            return True
        scan = scan_root(path, self.rules, below)
        changes = compare(scan, self._catalog.known_files(below or path), remembered(self._catalog.roots(), scan))
        if below is None:
            self._note_obstacle(path, changes.reason or _unreadable(scan))
            identity = scan.identity if scan.files else None
            self._catalog.note_root(path, identity=identity, unsure=changes.unsure)
        with self._lock:
            for missing in changes.missing:
                self._tracker.observe(missing, None)
            if changes.missing:
                self._catalog.record_missing(changes.missing)
            horizon_ns = time.time_ns() - int(self._quiet_seconds * 1e9)
            settled = []
            for stat in changes.changed:
                if _untouched_since(stat, horizon_ns):
                    settled.append(stat)
                else:
                    self._tracker.observe(stat.path, _signature(stat))
            self._record(settled)
        if changes.changed or changes.missing:
            logger.info("%s: %d new or changed, %d gone", path, len(changes.changed), len(changes.missing))
        return bool(changes.changed or changes.missing)

    def seek(self, path: str) -> str:
        """A path was named that is not there: hide what was known at and below it, if that is gone for good.

        Returns what was done, as a sentence. Raises NoSuchPath where nothing was known.
        """
        known = list(self._catalog.known_files(path).values())
        if not known:
            raise NoSuchPath(f"There is no file or folder {path}.", "Check the name.")
        verdict = judge(file for file in known if file.missing_since is None)
        with self._lock:
            for missing in verdict.gone:
                self._tracker.observe(missing, None)
            self._catalog.record_missing(verdict.gone)
        self._catalog.note_root(path, identity=None, unsure=len(verdict.unsure))
        if verdict.unsure:
            asked = question(path, len(verdict.unsure))
            return f"{asked['title']} {asked['remedy']}"
        return gone_sentence(path, len(verdict.gone) or len(known), self._forget_days)

    def look_elsewhere(self, folders: Sequence[str]) -> None:
        """Hide what is gone of all that is known outside these folders, which have scans of their own."""
        if hidden := look_elsewhere(self._catalog, folders):
            logger.info("%d files elsewhere are gone", hidden)

    def drop_dead_copies(self, media_ids: Collection[int]) -> None:
        """Hide the paths of these media that are gone, where another path holds the same content: it was moved."""
        self._catalog.record_missing(judge(self._catalog.copies(media_ids)).gone)

    def follow(self, hints: Sequence[Hint]) -> None:
        """Look where watchers say that something happened in a file or folder. `settle` records what came of it."""
        folders = {hint.path: hint.root for hint in hints if hint.kind == "folder" and hint.path is not None}
        for folder, root in folders.items():
            if not any(str(above) in folders for above in Path(folder).parents):
                self.scan(root, below=folder)
        for hint in hints:
            if hint.kind == "file" and hint.path is not None:
                self._observe(hint.path, renamed=hint.renamed, writing=hint.writing)

    def look_again(self, path: str) -> None:
        """A file is not what it was: let it settle afresh."""
        self._observe(path)

    def settle(self) -> float | None:
        """Look again at what is settling, record what has settled or gone.

        Returns seconds until that is due again, None if nothing is settling.
        """
        with self._lock:
            for path in self._tracker.due():
                self._observe(path)
            with self._moving:
                ready = self._tracker.ready()
                self._recording = len(ready)
            try:
                self._record(self._looked_at(ready))
            finally:
                self._recording = 0
            if self._gone:
                self._catalog.record_missing(self._gone)
                self._gone.clear()
            return self._tracker.next_due()

    def _scan_file(self, path: str) -> None:
        if not is_media(path):
            raise NoSuchPath(f"{path} is not a photo, video or sound.", "Name such files, or folders that hold some.")
        try:
            stat = look(path)
        except OSError as error:
            raise NoSuchPath(f"{path} cannot be read: {error.strerror}.", "Check who may read it.") from error
        if stat is None:
            raise NoSuchPath(f"{path} is not a file but a pipe, a device or a broken link.", "Name another file.")
        known = self._catalog.known_files(path).get(path)
        if known is None or known.missing_since is not None or _signature(known) != _signature(stat):
            self._observe(path)

    def _observe(self, path: str, *, renamed: bool = False, writing: bool | None = None) -> None:
        with self._lock:
            try:
                stat = look(path)
            except OSError as error:
                logger.info("%s cannot be looked at: %s", path, error.strerror)
                return
            if stat is None:
                self._tracker.observe(path, None)
                self._gone.append(path)  # recorded by `settle`: thousands may go at once
                return
            self._tracker.observe(path, _signature(stat), renamed=renamed, writing=writing)

    def _looked_at(self, paths: Iterable[str]) -> list[FileStat]:
        """What settled paths look like at the moment they are recorded."""
        stats = []
        for path in paths:
            try:
                stat = look(path)
            except OSError:
                stat = None
            if stat is not None:
                stats.append(stat)
        return stats

    def _record(self, stats: list[FileStat]) -> None:
        if not stats:
            return
        self._catalog.record_files(stats)
        for stat in stats:
            note_odd_name(self._catalog, stat.path)
        self.drop_dead_copies(self._catalog.media_of([stat.path for stat in stats]))
        self._recorded()

    def _note_obstacle(self, root: str, reason: str | None) -> None:
        if reason is None:
            self._obstacles.pop(root, None)
        elif self._obstacles.get(root) != reason:
            self._obstacles[root] = reason
            logger.warning("%s", reason)


def absolute(paths: Iterable[str | Path], known: Callable[[str], int] = lambda _: 0) -> list[str]:
    """Absolute forms of paths to index, duplicates dropped.

    Raises:
        NoSuchPath: one of them does not exist, and is not `known` either.
    """
    found: dict[str, None] = {}
    for path in paths:
        whole = os.path.abspath(os.path.expanduser(path))
        if not os.path.lexists(whole) and not known(whole):
            raise NoSuchPath(f"There is no file or folder {whole}.", "Check the name.")
        found[whole] = None
    return list(found)


def _unreadable(scan: Scan) -> str | None:
    """What a scan could not look at, as one sentence."""
    if not scan.unreadable:
        return None
    path, why = next(iter(scan.unreadable.items()))
    more = f", and {len(scan.unreadable) - 1} more" if len(scan.unreadable) > 1 else ""
    return f"{path} cannot be read ({why}){more}."


def _signature(stat: FileStat) -> tuple[int, ...]:
    return (*stat.signature, stat.sidecar_mtime_ns or 0)


def _untouched_since(stat: FileStat, horizon_ns: int) -> bool:
    """Neither content nor inode has changed since. The inode's time cannot be set back, as copies do with mtime."""
    try:
        status = os.stat(stat.path)
    except OSError:
        return False
    sidecar_ns = stat.sidecar_mtime_ns or 0
    return max(status.st_mtime_ns, status.st_ctime_ns, sidecar_ns) < horizon_ns and status.st_size == stat.size
