"""New settings for a service that runs: what is taken over at once, and what waits for the next start."""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Callable, Collection
from types import FrameType

from config.errors import ConfigError
from config.layers import value_fields
from config.settings import Settings
from daemon.ignore import IgnoreRules
from search.messages import NoteMessage

logger = logging.getLogger(__name__)

AT_START = frozenset({"library", "socket.path"})
"""Settings that a service takes over at its start only: what it has opened stays open."""

RESTART = "Restart the service: `systemctl restart reveried`."


class Reloader:
    """The settings in force, read again at will. One thread reloads; any may read.

    Args:
        settings: those the service was started with.
        load: reads them again. Raises ConfigError.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        self.settings = settings
        """Those in force. Of the keys in `AT_START` they may hold values that are not in force yet."""
        self.notes: list[NoteMessage] = []
        """What a person should know about the last reload."""
        self._started_with = settings
        self._load = load

    def reload(self) -> Collection[str]:
        """Read the settings again; returns the keys that changed. Those in force stay if the new ones are wrong."""
        try:
            new = self._load()
            IgnoreRules(new.watch.ignore, new.watch.markers)
        except ConfigError as error:
            logger.error("the settings are kept as they were: %s", error)
            self.notes = [{"title": f"The settings are kept as they were: {error.title}", "remedy": error.remedy}]
            return ()
        changed = _differing(self.settings, new)
        waiting = [key for key in _differing(self._started_with, new) if key in AT_START]
        self.settings, self.notes = new, []
        logger.info("the settings were read again: %s", ", ".join(changed) or "nothing has changed")
        if waiting:
            title = f"A new value waits for the next start: {', '.join(waiting)}."
            logger.warning("%s", title)
            self.notes = [{"title": title, "remedy": RESTART}]
        return [key for key in changed if key not in AT_START]


def on_hangup(reload: Callable[[], None]) -> None:
    """Have SIGHUP call `reload`. Where it means that the terminal has gone, it ends the process as SIGTERM does.

    Who started us with nohup(1) said that the end of the terminal is none of our business. To be called in the main
    thread; `reload` must be reentrant.
    """
    in_terminal = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and _has_terminal()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if in_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
        else:
            reload()

    signal.signal(signal.SIGHUP, handle)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, which is there (tty(4))."""
    try:
        with open("/dev/tty", "rb"):
            return True
    except OSError:
        return False


def _differing(old: Settings, new: Settings) -> list[str]:
    """The keys whose values differ; a preset is no more than the values that come with it."""
    return [key for key in value_fields() if key != "preset" and _value(old, key) != _value(new, key)]


def _value(settings: Settings, key: str) -> object:
    return functools.reduce(getattr, key.split("."), settings)
