"""A machine with a driver and a card on which nothing works: all is indexed, and everybody says why it is slow.

The card is pretended: `pynvml` answers as NVIDIA's library does (nvidia-ml-py 13, pynvml.py), and CTranslate2 counts
one card, loads a model onto it, and fails at the first encode (SYSTRAN/faster-whisper#1431).
"""

from __future__ import annotations

from pathlib import Path

from tests.daemon.clip import write_tone
from tests.e2e.driver import Reverie
from tests.films import View, film
from tests.sample_photos import copy_photos

NVML = """
from types import SimpleNamespace

class NVMLError(Exception): pass
NVML_TEMPERATURE_GPU = 0
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetName(handle): return "NVIDIA Pretended 1"
def nvmlDeviceGetUUID(handle): return "GPU-0"
def nvmlDeviceGetUtilizationRates(handle): return SimpleNamespace(gpu=0, memory=0)
def nvmlDeviceGetMemoryInfo(handle): return SimpleNamespace(total=8 << 30, used=0, free=8 << 30)
def nvmlDeviceGetTemperature(handle, sensor): return 40
def nvmlDeviceGetPowerUsage(handle): return 20_000
def nvmlDeviceGetPowerManagementLimit(handle): return 200_000
def nvmlDeviceGetComputeRunningProcesses(handle): return []
"""

CARD = '''
import importlib.util, sys

class Finder:
    """Changes CTranslate2 as soon as it is loaded, and nothing else."""

    def find_spec(self, name, path=None, target=None):
        if name != "ctranslate2":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.get_cuda_device_count = lambda: 1
            module.get_supported_compute_types = lambda device, index=0: {"float32", "float16", "int8"}
            real = module.models.Whisper

            class OnCard:
                def __init__(self, path):
                    self._model = real(path, device="cpu", compute_type="float32")

                def __getattr__(self, name):
                    return getattr(self._model, name)

                def encode(self, *args, **options):
                    raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")

            def Whisper(path, device="cpu", **options):
                return OnCard(path) if device == "cuda" else real(path, device=device, **options)

            module.models.Whisper = Whisper

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
'''


def test_photos_films_and_sounds_are_indexed_and_the_reason_is_told(reverie: Reverie, tmp_path: Path) -> None:
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "pynvml.py").write_text(NVML)
    (fakes / "sitecustomize.py").write_text(CARD)
    reverie.environment["PYTHONPATH"] = str(fakes)
    photos = tmp_path / "photos"
    copy_photos(photos, "coffee.png")
    film(photos / "film.mp4", [View("chelsea.png", 8)], says=[(1.0, "Look at the yellow flower in the garden.")])

    write_tone(photos / "tone.wav")
    reverie.start(photos)
    reverie.eventually(
        lambda: reverie.idle() and len(reverie.found("type:photo OR type:video OR type:audio")) == 3, within=90
    )
    assert reverie.found("said:flower") == ["film.mp4"]
    assert reverie.status()["problems"] == []

    told = reverie.run("status").stdout
    assert "speech:whisper-tiny-en: faster-whisper" in told
    assert "CPU, int8" in told
    assert "libcublas.so.12 is not found" in told
    assert "pip install nvidia-cublas-cu12" in told

    examined = reverie.run("doctor").stdout
    assert "warning GPU: NVIDIA Pretended 1: PyTorch" in examined
    assert "is built for the CPU, so the networks run there." in examined
    assert "warning GPU for speech: cuBLAS 12 is not installed" in examined
