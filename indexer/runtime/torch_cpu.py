"""PyTorch on CPU in float32: the reference, slow and always there."""

from __future__ import annotations

from pathlib import Path

from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.engines import Engine, EngineInfo
from indexer.runtime.network import Arrays, Network
from indexer.runtime.torch_engine import TorchEngine

REFERENCE = "torch-cpu"


class TorchCpu:
    """The reference. It has no artefact, and there is nothing to judge it by."""

    name = REFERENCE
    title = "PyTorch CPU fp32"
    precision = "fp32"
    on_gpu = False
    source: str | None = None

    def availability(self, resources: Resources) -> Refusal | None:
        """Always there."""
        del resources
        return None

    def recipe(self, resources: Resources) -> tuple[str, ...]:
        """Nothing is built."""
        del resources
        return ()

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """Nothing to do."""
        del network, directory, resources, samples, source

    def open(self, network: Network, directory: Path, *, resources: Resources) -> Engine:
        """Load the weights. Raises ModelError."""
        del directory
        return open_reference(network, threads=resources.threads)


def open_reference(network: Network, *, threads: int) -> TorchEngine:
    """The reference of a network. The number of threads is the process's own: PyTorch has no other."""
    import torch  # noqa: PLC0415 - the service must not load it

    torch.set_num_threads(threads)
    return TorchEngine(network.load(), info=EngineInfo(f"PyTorch {torch.__version__}", "CPU", "fp32"))
