"""Every architecture that is listed, in a tiny size, through the CUDA runtimes and the gate, on a pretended card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from indexer.models import action, detection, segmentation, sounds
from indexer.models.dual_encoder import ImageNetwork
from indexer.models.resources import Resources
from indexer.runtime import cuda
from indexer.runtime.gate import judge, reference_rows
from indexer.runtime.network import Network
from indexer.runtime.parity import Matrix, compare_items
from indexer.runtime.runtimes import Runtime
from indexer.runtime.samples import GateSamples
from indexer.runtime.torch_cpu import open_reference
from tests import tiny_models, tiny_tasks
from tests.indexer.runtime.pretend_card import Cards, pretend
from tests.indexer.runtime.rounding import PRECISIONS, TenTimes, rounded

ARCHITECTURES = (
    "clip",
    "siglip2",
    "d-fine",
    "rt-detr-v2",
    "detr",
    "yolos",
    "segformer",
    "videomae",
    "timesformer",
    "x-clip",
    "ast",
)
UNSTEADY = ("d-fine", "rt-detr-v2")
"""With random weights all their queries score nearly the same, and a rounding picks others: right engines of less
precision are refused. Trained ones are steady."""
ROUNDS_TO_INT8 = ("clip", "siglip2", "yolos", "segformer", "videomae", "x-clip")
COMPILED = ("clip", "videomae", "ast")
"""Where capturing the graph takes a second."""


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    root = tmp_path_factory.mktemp("walk")
    models, resources = root / "models", tiny_tasks.resources(root)
    found: dict[str, Network] = {}
    for kind in ("clip", "siglip2"):
        (root / kind).mkdir()
        found[kind] = ImageNetwork(tiny_models.install(kind, root / kind).folder)
    for kind in ("d-fine", "rt-detr-v2", "detr", "yolos"):
        entry = tiny_tasks.install(kind, "detection", tiny_tasks.save_detector(kind, root / "source" / kind), models)
        found[kind] = detection.network_ref(entry, resources).resolve()
    folder = tiny_tasks.save_segmenter(root / "source" / "segformer")
    entry = tiny_tasks.install("segformer", "segmentation", folder, models)
    found["segformer"] = segmentation.network_ref(entry, resources).resolve()
    for kind in ("videomae", "timesformer", "x-clip"):
        folder = tiny_tasks.save_action_model(kind, root / "source" / kind)
        options = {"list": "activities"} if kind == "x-clip" else {}
        found[kind] = action.network_ref(
            tiny_tasks.install(kind, "action", folder, models, **options), resources
        ).resolve()
    entry = tiny_tasks.install("ast", "sounds", tiny_tasks.save_sounds_model(root / "source" / "ast"), models)
    found["ast"] = sounds.network_ref(entry, resources).resolve()
    return found


@pytest.fixture(scope="module")
def rows(networks: dict[str, Network], samples: GateSamples) -> dict[str, Matrix]:
    return {name: reference_rows(network, samples, threads=1) for name, network in networks.items()}


@pytest.fixture
def cards(tmp_path: Path) -> Iterator[Cards]:
    with pytest.MonkeyPatch.context() as patch:
        yield pretend(patch, tmp_path)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_listed_architecture_passes_on_a_card(
    name: str,
    networks: dict[str, Network],
    rows: dict[str, Matrix],
    cards: Cards,
    *,
    resources: Resources,
    samples: GateSamples,
) -> None:
    runtimes: list[Runtime] = [cuda.CudaFp32()]
    if name not in UNSTEADY:
        runtimes += [cuda.CudaFp16(), cuda.CudaBf16()]
    if name in COMPILED:
        runtimes.append(cuda.CudaCompiled())
    for runtime in runtimes:
        assert runtime.availability(resources) is None
        report = judge(
            runtime, networks[name], Path(), resources=resources, samples=samples, real=0, expected=rows[name]
        )
        assert report.verdict.reason is None, (runtime.title, report.verdict)
    assert set(cards.placed) == {0}
    assert cards.compiled == ["reduce-overhead"] * (name in COMPILED)


@pytest.mark.parametrize("name", ["clip", "detr", "segformer", "videomae", "ast"])
def test_an_engine_with_ten_times_the_errors_of_a_right_one_is_refused_at_each_precision(
    name: str, networks: dict[str, Network], rows: dict[str, Matrix], samples: GateSamples
) -> None:
    network = networks[name]
    inputs, reference = network.prepare(samples), open_reference(network, threads=1)
    for precision in PRECISIONS:
        right, limits = rounded(network, precision), network.limits[precision]
        if precision != "int8" or name in ROUNDS_TO_INT8:
            verdict = compare_items(network.judged(right(*inputs)), rows[name], limits)
            assert verdict.passed, (precision, verdict)
        wrong = compare_items(network.judged(TenTimes(right, reference)(*inputs)), rows[name], limits)
        assert not wrong.passed, (precision, wrong)


@pytest.mark.parametrize("name", UNSTEADY)
def test_a_detector_that_picks_its_queries_is_refused_with_ten_times_the_errors(
    name: str, networks: dict[str, Network], rows: dict[str, Matrix], samples: GateSamples
) -> None:
    network = networks[name]
    wrong = TenTimes(rounded(network, "tf32"), open_reference(network, threads=1))
    output = network.judged(wrong(*network.prepare(samples)))
    assert not compare_items(output, rows[name], network.limits["tf32"]).passed


def test_an_error_of_a_tenth_passes_at_no_precision() -> None:
    """Rows like CLIP's: unit vectors around a common direction."""
    random = np.random.default_rng(3)
    vectors = random.normal(size=512) + random.normal(size=(32, 512))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    error = random.normal(size=vectors.shape)
    error *= 0.1 / np.linalg.norm(error, axis=1, keepdims=True)
    for precision in ("fp32", "tf32", "fp16", "bf16"):
        limits = ImageNetwork.limits[precision]
        assert not compare_items((vectors + error).astype("f4"), vectors.astype("f4"), limits).passed


def test_tf32_is_off_until_it_is_asked_for(cards: Cards, networks: dict[str, Network], resources: Resources) -> None:
    del cards
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = True
        cuda.CudaFp32().open(networks["detr"], Path(), resources=resources)
        assert [switch.allow_tf32 for switch in switches] == [False, False]
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value
    refusal = cuda.CudaTf32().availability(resources)
    assert refusal is not None
    assert "allow_tf32" in refusal.remedy
