"""What people and the engine ask the catalog."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.records import Detection, Kind, Space, Tag, stage_order
from search.catalog import inside
from search.catalog.results import INFO_COLUMNS, PIXEL_COLUMNS, info_of, pixels_of
from search.catalog.rows import Counts, Job, PhotoRow, Problem, Vectors
from search.catalog.sql import AESTHETIC, IN_IDS, LIVE, NOT_RETIRED, ONLY_BUILDING, VISIBLE, id_list, marks

SPACE_ID = "(SELECT id FROM space WHERE name = ?)"
VECTOR_ROWS = "SELECT vector.id, media_id, ordinal, data FROM vector JOIN segment ON segment.id = segment_id"

PROBLEMS = f"""
    SELECT path, problem_title AS title, problem_remedy AS remedy, 1 AS attempts, problem_since AS since
    FROM file WHERE problem_title IS NOT NULL AND missing_since IS NULL
    UNION ALL
    SELECT path, job.problem_title, job.problem_remedy, max(job.attempts), job.updated_at
    FROM job JOIN file USING (media_id)
    WHERE state = 'quarantined' AND state != 'done' AND job.{NOT_RETIRED}
    AND missing_since IS NULL AND file.problem_title IS NULL GROUP BY path
"""


def counts(db: sqlite3.Connection, without: Collection[str] = ()) -> Counts:
    """The library in numbers; see `Catalog.counts`."""

    def count(sql: str) -> int:
        return int(db.execute(f"SELECT count(*) FROM {sql}").fetchone()[0])

    # The partial index job_open holds what is not done, grouped by media: little, unless much is to do.
    pending, running, quarantined, unfinished = db.execute(
        "SELECT total(waits AND NOT runs), total(runs), total(stuck), total(lacks) FROM ("
        f" SELECT media_id, max(state = 'pending' AND stage NOT IN ({marks(without)})) AS waits,"
        " max(state = 'running') AS runs,"
        f" max(state = 'quarantined') AS stuck, max(stage NOT IN ({ONLY_BUILDING})) AS lacks FROM job"
        f" WHERE state != 'done' AND {NOT_RETIRED} GROUP BY media_id) AS m"
        " WHERE EXISTS (SELECT 1 FROM file WHERE file.media_id = m.media_id AND file.missing_since IS NULL)",
        tuple(without),
    ).fetchone()
    pending_long = db.execute(
        "SELECT count(DISTINCT media_id) FROM job INDEXED BY job_waiting WHERE state = 'pending' AND slow = 1"
        f" AND stage NOT IN ({marks(without)}) AND {NOT_RETIRED}"
        " AND EXISTS (SELECT 1 FROM file WHERE file.media_id = job.media_id AND file.missing_since IS NULL)",
        tuple(without),
    ).fetchone()[0]
    media = int(
        db.execute(
            "SELECT count(DISTINCT media_id) FROM file WHERE media_id NOT NULL AND missing_since IS NULL"
        ).fetchone()[0]
    )
    # Only what is no photo is looked at, by the partial index media_kind.
    kinds = dict(
        db.execute(
            f"SELECT kind, count(*) FROM media m INDEXED BY media_kind WHERE kind != '{Kind.PHOTO}' AND {LIVE}"
            " GROUP BY kind ORDER BY kind DESC"
        ).fetchall()
    )
    photo_count = media - sum(kinds.values())
    return Counts(
        files=count("file WHERE missing_since IS NULL"),
        unidentified=count("file WHERE media_id IS NULL AND missing_since IS NULL AND problem_title IS NULL")
        + count("file WHERE reread != 0 AND missing_since IS NULL AND (media_id NOT NULL OR problem_title NOT NULL)"),
        media=media,
        pending=int(pending),
        pending_long=int(pending_long),
        running=int(running),
        done=media - int(unfinished),
        quarantined=int(quarantined),
        problems=count(f"({PROBLEMS})"),
        missing=count("file WHERE missing_since IS NOT NULL"),
        vectors=dict(db.execute("SELECT name, vectors FROM space ORDER BY name").fetchall()),
        kinds=({str(Kind.PHOTO): photo_count} if photo_count else {}) | kinds,
    )


def rereading(db: sqlite3.Connection) -> dict[str, int]:
    """Stage to how many live media have been through all of a plan before and wait for it once more, or run it."""
    rows = db.execute(
        "SELECT stage, count(*) FROM job JOIN media m ON m.id = job.media_id"
        f" WHERE state IN ('pending', 'running') AND state != 'done' AND m.format IS NOT NULL AND job.{NOT_RETIRED}"
        f" AND job.stage NOT IN ({ONLY_BUILDING}) AND {LIVE}"
        " AND EXISTS (SELECT 1 FROM job done WHERE done.media_id = m.id AND done.state = 'done')"
        " GROUP BY stage"
    )
    return dict(rows.fetchall())


def problems(db: sqlite3.Connection, limit: int, offset: int) -> list[Problem]:
    """Files that are not searchable, and why, by path."""
    return [
        Problem(os.fsdecode(path), title, remedy or "", attempts, since)
        for path, title, remedy, attempts, since in db.execute(
            f"{PROBLEMS} ORDER BY path LIMIT ? OFFSET ?", (limit, offset)
        )
    ]


def media_at(db: sqlite3.Connection, path: str) -> int | None:
    """What a live path holds."""
    row = db.execute(
        "SELECT media_id FROM file WHERE path = ? AND missing_since IS NULL", (os.fsencode(path),)
    ).fetchone()
    return row[0] if row else None


def paths_of_inode(db: sqlite3.Connection, inode: int) -> list[str]:
    """Live paths that had this inode when they were looked at, on whatever device."""
    rows = db.execute("SELECT path FROM file WHERE inode = ? AND missing_since IS NULL", (inode,))
    return [os.fsdecode(path) for (path,) in rows]


def paths_of(db: sqlite3.Connection, media_ids: Collection[int], where: str, parameters: Sequence[object]) -> set[str]:
    """The live paths of these media that fulfil an SQL condition on `file`."""
    rows = db.execute(
        f"SELECT path FROM file WHERE media_id {IN_IDS} AND missing_since IS NULL AND ({where})",
        (id_list(media_ids), *parameters),
    )
    return {os.fsdecode(path) for (path,) in rows}


def media_with_hashes(db: sqlite3.Connection, content_hashes: Collection[bytes]) -> dict[bytes, int]:
    """Of these digests, those that are known, each with its media id."""
    found = {}
    for content_hash in content_hashes:
        row = db.execute("SELECT id FROM media WHERE content_hash = ?", (content_hash,)).fetchone()
        if row is not None:
            found[content_hash] = row[0]
    return found


def photos(db: sqlite3.Connection, media_ids: Sequence[int], *, moments: bool = True) -> list[PhotoRow]:
    """Everything known about these media; see `Catalog.photos`."""
    ids = id_list(media_ids)
    tags: defaultdict[int, dict[tuple[str, str, int], Tag]] = defaultdict(dict)
    for table in ("tag", "moment_tag") if moments else ("tag",):
        for media_id, name, confidence, source, ordinal, count in db.execute(
            f"SELECT media_id, name, confidence, source, ordinal, count FROM segment CROSS JOIN {table}"
            f" ON segment.id = segment_id WHERE media_id {IN_IDS}{' AND ordinal = 0' if table == 'tag' else ''}"
            " ORDER BY confidence DESC, name, ordinal",
            (ids,),
        ):
            # Two plans may have the same kind of stage while one is built: what both say is said once, by the surer.
            tags[media_id].setdefault((name, source, ordinal), Tag(name, confidence, source, ordinal, count))
    detections: defaultdict[int, list[Detection]] = defaultdict(list)
    for media_id, label, score, ordinal, *box in db.execute(
        "SELECT media_id, label, score, ordinal, box_left, box_top, box_right, box_bottom FROM segment"
        f" CROSS JOIN detection ON segment.id = segment_id WHERE media_id {IN_IDS}"
        f"{'' if moments else ' AND ordinal = 0'} ORDER BY score DESC, detection.id",
        (ids,),
    ):
        detections[media_id].append(Detection(label, score, (box[0], box[1], box[2], box[3]), ordinal))
    paths: defaultdict[int, list[str]] = defaultdict(list)
    for media_id, path in db.execute(
        f"SELECT media_id, path FROM file WHERE media_id {IN_IDS} AND missing_since IS NULL ORDER BY path", (ids,)
    ):
        paths[media_id].append(os.fsdecode(path))
    jobs: defaultdict[int, list[Job]] = defaultdict(list)
    for media_id, stage, *rest in db.execute(
        "SELECT media_id, stage, revision, state, attempts, problem_title, problem_remedy FROM job"
        f" WHERE media_id {IN_IDS}",
        (ids,),
    ):
        jobs[media_id].append(Job(stage, *rest))
    segments = inside.segments_of(db, media_ids, moments=moments)
    events = inside.events_of(db, media_ids) if moments else {}
    transcripts = inside.transcripts_of(db, media_ids) if moments else {}
    halves = inside.other_halves(db, media_ids)
    described = len(INFO_COLUMNS) + 5
    rows = {
        row[0]: PhotoRow(
            media_id=row[0],
            content_hash=row[1].hex(),
            kind=row[2],
            size=row[3],
            added_at=row[4],
            info=info_of(Kind(row[2]), row[5:described]),
            pixels=pixels_of(row[described:-1]),
            tags=tuple(tags[row[0]].values()),
            detections=tuple(detections[row[0]]),
            aesthetic=row[-1],
            paths=tuple(paths[row[0]]),
            jobs=tuple(sorted(jobs[row[0]], key=lambda job: stage_order(job.stage))),
            segments=segments.get(row[0], ()),
            events=events.get(row[0], ()),
            transcript=next(iter(transcripts.get(row[0], ())), None),
            live=halves.get(row[0]),
        )
        for row in db.execute(
            f"SELECT id, content_hash, kind, size, added_at, {', '.join(INFO_COLUMNS + PIXEL_COLUMNS)}, {AESTHETIC}"
            f" FROM media m WHERE id {IN_IDS}",
            (ids,),
        )
    }
    return [rows[number] for number in media_ids if number in rows]


def select_media(db: sqlite3.Connection, where: str, parameters: Sequence[object]) -> NDArray[np.int64]:
    """Ids of the searchable media that fulfil an SQL condition on `m`, ascending."""
    return np.sort(matching_media(db, f"{VISIBLE} AND ({where})", parameters))


def matching_media(db: sqlite3.Connection, where: str, parameters: Sequence[object]) -> NDArray[np.int64]:
    """Ids of the media that fulfil an SQL condition on `m`, whether or not search may show them."""
    # One row of text instead of tens of thousands of rows, each of which costs Python more than SQLite.
    [ids] = db.execute(f"SELECT group_concat(m.id) FROM media m WHERE {where}", tuple(parameters)).fetchone()
    return np.fromstring(ids or "", dtype=np.int64, sep=",")


def spaces(db: sqlite3.Connection) -> list[Space]:
    """Every vector space that has ever been written."""
    return [Space(name, dimension) for name, dimension in db.execute("SELECT name, dimension FROM space ORDER BY id")]


def without_path(db: sqlite3.Connection, media_ids: Collection[int]) -> list[int]:
    """Those of these media that no living file holds."""
    living = "SELECT 1 FROM file WHERE media_id = asked.value AND missing_since IS NULL"
    rows = db.execute(f"SELECT value FROM json_each(?) AS asked WHERE NOT EXISTS ({living})", (id_list(media_ids),))
    return [row[0] for row in rows]


def vector_ids(db: sqlite3.Connection, space: Space) -> NDArray[np.int64]:
    """The ids of all vectors of a space, ascending."""
    rows = db.execute(f"SELECT id FROM vector WHERE space_id = {SPACE_ID} ORDER BY id", (space.name,))
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def vector_totals(db: sqlite3.Connection, space: Space) -> tuple[int, int]:
    """(newest id, how many) of the vectors of a space; (0, 0) where there are none."""
    row = db.execute(
        "SELECT coalesce((SELECT max(id) FROM vector WHERE space_id = space.id), 0), vectors FROM space WHERE name = ?",
        (space.name,),
    ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def newest_vector_ever(db: sqlite3.Connection) -> int:
    """The greatest id that a vector of any space ever had; 0 before the first. SQLite never gives one twice."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vector'").fetchone()
    return 0 if row is None else int(row[0])


def vectors_after(db: sqlite3.Connection, space: Space, newest: int, limit: int) -> Vectors:
    """The first `limit` vectors with greater ids than `newest`, ascending."""
    rows = db.execute(
        f"{VECTOR_ROWS} WHERE space_id = {SPACE_ID} AND vector.id > ? ORDER BY vector.id LIMIT ?",
        (space.name, newest, limit),
    ).fetchall()
    return _vectors(rows, space)


def vectors_with_ids(db: sqlite3.Connection, space: Space, ids: Iterable[int]) -> Vectors:
    """Those of these vectors that exist and belong to media that search may show, in no particular order."""
    rows = db.execute(
        f"{VECTOR_ROWS} JOIN media m ON m.id = media_id"
        f" WHERE space_id = {SPACE_ID} AND vector.id {IN_IDS} AND {VISIBLE}",
        (space.name, id_list(ids)),
    ).fetchall()
    return _vectors(rows, space)


def vectors_of_media(db: sqlite3.Connection, space: Space, media_ids: Sequence[int]) -> Vectors:
    """The vectors of these media, in the order of the media and their segments; hidden media included."""
    rows = db.execute(
        # CROSS JOIN begins with the few media asked for, not with all vectors of the space.
        "SELECT vector.id, media_id, ordinal, data FROM segment CROSS JOIN vector ON vector.segment_id = segment.id"
        f" WHERE space_id = {SPACE_ID} AND media_id {IN_IDS} ORDER BY media_id, ordinal",
        (space.name, id_list(media_ids)),
    ).fetchall()
    place = {media_id: number for number, media_id in enumerate(media_ids)}
    return _vectors(sorted(rows, key=lambda row: place[row[1]]), space)


def _vectors(rows: Sequence[tuple[int, int, int, bytes]], space: Space) -> Vectors:
    return Vectors(
        np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows)),
        np.fromiter((row[1] for row in rows), dtype=np.int64, count=len(rows)),
        np.fromiter((row[2] for row in rows), dtype=np.int64, count=len(rows)),
        np.frombuffer(b"".join(row[3] for row in rows), dtype="<f2").reshape(len(rows), space.dimension),
    )
