"""The stages that a worker has loaded, and what one file's work asks of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from config.errors import CatalogError, DeviceFailed, ReverieError, StageBroken, StageFailed
from indexer.records import Stage
from indexer.stage import ClipStage, LoadedStage, PhotoStage, SoundStage, VectorStage
from indexer.stages import source_of

logger = logging.getLogger(__name__)

WITHOUT_NETWORK = frozenset({Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS})
"""What is done for each photo alone, in the decode thread, without loading anything."""


@dataclass(slots=True)
class Owed:
    """What one file's work asks of the loaded stages."""

    photo: dict[str, PhotoStage] = field(default_factory=dict)
    """Those that look at pixels, and those whose vector another needs."""
    vector: dict[str, VectorStage] = field(default_factory=dict)
    sound: dict[str, SoundStage] = field(default_factory=dict)
    clip: dict[str, ClipStage] = field(default_factory=dict)
    failed: dict[str, StageFailed] = field(default_factory=dict)
    """Those that cannot be loaded."""
    stored: bytes | None = None
    """The stored vector, if it takes the place of new ones for all of `vector`."""

    def revision(self, name: str) -> int:
        """That of a loaded stage."""
        stages: Sequence[Mapping[str, LoadedStage]] = (self.photo, self.vector, self.sound, self.clip)
        return next(loaded[name] for loaded in stages if name in loaded).revision


class StageSet:
    """Loads each stage once, when it is first asked for, so that a worker that re-reads captions loads none.

    Thread-safe. Whoever needs a stage that is loaded does not wait for another that is being loaded.
    """

    def __init__(self, load: Callable[[str], LoadedStage]) -> None:
        self._load = load
        self._loaded: dict[str, LoadedStage | StageFailed] = {}
        self._loading = threading.Lock()

    def owed(self, stages: Sequence[str], vector: bytes | None) -> Owed:
        """What a file needs that owes these stages and may have a stored vector.

        Raises StageBroken: a stage of ours cannot be loaded, for whatever reason, which is no file's fault.
        """
        owed = Owed()
        for name in stages:
            if name not in WITHOUT_NETWORK:
                self._add(owed, name)
        owed.stored = _usable(owed, vector)
        if owed.stored is None:
            for name in map(source_of, owed.vector):
                if name not in owed.photo and name not in owed.failed:
                    self._add(owed, name)
        return owed

    def batch_size(self, least: int) -> int:
        """Photos that fill the largest batch of any loaded stage."""
        loaded = [stage for stage in tuple(self._loaded.values()) if not isinstance(stage, StageFailed)]
        return max([least, *(report.batch_size for stage in loaded if (report := stage.report) is not None)])

    def _add(self, owed: Owed, name: str) -> None:
        stage = self._get(name)
        if isinstance(stage, StageFailed):
            owed.failed[name] = stage
        elif isinstance(stage, VectorStage):
            owed.vector[name] = stage
        elif isinstance(stage, SoundStage):
            owed.sound[name] = stage
        elif isinstance(stage, ClipStage):
            owed.clip[name] = stage
        else:
            owed.photo[name] = stage

    def _get(self, name: str) -> LoadedStage | StageFailed:
        if name in self._loaded:
            return self._loaded[name]
        with self._loading:
            if name not in self._loaded:
                try:
                    self._loaded[name] = self._load(name)
                except StageFailed as error:
                    self._loaded[name] = error
                except (DeviceFailed, CatalogError):
                    raise
                except ReverieError as error:
                    raise StageBroken(name, error.title, error.remedy) from error
                except Exception as error:
                    # Were a file blamed, every photo would be given up on, and the plan be complete without a result.
                    logger.warning('the stage "%s" cannot be loaded', name, exc_info=True)
                    raise StageBroken(
                        name,
                        f'The stage "{name}" cannot be loaded ({type(error).__name__}: {error}).',
                        "Its files may be damaged, or memory short; the log has more: `journalctl -u reveried`.",
                    ) from error
            return self._loaded[name]


def _usable(owed: Owed, vector: bytes | None) -> bytes | None:
    """The stored vector, unless it may be of another space or a new one is made anyway."""
    spaces = {stage.space for stage in owed.vector.values()}
    if vector is None or len(spaces) != 1 or any(source_of(name) in owed.photo for name in owed.vector):
        return None
    return vector if len(vector) == 2 * spaces.pop().dimension else None
