"""Every runtime of a network against the reference, for `reverie models verify` and `reverie bench`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from config.errors import ModelError
from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.gate import Report
from indexer.runtime.network import NetworkRef, Photos
from indexer.runtime.parity import Verdict
from indexer.runtime.runtimes import Runtime, all_runtimes
from indexer.runtime.torch_cpu import REFERENCE
from indexer.runtime.workshop import Workshop

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeVerdict:
    """What one runtime is worth for one network on this machine."""

    runtime: str
    precision: str
    verdict: Verdict | None
    """None: it is not available, or could not be judged."""
    items_per_second: float | None
    reference_items_per_second: float | None
    """Measured in turns with it; the ratio is what the order of runtimes goes by."""
    samples: int
    real_samples: int
    reason: str
    """Why it does not serve; empty if it may."""
    remedy: str


def judge_all(
    ref: NetworkRef,
    *,
    resources: Resources,
    samples: Callable[[], Photos],
    runtimes: Sequence[Runtime] | None = None,
) -> list[RuntimeVerdict]:
    """Every runtime against the reference, on these samples, built where it was not; the preferred first.

    An engine that was refused before is built anew. Takes as long as all the builds.
    """
    workshop, photos = Workshop(ref, resources), samples()
    known = all_runtimes() if runtimes is None else tuple(runtimes)
    verdicts: dict[str, RuntimeVerdict] = {}
    passed: dict[str, Runtime] = {}
    for runtime in reversed([runtime for runtime in known if runtime.name != REFERENCE]):
        refusal = runtime.availability(resources)
        report: Report | None = None
        if refusal is None:
            try:
                report = _judged_anew(workshop, runtime, photos, passed)
            except ModelError as error:
                refusal = Refusal(runtime.title, error.title, error.remedy)
        if report is not None and report.verdict.passed:
            passed[runtime.name] = runtime
        verdicts[runtime.name] = _verdict_of(runtime, report, refusal)
    return [verdicts[runtime.name] for runtime in known if runtime.name in verdicts]


def _judged_anew(workshop: Workshop, runtime: Runtime, photos: Photos, passed: dict[str, Runtime]) -> Report:
    before = workshop.report(runtime)
    if before is not None and before.verdict.passed:
        try:
            return workshop.judge(runtime, photos)
        except ModelError as error:
            logger.warning("%s is built again: %s", runtime.title, error)
    workshop.discard(runtime)
    return workshop.obtain(runtime, photos, passed.get(runtime.source or ""))


def _verdict_of(runtime: Runtime, report: Report | None, refusal: Refusal | None) -> RuntimeVerdict:
    reason = (report.verdict.reason or "") if report else refusal.reason if refusal else ""
    measured = report is not None and report.items_per_second > 0
    return RuntimeVerdict(
        runtime=runtime.title,
        precision=runtime.precision,
        verdict=report.verdict if report else None,
        items_per_second=report.items_per_second if report and measured else None,
        reference_items_per_second=report.reference_items_per_second if report and measured else None,
        samples=report.samples if report else 0,
        real_samples=report.real_samples if report else 0,
        reason=reason,
        remedy=refusal.remedy if refusal else "",
    )
