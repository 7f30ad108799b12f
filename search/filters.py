"""Conditions as SQL on the media row `m`. Every value is bound; text is compared without regard to case."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

from indexer.records import Kind
from search import amounts, scripts
from search.catalog.sql import IN_USE
from search.conditions import AnyOf, Condition, Seconds, Stars, Words
from search.dates import Span
from search.terms import tokens as tokens_of

LONG = f"m.kind != '{Kind.PHOTO}'"
"""What the index `media_kind` holds: videos and sounds, far fewer than all media."""

HAS = {
    "audio": f"{LONG} AND (m.audio_codec IS NOT NULL OR m.kind = 'audio')",
    "place": "m.latitude IS NOT NULL AND m.longitude IS NOT NULL",
    # Of each transcript one utterance tells: there may be thousands.
    "speech": f"m.id IN (SELECT media_id FROM transcript WHERE {IN_USE} AND EXISTS (SELECT 1 FROM utterance"
    " WHERE utterance.media_id = transcript.media_id AND utterance.stage = transcript.stage))"
    f" OR m.id IN (SELECT media_id FROM event WHERE label = 'speech' AND kind = 'sound' AND {IN_USE})",
}

_WRITTEN = "m.id IN (SELECT rowid FROM fulltext WHERE fulltext MATCH ?)"
_SAID = (
    f"m.id IN (SELECT media_id FROM utterance WHERE id IN (SELECT rowid FROM spoken WHERE spoken MATCH ?) AND {IN_USE})"
)

Clause = tuple[str, list[object]]
"""SQL and the values it binds."""

EVERYTHING = "1"
"""The condition that all media fulfil."""

HAPPENINGS = ("action", "sound")
"""The kinds of events whose labels are words for what goes on."""

MANY_PARTS = 8
"""With so many parts of a name to compare with, it pays to look for the different names first."""


def where(groups: Sequence[Sequence[Condition]]) -> Clause:
    """The condition that every group holds through one of its conditions. No groups: `EVERYTHING`.

    What is unknown about a photo fulfils no condition, and so every negated one: -camera:canon keeps photos that
    name no camera.
    """
    clauses: list[str] = []
    values: list[object] = []
    for group in groups:
        parts = []
        for condition in group:
            sql, bound = _clause(condition)
            parts.append(f"NOT ifnull({sql}, 0)" if condition.negated else f"({sql})")
            values += bound
        clauses.append(f"({_either(parts)})")
    return " AND ".join(clauses) or EVERYTHING, values


def among(media_ids: Sequence[int]) -> Clause:
    """The condition that a media is one of these."""
    return "m.id IN (SELECT value FROM json_each(?))", [json.dumps(media_ids)]


def both(first: Clause, second: Clause) -> Clause:
    """The condition that two conditions hold."""
    return f"({first[0]}) AND ({second[0]})", [*first[1], *second[1]]


def happening(labels: Sequence[str]) -> Clause:
    """The condition that an event of one of these labels is known; of what was only followed, a tag tells as much."""
    marks = ", ".join("?" * len(labels))
    select = f"SELECT media_id FROM event WHERE label IN ({marks}) AND kind IN {HAPPENINGS} AND {IN_USE}"
    return f"m.id IN ({select})", list(labels)


def written_or_said(words: Sequence[str]) -> Clause:
    """The condition that each of these words is written about a media, or said in it."""
    matches = [scripts.every([word]) for word in words]
    return " AND ".join([f"({_WRITTEN} OR {_SAID})"] * len(words)), [one for match in matches for one in (match, match)]


def _clause(condition: Condition) -> Clause:  # noqa: PLR0911, PLR0912 - one line for each filter
    match condition.name, condition.value:
        case "after", Span(start=start):
            return "m.taken_at >= ?", [start.isoformat()]
        case "before", Span(start=start):
            return "m.taken_at < ?", [start.isoformat()]
        case _, Span(start=start, end=end):
            return "m.taken_at >= ? AND m.taken_at < ?", [start.isoformat(), end.isoformat()]
        case _, Stars(low=low, high=high):
            return "m.rating BETWEEN ? AND ?", [low, high]
        case _, Seconds(low=low, high=high, with_low=with_low, with_high=with_high):
            return f"{LONG} AND m.duration >{'=' * with_low} ? AND m.duration <{'=' * with_high} ?", [low, high]
        case _, Words(tokens=tokens, phrase=phrase):
            expression = scripts.phrase(tokens) if phrase else scripts.every(tokens)
            return _WRITTEN, [expression]
        case "type", AnyOf(texts=texts):
            kinds, bound = _any("m.kind = ?", texts)
            return (kinds if Kind.PHOTO in texts else f"{LONG} AND ({kinds})"), bound
        case ("camera" | "lens") as column, AnyOf(texts=texts):
            return _parts_of(column, texts)
        case "tag", AnyOf(texts=texts):
            return _tags(texts)
        case "said", AnyOf(texts=texts):
            return _said(texts)
        case "action", AnyOf(texts=texts):
            return _actions(texts)
        case "has", AnyOf(texts=texts):
            return _either([HAS[text] for text in texts]), []
        case _, AnyOf(texts=texts):
            tests, values = at_paths(texts[0])
            live = "SELECT media_id FROM file WHERE missing_since IS NULL AND media_id IS NOT NULL"
            return f"m.id IN ({live} AND ({tests}))", values


def _any(sql: str, values: Iterable[object]) -> Clause:
    bound = list(values)
    return _either([sql] * len(bound)), bound


def _either(tests: Sequence[str]) -> str:
    """Tests joined by OR, as a balanced tree: SQLite takes no expression that is nested 1,000 deep, as a chain is."""
    if len(tests) <= 2:
        return " OR ".join(tests)
    middle = len(tests) // 2
    return f"({_either(tests[:middle])}) OR ({_either(tests[middle:])})"


def _parts_of(column: str, texts: Sequence[str]) -> Clause:
    """A column by parts of it. Many parts are not compared with every row, but with the few different values."""
    many = len(texts) > MANY_PARTS
    parts = (f"%{_escape(text)}%" for text in texts)
    test, values = _any(f"{'one' if many else 'm'}.{column} LIKE ? ESCAPE '\\'", parts)
    if many:
        different = f"WITH one AS MATERIALIZED (SELECT DISTINCT {column} FROM media)"
        test = f"m.{column} IN ({different} SELECT {column} FROM one WHERE {test})"
    return test, values


def _tags(names: Sequence[str]) -> Clause:
    """Tags and sounds ("speech", "music") by name; a plural finds the singular. In a name, * stands for anything.
    "2 dogs" asks for at least two, where somebody counted."""
    test, values = _called(names)
    heard, labels = _called(names, "event", "label")
    tests = [test]
    for least, name in filter(None, map(amounts.split, names)):
        test, bound = _called([name])
        tests.append(f"(tag.count >= ? AND ({test}))")
        values += [least, *bound]
    tagged = f"SELECT media_id FROM tag JOIN segment ON segment.id = tag.segment_id WHERE {_either(tests)}"
    sounds = f"SELECT media_id FROM event WHERE ({heard}) AND kind = 'sound' AND {IN_USE}"
    return f"m.id IN ({tagged}) OR m.id IN ({sounds})", [*values, *labels]


def _called(names: Sequence[str], table: str = "tag", column: str = "name") -> Clause:
    """Tags, or rows of another table, by any of these names."""
    exact = [form for name in names if "*" not in name for form in amounts.forms(name)]
    patterns = [_like(name) for name in names if "*" in name]
    tests = [f"{table}.{column} IN ({', '.join('?' * len(exact))})"] if exact else []
    if patterns:
        like, _ = _any("name LIKE ? ESCAPE '\\'", patterns)
        tests.append(f"{table}.{column} IN ({_different(table, column)} AND ({like}))")
    return " OR ".join(tests), [*exact, *patterns]


def _said(phrases: Sequence[str]) -> Clause:
    """What somebody says, each phrase in one utterance."""
    return _SAID, [" OR ".join(scripts.phrase(tokens_of(phrase)) for phrase in phrases)]


def _actions(names: Sequence[str]) -> Clause:
    """What somebody does, by words of its name, in their order; * stands for anything. Seen in motion, or tagged."""
    like, patterns = _any("' ' || name || ' ' LIKE ? ESCAPE '\\'", (f"% {_like(name)} %" for name in names))
    events = (
        "SELECT media_id FROM event"
        f" WHERE label IN ({_different('event', 'label')} AND ({like})) AND kind = 'action' AND {IN_USE}"
    )
    tags = (
        "SELECT media_id FROM tag JOIN segment ON segment.id = tag.segment_id"
        f" WHERE tag.name IN ({_different('tag', 'name')} AND ({like})) AND source = 'action'"
    )
    return f"m.id IN ({events}) OR m.id IN ({tags})", [*patterns, *patterns]


def _different(table: str, column: str) -> str:
    """SQL for the different values (`name`) of the first column of an index, by one step through it for each: they are
    few, and the rows are many."""
    following = f"SELECT min({column}) FROM {table}"
    return (
        f"WITH RECURSIVE one (name) AS ({following} UNION ALL SELECT ({following} WHERE {column} > one.name) FROM one"
        " WHERE one.name NOT NULL) SELECT name FROM one WHERE name NOT NULL"
    )


def at_paths(text: str) -> Clause:
    """The condition on `file` for paths by a part of them, or by a pattern that begins at a folder's or file's name and
    runs to the path's end.

    SQLite folds the case of ASCII alone, and one name may be spelled with composed or decomposed accents: the
    spellings are tried one by one.
    """
    pattern = _escape(text)
    if "*" in text or "?" in text:
        pattern = _like(text).replace("?", "_")
        pattern = pattern if text.startswith(("/", "*")) else f"%/{pattern}"
    else:
        pattern = f"%{pattern}%"
    cases = {pattern, pattern.lower(), pattern.upper(), pattern.title()} if not pattern.isascii() else {pattern}
    spellings = sorted({unicodedata.normalize(form, case) for case in cases for form in ("NFC", "NFD")} | {pattern})
    tests, values = _any(
        "CAST(file.path AS TEXT) LIKE CAST(? AS TEXT) ESCAPE '\\'",
        (spelling.encode("utf-8", "surrogateescape") for spelling in spellings),
    )
    return tests, values


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _like(pattern: str) -> str:
    """What is LIKE a pattern in which * stands for anything (as in `search.patterns`). SQLite tries each place for each
    piece once."""
    return re.sub(r"\*+", "%", _escape(pattern))
