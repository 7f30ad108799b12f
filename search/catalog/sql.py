"""The few pieces of SQL and encoding that several modules of the catalog share."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from typing import TypeAlias

from search.catalog.rows import FileStat

LIVE = "EXISTS (SELECT 1 FROM file WHERE file.media_id = m.id AND file.missing_since IS NULL)"
"""Some path that is there holds the media row `m`."""

SHOWN_AS_PHOTO = (
    "m.live_id IS NOT NULL AND m.kind = 'video' AND EXISTS (SELECT 1 FROM media still JOIN file"
    " ON file.media_id = still.id WHERE still.live_id = m.live_id AND still.kind = 'photo'"
    " AND file.missing_since IS NULL)"
)
"""The media row `m` is the video of a Live Photo whose photo is there: that stands for both."""

VISIBLE = f"m.format IS NOT NULL AND {LIVE} AND NOT ({SHOWN_AS_PHOTO})"
"""Search may show the media row `m`: it has been described once, some path holds it, and no photo stands for it."""

IN_IDS = "IN (SELECT value FROM json_each(?))"
"""Membership in a bound list of any length; bind it with `id_list`."""


NOT_RETIRED = "stage NOT IN (SELECT name FROM retired WHERE kind = 'stage')"
"""The stage of a row belongs to a plan still, or never belonged to one."""

ONLY_BUILDING = """
    SELECT one.key FROM plan, json_each(plan.stages) AS one WHERE plan.role = 'building' EXCEPT
    SELECT one.key FROM plan, json_each(plan.stages) AS one WHERE plan.role = 'active'
"""
"""Stages that the plan in use does without."""

IN_USE = f"{NOT_RETIRED} AND stage NOT IN ({ONLY_BUILDING})"
"""What the stage of a row found is what people see: no plan had it once, or will have it later."""

AESTHETIC = (
    "(SELECT score FROM aesthetic WHERE aesthetic.media_id = m.id AND aesthetic.stage IN"
    " (SELECT one.key FROM plan, json_each(plan.stages) AS one WHERE plan.role = 'active'))"
)
"""The aesthetic score of the media row `m` under the plan in use."""


STAT_COLUMNS = "path, size, mtime_ns, inode, device, sidecars, sidecars_stamp, ctime_ns"
StatColumns: TypeAlias = tuple[bytes, int, int, int, int, bytes | None, int | None, int | None]


def within(folders: Iterable[str]) -> tuple[str, list[bytes]]:
    """The SQL condition that `path` is or lies below one of these, and its values."""
    ranges: list[bytes] = []
    for folder in map(os.fsencode, folders):
        # Below a folder lies what begins with "folder/"; "0" is the byte after "/".
        bare = folder.rstrip(b"/")
        ranges += [folder, bare + b"/", bare + b"0"]
    conditions = ["path = ? OR (path > ? AND path < ?)"] * (len(ranges) // 3) or ["FALSE"]
    while len(conditions) > 1:  # in pairs: a long chain is deeper than SQLite takes
        conditions = [f"({' OR '.join(conditions[at : at + 2])})" for at in range(0, len(conditions), 2)]
    return f"({conditions[0]})", ranges


def id_list(ids: Iterable[int]) -> str:
    """A list of ids as one bound value."""
    return json.dumps([int(number) for number in ids])


def marks(values: Collection[object]) -> str:
    """The inside of IN (...) for so many bound values."""
    return ", ".join("?" for _ in values)


def storable(text: str | None) -> str | None:
    """`text` without the lone surrogates that UTF-8, and so SQLite, cannot hold."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def paths_of(column: bytes | None) -> tuple[str, ...]:
    """The paths in a column that holds several: none has a NUL in it."""
    return tuple(map(os.fsdecode, column.split(b"\0"))) if column else ()


def stat_of(row: StatColumns) -> FileStat:
    """The FileStat in the columns STAT_COLUMNS."""
    path, size, mtime_ns, inode, device, sidecars, sidecars_stamp, ctime_ns = row
    return FileStat(
        os.fsdecode(path),
        size,
        mtime_ns,
        inode,
        device,
        paths_of(sidecars),
        sidecars_stamp,
        ctime_ns=ctime_ns,
    )


def stat_values(stat: FileStat) -> StatColumns:
    """The values of the columns STAT_COLUMNS."""
    return (
        os.fsencode(stat.path),
        stat.size,
        stat.mtime_ns,
        stat.inode,
        stat.device,
        b"\0".join(map(os.fsencode, stat.sidecars)) or None,
        stat.sidecars_stamp,
        stat.ctime_ns,
    )
