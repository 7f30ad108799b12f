"""Which files and folders never enter the library: names that are droppings of other programs, and the user's globs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

from config.errors import ConfigError

DEFAULT_MARKERS = (".nomedia", ".noimage", ".reverieignore")
"""A folder that holds a file of one of these names is left out, with everything below it."""

DEFAULT_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Hidden: thumbnails, caches, version control, ".goutputstream-*" (GNOME), ".syncthing.*.tmp",
    # ".rsync-partial", rsync's ".name.jpg.XXXXXX", macOS's "._name.jpg" (resource forks that end in .jpg).
    ("hidden", (".*",)),
    # Half a file, or a folder of them: browsers (Safari's "a.jpg.download" is a folder with "a.jpg" in it),
    # download tools, file synchronisers.
    ("unfinished", ("*.part", "*.partial", "*.crdownload", "*.download", "*.tmp", "*.filepart", "*.!sync")),
    # Lock and backup copies of editors and office programs.
    ("backup", ("~*", "*~")),
    # Synology, QNAP and Asustor keep their own scaled copies beside the originals; these are not the user's photos.
    ("nas", ("@eaDir", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot", "@tmp", "@__thumb")),
    # Deleted or older copies of what is, or was, in the library.
    ("bin", ("$RECYCLE.BIN", "System Volume Information", "RECYCLER", "lost+found", "lost.dir")),
    # What macOS adds to archives: the same names again, with no picture in them.
    ("archive", ("__MACOSX",)),
)
"""Group, and names without regard to case. Syncthing's and the desktop's bins (.stversions, .Trash-1000) are hidden."""

_DEFAULT_PATTERNS = tuple(pattern for _, patterns in DEFAULT_GROUPS for pattern in patterns)


class IgnoreRules:
    """Decides by name alone; it never touches the disk.

    Paths are relative to a root, so a root may itself be hidden or lie in a folder with an ignored name.

    Args:
        patterns: the user's globs, on top of the defaults; case matters. Without a slash a glob matches the name of
            a file or folder at any depth (`*.gif`, `Screenshots`). With one it matches the path from the root
            (`2019/raw/*`, `/Exports`), where `*` and `?` stop at slashes and `**` does not (`**/proofs/*.jpg`).
            A slash at the end makes it match folders only.
        markers: names of files that keep their folder out; case matters.

    Raises:
        ConfigError: a pattern is empty.
    """

    def __init__(self, patterns: Sequence[str] = (), markers: Sequence[str] = DEFAULT_MARKERS) -> None:
        self.markers = frozenset(markers)
        for pattern in patterns:
            if not pattern.strip("/ "):
                raise ConfigError(f"The ignore pattern {pattern!r} is empty.", "Remove it, or write a name or a path.")
        files = [pattern for pattern in patterns if not pattern.endswith("/")]
        folders = [pattern.rstrip("/") for pattern in patterns]
        self._default = re.compile("|".join(map(fnmatch.translate, _DEFAULT_PATTERNS)), re.IGNORECASE)
        self._files = _either(files)
        self._folders = _either(folders)

    def skips_file(self, relative: str) -> bool:
        """True if the file at this path below a root must not enter. Its folders are judged by `skips_folder`."""
        return self._skips(relative, self._files)

    def skips_folder(self, relative: str) -> bool:
        """True if the folder at this path below a root, with all in it, must not enter."""
        return self._skips(relative, self._folders)

    def is_marked(self, names: Iterable[str]) -> bool:
        """True if a folder that holds these names is left out because one of them is a marker."""
        return not self.markers.isdisjoint(names)

    def _skips(self, relative: str, own: re.Pattern[str] | None) -> bool:
        name = relative.rpartition("/")[2]
        return self._default.match(name) is not None or (own is not None and own.match(relative) is not None)


def _either(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_translate, patterns)), re.DOTALL) if patterns else None


def _translate(pattern: str) -> str:
    """A glob as a regular expression for a path relative to a root."""
    anchored = "/" in pattern
    pieces = ["" if anchored else "(?:.*/)?"]
    # Splitting at the wildcards that cross slashes leaves parts in which fnmatch's meaning needs one change.
    for part in re.split(r"(\*\*/|\*\*)", pattern.lstrip("/")):
        if part == "**/":
            pieces.append("(?:.*/)?")
        elif part == "**":
            pieces.append(".*")
        else:
            pieces.extend(_translate_part(piece) for piece in re.findall(r"\[!?\]?[^\]/]*\]|.", part, re.DOTALL))
    return f"(?:{''.join(pieces)})\\Z"


def _translate_part(piece: str) -> str:
    if piece == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) > 1:
        negated, inside = ("^", piece[2:-1]) if piece.startswith("[!") else ("", piece[1:-1])
        return f"[{negated}{inside.translate(_IN_BRACKETS)}]"
    return re.escape(piece)


_IN_BRACKETS = str.maketrans({character: f"\\{character}" for character in "\\[]^&~|"})
