from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from config.errors import DeviceFailed, ModelError, OutOfDeviceMemory
from indexer.models.resources import Resources, RunPolicy
from indexer.runtime import cuda, onnx_cpu, tensorrt
from indexer.runtime.build import Job
from indexer.runtime.engines import EngineInfo
from indexer.runtime.failures import device_errors
from indexer.runtime.gate import judge
from indexer.runtime.network import NetworkRef
from indexer.runtime.runtimes import Runtime, all_runtimes, merged, path_of, resolve
from indexer.runtime.samples import GateSamples, gate_samples
from indexer.runtime.torch_cpu import REFERENCE
from indexer.runtime.torch_engine import TorchEngine
from tests.indexer.runtime.planted import TinyNetwork, tiny_network, vectors
from tests.sample_photos import locate

CPU = EngineInfo("PyTorch", "CPU", "fp32")


def setting(resources: Resources, **policy: object) -> Resources:
    return dataclasses.replace(resources, policy=RunPolicy(**policy))  # type: ignore[arg-type]


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cuda, "NVIDIA_DRIVER", tmp_path / "no driver")
    monkeypatch.setattr(cuda, "WINDOWS_GPU", tmp_path / "no gpu")


# Which runtimes there are


def test_the_reference_comes_last_and_every_runtime_is_found_again_by_its_path() -> None:
    runtimes = all_runtimes()
    assert runtimes[-1].name == REFERENCE
    assert len({runtime.name for runtime in runtimes}) == len(runtimes)
    for runtime in runtimes:
        assert type(resolve(path_of(runtime))) is type(runtime)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_serves_and_the_rest_is_told_once(resources: Resources) -> None:
    refusals = [refusal for runtime in all_runtimes() if (refusal := runtime.availability(resources))]
    told = {refusal.runtime: refusal for refusal in merged(refusals)}
    assert "no NVIDIA GPU" in told["CUDA fp16 compiled, CUDA fp16, CUDA bf16, CUDA tf32, CUDA fp32"].reason
    assert "pip install 'reverie-media[tensorrt]'" in told["TensorRT fp16"].remedy
    assert [runtime.name for runtime in all_runtimes() if runtime.availability(resources) is None] == [
        "onnxruntime-int8",
        "onnxruntime-fp32",
        REFERENCE,
    ]


def test_a_gpu_without_torch_tensorrt_names_the_command_and_says_that_it_is_untried(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "missing_gpu", lambda resources: None)
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: None)
    refusal = tensorrt.TensorRTFp16().availability(resources)
    assert refusal is not None
    assert refusal.reason == "torch-tensorrt is not installed."
    assert refusal.remedy.startswith("pip install 'reverie-media[tensorrt]'")
    assert "could not run TensorRT" in refusal.remedy
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: object() if name == "torch_tensorrt" else None)
    refusal = tensorrt.TensorRTInt8().availability(setting(resources, tensorrt_precision="int8"))
    assert refusal is not None
    assert refusal.remedy == "pip install nvidia-modelopt"


def test_a_gpu_with_a_pytorch_without_cuda_names_the_command(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "driver").write_text("NVRM version")
    monkeypatch.setattr(cuda, "NVIDIA_DRIVER", tmp_path / "driver")
    monkeypatch.setattr(torch.version, "cuda", None)
    refusal = cuda.CudaFp32().availability(resources)
    assert refusal is not None
    assert "built without CUDA" in refusal.reason
    assert refusal.remedy == f"pip install --force-reinstall torch=={torch.__version__.partition('+')[0]}"


@pytest.mark.parametrize(
    ("runtime", "policy", "key"),
    [
        (cuda.CudaFp32(), {"device": "cpu"}, "analysis.ml_models.device"),
        (tensorrt.TensorRTFp16(), {"use_tensorrt": False}, "analysis.ml_models.use_tensorrt"),
        (tensorrt.TensorRTInt8(), {"tensorrt_precision": "fp16"}, "analysis.ml_models.tensorrt_precision"),
    ],
)
def test_what_a_setting_forbids_says_which_setting(
    runtime: Runtime, policy: dict[str, object], key: str, resources: Resources
) -> None:
    refusal = runtime.availability(setting(resources, **policy))
    assert refusal is not None
    assert key in f"{refusal.reason} {refusal.remedy}"


def test_mixed_precision_can_be_switched_off(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "missing_gpu", lambda resources: None)
    off = setting(resources, enable_amp=False)
    assert cuda.CudaFp32().availability(off) is None
    refusal = cuda.CudaFp16().availability(off)
    assert refusal is not None
    assert "enable_amp" in refusal.remedy


def test_a_job_survives_the_way_to_the_child(resources: Resources) -> None:
    job = Job(
        runtime="a:B",
        network=NetworkRef("c:d", ("e", "f")),
        resources=setting(resources, batch_size=4, avoid=("a",)),
        directory="/g",
        build=True,
        source=None,
        samples="/h.npz",
        real_samples=3,
        report="/i",
        reference="/j.npy",
    )
    assert Job.from_json(job.to_json()) == job


# ONNX Runtime


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory, samples: GateSamples) -> tuple[TinyNetwork, Path, Path]:
    """The tiny network as a float32 and as an int8 graph."""
    folder, network = tmp_path_factory.mktemp("graphs"), tiny_network("plain")
    (folder / "fp32").mkdir()
    (folder / "int8").mkdir()
    resources = Resources(models=folder, model_cache=folder, config_folders=(), thumbnails=folder, threads=1)
    inputs = network.prepare(samples)
    onnx_cpu.OnnxFp32().build(network, folder / "fp32", resources=resources, samples=inputs, source=None)
    onnx_cpu.OnnxInt8().build(network, folder / "int8", resources=resources, samples=inputs, source=folder / "fp32")
    return network, folder / "fp32", folder / "int8"


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize(("runtime", "index"), [(onnx_cpu.OnnxFp32(), 1), (onnx_cpu.OnnxInt8(), 2)])
def test_the_exported_graphs_pass_the_gate(
    runtime: Runtime, index: int, graphs: tuple[TinyNetwork, Path, Path], samples: GateSamples, resources: Resources
) -> None:
    network, folder = graphs[0], graphs[index]
    assert isinstance(folder, Path)
    report = judge(runtime, network, folder, resources=resources, samples=samples, real=0)
    assert report.verdict.reason is None
    assert report.speedup > 1
    assert runtime.open(network, folder, resources=resources).info.precision == runtime.precision


@pytest.mark.filterwarnings("ignore")
def test_a_graph_takes_any_batch_size(graphs: tuple[TinyNetwork, Path, Path], resources: Resources) -> None:
    network, folder, _ = graphs
    engine = onnx_cpu.OnnxFp32().open(network, folder, resources=resources)
    for count in (1, 7):
        assert engine(np.zeros((count, 3, 32, 32), np.float32))[0].shape == (count, 48)


@pytest.mark.filterwarnings("ignore")
def test_a_graph_runs_in_a_process_without_pytorch(graphs: tuple[TinyNetwork, Path, Path]) -> None:
    script = """
import sys
from pathlib import Path
import numpy as np
from indexer.models.resources import Resources
from indexer.runtime.onnx_cpu import OnnxFp32, OnnxInt8
from indexer.runtime.selection import obtain_engine
from tests.indexer.runtime.planted import tiny_network
folder = Path(sys.argv[1])
resources = Resources(models=folder, model_cache=folder, config_folders=(), thumbnails=folder, threads=1)
for runtime in (OnnxInt8(), OnnxFp32()):
    assert runtime.availability(resources) is None and runtime.recipe(resources)
engine = runtime.open(tiny_network("plain"), folder, resources=resources)
assert engine(np.zeros((1, 3, 32, 32), np.float32))[0].shape == (1, 48)
assert not {"torch", "transformers", "cv2"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script, str(graphs[1])], cwd=Path(__file__).parents[3], check=True)


@pytest.mark.filterwarnings("ignore")
def test_weights_too_large_for_one_file_lie_beside_the_graph(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, samples: GateSamples, resources: Resources
) -> None:
    monkeypatch.setattr(onnx_cpu, "_ONE_FILE", 1000)
    network = tiny_network("plain")
    inputs = network.prepare(samples)
    onnx_cpu.OnnxInt8().build(network, tmp_path, resources=resources, samples=inputs, source=None)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["model.onnx", "model.onnx.data"]
    report = judge(onnx_cpu.OnnxInt8(), network, tmp_path, resources=resources, samples=samples, real=0)
    assert report.verdict.passed


def test_a_graph_that_is_none_is_a_model_error(tmp_path: Path, resources: Resources) -> None:
    (tmp_path / onnx_cpu.GRAPH).write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="cannot run"):
        onnx_cpu.OnnxFp32().open(tiny_network("plain"), tmp_path, resources=resources)


# PyTorch


def test_mixed_precision_and_channels_last_give_nearly_the_same(samples: GateSamples) -> None:
    network = tiny_network("plain")
    inputs = network.prepare(samples)
    exact = vectors(TorchEngine(network.load(), info=CPU), inputs)
    mixed = vectors(TorchEngine(network.load(), info=CPU, autocast="bfloat16", channels_last=True), inputs)
    assert not np.array_equal(mixed, exact)
    np.testing.assert_allclose(mixed, exact, atol=0.05)


@pytest.mark.parametrize(("count", "seen"), [(1, 1), (5, 8), (8, 8), (64, 64), (65, 128)])
def test_a_compiled_module_sees_few_batch_sizes(count: int, seen: int) -> None:
    sizes = []

    class Watching(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixels: torch.Tensor) -> object:
            sizes.append(len(pixels))
            return self.module(pixels)

    network = tiny_network("plain")
    pixels = np.random.default_rng(1).normal(size=(count, 3, 32, 32)).astype(np.float32)
    filled = vectors(TorchEngine(network.load(), info=CPU, compiled=Watching), (pixels,))
    assert sizes == [seen]
    plain = vectors(TorchEngine(network.load(), info=CPU), (pixels,))
    np.testing.assert_allclose(filled, plain, atol=1e-5)


# Errors


def test_a_batch_that_the_processor_has_no_memory_for_can_be_halved() -> None:
    class Greedy(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.new_empty(10**14)

    with pytest.raises(OutOfDeviceMemory) as error:
        TorchEngine(Greedy(), info=CPU)(np.zeros((1, 1), np.float32))
    assert "batch_size" in error.value.remedy


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), OutOfDeviceMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), OutOfDeviceMemory),
        (MemoryError(), OutOfDeviceMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceFailed),
        (RuntimeError("CUDA error: device-side assert triggered"), DeviceFailed),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceFailed),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
    ],
)
def test_errors_of_a_device_are_told_apart(raised: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, device_errors("NVIDIA Test"):
        raise raised
    assert type(caught.value) is kind


# Samples


def test_the_gate_looks_at_the_librarys_own_photos_in_the_order_of_their_hashes(tmp_path: Path) -> None:
    with Image.open(locate("chelsea.png")) as image:
        for position, name in enumerate(("c0ffee", "0abc", "0aaa")):
            (tmp_path / name[:2]).mkdir(exist_ok=True)
            image.convert("RGB").resize((40 + position, 30)).save(tmp_path / name[:2] / f"{name}.jpg")
    (tmp_path / "0a" / "0a00.jpg").write_bytes(b"damaged")
    found = gate_samples(tmp_path, 2)
    assert [photo.shape for photo in found] == [(30, 42, 3), (30, 41, 3)]
    assert found.real == 2


def test_pictures_are_made_up_where_there_are_too_few(tmp_path: Path) -> None:
    first, second = gate_samples(tmp_path, 3), gate_samples(tmp_path / "missing", 3)
    assert (len(first), first.real) == (3, 0)
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)
        assert left.std() > 10
    assert not np.array_equal(first[0][:50, :50], first[1][:50, :50])


def test_the_last_matrix_before_an_output_stays_in_float32(tmp_path: Path) -> None:
    def graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
        weights = [onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), name) for name in ("first", "second")]
        values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
        return onnx.helper.make_graph(list(nodes), "g", values[:1], values[1:], weights)

    make = onnx.helper.make_node
    hidden = make("MatMul", ["x", "first"], ["h"], name="hidden")
    head = make("Gemm", ["h", "second"], ["z"], name="head")
    normalised = graph(hidden, head, make("ReduceL2", ["z"], ["l"]), make("Div", ["z", "l"], ["y"]))
    assert len(onnx_cpu.last_matrices(normalised)) == 1
    residual = graph(hidden, head, make("Add", ["h", "z"], ["y"]))
    assert onnx_cpu.last_matrices(residual) == []
    weightless = graph(hidden, make("MatMul", ["h", "x"], ["y"], name="attention"))
    assert onnx_cpu.last_matrices(weightless) == ["hidden"]

    model = onnx.helper.make_model(normalised, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "fp32.onnx")
    onnx_cpu.quantise(tmp_path / "fp32.onnx", tmp_path / "int8.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    assert (kinds.count("MatMulInteger"), kinds.count("MatMul")) == (1, 1)
