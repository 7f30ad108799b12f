from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.models.resources import Resources
from indexer.runtime import build
from indexer.runtime.gate import Report, judge, reference_rows
from indexer.runtime.limits import EMBEDDINGS
from indexer.runtime.network import Network, NetworkRef, Photos
from indexer.runtime.parity import SAME_PRECISION, Matrix, compare_items
from indexer.runtime.runtimes import Runtime, path_of
from indexer.runtime.samples import GateSamples
from tests.indexer.runtime.planted import FACTORY, Constant, Half, Loaded, tiny_network


@pytest.fixture
def rows() -> Matrix:
    """Rows that are nearly parallel, as those of many networks are."""
    random = np.random.default_rng(5)
    return (random.normal(size=64) + random.normal(0, 0.02, (32, 64))).astype(np.float32)


def judged(runtime: Runtime, variant: str, samples: GateSamples, resources: Resources) -> Report:
    network = tiny_network(variant)
    return judge(runtime, network, Path(), resources=resources, samples=samples, real=samples.real)


def test_a_right_engine_passes_and_its_speed_is_measured(samples: GateSamples, resources: Resources) -> None:
    report = judged(Loaded(), "plain", samples, resources)
    assert report.verdict.passed
    assert report.verdict.cosine == pytest.approx(1)
    assert report.items_per_second > 0
    assert report.speedup == pytest.approx(report.items_per_second / report.reference_items_per_second)
    assert (report.samples, report.real_samples) == (len(samples), samples.real)


def test_half_precision_that_does_not_overflow_passes(samples: GateSamples, resources: Resources) -> None:
    assert judged(Half(), "plain", samples, resources).verdict.passed


@pytest.mark.parametrize(
    ("runtime", "variant", "reason"),
    [
        (Constant(), "plain", "spread"),
        (Half(), "hot", "not finite"),
        (Loaded(), "bgr", "explained variance"),
        (Loaded(), "unscaled", "explained variance"),
    ],
)
def test_a_planted_fault_is_refused(
    runtime: Runtime, variant: str, reason: str, samples: GateSamples, resources: Resources
) -> None:
    report = judged(runtime, variant, samples, resources)
    assert report.verdict.reason is not None
    assert reason in report.verdict.reason
    assert report.items_per_second == 0


def test_a_report_is_read_as_it_was_written(samples: GateSamples, resources: Resources, tmp_path: Path) -> None:
    report = judged(Constant(), "plain", samples, resources)
    report.write(tmp_path / "parity.json")
    assert Report.read(tmp_path / "parity.json") == report
    (tmp_path / "parity.json").write_text("{}")
    assert Report.read(tmp_path / "parity.json") is None


def test_rounding_does_not_change_the_ranking_of_near_duplicates(rows: Matrix) -> None:
    burst = np.concatenate([rows, rows, rows])
    noise = np.random.default_rng(6).normal(0, 1e-7, burst.shape).astype(np.float32)
    assert compare_items(burst + noise, burst, SAME_PRECISION).passed


def test_nearly_parallel_rows_that_lose_their_differences_are_refused(rows: Matrix) -> None:
    blurred = rows + np.random.default_rng(8).normal(0, 0.02, rows.shape).astype(np.float32)
    verdict = compare_items(blurred, rows, EMBEDDINGS["int8"])
    assert verdict.cosine > EMBEDDINGS["int8"].cosine
    assert not verdict.passed
    assert verdict.overlap < EMBEDDINGS["int8"].overlap


def test_a_reference_that_says_the_same_to_all_proves_nothing(rows: Matrix) -> None:
    same = np.broadcast_to(rows[0], rows.shape)
    reason = compare_items(same, same, SAME_PRECISION).reason
    assert reason is not None
    assert "nothing can be proven" in reason


def test_the_reference_is_asked_once_for_all_runtimes_of_a_network(
    samples: GateSamples, resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(network: Network, photos: Photos, *, threads: int) -> Matrix:
        asked.append(network.name)
        return reference_rows(network, photos, threads=threads)

    monkeypatch.setattr(build, "reference_rows", counted)
    archive, kept = tmp_path / "samples.npz", tmp_path / "reference" / "rows.npy"
    np.savez(archive, *samples)
    kept.parent.mkdir()
    for number, runtime in enumerate((Loaded(), Constant(), Loaded())):
        if number == 2:
            kept.write_bytes(b"damaged")
        folder = tmp_path / str(number)
        folder.mkdir()
        job = build.Job(
            runtime=path_of(runtime),
            network=NetworkRef(FACTORY, ("plain",)),
            resources=resources,
            directory=str(folder),
            build=True,
            source=None,
            samples=str(archive),
            real_samples=0,
            report=str(folder / "report"),
            reference=str(kept),
        )
        build.run(job)
        report = Report.read(folder / "report")
        assert report is not None
        assert report.verdict.passed == (number != 1)
    assert len(asked) == 2  # for the first, and for what was damaged
