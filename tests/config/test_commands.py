"""`reverie config`, and the documents made from the schema."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from config import commands
from config.errors import ConfigError
from config.layers import read_file, value_fields
from config.sample import TABLE_BEGIN, TABLE_END, sample, table
from config.settings import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def config(home: dict[str, str], *words: str) -> str:
    parser = argparse.ArgumentParser()
    commands.add_parsers(parser.add_subparsers())
    out = io.StringIO()
    assert commands.run(parser.parse_args(["config", *words]), out, environ=home, flags={}) == 0
    return out.getvalue()


def test_init_writes_a_file_that_changes_nothing_until_edited(home: dict[str, str]) -> None:
    path = Path(home["HOME"]) / ".config/reverie/config.yaml"
    assert config(home, "init") == f"Wrote {path}\n"
    assert set(load(environ=home, files=[path]).origins.values()) == {"default"}
    for key in value_fields():
        assert f"#{key.rpartition('.')[2]}: " in path.read_text()


def test_every_commented_key_can_be_uncommented(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    lines = config(home, "init", "--stdout").splitlines()
    file.write_text("\n".join(line.replace("#", "", 1) if "# " not in line else line for line in lines))
    assert read_file(file).keys() == value_fields().keys()
    assert load(environ=home, files=[file]).model_dump() == load(environ=home, files=[]).model_dump()


def test_init_never_overwrites_unasked(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("search: {limit: 3}\n")
    with pytest.raises(ConfigError, match="is already there"):
        config(home, "init", "--output", str(file))
    assert file.read_text() == "search: {limit: 3}\n"
    config(home, "init", "--output", str(file), "--force", "--preset", "optimized")
    assert load(environ=home, files=[file]).preset == "optimized"


def test_show_is_itself_a_settings_file_that_gives_the_same(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "conf.yaml").write_text("folders: [/srv/a b, '/srv/# c: d']\nwatch: {ignore: ['*.tmp']}\n")
    before = load(environ=home, files=[tmp_path / "conf.yaml"])
    parser = argparse.ArgumentParser()
    commands.add_parsers(parser.add_subparsers())
    out = io.StringIO()
    commands.run(
        parser.parse_args(["config", "show"]),
        out,
        environ=home,
        flags={"search.limit": 4},
        config=tmp_path / "conf.yaml",
    )
    assert "  limit: 4  # the command line\n" in out.getvalue()
    assert f"# {tmp_path}/conf.yaml, line 2\n" in out.getvalue()
    (tmp_path / "shown.yaml").write_text(out.getvalue())
    after = load(environ=home, files=[tmp_path / "shown.yaml"])
    assert (after.folders, after.watch, after.paths) == (before.folders, before.watch, before.paths)


def test_path_says_which_files_exist(home: dict[str, str]) -> None:
    user = f"{home['HOME']}/.config/reverie/config.yaml"
    assert f"{user}  (not there)\n" in config(home, "path")
    config(home, "init")
    assert f"{user}\n" in config(home, "path")


def test_the_documented_table_is_the_schema() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    written = text.partition(TABLE_BEGIN)[2].partition(TABLE_END)[0].lstrip("\n")
    assert written == table(), "run `python -m config.sample`"


def test_the_default_preset_is_the_schema() -> None:
    path = ROOT / "config/default.yaml"
    assert path.read_text() == sample({}, all_live=True), "run `python -m config.sample`"
    home = {"HOME": "/home/ada"}
    assert load(environ=home, files=[path]).model_dump() == load(environ=home, files=[]).model_dump()
