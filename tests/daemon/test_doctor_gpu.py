"""`reverie doctor` answers why a graphics card is used or not, for each library that must play along."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from daemon.checks import Level, gpu
from daemon.checks.cuda_probe import Found
from daemon.checks.gpu import findings, has_nvidia_card, probe
from indexer.runtime.gpu import GpuMonitor, GpuReading
from indexer.runtime.kernels import has_kernels

CARD = ("NVIDIA GeForce RTX 4090",)
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
GOOD: dict[str, Any] = {
    "torch": "2.13.0",
    "cuda": "13.2",
    "architectures": ARCHITECTURES,
    "capabilities": ((8, 9),),
    "speech_cards": 1,
    "cublas": True,
    "tensorrt": "2.13.0",
}


def said(**different: Any) -> dict[str, tuple[Level, str, str]]:
    return {one.name: (one.level, one.what, one.fix) for one in findings(CARD, Found(**(GOOD | different)))}


def test_a_card_with_all_its_libraries_is_used() -> None:
    found = said()
    assert {level for level, _, _ in found.values()} == {Level.OK}
    assert found["GPU"][1] == "NVIDIA GeForce RTX 4090, compute capability 8.9: PyTorch 2.13.0 for CUDA 13.2 can use it"


@pytest.mark.parametrize(
    ("different", "name", "what", "fix"),
    [
        ({"cuda": None}, "GPU", "is built for the CPU", "pip install --force-reinstall torch==2.13.0"),
        ({"capabilities": (), "reason": "The driver is too old"}, "GPU", "driver is too old.", "Update the driver"),
        ({"capabilities": ((6, 1),)}, "GPU", "has no code for this card (compute capability 6.1)", "whl/cu126"),
        ({"capabilities": ((7, 0),)}, "GPU", "compute capability 7.0", "whl/cu126"),
        ({"cublas": False}, "GPU for speech", "cuBLAS 12 is not installed", "pip install nvidia-cublas-cu12"),
        ({"speech_cards": 0}, "GPU for speech", "CTranslate2 finds no card", "Update the driver"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_the_command_that_mends_it(
    different: dict[str, Any], name: str, what: str, fix: str
) -> None:
    level, told, remedy = said(**different)[name]
    assert level is Level.WARNING
    assert what in told
    assert "CPU" in told or "cannot use it" in told
    assert fix in remedy


def test_without_tensorrt_mixed_precision_serves() -> None:
    level, told, remedy = said(tensorrt=None)["TensorRT"]
    assert (level, "mixed precision" in told, "tensorrt" in remedy) == (Level.OK, True, True)


def test_libraries_that_do_not_answer_are_a_finding_too() -> None:
    [finding] = findings(CARD, None)
    assert finding.level is Level.WARNING


def test_the_libraries_of_this_machine_answer() -> None:
    found = probe()
    assert found is not None
    assert found.torch.count(".") == 2


def test_a_build_of_pytorch_serves_the_cards_it_has_code_for() -> None:
    cards = [(6, 1), (7, 0), (7, 5), (8, 0), (8, 9), (9, 0), (10, 3), (11, 0), (12, 1)]
    assert [card for card in cards if not has_kernels(card, ARCHITECTURES)] == [(6, 1), (7, 0), (11, 0)]
    assert not has_kernels((8, 9), ())


def test_a_card_without_a_driver_is_seen_on_the_bus(tmp_path: Path) -> None:
    for name, maker, kind in (("a", "0x8086", "0x030000"), ("b", "0x10de", "0x040300"), ("c", "0x10de", "0x030200")):
        assert not has_nvidia_card(tmp_path)
        device = tmp_path / name
        device.mkdir()
        (device / "vendor").write_text(f"{maker}\n")
        (device / "class").write_text(f"{kind}\n")
    assert has_nvidia_card(tmp_path)


def reading(name: str, number: int) -> GpuReading:
    return GpuReading(
        name=name,
        uuid=f"GPU-{number}",
        utilisation=None,
        memory_used=None,
        memory_total=None,
        celsius=None,
        watts=None,
        watts_limit=None,
        processes={},
    )


@pytest.mark.parametrize(("visible", "told"), [("1", "RTX 4090, compute"), ("", "hidden by CUDA_VISIBLE_DEVICES")])
def test_only_the_cards_that_cuda_shows_are_spoken_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, told: str
) -> None:
    cards = (reading("GTX 1080", 0), reading("RTX 4090", 1))
    monkeypatch.setattr(GpuMonitor, "devices", lambda _: cards)
    monkeypatch.setattr(gpu, "probe", lambda: Found(**GOOD))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = next(gpu.check_gpu(load(environ={"HOME": str(tmp_path)}, files=[], flags={})))
    assert told in found.what
    assert ("GTX 1080" in found.what) == (not visible)


def test_the_libraries_count_cards_as_the_driver_does(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[str] = []

    def run(command: list[str], *, env: dict[str, str], **options: Any) -> None:
        del command, options
        orders.append(env["CUDA_DEVICE_ORDER"])
        raise OSError

    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    assert probe() is None
    assert orders == ["PCI_BUS_ID"]
