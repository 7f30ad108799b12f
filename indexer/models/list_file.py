"""One `models.yaml`, read and checked key by key."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.errors import ConfigError
from indexer.models.listing import ModelEntry, ModelFile, ModelList, Profile
from indexer.stages import TASK_REVISIONS

_COMPARE = "docs/models.md says what an entry has; compare with the list that Reverie ships."

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
_Text = Annotated[str, Field(min_length=1, max_length=2000)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Size = Annotated[int, Field(ge=1, le=2**40)]

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HARMLESS = frozenset({".safetensors", ".json", ".txt", ".model"})
"""What loading cannot make run code: numbers, settings, words. No pickle (.pt, .pth, .ckpt, .bin), no Python."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _File(_Strict):
    path: str
    size: _Size | None = None
    sha256: _Sha256 | None = None

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        if not all(_PART.fullmatch(part) for part in path.split("/")) or path == "manifest.json":
            raise ValueError("it must be the plain name of a file within the repository")
        return path


class _Entry(_Strict):
    task: Literal["concepts", "embedding", "detection", "segmentation", "action", "speech", "sounds"]
    title: _Text
    about: _Text
    licence: _Text
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")] | None = None
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "main"
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*==[\w.]+$")] | None = None
    files: tuple[_File, ...] = Field(default=(), strict=False)
    dimension: Annotated[int, Field(ge=1, le=65536)] | None = None
    memory_megabytes: Annotated[int, Field(ge=1, le=2**24)] | None = None
    languages: tuple[_Text, ...] = Field(default=(), strict=False)
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _whole(self) -> _Entry:
        if (self.repository is None) == (self.package is None):
            raise ValueError("it needs one source: a repository or a package")
        if (self.repository is None) != (not self.files):
            raise ValueError("a model of a repository lists its files, one of a package does not")
        if len({file.path for file in self.files}) < len(self.files):
            raise ValueError("a file is listed twice")
        if (self.task == "embedding") != (self.dimension is not None):
            raise ValueError("a model for embedding, and no other, has a dimension")
        for file in self.files:
            # CTranslate2's model.bin is a format of its own, and no pickle.
            if PurePosixPath(file.path).suffix not in _HARMLESS and (self.task, file.path) != ("speech", "model.bin"):
                raise ValueError(f"{file.path}: only safetensors and plain data are loaded, nothing that can hold code")
        return self


class _Profile(_Strict):
    about: _Text
    stages: tuple[str, ...] = Field(min_length=1, strict=False)

    @field_validator("stages")
    @classmethod
    def _stages(cls, stages: tuple[str, ...]) -> tuple[str, ...]:
        for stage in stages:
            task, colon, name = stage.partition(":")
            if not task or bool(colon) != bool(name) or ":" in name or (not colon and task in TASK_REVISIONS):
                raise ValueError(f'"{stage}" is neither "TASK:MODEL" nor a stage without a model')
        if len(set(stages)) < len(stages):
            raise ValueError("a stage is named twice")
        return stages


class _List(_Strict):
    models: dict[_Name, _Entry] = {}
    profiles: dict[_Name, _Profile] = {}


def read_list(file: Path) -> ModelList | None:
    """The models and profiles of one file; None if there is none. Raises ConfigError, naming the file and the key."""
    try:
        text = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.", "Correct its permissions.") from error
    try:
        found = _List.model_validate(yaml.load(text, _Loader) or {})  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{file}{line}: this is not YAML: {error.problem}.", _COMPARE) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not a text in UTF-8.", _COMPARE) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{file}: {key + ': ' if key else ''}{reason}.", _COMPARE) from error
    return ModelList(
        models={name: _model(name, entry) for name, entry in found.models.items()},
        profiles={name: Profile(name, profile.about, profile.stages) for name, profile in found.profiles.items()},
    )


def _model(name: str, entry: _Entry) -> ModelEntry:
    files = tuple(ModelFile(file.path, file.size, file.sha256) for file in entry.files)
    return ModelEntry(name=name, **{**dict(entry), "files": files})


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f'"{key}" is there twice', key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
