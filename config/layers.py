"""One source of settings at a time: a YAML file, the environment, the command line.

A layer maps a dotted key ("watch.quiet_seconds") to its value and where that was written. Layers are laid over each
other by plain dict updates; the values are checked once, on the result (see config.settings).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic.fields import FieldInfo

from config.errors import ConfigError
from config.schema import Keys, Section

VARIABLE_PREFIX = "REVERIE_"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as it was written, and where: "/etc/reverie/config.yaml, line 3"."""

    value: object
    origin: str


Layer = dict[str, Setting]


def walk(section: type[Section] = Keys, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its field, in the order of the schema; a section comes before what is in it."""
    for name, field in section.model_fields.items():
        key = prefix + name
        yield key, field
        if (inner := section_of(field)) is not None:
            yield from walk(inner, key + ".")


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field opens, if it is not a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def value_fields() -> dict[str, FieldInfo]:
    """The keys that hold values, in the order of the schema."""
    return {key: field for key, field in walk() if section_of(field) is None}


def read_file(path: Path, name: str | None = None) -> Layer:
    """Read a YAML settings file; an absent one raises FileNotFoundError.

    `name` stands for the path in origins. Raises ConfigError for anything that is not settings, naming the line.
    """
    name = name or str(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ConfigError(f"{name} cannot be read: {error.strerror}.", "Correct its permissions.") from error
    from config.yaml_file import parse  # noqa: PLC0415 - most questions are asked where there is no file to read

    return parse(text, name)


def read_environment(environ: Mapping[str, str]) -> Layer:
    """The `REVERIE_*` variables; an empty one counts as unset. Raises ConfigError for one that names no key."""
    fields = value_fields()
    names = {VARIABLE_PREFIX + key.upper().replace(".", "__"): key for key in fields}
    layer: Layer = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(VARIABLE_PREFIX) or not text:
            continue
        key = names.get(variable)
        if key is None:
            raise ConfigError(
                f"The environment variable {variable} is no setting.",
                _did_you_mean(difflib.get_close_matches(variable, names, n=1, cutoff=0.5)),
            )
        layer[key] = Setting(_from_text(text, fields[key]), f"variable {variable}")
    return layer


def _from_text(text: str, field: FieldInfo) -> object:
    """A variable's text as the field's kind of value: "null" for none, a list separated by colons as in PATH."""
    if isinstance(field.default, tuple):
        return [part for part in text.split(":") if part]
    if text == "null" and field.default is None:
        return None
    return text


def read_flags(flags: Mapping[str, object]) -> Layer:
    """What the command line gave, by dotted key; None is a flag that was not given. KeyError for a key that is none."""
    given = {key: value for key, value in flags.items() if value is not None}
    if unknown := given.keys() - value_fields().keys():
        raise KeyError(f"not settings: {', '.join(sorted(unknown))}")
    return {key: Setting(value, "the command line") for key, value in given.items()}


def nearest_key(key: str) -> str:
    """Point to the likeliest key: the same last word elsewhere, else a near spelling in the section, else anywhere."""
    keys = [known for known, _ in walk()]
    section, _, last = key.rpartition(".")
    return _did_you_mean(
        [known for known in keys if known.rpartition(".")[2] == last]
        or difflib.get_close_matches(key, [k for k in keys if k.rpartition(".")[0] == section], n=1, cutoff=0.7)
        or difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    )


def _did_you_mean(names: list[str]) -> str:
    return f"Did you mean {names[0]}?" if names else "`reverie config show` lists the settings."
