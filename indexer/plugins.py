"""Stages that other packages bring: found by the entry point group `reverie.stages`, held to what a stage may do.

The service imports a plug-in's module to learn the stage's name and revision; only the worker makes a stage and calls
it. A plug-in that cannot be used is left out with a reason, and nothing else changes.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from config.errors import ReverieError, StageFailed
from indexer.records import AUTHORED, RuntimeReport, Stage
from indexer.stage import Findings, PhotoStage, View
from indexer.stages import TASK_REVISIONS

logger = logging.getLogger(__name__)

GROUP: Final = "reverie.stages"

RESERVED: Final = frozenset({*Stage, *TASK_REVISIONS, AUTHORED, "read", "decode", "resize"})
"""Our own stages, tasks and steps: a plug-in of such a name would overwrite what they found, or hide what they cost."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_LARGEST_SIDE: Final = 4096


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """A plug-in that is left out, and why."""

    name: str
    """As its entry point says."""
    reason: str


@dataclass(frozen=True, slots=True)
class Plugins:
    """What is installed."""

    stages: Mapping[str, int]
    """Stage name to revision."""
    problems: tuple[PluginProblem, ...]


class _Unfit(Exception):
    """Why a plug-in cannot be used."""


def find_plugins() -> Plugins:
    """Look at every installed plug-in; its module is imported, its stage is not made."""
    stages: dict[str, int] = {}
    problems: list[PluginProblem] = []
    for point in _entry_points():
        try:
            if point.name in stages:
                raise _Unfit("another package has a stage of this name")
            stages[point.name] = _stage_class(point).revision
        except _Unfit as unfit:
            logger.warning('the plug-in "%s" (%s) is left out: %s', point.name, point.value, unfit)
            problems.append(PluginProblem(point.name, str(unfit)))
    return Plugins(stages, tuple(problems))


def plugin_stages() -> dict[str, int]:
    """The stages of installed plug-ins and their revisions: what every photo owes besides the profile's stages."""
    return dict(find_plugins().stages)


def load_plugin(name: str) -> PhotoStage:
    """Make the stage of a plug-in.

    Raises:
        StageFailed: no plug-in of this name is installed, or it cannot be made.
    """
    for point in _entry_points():
        if point.name == name:
            break
    else:
        raise StageFailed(
            f'No installed package has a stage "{name}".',
            "Install the plug-in again. Without it, restart the service: what it left to do is then forgotten.",
        )
    try:
        stage = _stage_class(point)()
    except _Unfit as unfit:
        raise StageFailed(f'The plug-in "{name}" cannot be used: {unfit}.', _mend(name)) from unfit
    except Exception as error:
        logger.warning('the plug-in "%s" cannot be made', name, exc_info=True)
        raise StageFailed(
            f'The plug-in "{name}" cannot be loaded ({type(error).__name__}: {error}).', _mend(name)
        ) from error
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    return PluginStage(stage, distribution)


class PluginStage:
    """A plug-in's stage as a `PhotoStage` that can harm nothing but its own results."""

    def __init__(self, stage: PhotoStage, distribution: str) -> None:
        """`distribution` is the name and version of the package that brings it."""
        self._stage = stage
        self._plain = RuntimeReport(
            stage=stage.name,
            model=distribution,
            device="CPU",
            runtime=f"plug-in {distribution}",
            precision="no network",
            batch_size=0,
        )
        self.name = stage.name
        self.revision = stage.revision
        self.short_side = stage.short_side

    @property
    def report(self) -> RuntimeReport:
        """What the plug-in says about its network, under its own name; or that it has none."""
        report = getattr(self._stage, "report", None)
        return dataclasses.replace(report, stage=self.name) if isinstance(report, RuntimeReport) else self._plain

    def prepare(self, view: View) -> Any:
        """As the plug-in does, on pixels that cannot be written to: they are everybody's."""
        pixels = view.pixels.view()
        pixels.setflags(write=False)
        try:
            return self._stage.prepare(dataclasses.replace(view, pixels=pixels))
        except ReverieError as error:
            raise self._failed(error) from error

    def analyse(self, batch: Sequence[Any]) -> Sequence[Findings]:
        """As the plug-in does; what only our own stages may say is refused. Raises StageFailed."""
        try:
            findings = list(self._stage.analyse(batch))
        except ReverieError as error:
            raise self._failed(error) from error
        for one in findings:
            if isinstance(one, Findings) and (one.embedding, one.aesthetic, one.cut_out) != (None, None, None):
                raise StageFailed(
                    f'The plug-in "{self.name}" gave an embedding, an aesthetic score or a cut-out.',
                    f"A plug-in gives tags and detections only. {_mend(self.name)}",
                )
        return findings

    def _failed(self, error: ReverieError) -> StageFailed:
        # Whatever it calls itself: an error of a plug-in is no reason to stop the worker.
        return StageFailed(error.title, error.remedy or _mend(self.name))


def _entry_points() -> list[EntryPoint]:
    """In an order that does not depend on the search path."""
    found = entry_points(group=GROUP)
    return sorted(found, key=lambda point: (point.name, point.dist.name if point.dist else "", point.value))


def _stage_class(point: EntryPoint) -> Any:
    """What an entry point names. Raises _Unfit unless it can be a stage."""
    if point.name in RESERVED or not _NAME.fullmatch(point.name):
        raise _Unfit("its name is one of Reverie's own, or not of small letters, digits and hyphens")
    try:
        found = point.load()
    except Exception as error:
        logger.debug("cannot import %s", point.value, exc_info=True)
        raise _Unfit(f"it cannot be imported ({type(error).__name__}: {error})") from error
    if not callable(found):
        raise _Unfit(f"{point.value} is not a class")
    if (name := getattr(found, "name", None)) != point.name:
        raise _Unfit(f"its class has the name {name!r}, not that of its entry point")
    for attribute, most in (("revision", None), ("short_side", _LARGEST_SIDE)):
        number = getattr(found, attribute, None)
        if type(number) is not int or number < 1 or (most is not None and number > most):
            raise _Unfit(f"its class has the {attribute} {number!r}, which is not a whole number from 1 on")
    if not all(callable(getattr(found, method, None)) for method in ("prepare", "analyse")):
        raise _Unfit("its class lacks `prepare` or `analyse`")
    return found


def _mend(name: str) -> str:
    return f'Mend, update or uninstall the plug-in "{name}"; then `reverie retry` tries again.'
