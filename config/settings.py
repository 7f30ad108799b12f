"""The settings in force: every source laid over the last, checked once, with the origin of each value.

From weakest to strongest: the schema's defaults, the preset, /etc/reverie/config.yaml, the user's file, a file named
with --config, `REVERIE_*` variables, the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import PrivateAttr, ValidationError

from config.errors import ConfigError
from config.layers import Layer, Setting, read_environment, read_file, read_flags, value_fields
from config.paths import SUN_PATH_BYTES, Paths, config_files, fits_socket, home, resolve
from config.schema import PRESETS, Keys

_PRESET_FOLDER = Path(__file__).parent

_WHY = {
    "tuple_type": "it must be a list, such as [one, two]",
    "path_type": "it must be a path",
    "string_type": "it must be a text",
    "int_from_float": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "float_parsing": "it must be a number",
    "float_type": "it must be a number",
}
"""Plain words for those of pydantic's complaints that speak of Python."""


class Settings(Keys):
    """The settings of this run (see config.schema for the keys), and the places that follow from them.

    Made by `load`.
    """

    _paths: Paths = PrivateAttr()
    _origins: Mapping[str, str] = PrivateAttr()

    @property
    def paths(self) -> Paths:
        """Where the library, its files, the model cache and the socket are."""
        return self._paths

    @property
    def origins(self) -> Mapping[str, str]:
        """For every dotted key, where its value was written: a file and line, a variable, ... or "default"."""
        return self._origins


def load(
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object] = MappingProxyType({}),
    files: Sequence[Path] | None = None,
    config: Path | None = None,
) -> Settings:
    """Read every source and return the settings in force.

    `flags` maps dotted keys to values, None for a flag that was not given. `files` are read where they exist
    (default: `config_files(environ)`), `config` is a further one that must exist.
    Raises ConfigError, naming the source, the key and a way out.
    """
    layer: Layer = {}
    for path in config_files(environ) if files is None else files:
        try:
            layer |= read_file(path)
        except FileNotFoundError:
            continue
    if config is not None:
        try:
            layer |= read_file(config)
        except FileNotFoundError as error:
            raise ConfigError(f"There is no settings file {config}.", "Correct the path after --config.") from error
    layer |= read_environment(environ)
    layer |= read_flags(flags)
    if (preset := layer.get("preset")) is not None:
        layer = preset_layer(preset.value) | layer
    return _checked(layer, environ)


def preset_layer(name: object) -> Layer:
    """What a preset sets. The default one sets nothing: its file spells out the schema's own defaults."""
    if name == "default" or name not in PRESETS:
        return {}
    return read_file(_PRESET_FOLDER / f"{name}.yaml", name=f"preset {name}")


def _checked(layer: Layer, environ: Mapping[str, str]) -> Settings:
    try:
        settings = Settings.model_validate(_nested(layer), context={"home": home(environ)})
    except ValidationError as error:
        raise _explained(error, layer) from error
    configured = settings.socket.path
    if configured is not None and not fits_socket(configured):
        raise ConfigError(
            f"{layer['socket.path'].origin}: socket.path is longer than the {SUN_PATH_BYTES} bytes a socket can have.",
            "Choose a shorter path, or remove the key.",
        )
    settings._paths = resolve(settings.library, configured, environ)
    settings._origins = {key: layer[key].origin if key in layer else "default" for key in value_fields()}
    return settings


def _nested(layer: Layer) -> dict[str, Any]:
    """{"watch.ignore": x} -> {"watch": {"ignore": x}}"""
    tree: dict[str, Any] = {}
    for key, setting in layer.items():
        *sections, last = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[last] = setting.value
    return tree


def _explained(error: ValidationError, layer: Layer) -> ConfigError:
    """Say pydantic's first complaint in terms of what the user wrote."""
    first = error.errors(include_url=False, include_context=False)[0]
    words = [part for part in first["loc"] if isinstance(part, str)]
    key = next(key for end in range(len(words), 0, -1) if (key := ".".join(words[:end])) in layer)
    setting: Setting = layer[key]
    field = value_fields()[key]
    why = _WHY.get(first["type"]) or first["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
    return ConfigError(
        f"{setting.origin}: {key} cannot be {first['input']!r}: {why}.",
        f"{key}: {field.description} The default is {_plain(field.default)}.",
    )


def _plain(value: object) -> str:
    if value is None:
        return "null"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
