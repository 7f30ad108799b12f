"""Which runtime serves a network: the fastest of those that gave the reference's answer on this machine.

What passed before is opened at once. What was never judged is built in a child process while the next runtime down
serves, and takes over when it has passed and is faster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.resources import Resources
from indexer.records import Refusal, RuntimeReport
from indexer.runtime.engines import Engine, EngineInfo
from indexer.runtime.failures import reason_of
from indexer.runtime.gate import Report
from indexer.runtime.network import Arrays, NetworkRef, Photos
from indexer.runtime.runtimes import Runtime, all_runtimes, merged
from indexer.runtime.torch_cpu import REFERENCE
from indexer.runtime.torch_engine import release_memory
from indexer.runtime.verification import RuntimeVerdict, judge_all
from indexer.runtime.workshop import DamagedEngine, Workshop

__all__ = ["EngineSlot", "RuntimeVerdict", "judge_all", "obtain_engine"]

logger = logging.getLogger(__name__)

_BUILDING = "it is being built and judged; it takes over when it has passed."
_LATER = "it was not built: something faster serves."


def obtain_engine(
    ref: NetworkRef,
    *,
    stage: str,
    model: str,
    resources: Resources,
    samples: Callable[[], Photos],
    runtimes: Sequence[Runtime] | None = None,
    prepare: Callable[[Engine], None] = lambda engine: None,
) -> EngineSlot:
    """The engine of a network, ready to run.

    `samples` is called only if something must be built. `runtimes`: the preferred first; without the reference among
    them nothing serves until one of them has passed, and this call waits for it. `prepare` is called with each engine
    that was built meanwhile before it takes over; it may take its time, and what it raises refuses the engine.
    Raises ModelError if nothing can serve.
    """
    return EngineSlot(
        ref,
        stage=stage,
        model=model,
        resources=resources,
        samples=samples,
        runtimes=all_runtimes() if runtimes is None else runtimes,
        prepare=prepare,
    )


class EngineSlot:
    """An `Engine` whose inside changes for a better one when that is proven, or for a worse one when it must."""

    info: EngineInfo
    """Of what runs now."""

    def __init__(
        self,
        ref: NetworkRef,
        *,
        stage: str,
        model: str,
        resources: Resources,
        samples: Callable[[], Photos],
        runtimes: Sequence[Runtime],
        prepare: Callable[[Engine], None],
    ) -> None:
        self._stage = stage
        self._model = model
        self._samples = samples
        self._prepare = prepare
        self._workshop = Workshop(ref, resources)
        self._lock = threading.Lock()
        """Of what serves: held for an instant."""
        self._choosing = threading.RLock()
        """Of the choice of what serves: held while an engine is opened."""
        self._runtimes = tuple(runtimes)
        self._reports: dict[str, Report] = {}
        self._out: dict[str, Refusal] = {}
        """Runtimes that cannot serve in this process, and why."""
        self._engine: Engine | None = None
        self._current: Runtime | None = None
        self._stopped = False
        for runtime in self._runtimes:
            self._look_up(runtime, resources)
        self._serve_best()
        self._builder: threading.Thread | None = None
        if self._current is None:
            self._build_missing(until_served=True)
        if self._current is None:
            raise self._nothing_serves()
        if self._next_to_build() is not None:
            self._builder = threading.Thread(target=self._build_missing, name="engine-builds", daemon=True)
            self._builder.start()

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch on what serves now. Raises OutOfDeviceMemory, DeviceFailed."""
        with self._lock:
            engine = self._engine
        if engine is None:
            raise self._nothing_serves()
        return engine(*inputs)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What would be preferred to what runs now, and why it is not in use."""
        with self._lock:
            current = self._current
            return merged([self._why_not(runtime) for runtime in self._preferred_to(current)])

    @property
    def building(self) -> bool:
        """Whether a child process is building or judging something."""
        return self._builder is not None and self._builder.is_alive()

    def report(self, batch_size: int) -> RuntimeReport:
        """For `reverie status`."""
        info = self.info
        return RuntimeReport(
            stage=self._stage,
            model=self._model,
            device=info.device,
            runtime=info.runtime,
            precision=info.precision,
            batch_size=batch_size,
            refused=self.refused,
            building=self.building,
        )

    def degrade(self, reason: str) -> bool:
        """Give up what runs now, for as long as this process lives, and go on with the next that passed.

        False if there is no other: then nothing changes.
        """
        with self._lock:
            given_up = self._current
        if given_up is None:
            return False
        with self._choosing:
            self._out[given_up.name] = Refusal(
                given_up.title, f"it was given up: {reason}", "A restart tries it again."
            )
            if self._serve_best():
                logger.warning("%s gives up %s: %s", self._stage, given_up.title, reason)
                return True
            del self._out[given_up.name]
            return False

    def reference(self) -> Engine | None:
        """The reference, opened for whoever doubts what serves; None if that is the reference. Raises ModelError."""
        with self._lock:
            current = self._current
        reference = next((runtime for runtime in self._runtimes if runtime.name == REFERENCE), current)
        return None if reference is None or reference is current else self._open(reference)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is being built; False if that took longer."""
        if self._builder is not None:
            self._builder.join(seconds)
        return not self.building

    def close(self) -> None:
        """End a build that runs and let the engine go."""
        self._stopped = True
        self._workshop.stop()
        self.wait()
        with self._lock:
            self._engine = None

    def _look_up(self, runtime: Runtime, resources: Resources) -> None:
        refusal = runtime.availability(resources)
        if refusal is not None:
            self._out[runtime.name] = refusal
        elif runtime.name != REFERENCE and (report := self._workshop.report(runtime)) is not None:
            if report.engine in resources.policy.avoid:
                self._out[runtime.name] = Refusal(
                    runtime.title,
                    "the device failed again and again while it ran.",
                    "A restart of the service tries it again.",
                )
            else:
                self._reports[runtime.name] = report

    def _ranked(self) -> list[Runtime]:
        """Those that passed and were not given up, the fastest first. The reference has the speed 1 by definition."""
        candidates = []
        for place, runtime in enumerate(self._runtimes):
            report = self._reports.get(runtime.name)
            if runtime.name in self._out or (report is None and runtime.name != REFERENCE):
                continue
            if report is None or report.verdict.passed:
                candidates.append((-(report.speedup if report else 1.0), place))
        return [self._runtimes[place] for _, place in sorted(candidates)]

    def _serve_best(self) -> bool:
        """Open the fastest that can be opened, unless it serves already; whether one that is not given up serves."""
        for runtime in self._ranked():
            if runtime is self._current:
                return True
            engine = self._opened(runtime)
            if engine is not None:
                self._exchange(runtime, engine)
                return True
        return False

    def _offer(self, runtime: Runtime) -> None:
        """Let a runtime that has passed take over if it is the faster. What serves is not kept from giving way to
        another meanwhile: opening and preparing may take minutes."""
        if not self._is_better(runtime):
            return
        engine = self._opened(runtime, prepare=self._prepare)
        with self._choosing:
            if engine is not None and self._is_better(runtime):
                self._exchange(runtime, engine)

    def _is_better(self, runtime: Runtime) -> bool:
        ranked, current = self._ranked(), self._current
        if runtime not in ranked:
            return False
        return current not in ranked or ranked.index(runtime) < ranked.index(current)

    def _exchange(self, runtime: Runtime, engine: Engine) -> None:
        with self._lock:
            self._engine, self._current, self.info = engine, runtime, engine.info
        release_memory()  # of the one that served
        logger.info("%s serves %s", runtime.title, self._workshop.network.name)

    def _opened(self, runtime: Runtime, prepare: Callable[[Engine], None] | None = None) -> Engine | None:
        """None if it cannot be opened or prepared; why is noted."""
        try:
            engine = self._open(runtime)
            if prepare is not None:
                prepare(engine)
        except DamagedEngine as error:
            logger.warning("%s", error)
            self._reports.pop(runtime.name, None)
            return None
        except ModelError as error:
            refusal = Refusal(runtime.title, error.title, error.remedy)
        except Exception as error:
            logger.warning("%s", runtime.title, exc_info=True)
            refusal = Refusal(runtime.title, f"it cannot be opened: {reason_of(error)}", "")
        else:
            return engine
        logger.warning("%s cannot run %s: %s", runtime.title, self._workshop.network.name, refusal.reason)
        self._reports.pop(runtime.name, None)
        self._out[runtime.name] = refusal
        return None

    def _open(self, runtime: Runtime) -> Engine:
        if runtime.name == REFERENCE:
            return self._workshop.open_unbuilt(runtime)
        return self._workshop.open(runtime)

    def _next_to_build(self) -> Runtime | None:
        """The cheapest that is still to be judged: those on the GPU first, those on CPU only if none of them passed."""
        ranked = self._ranked()
        for on_gpu in (True, False):
            if not on_gpu and any(runtime.on_gpu for runtime in ranked):
                return None
            for runtime in reversed(self._runtimes):
                known = runtime.name in self._reports or runtime.name in self._out or runtime.name == REFERENCE
                if runtime.on_gpu == on_gpu and not known:
                    return runtime
        return None

    def _build_missing(self, *, until_served: bool = False) -> None:
        while not self._stopped and not (until_served and self._current) and (runtime := self._next_to_build()):
            try:
                report = self._workshop.obtain(runtime, self._samples(), self._source_of(runtime))
            except ModelError as error:
                logger.warning("%s was not built: %s", runtime.title, error)
                self._out[runtime.name] = Refusal(runtime.title, error.title, error.remedy)
                continue
            except OSError as error:
                logger.warning("%s was not built: %s", runtime.title, error)
                self._out[runtime.name] = Refusal(runtime.title, f"its samples cannot be read: {error}", "")
                continue
            self._reports[runtime.name] = report
            if report.verdict.passed:
                self._offer(runtime)
            else:
                logger.warning("%s is refused: %s", runtime.title, report.verdict.reason)

    def _source_of(self, runtime: Runtime) -> Runtime | None:
        return next((other for other in self._ranked() if other.name == runtime.source), None)

    def _preferred_to(self, current: Runtime | None) -> tuple[Runtime, ...]:
        end = len(self._runtimes) if current is None else self._runtimes.index(current)
        return self._runtimes[:end]

    def _why_not(self, runtime: Runtime) -> Refusal:
        if runtime.name in self._out:
            return self._out[runtime.name]
        report = self._reports.get(runtime.name)
        if report is None:
            return Refusal(runtime.title, _BUILDING if self.building else _LATER, "")
        if report.verdict.reason is not None:
            return Refusal(runtime.title, report.verdict.reason, "`reverie models verify` judges it again.")
        times = f"{report.speedup:.2f} times as fast as the reference, and what serves is faster."
        return Refusal(runtime.title, f"it measured {times}", "")

    def _nothing_serves(self) -> ModelError:
        reasons = "; ".join(f"{refusal.runtime}: {refusal.reason}" for refusal in self.refused)
        return ModelError(
            f"Nothing can run {self._workshop.network.name}: {reasons}", "See what `reverie models verify` says."
        )
