"""What the documents tell people to type must be right."""

from __future__ import annotations

import re
import shlex
from datetime import date
from pathlib import Path

import pytest

import reverie
from search.query import parse

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

COMMAND = re.compile(r"(?:^(?: {4,}(?:sudo )?\S*?)?|`(?:sudo )?\S*?)\breverie (?P<words>[a-z-][^`\n]*)`?", re.MULTILINE)


def commands() -> list[str]:
    """Every `reverie …` in a code block or between backticks, without its comment."""
    found = {
        match["words"].partition("  #")[0].split(" | ")[0].split(" > ")[0].strip()
        for document in DOCUMENTS
        for match in COMMAND.finditer(document.read_text(encoding="utf-8"))
    }
    return sorted(found)


@pytest.mark.parametrize("words", commands())
def test_every_documented_command_is_understood(words: str) -> None:
    reverie.build_parser(reverie.COMMANDS.values()).parse_args(shlex.split(words))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#[^)]*)?\)", text):
        assert (document.parent / target).exists(), target


def test_every_documented_task_exists() -> None:
    tasks = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:^ {4,}|`)make ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= tasks, document


def test_every_command_is_documented() -> None:
    shown = {words.split()[0] for words in commands()}
    assert shown >= {*reverie.COMMANDS, "completion"}


def query_examples() -> list[str]:
    """Every filter that docs/query-language.md shows with a value between backticks, and every query it searches."""
    text = (ROOT / "docs" / "query-language.md").read_text(encoding="utf-8")
    filters = re.findall(r"`(-?[a-z]+:[^`\s][^`]*)`", text)
    searches = [shlex.split(words)[1] for words in commands() if words.startswith("search ")]
    return sorted({*filters, *searches})


@pytest.mark.parametrize("query", query_examples())
def test_every_documented_query_is_understood(query: str) -> None:
    parse(query, today=date(2026, 11, 23), saved={"beach": "sea"}.get)
