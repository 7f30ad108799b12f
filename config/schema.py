"""Every setting there is: its name, type, range, default and meaning.

The one truth about settings. The loader, the commented sample (`reverie config init`) and the table in
docs/configuration.md are all made from these classes, so a description here is what a user reads.
Units are part of the names. A key that nothing reads must not exist.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo

PRESETS = ("default", "optimized")


def _absolute(value: object, info: ValidationInfo) -> object:
    """Put the home folder for `~`; refuse what would mean another place for a service started in another folder."""
    if not isinstance(value, str | Path):
        return value
    text = os.fspath(value)
    if "\0" in text:
        raise ValueError("it has a zero byte in it")
    if text == "~" or text.startswith("~/"):
        text = os.fspath((info.context or {}).get("home") or Path.home()) + text[1:]
    if not text.startswith("/"):
        raise ValueError("it must begin with / or ~/")
    return Path(os.path.normpath(text))


def _not_bool(value: object) -> object:
    """YAML reads `yes` and `on` as true, which Python would take for the number 1."""
    if isinstance(value, bool):
        raise ValueError("it must be a number")
    return value


def _device(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,2})?", value):
        raise ValueError("it must be auto, cpu, cuda, or cuda:1 and so on")
    return value


AbsolutePath = Annotated[Path, BeforeValidator(_absolute)]
Int = Annotated[int, BeforeValidator(_not_bool)]
Float = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Device = Annotated[str, BeforeValidator(_device)]


class Section(BaseModel):
    """A group of settings: immutable, and nothing in it that is not listed here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Watch(Section):
    """When a new or changed file is noticed, and what is passed over."""

    quiet_seconds: Float = Field(
        default=2.0,
        ge=0.1,
        le=3600,
        description="A file is read once its size and time have not changed for this long.",
    )
    rescan_minutes: Float = Field(
        default=60, ge=1, le=10080, description="Every folder is walked again this often, whatever the kernel reported."
    )
    poll_seconds: Float = Field(
        default=60,
        ge=1,
        le=86400,
        description="A folder that cannot be watched (a network mount) is looked at this often.",
    )
    ignore: tuple[Name, ...] = Field(
        default=(),
        description="Names or globs of files and folders to pass over, besides the built-in ones "
        "(temporary names, hidden files, what NAS systems leave behind).",
    )
    markers: tuple[Name, ...] = Field(
        default=(".nomedia", ".noimage", ".reverieignore"),
        description="A folder that holds a file of one of these names is passed over, with everything below it.",
    )
    forget_after_days: Float = Field(
        default=30, ge=0, le=36500, description="What is known about a file that went missing is kept for this long."
    )


class Processing(Section):
    """How the work is spread, and when it is given up."""

    max_workers: Int | None = Field(
        default=None, ge=1, le=256, description="Threads that read and decode files; null is one for each CPU."
    )
    max_wait_seconds: Float = Field(
        default=1.0, ge=0, le=60, description="A batch that is not full goes to the network after this long."
    )
    idle_seconds: Float = Field(
        default=60,
        ge=1,
        le=86400,
        description="The worker process exits, and gives its memory back, after this long idle.",
    )
    stall_seconds: Float = Field(
        default=120,
        ge=5,
        le=3600,
        description="A worker silent for this long is killed, and its files are tried one by one.",
    )
    max_file_megabytes: Int = Field(
        default=1024, ge=1, le=65536, description="A larger photo is not read; it is listed as a problem."
    )
    max_megapixels: Int = Field(
        default=300, ge=1, le=10000, description="A photo of more pixels is not decoded; it is listed as a problem."
    )

    @property
    def workers(self) -> int:
        """`max_workers`, or the number of CPUs this process may use."""
        return self.max_workers or len(os.sched_getaffinity(0))


class MlModels(Section):
    """How the networks are run."""

    device: Device = Field(
        default="auto",
        description="Where networks run: `cpu`, `cuda` (the first NVIDIA GPU), `cuda:1` (the second), or `auto`: "
        "a GPU where there is one that can be used.",
    )
    batch_size: Int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Photos that go through a network together; null is what was measured to be fastest, for each "
        "network on each device.",
    )
    use_tensorrt: bool = Field(
        default=True, description="Whether TensorRT may run networks, where it is installed and passes the check."
    )
    tensorrt_precision: Literal["fp16", "int8"] = Field(
        default="fp16", description="The precision of TensorRT: `int8` is faster, and passes the check less often."
    )
    enable_amp: bool = Field(
        default=True, description="Whether a GPU may compute in 16 bits (mixed precision), where that passes the check."
    )
    allow_tf32: bool = Field(
        default=False,
        description="Whether a GPU may round the factors of 32-bit products to 10 bits (TF32). "
        "What 16 bits are too few for then gets these.",
    )
    cudnn_benchmark: bool = Field(
        default=True,
        description="Whether a GPU tries several ways of each convolution at first and keeps the fastest.",
    )


class Analysis(Section):
    """What is found out about a file."""

    ml_models: MlModels = MlModels()


class Video(Section):
    """How videos and sounds are gone through."""

    extraction_strategy: Literal["adaptive", "keyframes", "uniform"] = Field(
        default="adaptive",
        description="Which frames of a video are looked at: `uniform` takes them at exact intervals, `keyframes` those "
        "that decode alone (the quickest), `adaptive` keyframes where they are close enough together.",
    )
    extract_fps: Float = Field(
        default=2.0,
        ge=0.1,
        le=30,
        description="How many frames of each second are looked at, at most. Fewer are quicker; short shots are missed.",
    )
    max_hours: Float = Field(
        default=24, gt=0, le=1000, description="A longer video or sound is not gone through; it is listed as a problem."
    )
    max_megapixels: Int = Field(
        default=64, ge=1, le=1000, description="A video of larger frames is not decoded; it is listed as a problem."
    )


class Gpu(Section):
    """How much NVIDIA GPUs may be used for. Beyond a limit the analysis pauses; searches go on."""

    max_celsius: Int | None = Field(
        default=None,
        ge=40,
        le=120,
        description="Work pauses while a GPU is hotter than this; null leaves that to the card, which slows down.",
    )
    max_watts: Int | None = Field(
        default=None,
        ge=10,
        le=5000,
        description="Work pauses while a GPU takes more power than this; null leaves that to the card.",
    )
    memory_megabytes: Int | None = Field(
        default=None,
        ge=256,
        le=10_000_000,
        description="The memory of each GPU that Reverie may have; work pauses while other programs leave less of it. "
        "null takes what is free.",
    )


class Experimental(Section):
    """What has not been proven on real machines yet."""

    use_multi_gpu: bool = Field(
        default=False,
        description="Whether the work is spread over all GPUs, a process for each, where the device is `auto`.",
    )


class Search(Section):
    """How questions are answered."""

    limit: Int = Field(default=20, ge=1, le=1000, description="Results shown when the question does not say how many.")


class Socket(Section):
    """The unix socket on which the service answers."""

    path: AbsolutePath | None = Field(
        default=None, description="Where the socket is; null is run/reverie.sock in the library, or a shorter place."
    )
    max_clients: Int = Field(
        default=64, ge=1, le=4096, description="Connections served at the same time; more are refused."
    )
    timeout_seconds: Float = Field(default=30, ge=1, le=3600, description="A request that takes longer is ended.")
    max_request_kilobytes: Int = Field(default=64, ge=1, le=65536, description="A larger request is refused.")


class Logging(Section):
    """What is written to the journal or the terminal."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important level shown."
    )


class Keys(Section):
    """The whole settings file."""

    preset: Literal["default", "optimized"] = Field(
        default="default",
        description="A set of defaults: `default` for any machine, `optimized` for many cores or a GPU.",
    )
    library: AbsolutePath | None = Field(
        default=None,
        description="The folder of everything Reverie knows, on a local disk; null is $STATE_DIRECTORY under systemd, "
        "otherwise $XDG_DATA_HOME/reverie.",
    )
    folders: tuple[AbsolutePath, ...] = Field(
        default=(), description="The folders the service watches, with all below them."
    )
    watch: Watch = Watch()
    processing: Processing = Processing()
    analysis: Analysis = Analysis()
    video: Video = Video()
    gpu: Gpu = Gpu()
    experimental: Experimental = Experimental()
    search: Search = Search()
    socket: Socket = Socket()
    logging: Logging = Logging()
