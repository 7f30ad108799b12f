"""The JSON that says which models there are, how they run, and how a change of them goes: see `search.messages`."""

from __future__ import annotations

from typing import TypedDict


class ModelMessage(TypedDict):
    """One model in use."""

    name: str
    task: str
    source: str
    """The package, or the repository of the model hub, that its weights come from."""
    version: str
    licence: str


class RefusalMessage(TypedDict):
    """A faster way to run a network that is not in use, and why."""

    runtime: str
    reason: str
    remedy: str
    """Empty if nothing can be done about it."""


class StageMessage(TypedDict):
    """How the network of one stage is run."""

    stage: str
    model: str
    device: str
    runtime: str
    precision: str
    batch_size: int
    seconds: float | None
    """Mean seconds of its network for a photo, of late; None: it has not run of late."""
    photos_per_second: float | None
    """What that network alone would do."""
    refused: list[RefusalMessage]


class DeviceMessage(TypedDict):
    """A graphics card at work. What the card does not tell is None."""

    name: str
    utilisation: float | None
    """0 to 1."""
    memory_used: int | None
    """Bytes."""
    memory_total: int | None
    celsius: float | None
    watts: float | None
    watts_limit: float | None


class ChangeMessage(TypedDict):
    """A change of profile in progress: the new vectors are made beside the old ones, which go on answering."""

    profile: str
    since: float
    """Unix seconds."""
    done: int
    """Photos, videos and sounds."""
    total: int
    photos_per_second: float
    eta_seconds: float | None
    """Until the photos among them are done; null: nobody knows."""
    long_left: int
    """Videos and sounds that are not done."""
    trouble: str | None
    """Why the new profile cannot be taken into use, when it cannot."""


class KnownModelMessage(TypedDict):
    """One model of the list."""

    name: str
    task: str
    title: str
    about: str
    source: str
    revision: str
    licence: str
    size: int | None
    """Bytes to download; None: the list does not know."""
    dimension: int | None
    memory_megabytes: int | None
    languages: list[str]
    installed: bool
    in_use: bool


class ProfileMessage(TypedDict):
    """One profile of the list."""

    name: str
    about: str
    state: str
    """"in use", "being built", "ready" or "not installed"."""
    stages: list[str]
    models: list[str]
    missing: list[str]
    """Those of its models that are not installed."""


class ModelsMessage(TypedDict):
    """What can be used, what is installed and what is in use."""

    profiles: list[ProfileMessage]
    models: list[KnownModelMessage]
    change: ChangeMessage | None


class CostMessage(TypedDict):
    """What a change of profile would take."""

    profile: str
    photos: int
    """That have to go through its networks."""
    long_files: int
    """Videos and sounds that have to."""
    vector_bytes: int
    """On disk, in the catalog."""
    index_bytes: int
    """On disk, for the vector index; as much memory while searching."""
    seconds: float | None
    """For the photos; None: nothing like it was ever measured here."""
    drops: list[str]
    """What goes once the change is done."""
