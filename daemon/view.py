"""The searching side of one plan: its vector index, its engine, and the text encoder that comes and goes.

What answers is always one whole view; a change of profile puts another one in its place.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from config.paths import Paths
from indexer.models.query import QueryEncoder, load_background, load_query_encoder, reads_english_only
from indexer.models.resources import Resources, RunPolicy
from indexer.models.space import SPACE
from indexer.records import Plan, Stage
from indexer.stages import STAGES
from search.calibration import BUILTIN, DUAL_ENCODER
from search.catalog import Catalog
from search.engine import Engine
from search.vectors import VectorIndex

logger = logging.getLogger(__name__)

BUILTIN_PLAN = Plan("builtin", SPACE, dict(STAGES))
"""What a library goes through that was never told otherwise, as one made before there were profiles."""


def query_resources(paths: Paths) -> Resources:
    """What loading the query side takes. One text at a time: it needs no device and no more than one thread."""
    return Resources(
        models=paths.models,
        model_cache=paths.model_cache,
        config_folders=paths.config_folders,
        thumbnails=paths.thumbnails,
        threads=1,
        policy=RunPolicy(device="cpu"),
    )


class QuerySide:
    """Texts to vectors in the space of a plan. Thread-safe.

    The encoder is loaded with the first question and can be let go with `rest`.
    """

    def __init__(self, plan: Plan, resources: Resources) -> None:
        self._plan = plan
        self._resources = resources
        self._lock = threading.Lock()
        self._encoder: QueryEncoder | None = None
        self._background: NDArray[np.float32] | None = None
        self._last_question = time.monotonic()

    def load(self) -> None:
        """Load all that a question needs; build it first, in a child process, where that was never done.

        Raises ModelError.
        """
        with self._lock:
            self._loaded()
        self.background()

    def encode(self, text: str) -> NDArray[np.float32]:
        """(D,) the unit vector of a text. Raises ModelError."""
        with self._lock:
            self._last_question = time.monotonic()
            return self._loaded().encode(text)

    def background(self) -> NDArray[np.float32]:
        """(M, D) unit vectors of the texts against which cosines are read. Raises ModelError."""
        if self._background is None:
            self._background = load_background(self._plan, self._resources)
        return self._background

    def rest(self, idle_seconds: float) -> None:
        """Let the encoder go if nobody has asked for so long. The next question loads it again."""
        with self._lock:
            if self._encoder is not None and time.monotonic() - self._last_question > idle_seconds:
                self._encoder = None
                ctypes.CDLL(None).malloc_trim(0)  # glibc would keep what it held (malloc_trim(3))
                logger.info("no question for %.0f s: the text encoder is unloaded", idle_seconds)

    def _loaded(self) -> QueryEncoder:
        if self._encoder is None:
            self._encoder = load_query_encoder(self._plan, self._resources)
        return self._encoder


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """All that answers under one plan."""

    plan: Plan
    index: VectorIndex
    query: QuerySide
    engine: Engine


def open_view(plan: Plan, catalog: Catalog, paths: Paths) -> View:
    """The view of a plan, its index in step with the catalog. The query side is loaded by whoever asks first."""
    index = VectorIndex(catalog, plan.space, paths.library)
    resources = query_resources(paths)
    query = QuerySide(plan, resources)
    calibration = BUILTIN
    if Stage.CONCEPTS not in plan.stages:
        calibration = replace(DUAL_ENCODER, only_latin=reads_english_only(plan, resources))
    engine = Engine(catalog, index, query.encode, labels=query.background, calibration=calibration)
    return View(plan, index, query, engine)
