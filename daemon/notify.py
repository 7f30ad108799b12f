"""What a service and systemd say to each other: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

The protocols are lines of text in a datagram, and variables; docs/decisions/sd-notify.md says why this is our own code.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

logger = logging.getLogger(__name__)

LISTEN_FDS_START = 3
"""The first descriptor that systemd hands over (SD_LISTEN_FDS_START)."""


class Notifier:
    """Tells the service manager how we are. Without one (no `NOTIFY_SOCKET`) every call does nothing.

    Never raises: a manager that does not listen must not stop the service.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_interval = watchdog_interval(environ, os.getpid())
        """Seconds between two calls of `watchdog`, or None if nobody waits for them."""

    def ready(self) -> None:
        """Start-up is over: the socket answers."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + " ".join(text.splitlines()))

    def watchdog(self) -> None:
        """We are alive, and so is everything in us."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The settings are being read again; `ready` says that this is over."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end has begun, on purpose."""
        self._send("STOPPING=1")

    def extend(self, seconds: float) -> None:
        """Starting or stopping takes longer: wait this long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def _send(self, message: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # A leading @ stands for the zero byte of the abstract namespace (unix(7)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                # A manager that does not read must not hold us up.
                sender.settimeout(1)
                sender.sendto(message.encode(errors="backslashreplace"), address)
        except OSError as error:
            logger.warning("the service manager did not take %r: %s", message, error)


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life: half of what systemd waits, as it recommends. None: nobody waits."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 2_000_000 if text.isdecimal() and int(text) > 0 else None


def listen_fds(environ: Mapping[str, str], pid: int) -> list[int]:
    """The listening sockets that systemd handed to the process `pid`; empty if it handed none.

    They are kept from the programs that we start.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return []
    text = environ.get("LISTEN_FDS", "")
    descriptors = list(range(LISTEN_FDS_START, LISTEN_FDS_START + int(text))) if text.isdecimal() else []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no name
    return descriptors
