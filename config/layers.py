"""One source of settings at a time: a YAML file, the environment, the command line.

A layer maps a dotted key ("watch.quiet_seconds") to its value and where that was written. Layers are laid over each
other by plain dict updates; the values are checked once, on the result (see config.settings).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic.fields import FieldInfo

from config.errors import ConfigError
from config.schema import Keys, Section

VARIABLE_PREFIX = "REVERIE_"

_COMPARE = "Compare with `reverie config init --stdout`."


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
    try:
        loader = yaml.SafeLoader(text)
        reader = _FileReader(loader, name)
        if (root := loader.get_single_node()) is not None:
            reader.read(root, Keys, "")
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: this is not YAML: {error.problem}.", _COMPARE) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not a text in UTF-8.", _COMPARE) from error
    return reader.layer


class _FileReader:
    """Collects the values of one YAML document, descending exactly as far as the schema does."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self.layer: Layer = {}
        self._loader = loader
        self._name = name

    def read(self, node: yaml.Node, section: type[Section], prefix: str) -> None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return
        if not isinstance(node, yaml.MappingNode):
            what = f"{prefix[:-1]} is a group of settings, one" if prefix else "a settings file has one"
            raise ConfigError(f"{self._at(node)}: {what} `key: value` on each line.", _COMPARE)
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            word = key_node.value if isinstance(key_node, yaml.ScalarNode) else "with such a name"
            key, origin = prefix + word, self._at(key_node)
            field = section.model_fields.get(word)
            if field is None:
                raise ConfigError(f"{origin}: there is no setting {key}.", _nearest(key))
            if word in seen:
                raise ConfigError(f"{origin}: {key} is already on line {seen[word]}.", "Remove one of the two.")
            seen[word] = _line(key_node)
            if (inner := section_of(field)) is not None:
                self.read(value_node, inner, key + ".")
            else:
                self.layer[key] = Setting(self._loader.construct_object(value_node, deep=True), origin)

    def _at(self, node: yaml.Node) -> str:
        return f"{self._name}, line {_line(node)}"


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


def _nearest(key: str) -> str:
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


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
