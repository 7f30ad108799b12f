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

from config.errors import CatalogError, ReverieError
from config.schema import Watch
from daemon.elsewhere import judge, look_elsewhere
from daemon.glance import Glance, head_of
from daemon.hints import Hint
from daemon.identify import note_odd_name
from daemon.ignore import IgnoreRules
from daemon.mounts import Mount, by_device, read_mounts
from daemon.passed_over import PassedOver
from daemon.roots import gone_sentence, question, remembered
from daemon.scan import Scan, Sidecars, compare, look, scan_root
from daemon.settle import HELD_SECONDS, SettleTracker
from daemon.writers import Writers
from indexer.media.formats import HEAD, is_media, is_media_content, is_open
from indexer.media.proxies import original_of
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
        passed_over: where it is noted what scans passed over, if anybody wants to know.
        mounts: what is mounted.
    """

    def __init__(
        self,
        catalog: Catalog,
        watch: Watch,
        recorded: Callable[[], None],
        *,
        passed_over: PassedOver | None = None,
        mounts: Callable[[], Sequence[Mount]] = read_mounts,
    ) -> None:
        self.rules = IgnoreRules(watch.ignore, watch.markers)
        self._watch = watch
        self._catalog = catalog
        self._quiet_seconds = watch.quiet_seconds
        self._forget_days = watch.forget_after_days
        self._read_mounts = mounts
        self._mounts = by_device(mounts())
        self._writers = Writers(time.monotonic)
        self._tracker = SettleTracker(watch.quiet_seconds, time.monotonic, self._held)
        self._recorded = recorded
        self._passed_over = passed_over
        self._glance = Glance()
        self._written: set[str] = set()
        self._lock = threading.RLock()
        self._moving = threading.Lock()
        self._recording = 0  # files that have settled and are not in the catalog yet
        self._gone: list[str] = []
        self._obstacles: dict[str, str] = {}

    def use(self, watch: Watch) -> None:
        """Work by other settings from now on. `rules` are other ones only if they say something else."""
        with self._lock:
            if (watch.ignore, watch.markers) != (self._watch.ignore, self._watch.markers):
                self.rules = IgnoreRules(watch.ignore, watch.markers)
            self._watch = watch
            self._quiet_seconds = watch.quiet_seconds
            self._tracker.wait_for(watch.quiet_seconds)

    @property
    def settling(self) -> int:
        """How many files have changed lately, or are about to be recorded. Those in `held` do not count.

        Who reads this first and the catalog's counts afterwards misses no file on its way from here to there.
        """
        with self._moving:
            return len(self._tracker) - len(self._tracker.held) + self._recording

    @property
    def held(self) -> list[str]:
        """Files that are quiet, but that somebody has open for writing: recordings that go on."""
        return self._tracker.held

    def obstacle(self, root: str) -> str | None:
        """Why the last scan of a root could not see all of it, if so."""
        return self._obstacles.get(root)

    def scan(self, path: str, *, below: str | None = None) -> bool:
        """Compare a root (or only the folder `below` it) with the catalog, or look at a single file.

        Files that have not changed for the quiet time are recorded at once; others have to settle. What the system
        would not let us read before is tried again; a single file is, whatever was wrong with it.
        Returns whether anything differed.

        Raises:
            NoSuchPath: a single file that is no photo, video or sound, by name or by content.
        """
        self._mounts = by_device(self._read_mounts())
        if below is None and not os.path.isdir(path) and os.path.lexists(path):
            self._scan_file(path)
            return True
        known = self._catalog.known_files(below or path)
        scan = scan_root(path, self.rules, below, mounts=self._mounts, glance=self._glance, known=known)
        changes = compare(scan, known, remembered(self._catalog.roots(), scan))
        if below is None:
            if scan.absent is None and self._passed_over is not None:
                self._passed_over.note(path, scan.passed_over)
            self._note_obstacle(path, changes.reason or _unreadable(scan))
            identity = scan.identity if scan.files else None
            self._catalog.note_root(path, identity=identity, unsure=changes.unsure)
        with self._lock:
            for missing in changes.missing:
                self._tracker.observe(missing, None)
            if changes.missing:
                self._catalog.record_missing(changes.missing)
            self._catalog.note_files(changes.noted)
            settled = []
            for stat in changes.changed:
                pause = _pause(stat, known.get(stat.path))
                if self._is_settled(stat, pause):
                    settled.append(stat)
                else:
                    self._tracker.observe(stat.path, _signature(stat), pause=pause)
            self._record(settled)
            if not changes.vanished and self._catalog.retry_refused(below or path):
                self._recorded()
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
        sidecars = Sidecars()
        for hint in hints:
            if hint.kind == "file" and hint.path is not None:
                self._observe(hint.path, sidecars, renamed=hint.renamed, writing=hint.writing)
        roots = {hint.path: hint.root for hint in hints if hint.kind == "sidecar" and hint.path is not None}
        for path in sidecars.media_of(roots):
            if not self._skipped(path, roots.values()):
                self._observe(path, sidecars)

    def look_again(self, path: str) -> None:
        """A file is not what it was: let it settle afresh."""
        self._observe(path)

    def settle(self) -> float | None:
        """Look again at what is settling, record what has settled or gone.

        Returns seconds until that is due again, None if nothing is settling.
        """
        with self._lock:
            sidecars = Sidecars()
            for path in self._tracker.due():
                self._observe(path, sidecars)
            with self._moving:
                ready = self._tracker.ready()
                self._recording = len(ready)
            try:
                self._record(self._looked_at(ready))
            except CatalogError:
                for path in ready:  # none must be lost: they settle once more
                    self._observe(path)
                raise
            finally:
                self._recording = 0
            if self._gone:
                self._catalog.record_missing(self._gone)
                self._gone.clear()
            return self._tracker.next_due()

    def _skipped(self, path: str, roots: Iterable[str]) -> bool:
        """Whether the rules of all these roots that hold a file leave it out."""
        below = [path[len(root.rstrip("/")) + 1 :] for root in roots if path.startswith(root.rstrip("/") + "/")]
        return all(map(self.rules.skips_file, below))

    def _scan_file(self, path: str) -> None:
        try:
            stat = look(path, mounts=self._mounts)
            if stat is not None and not is_media(path) and not is_media_content(head_of(path, HEAD)):
                raise NoSuchPath(
                    f"{path} is not a photo, video or sound.", "Name such files, or folders that hold some."
                )
        except OSError as error:
            raise NoSuchPath(f"{path} cannot be read: {error.strerror}.", "Check who may read it.") from error
        if original := original_of(path, os.path.exists):
            raise NoSuchPath(f"{path} is the camera's small copy of {original}.", f"Index {original}.")
        if stat is None:
            raise NoSuchPath(f"{path} is not a file but a pipe, a device or a broken link.", "Name another file.")
        known = self._catalog.known_files(path).get(path)
        if (
            known is None
            or known.missing_since is not None
            or not stat.continues(known)
            or known.sidecars_stamp != stat.sidecars_stamp
        ):
            self._observe(path)
        self._catalog.try_again(path)
        self._recorded()

    def _observe(
        self, path: str, sidecars: Sidecars | None = None, *, renamed: bool = False, writing: bool | None = None
    ) -> None:
        with self._lock:
            try:
                stat = look(path, sidecars, self._mounts)
            except OSError as error:
                logger.info("%s cannot be looked at: %s", path, error.strerror)
                return
            if stat is None:
                self._tracker.observe(path, None)
                self._written.discard(path)
                self._gone.append(path)  # recorded by `settle`: thousands may go at once
                return
            if not stat.inode and (renamed or writing):
                self._written.add(path)  # nothing else may tell that it is another file now
            pause = 0.0 if path in self._tracker else _pause(stat, self._catalog.known_files(path).get(path))
            self._tracker.observe(path, _signature(stat), renamed=renamed, writing=writing, pause=pause)

    def _held(self, path: str) -> bool | None:
        """Whether somebody has a file open for writing; None: cannot be told."""
        try:
            mount = self._mounts.get(os.stat(path).st_dev)
        except OSError:
            return False  # looking at it will tell why
        return self._writers.hold(path, mount)

    def _is_settled(self, stat: FileStat, pause: float) -> bool:
        """Whether a file that a scan found need not be watched before it is recorded."""
        now_ns = time.time_ns()
        if not _untouched_since(stat, now_ns - int(max(self._quiet_seconds, 2 * pause) * 1e9)):
            return False
        return _untouched_since(stat, now_ns - int(HELD_SECONDS * 1e9)) or not self._held(stat.path)

    def _looked_at(self, paths: Iterable[str]) -> list[FileStat]:
        """What settled paths look like at the moment they are recorded."""
        stats, sidecars = [], Sidecars()
        for path in paths:
            try:
                stat = look(path, sidecars, self._mounts)
            except OSError:
                stat = None
            if stat is not None and self._belongs(stat):
                stats.append(stat)
        return stats

    def _belongs(self, stat: FileStat) -> bool:
        """Whether a file that has settled is a media file by its name or content, and no copy of one beside it."""
        if original_of(stat.path, os.path.exists) is not None:
            return False
        return not is_open(stat.path) or self._glance.is_media(stat.path, stat.signature)

    def _record(self, stats: list[FileStat]) -> None:
        if not stats:
            return
        self._catalog.record_files(stats, written=self._written)
        self._written.difference_update(stat.path for stat in stats)
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
    return (*stat.signature, stat.ctime_ns or 0, stat.sidecars_stamp or 0)


def _pause(stat: FileStat, old: FileStat | None) -> float:
    """For how many seconds the writer of a file had paused when it was recorded; 0 if it was complete, for all we know:
    it has not grown, or so much later that nobody would wait for that again."""
    if old is None or stat.inode != old.inode or stat.size <= old.size:
        return 0.0
    seconds = (stat.mtime_ns - old.mtime_ns) / 1e9
    return seconds if 0 < 2 * seconds < HELD_SECONDS else 0.0


def _untouched_since(stat: FileStat, horizon_ns: int) -> bool:
    """Neither content nor inode has changed since. The inode's time cannot be set back, as copies do with mtime."""
    try:
        status = os.stat(stat.path)
        newest_sidecar = max((os.stat(path).st_mtime_ns for path in stat.sidecars), default=0)
    except OSError:
        return False
    return max(status.st_mtime_ns, status.st_ctime_ns, newest_sidecar) < horizon_ns and status.st_size == stat.size
