"""What the settings say reaches the workers, and what is run in the command line itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings, load
from daemon.setup import policy_of, setup_of
from daemon.worker import resources_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(
        "processing: {max_workers: 5}\n"
        "analysis:\n"
        "  ml_models: {device: 'cuda:1', batch_size: 7, use_tensorrt: false, tensorrt_precision: int8,\n"
        "              enable_amp: false, cudnn_benchmark: false}\n"
        "gpu: {memory_megabytes: 4096}\n"
    )
    return load(environ={"HOME": str(tmp_path)}, files=[file])


def test_a_worker_runs_networks_the_way_the_settings_say(settings: Settings) -> None:
    policy = resources_of(setup_of(settings)).policy
    assert policy == policy_of(settings)
    assert (policy.device, policy.batch_size, policy.memory_megabytes) == ("cuda:1", 7, 4096)
    assert (policy.use_tensorrt, policy.tensorrt_precision) == (False, "int8")
    assert (policy.enable_amp, policy.cudnn_benchmark, policy.avoid) == (False, False, ())


def test_several_workers_share_the_threads_and_each_has_a_device(settings: Settings) -> None:
    setup = setup_of(settings, device="cuda:0", workers=2)
    assert (setup.device, setup.decode_threads, setup.network_threads) == ("cuda:0", 3, 3)
    assert setup_of(settings).decode_threads == 5
