"""The engines of one network on this machine: where each is kept, and how the child that builds it is run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from config.errors import ModelError
from indexer.models.resources import Resources
from indexer.runtime import gate
from indexer.runtime.artifacts import UNFINISHED, ArtifactCache, check_private, key_of, sha256_of
from indexer.runtime.build import FAILED, PARITY, Job
from indexer.runtime.devices import CUDA_MEMORY
from indexer.runtime.engines import Engine
from indexer.runtime.gate import Report
from indexer.runtime.network import NetworkRef, Photos
from indexer.runtime.runtimes import Runtime, path_of
from indexer.runtime.samples import GateSamples

logger = logging.getLogger(__name__)

_BUILD_SECONDS = 3600
"""After this a build hangs. TensorRT takes minutes; a large network on a slow processor may too."""
_SHORTAGE = ("no space left", "out of memory", "allocate memory", "bad_alloc")
"""Lower case, in a library's own words: not the runtime's fault, and gone another time."""
_PROJECT = Path(__file__).resolve().parents[2]
_REFERENCE = "reference"
_SHARED_CODE = ("build.py", "gate.py", "owned.py", "parity.py", "torch_engine.py")


class DamagedEngine(ModelError):
    """An engine is not as it was built: it must be built again."""


class Workshop:
    """Builds, judges and opens engines. Directories are 0700: an engine can carry code."""

    def __init__(self, ref: NetworkRef, resources: Resources) -> None:
        self.network = ref.resolve()
        self._ref = ref
        self._resources = resources
        self._root = resources.model_cache / "engines"
        self._child: subprocess.Popen[bytes] | None = None
        self._child_lock = threading.Lock()
        self._stopped = False

    def report(self, runtime: Runtime) -> Report | None:
        """What the gate said, if the engine was built before."""
        return Report.read(self._folder(runtime) / self._name(runtime) / PARITY)

    def open(self, runtime: Runtime) -> Engine:
        """Open an engine that was built. Raises ModelError if it is damaged, not private, or will not run."""
        return runtime.open(self.network, self._verified(runtime), resources=self._resources)

    def open_unbuilt(self, runtime: Runtime) -> Engine:
        """Open a runtime that has no artefact (the reference). Raises ModelError."""
        return runtime.open(self.network, self._root, resources=self._resources)

    def obtain(self, runtime: Runtime, samples: Photos, source: Runtime | None) -> Report:
        """The report on an engine, which is built first where it is missing or damaged.

        `source`: a runtime that passed, from whose artefact this one can be built. A runtime that raises is refused,
        and that is kept like any verdict. Raises ModelError if the child was killed, or the fault is not the runtime's:
        then nothing is kept, and the next call tries again.
        """
        self._make_private(self._folder(runtime))
        cache = ArtifactCache(self._folder(runtime))
        origin = None if source is None else self._verified(source)
        path = cache.obtain(self._name(runtime), lambda target: self._build(runtime, target, samples, origin))
        report = Report.read(path / PARITY)
        if report is None:
            raise DamagedEngine(f"The verdict in {path} cannot be read.", f"Delete it: rm -r {path}")
        return report

    def judge(self, runtime: Runtime, samples: Photos) -> Report:
        """Judge an engine that was built by other samples; a refusal replaces it. Raises as `obtain` does."""
        path = self._verified(runtime)
        with tempfile.TemporaryDirectory() as scratch:
            answer = Path(scratch, PARITY)
            self._run_child(runtime, path, samples, answer, build=False, source=None)
            report = Report.read(answer) or gate.refused("it gave no verdict")
        if not report.verdict.passed:
            self.discard(runtime)
            ArtifactCache(self._folder(runtime)).obtain(
                self._name(runtime), lambda target: report.write(target / PARITY)
            )
        return report

    def discard(self, runtime: Runtime) -> None:
        """Delete an engine."""
        ArtifactCache(self._folder(runtime)).discard(self._name(runtime))

    def stop(self) -> None:
        """End the build that runs, and let no other begin."""
        with self._child_lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()

    def _verified(self, runtime: Runtime) -> Path:
        path = ArtifactCache(self._folder(runtime)).find(self._name(runtime))
        if path is None:
            raise DamagedEngine(f"The engine of {runtime.title} is missing or damaged.", "It is built again by itself.")
        check_private(path, self._root)
        return path

    def _folder(self, runtime: Runtime) -> Path:
        return self._network_folder / runtime.name

    @property
    def _network_folder(self) -> Path:
        return self._root / re.sub(r"[^\w.-]+", "_", self.network.name)

    def _reference(self, samples: Photos) -> Path:
        """Where the reference's rows for these samples are kept, for all runtimes of the network."""
        folder = self._network_folder / _REFERENCE
        self._make_private(folder)
        digest = hashlib.sha256()
        for sample in samples:
            digest.update(repr(sample.shape).encode() + sample.tobytes())
        version = importlib.metadata.version("torch")
        return folder / f"{key_of(self.network.fingerprint, version, digest.hexdigest())}.npy"

    def _name(self, runtime: Runtime) -> str:
        """Changes with all that an engine depends on: network, thresholds, code, versions, device, shapes."""
        network = self.network
        classes = [kind for kind in type(runtime).__mro__ if kind.__module__ not in ("builtins", "typing")]
        files = {inspect.getfile(kind) for kind in classes}
        files.update(str(Path(__file__).with_name(name)) for name in _SHARED_CODE)
        return key_of(
            network.fingerprint,
            repr((network.inputs, network.outputs, network.limits[runtime.precision])),
            *(sha256_of(Path(file)) for file in sorted(files)),
            *runtime.recipe(self._resources),
        )

    def _make_private(self, folder: Path) -> None:
        try:
            self._resources.model_cache.mkdir(parents=True, exist_ok=True)
            for part in (self._root, folder.parent, folder):
                part.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ModelError(
                f"The model cache {self._root} cannot be written: {error.strerror or error}.",
                "Free some space there, make it writable, or choose another place with XDG_CACHE_HOME.",
            ) from error
        check_private(folder, self._root)

    def _build(self, runtime: Runtime, target: Path, samples: Photos, source: Path | None) -> None:
        logger.info("building %s for %s, once for this machine", runtime.title, self.network.name)
        self._run_child(runtime, target, samples, target / PARITY, build=True, source=source)

    def _run_child(
        self, runtime: Runtime, directory: Path, samples: Photos, answer: Path, *, build: bool, source: Path | None
    ) -> None:
        real = samples.real if isinstance(samples, GateSamples) else len(samples)
        # Beside the engine: what a kill leaves behind, the next build clears away.
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=UNFINISHED) as scratch:
            archive, log = Path(scratch, "samples.npz"), Path(scratch, "log")
            np.savez(archive, *samples)
            job = Job(
                runtime=path_of(runtime),
                network=self._ref,
                resources=self._resources,
                directory=str(directory),
                build=build,
                source=None if source is None else str(source),
                samples=str(archive),
                real_samples=real,
                report=str(answer),
                reference=str(self._reference(samples)),
            )
            try:
                status = self._wait(job, log)
            except subprocess.TimeoutExpired:
                status, hangs = 1, f"it took more than {_BUILD_SECONDS // 60} minutes"
            else:
                hangs = ""
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if status == 0:
            return
        if status == FAILED and answer.exists():
            failure = json.loads(answer.read_bytes())
            raise ModelError(failure["title"], failure["remedy"])
        if status < 0:
            raise ModelError(
                f"Building {runtime.title} for {self.network.name} was ended by signal {-status}.",
                "It is tried again at the next start; if it happens again, the machine may be short of memory.",
            )
        last = hangs or (lines[-1] if lines else f"exit status {status}")
        if any(words in last.lower() for words in _SHORTAGE):
            raise ModelError(f"Building {runtime.title} failed: {last}", "Free some memory and disk space.")
        logger.error("building %s for %s failed:\n%s", runtime.title, self.network.name, "\n".join(lines))
        for path in directory.iterdir() if build else ():
            path.unlink()
        gate.refused(f"it could not be built: {last}").write(answer)

    def _wait(self, job: Job, log: Path) -> int:
        """Run the child to its end. Its standard input stays open for as long as we live."""
        search_path = os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "indexer.runtime.build"]
        with log.open("wb") as output:
            with self._child_lock:
                if self._stopped:
                    raise ModelError("The build was called off.", "It is tried again at the next start.")
                child = self._child = subprocess.Popen(
                    command,
                    env={**CUDA_MEMORY, **os.environ, "PYTHONPATH": search_path},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=output,
                )
            try:
                self._send(child, job)
                return child.wait(_BUILD_SECONDS)
            finally:
                child.kill()
                child.wait()
                self._child = None
                if child.stdin is not None:
                    child.stdin.close()

    @staticmethod
    def _send(child: subprocess.Popen[bytes], job: Job) -> None:
        if child.stdin is None:
            raise ModelError("The build child has no input.", "")
        try:
            child.stdin.write(job.to_json().encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            # It died at once; its exit status says why.
            return
