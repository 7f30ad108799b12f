"""One YAML settings file, read node by node, so that whatever is wrong with it can be named by its line."""

from __future__ import annotations

import yaml

from config.errors import ConfigError
from config.layers import Layer, Setting, nearest_key, section_of
from config.schema import Keys, Section

_COMPARE = "Compare with `reverie config init --stdout`."


def parse(text: bytes, name: str) -> Layer:
    """The settings in a file's text; `name` stands for the file in origins. Raises ConfigError, naming the line."""
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
                raise ConfigError(f"{origin}: there is no setting {key}.", nearest_key(key))
            if word in seen:
                raise ConfigError(f"{origin}: {key} is already on line {seen[word]}.", "Remove one of the two.")
            seen[word] = _line(key_node)
            if (inner := section_of(field)) is not None:
                self.read(value_node, inner, key + ".")
            else:
                self.layer[key] = Setting(self._loader.construct_object(value_node, deep=True), origin)

    def _at(self, node: yaml.Node) -> str:
        return f"{self._name}, line {_line(node)}"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
