"""The schema as people read it: a commented settings file, the settings in force, the table in the documentation.

`python -m config.sample`, in a checkout, writes config/default.yaml and the table of docs/configuration.md anew.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic.fields import FieldInfo

from config.layers import section_of, value_fields, walk
from config.settings import Settings, preset_layer

TABLE_BEGIN, TABLE_END = "<!-- keys: made by `python -m config.sample` -->", "<!-- end of keys -->"

_WIDTH = 100
_KINDS: dict[object, str] = {bool: "`true` or `false`", int: "whole number", float: "number", Path: "path", str: "name"}


_HEADER = (
    "# Settings of Reverie. Remove the # before a key to set it; what is not set keeps the value shown.",
    "# `reverie config show` prints what is in force and where each value comes from.",
)
_HEADER_LIVE = ("# Every setting of Reverie at its default, made from config/schema.py by `python -m config.sample`.",)


def sample(values: Mapping[str, object], *, all_live: bool = False) -> str:
    """A settings file of every key with its meaning: those in `values` set, the others commented out at their default.

    The defaults are those of the preset that `values` names. With `all_live` every key is set.
    """
    defaults = {key: setting.value for key, setting in preset_layer(values.get("preset")).items()}

    def value_line(key: str, field: FieldInfo) -> list[str]:
        value = values.get(key, defaults.get(key, field.default))
        live = all_live or key in values
        name = key.rpartition(".")[2]
        comment = textwrap.wrap(f"{field.description} ({_range(field)})", _WIDTH)
        return ["", *(f"# {line}" for line in comment), f"{'' if live else '#'}{name}: {_yaml(value)}"]

    header = _HEADER_LIVE if all_live else _HEADER
    return "\n".join([*header, *_file(value_line)]) + "\n"


def effective(settings: Settings) -> str:
    """The settings in force as YAML, each with its origin; defaults that depend on the machine are filled in."""
    machine = {
        "library": settings.paths.library,
        "socket.path": settings.paths.socket,
        "processing.max_workers": settings.processing.workers,
    }

    def value_line(key: str, _: FieldInfo) -> list[str]:
        value: Any = machine.get(key)
        if value is None:
            value = settings
            for part in key.split("."):
                value = getattr(value, part)
        return [f"{key.rpartition('.')[2]}: {_yaml(value)}  # {settings.origins[key]}"]

    return "\n".join(_file(value_line)) + "\n"


def table() -> str:
    """The Markdown table of every key, its values, default and meaning."""
    rows = [
        f"| `{key}` | {_range(field)} | `{_yaml(field.default)}` | {field.description} |"
        for key, field in value_fields().items()
    ]
    return "\n".join(["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _file(value_line: Callable[[str, FieldInfo], list[str]]) -> Iterator[str]:
    """Lines for every key in order, sections opened and indented; a section without a live key is valid and empty."""
    for key, field in walk():
        indent = "  " * key.count(".")
        section = section_of(field)
        lines = value_line(key, field) if section is None else _section_header(key, section.__doc__ or "")
        yield from (indent + line if line else "" for line in lines)


def _section_header(key: str, meaning: str) -> list[str]:
    return ["", f"# {meaning}", f"{key.rpartition('.')[2]}:"]


def _range(field: FieldInfo) -> str:
    """ "number, 0.1 to 3600" """
    text = _kind(field.annotation)
    bounds = {type(bound): bound for bound in field.metadata}
    low, high = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Le)
    if low is None or high is None:
        return text
    number, _, null = text.partition(" or ")
    return f"{number}, {low.ge} to {high.le}" + (f", or {null}" if null else "")


def _kind(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(args[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in args[:-1]) + f" or `{args[-1]}`"
    if origin is tuple:
        return f"list of {_kind(args[0])}s"
    if origin in {Union, UnionType}:
        return f"{_kind(args[0])} or null"
    return _KINDS[annotation]


def _yaml(value: object) -> str:
    """A value on one line of YAML."""
    if isinstance(value, Path):
        value = os.fspath(value)
    elif isinstance(value, tuple | list):
        value = [os.fspath(item) for item in value]
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def write_documents(root: Path) -> None:
    """Bring the two files that are made from the schema up to date."""
    (root / "config/default.yaml").write_text(sample({}, all_live=True), encoding="utf-8")
    document = root / "docs/configuration.md"
    text = document.read_text(encoding="utf-8")
    before, after = text.partition(TABLE_BEGIN)[0], text.partition(TABLE_END)[2]
    document.write_text(f"{before}{TABLE_BEGIN}\n{table()}{TABLE_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_documents(Path.cwd())
