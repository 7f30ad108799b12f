"""The catalog's tables, as numbered migrations. Each says why it exists; none is ever edited after a release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from schema version `number - 1` to `number`."""

    number: int
    reason: str
    sql: str
    """Statements, each ended by a semicolon at the end of a line."""
    cuts_words: bool = False
    """Whether the full text must be written anew afterwards."""


MIGRATIONS = (
    Migration(
        1,
        "The first schema: content is identity, a path is where content was last seen, work is rows.",
        """
-- One row per distinct content, whatever and however many paths hold it.
CREATE TABLE media (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused, so a stale id cannot point at another photo
    content_hash BLOB NOT NULL UNIQUE,      -- SHA-256 of the bytes, 32 bytes
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,                  -- bytes
    added_at REAL NOT NULL,                 -- Unix seconds
    -- written by stage "describe"
    format TEXT,
    width INTEGER,
    height INTEGER,
    taken_at TEXT,                          -- wall clock where it was taken, YYYY-MM-DDTHH:MM:SS
    utc_offset_minutes INTEGER,
    latitude REAL,
    longitude REAL,
    altitude REAL,
    camera TEXT,
    lens TEXT,
    exposure_seconds REAL,
    f_number REAL,
    iso INTEGER,
    focal_length_mm REAL,
    title TEXT,
    description TEXT,
    keywords TEXT NOT NULL DEFAULT '[]',    -- JSON array
    people TEXT NOT NULL DEFAULT '[]',      -- JSON array
    rating INTEGER,
    -- written by stage "pixels"
    sharpness REAL,
    exposure REAL,
    contrast REAL,
    quality REAL,
    brightness REAL,
    perceptual_hash INTEGER
) STRICT;
CREATE INDEX media_taken_at ON media (taken_at);
CREATE INDEX media_described ON media (id) WHERE format IS NOT NULL;

-- One row per path. The path is the file system's own bytes: it need not be text.
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    device INTEGER NOT NULL,
    media_id INTEGER REFERENCES media (id), -- NULL: seen, not identified yet
    sidecar BLOB,                           -- path of its XMP sidecar, if it has one
    sidecar_mtime_ns INTEGER,
    missing_since REAL,                     -- tombstone: hidden from search, kept for a while
    problem_title TEXT,                     -- why it could not even be read
    problem_remedy TEXT,
    problem_since REAL
) STRICT;
CREATE INDEX file_media ON file (media_id, missing_since);
CREATE INDEX file_inode ON file (inode, device);
CREATE INDEX file_problem ON file (id) WHERE problem_title IS NOT NULL;
CREATE INDEX file_missing ON file (missing_since) WHERE missing_since IS NOT NULL;

CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    start_seconds REAL,
    end_seconds REAL,
    UNIQUE (media_id, ordinal)
) STRICT;

CREATE TABLE tag (
    segment_id INTEGER NOT NULL REFERENCES segment (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,                    -- who wrote it: a stage, or 'authored'
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    confidence REAL NOT NULL,
    PRIMARY KEY (segment_id, stage, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_name ON tag (name, confidence, segment_id);

CREATE TABLE space (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    vectors INTEGER NOT NULL DEFAULT 0      -- how many there are, kept by triggers: counting takes too long
) STRICT;

-- The vectors are the truth; the FAISS file is a cache of them. A changed vector is a new row with a new id, so an
-- index needs two questions to catch up: what is newer than my newest id, and how many are there now.
CREATE TABLE vector (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- grows and is never reused
    space_id INTEGER NOT NULL REFERENCES space (id),
    segment_id INTEGER NOT NULL REFERENCES segment (id) ON DELETE CASCADE,
    data BLOB NOT NULL,                     -- little-endian float16, L2 norm 1
    UNIQUE (segment_id, space_id)
) STRICT;
CREATE INDEX vector_space ON vector (space_id, id);
CREATE TRIGGER vector_added AFTER INSERT ON vector
BEGIN UPDATE space SET vectors = vectors + 1 WHERE id = new.space_id; END;
CREATE TRIGGER vector_removed AFTER DELETE ON vector
BEGIN UPDATE space SET vectors = vectors - 1 WHERE id = old.space_id; END;

CREATE TABLE job (
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'quarantined')),
    attempts INTEGER NOT NULL DEFAULT 0,    -- failures so far
    problem_title TEXT,
    problem_remedy TEXT,
    updated_at REAL NOT NULL,
    PRIMARY KEY (media_id, stage)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_pending ON job (media_id) WHERE state = 'pending';
CREATE INDEX job_open ON job (media_id, state) WHERE state != 'done';

-- Full text, rowid = media.id: one row for each media that search may show (described, and held by a live path).
-- Rewritten whole whenever any part of it changes.
CREATE VIRTUAL TABLE fulltext USING fts5 (
    title, description, keywords, people, tags, path, camera,
    tokenize = "porter unicode61 remove_diacritics 2"
);
""",
    ),
    Migration(
        2,
        "Profiles: one plan in use and one built beside it; and what their models find: counts, boxes, a score.",
        """
-- What every media file goes through. A change of profile is built beside the plan in use, then takes its place.
CREATE TABLE plan (
    role TEXT PRIMARY KEY CHECK (role IN ('active', 'building')),
    profile TEXT NOT NULL,
    space TEXT NOT NULL,                    -- in which it is searched
    dimension INTEGER NOT NULL,
    stages TEXT NOT NULL,                   -- JSON object: stage to revision
    since REAL NOT NULL                     -- Unix seconds
) STRICT, WITHOUT ROWID;

-- Stages and spaces that a plan had and none has any more: dropped by one small row, their rows removed bit by bit
-- later. The row stays when all is removed, so that a result that was still on its way is not stored again.
CREATE TABLE retired (
    kind TEXT NOT NULL CHECK (kind IN ('stage', 'space')),
    name TEXT NOT NULL,
    step TEXT NOT NULL CHECK (step IN ('jobs', 'results', 'swept')),
    position INTEGER NOT NULL DEFAULT 0,    -- the media id up to which this step is done
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE detection (
    id INTEGER PRIMARY KEY,
    segment_id INTEGER NOT NULL REFERENCES segment (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    label TEXT NOT NULL,
    score REAL NOT NULL,
    -- the box: shares (0 to 1) of the upright picture's width and height
    box_left REAL NOT NULL,
    box_top REAL NOT NULL,
    box_right REAL NOT NULL,
    box_bottom REAL NOT NULL
) STRICT;
CREATE INDEX detection_segment ON detection (segment_id, stage);

-- One row per judge: while a plan is built beside another, both of their scores are kept.
CREATE TABLE aesthetic (
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    score REAL NOT NULL,
    PRIMARY KEY (media_id, stage)
) STRICT, WITHOUT ROWID;

ALTER TABLE tag ADD COLUMN count INTEGER;   -- how many were seen; NULL: not counted

-- What waits for some stages comes before what waits for others. Who asks for any stage has job_open.
DROP INDEX job_pending;
CREATE INDEX job_waiting ON job (stage, media_id) WHERE state = 'pending';
""",
    ),
    Migration(
        3,
        "Video and sound: their moments, what happens in them and is said in them, and a lane of work of their own.",
        """
-- Facts that only videos and sounds have.
ALTER TABLE media ADD COLUMN duration REAL;             -- seconds
ALTER TABLE media ADD COLUMN fps REAL;
ALTER TABLE media ADD COLUMN variable_rate INTEGER;     -- 0 or 1
ALTER TABLE media ADD COLUMN video_codec TEXT;
ALTER TABLE media ADD COLUMN audio_codec TEXT;
ALTER TABLE media ADD COLUMN bit_rate INTEGER;          -- bits a second
ALTER TABLE media ADD COLUMN hdr INTEGER;               -- 0 or 1
ALTER TABLE media ADD COLUMN live_id TEXT;              -- what photo and video of a Live Photo have in common
CREATE INDEX media_live ON media (live_id) WHERE live_id IS NOT NULL;
CREATE INDEX media_kind ON media (kind) WHERE kind != 'photo';

ALTER TABLE segment ADD COLUMN keyframe_seconds REAL;
ALTER TABLE segment ADD COLUMN quality REAL;            -- of the keyframe
ALTER TABLE segment ADD COLUMN shot INTEGER;

-- Tags of moments, apart from those in tag, which are of whole media: a long video has thousands of moments, and what
-- looks for media by a tag must not wade through them. Every name here is in tag, too.
CREATE TABLE moment_tag (
    segment_id INTEGER NOT NULL REFERENCES segment (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    confidence REAL NOT NULL,
    count INTEGER,
    PRIMARY KEY (segment_id, stage, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    confidence REAL NOT NULL,
    path BLOB                               -- rows of five little-endian float64: seconds, left, top, right, bottom
) STRICT;
CREATE INDEX event_media ON event (media_id, stage);
CREATE INDEX event_label ON event (label, kind, media_id);

-- One row per listener that has listened, whether or not anybody speaks.
CREATE TABLE transcript (
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    language TEXT,
    language_confidence REAL NOT NULL,
    PRIMARY KEY (media_id, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE utterance (
    id INTEGER PRIMARY KEY,
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    confidence REAL NOT NULL,
    text TEXT NOT NULL,
    words TEXT NOT NULL                     -- JSON array of [text, start, end, confidence]
) STRICT;
CREATE INDEX utterance_media ON utterance (media_id, stage);

-- The words of utterances, found by rowid = utterance.id; triggers keep it in step, whatever removes an utterance.
CREATE VIRTUAL TABLE spoken USING fts5 (
    text, content = 'utterance', content_rowid = 'id', tokenize = "porter unicode61 remove_diacritics 2"
);
CREATE TRIGGER utterance_added AFTER INSERT ON utterance
BEGIN INSERT INTO spoken (rowid, text) VALUES (new.id, new.text); END;
CREATE TRIGGER utterance_removed AFTER DELETE ON utterance
BEGIN INSERT INTO spoken (spoken, rowid, text) VALUES ('delete', old.id, old.text); END;

-- Videos and sounds take minutes where a photo takes a moment: each kind of work is claimed from a lane of its own.
ALTER TABLE job ADD COLUMN slow INTEGER NOT NULL DEFAULT 0;
DROP INDEX job_waiting;
CREATE INDEX job_waiting ON job (slow, stage, media_id) WHERE state = 'pending';
""",
    ),
    Migration(
        4,
        "What a file says is read apart from its pixels: more words, partial dates, and where each date comes from.",
        """
ALTER TABLE file RENAME COLUMN sidecar TO sidecars;              -- paths, most specific first, NUL between them
ALTER TABLE file RENAME COLUMN sidecar_mtime_ns TO sidecars_stamp;

ALTER TABLE media ADD COLUMN taken_precision TEXT;      -- how much of taken_at is known
ALTER TABLE media ADD COLUMN taken_source TEXT;
ALTER TABLE media ADD COLUMN zone_source TEXT;
ALTER TABLE media ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';   -- JSON array of [label, text]
ALTER TABLE media ADD COLUMN sidecar_orientation INTEGER;
""",
    ),
    Migration(
        5,
        "Words inside Chinese, Japanese, Korean and Thai text, and the other words that are written in a file.",
        """
-- Letters of scripts without blanks are words of their own (search/scripts.py), and marks belong to their letters.
DROP TABLE fulltext;
CREATE VIRTUAL TABLE fulltext USING fts5 (
    title, description, keywords, people, tags, path, camera, notes,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
);

ALTER TABLE utterance ADD COLUMN searched TEXT;         -- the text as full text cuts it; NULL: as it is
DROP TRIGGER utterance_added;
DROP TRIGGER utterance_removed;
DROP TABLE spoken;
CREATE VIEW utterance_searched AS SELECT id, ifnull(searched, text) AS text FROM utterance;
CREATE VIRTUAL TABLE spoken USING fts5 (
    text, content = 'utterance_searched', content_rowid = 'id',
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
);
CREATE TRIGGER utterance_added AFTER INSERT ON utterance
BEGIN INSERT INTO spoken (rowid, text) VALUES (new.id, ifnull(new.searched, new.text)); END;
CREATE TRIGGER utterance_removed AFTER DELETE ON utterance
BEGIN INSERT INTO spoken (spoken, rowid, text) VALUES ('delete', old.id, ifnull(old.searched, old.text)); END;
""",
        cuts_words=True,
    ),
    Migration(
        6,
        "Files are read again when their inode changed, and when the system refused to let them be read.",
        """
ALTER TABLE file ADD COLUMN ctime_ns INTEGER;   -- NULL: not known yet, or not worth knowing on that file system
-- 0: media_id stands; 1: read the file again; 2: the same, and a sample of it is enough
ALTER TABLE file ADD COLUMN reread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;    -- 1: the problem is the system's, not the content's
CREATE INDEX file_reread ON file (id) WHERE reread != 0;
UPDATE file SET refused = 1 WHERE problem_title IS NOT NULL AND media_id IS NULL;

ALTER TABLE media ADD COLUMN sample BLOB;       -- digest of a sample of the bytes; NULL: small, or not read since

ALTER TABLE job ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
UPDATE job SET refused = 1 WHERE state = 'quarantined' AND (problem_title LIKE 'The file could not be read: %'
    OR problem_title = 'Reverie has no permission to read the file.');
""",
    ),
    Migration(
        7,
        "Which folders were given to index, and by whom, so that a deletion is told from a disk that is not mounted.",
        """
CREATE TABLE root (
    path BLOB PRIMARY KEY,
    -- 'settings': a folder of the settings; 'asked': named in a command; 'dropped': taken out of the settings
    origin TEXT NOT NULL CHECK (origin IN ('settings', 'asked', 'dropped')),
    device INTEGER,                         -- of the folder itself, when files were last seen in it
    inode INTEGER,
    unsure INTEGER NOT NULL DEFAULT 0       -- files that are not there and are kept: deleted, or not mounted?
) STRICT, WITHOUT ROWID;

-- Contents that were forgotten, until their pictures and notes are removed from the disk, too.
CREATE TABLE forgotten (
    content_hash BLOB PRIMARY KEY,
    media_id INTEGER NOT NULL               -- what it was; a worker may still have it
) STRICT, WITHOUT ROWID;
""",
    ),
)

CURRENT = MIGRATIONS[-1].number
