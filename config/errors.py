"""Every error Reverie raises on purpose, as one tree.

::

    ReverieError                 what happened, and what to do about it
    ├── ConfigError              a settings file, variable or flag is wrong
    ├── QueryError               a query cannot be understood
    ├── MediaError               one file cannot be read as a photo
    │   ├── EmptyFile            zero bytes
    │   ├── UnsupportedFormat    not a format we read, whatever the name says
    │   ├── DamagedFile          the data is truncated or corrupt
    │   ├── TooLarge             more pixels or bytes than the limits allow
    │   ├── UnreadableFile       the system would not let us read it: permissions, I/O errors
    │   └── FileVanished         moved, deleted or changed while being read
    ├── ModelError               weights are missing, altered or will not run
    │   ├── PullFailed           weights could not be fetched, or are not the ones that were asked for
    │   ├── StageFailed          one stage cannot do its work; the others can
    │   ├── StageBroken          the model of one stage cannot work; nothing goes on until that is mended
    │   ├── OutOfDeviceMemory    a batch does not fit into the device's memory
    │   └── DeviceFailed         the device is in a state that only a new process can leave
    ├── CatalogError             the catalog cannot be opened or written
    │   └── NewerCatalog         it was written by a later version of Reverie
    ├── LibraryBusy              another process holds this library
    └── ServiceError             the running service refused or cannot be reached
        └── NoService            nothing listens on the socket

This module imports nothing heavy: the command line needs it at every start.
"""

from __future__ import annotations


class ReverieError(Exception):
    """What happened (`title`), and the way out (`remedy`), each one plain sentence.

    Neither is ever a traceback, and both are safe to show to a user and to send over the socket.
    """

    exit_status = 3

    def __init__(self, title: str, remedy: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.title} {self.remedy}".strip()


class ConfigError(ReverieError):
    """A settings file, environment variable or flag is wrong."""

    exit_status = 2


class QueryError(ReverieError):
    """A query cannot be understood."""

    exit_status = 2


class MediaError(ReverieError):
    """One file cannot be read as a photo."""

    permanent = True
    """Whether reading the same bytes again would fail again."""


class EmptyFile(MediaError):
    """The file has zero bytes."""


class UnsupportedFormat(MediaError):
    """The content is not a format we read, whatever the name says."""


class DamagedFile(MediaError):
    """The data is truncated or corrupt."""


class TooLarge(MediaError):
    """The file has more pixels or bytes than the limits allow."""


class UnreadableFile(MediaError):
    """The system would not let us read it: permissions, I/O errors, not a regular file."""

    permanent = False


class FileVanished(MediaError):
    """The file was moved, deleted or changed while it was being read: look again later."""

    permanent = False


class ModelError(ReverieError):
    """Weights are missing, altered or will not run."""


class PullFailed(ModelError):
    """Weights could not be fetched, or are not the ones that were asked for."""


class StageBroken(ModelError):
    """The model of one stage cannot be loaded or run: photos wait for it, rather than go without."""

    def __init__(self, stage: str, title: str, remedy: str = "") -> None:
        super().__init__(title, remedy)
        self.stage = stage


class StageFailed(ModelError):
    """One stage cannot be loaded, or gave what cannot be used; the other stages go on without it."""


class OutOfDeviceMemory(ModelError):
    """A batch does not fit into the device's memory."""


class DeviceFailed(ModelError):
    """The device is in a state that only a new process can leave (a poisoned CUDA context)."""


class CatalogError(ReverieError):
    """The catalog cannot be opened or written."""


class NewerCatalog(CatalogError):
    """The catalog was written by a later version of Reverie."""


class LibraryBusy(ReverieError):
    """Another process holds this library."""


class ServiceError(ReverieError):
    """The running service refused, or its answer cannot be used."""


class NoService(ServiceError):
    """Nothing listens on the library's socket."""
