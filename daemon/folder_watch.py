"""Watch the folders below one root with inotify.

This stands on watchdog's `InotifyFD` (the descriptor, its reading thread, its bookkeeping) and not on its recursive
observer, which watches excluded folders too, keeps silent when the watch limit is reached or the queue overflows, and
tells of files under the names their folder used to have. Moves are not paired either: a rename is one path to look at
where it was and one where it is, and the catalog knows the file again by its inode.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from daemon.hints import Hint
from daemon.ignore import IgnoreRules
from daemon.tree import walk
from indexer.media.formats import is_media, is_open
from indexer.media.metadata.companions import is_companion

logger = logging.getLogger(__name__)

_APPEARED = InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO
_GONE = InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM
_SELF_GONE = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF
# No opening, reading or closing after reading: indexing a file must not look like a change of it.
_MASK = Mask(
    _APPEARED
    | _GONE
    | _SELF_GONE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_ATTRIB  # a file that could not be read may become readable
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)
_EXHAUSTED = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENOMEM})
_JOIN_SECONDS = 5.0


@dataclass(slots=True)
class _Watched:
    path: str
    callback: CallbackId
    linked: bool
    """Reached through a symbolic link: when the target goes, no folder above it in the root tells."""
    marked: bool = False


class FolderWatch:
    """The inotify watches below one root, and the thread that reads them.

    Excluded folders are not watched. In a folder with a marker only markers are heeded. Symbolic links to folders are
    followed as `daemon.tree.walk` says.

    Args:
        root: absolute path.
        rules: what to leave out.
        notify: takes each hint, on the reading thread: it must not block, or events are lost.
        doubt: called, with the reason, when something may have been missed or the watches no longer hold: the queue
            overflowed, the root or a disk in it went away, the limit was reached. Close this watch then and open
            another. May be called more than once, on any thread.
        most: how many folders may be watched; None for as many as the system allows.
    """

    def __init__(
        self,
        root: str,
        rules: IgnoreRules,
        *,
        notify: Callable[[Hint], None],
        doubt: Callable[[str], None],
        most: int | None = None,
    ) -> None:
        self._root = root
        self._skip = len(root.rstrip("/")) + 1
        self._rules = rules
        self._notify = notify
        self._doubt = doubt
        self._most = most
        self._lock = threading.RLock()
        self._closed = False
        self._ids = itertools.count()
        self._by_watch: dict[WatchDescriptor, _Watched] = {}
        self._by_path: dict[str, WatchDescriptor] = {}
        self._inotify: InotifyFD | None = None

    @property
    def folders(self) -> int:
        """How many folders are watched."""
        return len(self._by_watch)

    @property
    def alive(self) -> bool:
        """True while events are being read."""
        return self._inotify is not None and self._inotify.is_alive()

    def open(self) -> None:
        """Set the watches. What happens after this returns is hinted at; what is there already is for a scan to see.

        Raises:
            OSError: inotify cannot be used, or not for all the folders (ENOSPC: watches, EMFILE: instances).
        """
        with self._lock:
            if self._closed:
                return
            inotify = InotifyFD()
            inotify.start()
            self._inotify = inotify
        self._watch_below(self._root)

    def close(self) -> None:
        """Give the watches back and end the thread. May be called on another thread, and more than once."""
        with self._lock:
            self._closed = True
        if self._inotify is not None:
            self._inotify.stop()
            self._inotify.join(_JOIN_SECONDS)

    # -- called by watchdog, on the reading thread

    def on_event(self, event: InotifyEvent) -> None:
        """Turn one event into hints."""
        with self._lock:
            watched = self._by_watch.get(event.wd)
        if watched is None or self._closed:
            return
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self._doubt(f"{watched.path} was unmounted")
        elif not event.name:
            if event.mask & _SELF_GONE:
                self._lose(watched)
            elif event.mask & InotifyConstants.IN_ATTRIB and watched.path == self._root:
                self._look_below(watched.path)  # as in `_tell_folder`: of the root no folder above it tells
        elif (name := os.fsdecode(event.name)) in self._rules.markers:
            self._look_below(watched.path)
        elif not watched.marked:
            self._tell(event.mask, f"{watched.path.rstrip('/')}/{name}")

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """The kernel dropped a watch: its folder is gone."""
        with self._lock:
            watched = self._by_watch.pop(wd, None)
            if watched is not None:
                self._by_path.pop(watched.path, None)

    def on_queue_overflow(self) -> None:
        """The kernel dropped events: new folders among them may not be watched."""
        self._doubt("events were lost, because too many came at once")

    # -- events

    def _tell(self, mask: int, path: str) -> None:
        if mask & InotifyConstants.IN_ISDIR or path in self._by_path:
            self._tell_folder(mask, path)
        elif is_media(path) or is_open(path):
            if not self._rules.skips_file(path[self._skip :]):
                written = bool(mask & InotifyConstants.IN_MODIFY)
                closed = bool(mask & InotifyConstants.IN_CLOSE_WRITE)
                renamed = bool(mask & InotifyConstants.IN_MOVED_TO)
                self._notify(Hint("file", self._root, path, renamed, written if written or closed else None))
        elif is_companion(path):
            self._notify(Hint("sidecar", self._root, path))
        elif mask & _APPEARED and os.path.isdir(path):  # a symbolic link to a folder
            self._tell_folder(mask, path)

    def _tell_folder(self, mask: int, path: str) -> None:
        if self._rules.skips_folder(path[self._skip :]):
            return
        if mask & _GONE:
            # A removed folder was empty; one that was moved away still has its folders, and their watches.
            self._forget(path, below=bool(mask & InotifyConstants.IN_MOVED_FROM))
            self._notify(Hint("folder", self._root, path))
        elif mask & _APPEARED:
            self._forget(path, below=False)
            self._look_below(path)
        else:  # its permissions changed: perhaps it, or what is in it, can be read now
            self._look_below(path)

    def _lose(self, watched: _Watched) -> None:
        if watched.path == self._root:
            self._doubt("the folder was moved or deleted")
        elif watched.linked:
            self._forget(watched.path, below=True)
            self._notify(Hint("folder", self._root, watched.path))

    def _look_below(self, path: str) -> None:
        """Watch first, so that whatever the scan that follows the hint does not see makes an event."""
        try:
            self._watch_below(path)
        except OSError as error:
            self._doubt(error.strerror or str(error))
        self._notify(Hint("folder", self._root, path))

    # -- watches

    def _watch_below(self, start: str) -> None:
        for folder in walk(self._root, self._rules, start, entering=self._watch):
            if folder.error is not None and (folder.error.errno in _EXHAUSTED or folder.path == self._root):
                raise folder.error
            with self._lock:
                if self._closed:
                    return
                watch = self._by_path.get(folder.path)
                if watch is not None:
                    self._by_watch[watch].marked = folder.marked
            if folder.marked:
                self._forget(folder.path, below=True, itself=False)

    def _watch(self, path: str) -> None:
        with self._lock:
            if self._closed or self._inotify is None or path in self._by_path:
                return
            if self._most is not None and len(self._by_watch) >= self._most:
                raise OSError(errno.ENOSPC, "the limit of watched folders is reached")
            callback = CallbackId(next(self._ids))
            watch = self._inotify.add_callback(os.fsencode(path), _MASK, self, callback)
            if watch < 0:  # watchdog keeps the lack of permission to itself
                self._inotify.remove_callbacks([(watch, callback)])
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            # The kernel knows a folder by its inode: one that moved and whose event is still to be read has a watch.
            old = self._by_watch.pop(watch, None)
            if old is not None:
                self._by_path.pop(old.path, None)
                self._inotify.remove_callbacks([(watch, old.callback)])
            self._by_watch[watch] = _Watched(path, callback, linked=os.path.islink(path))
            self._by_path[path] = watch

    def _forget(self, path: str, *, below: bool, itself: bool = True) -> None:
        with self._lock:
            if self._closed or self._inotify is None:
                return
            prefix = path + "/"
            doomed = [known for known in self._by_path if known.startswith(prefix)] if below else []
            if itself and path in self._by_path:
                doomed.append(path)
            watches = [self._by_path.pop(known) for known in doomed]
            self._inotify.remove_callbacks([(watch, self._by_watch.pop(watch).callback) for watch in watches])
