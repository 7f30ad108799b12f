"""Builds and judges one engine in a process of its own: it needs PyTorch, memory to spare, and may crash.

Run as `python -m indexer.runtime.build` with a `Job` as one line of JSON on standard input, which stays open: when it
ends, whoever asked is gone, and the child goes too. The answer is a file: a report, or what failed (title, remedy).
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import ReverieError
from indexer.models.resources import Resources, RunPolicy
from indexer.runtime.gate import judge, reference_rows
from indexer.runtime.network import Network, NetworkRef, Photos
from indexer.runtime.runtimes import resolve

PARITY = "parity.json"
FAILED = 3
"""Exit status: not the runtime's fault, worth another try. Any other but 0 refuses the runtime."""
NICENESS = 10
"""The next runtime down serves meanwhile, and photos are decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a build child is to do."""

    runtime: str
    """"package.module:Class"."""
    network: NetworkRef
    resources: Resources
    directory: str
    """Where the engine is, or is to be built."""
    build: bool
    """False: it is there already, and is only judged."""
    source: str | None
    """An artefact of the runtime that this one can be built from."""
    samples: str
    """An .npz file of photos, in order."""
    real_samples: int
    report: str
    """Where the answer goes."""
    reference: str
    """A .npy file of what the reference says of these samples; written by the first build of a network."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(dataclasses.asdict(self), default=os.fspath)

    @staticmethod
    def from_json(line: str) -> Job:
        """What `to_json` wrote."""
        fields = json.loads(line)
        resources, network = fields["resources"], fields["network"]
        paths = {name: Path(resources[name]) for name in ("models", "model_cache", "thumbnails")}
        folders = tuple(Path(folder) for folder in resources["config_folders"])
        policy = RunPolicy(**{**resources["policy"], "avoid": tuple(resources["policy"]["avoid"])})
        fields["resources"] = Resources(**{**resources, **paths, "config_folders": folders, "policy": policy})
        fields["network"] = NetworkRef(network["factory"], tuple(network["arguments"]))
        return Job(**fields)


def run(job: Job) -> None:
    """Build if asked to, judge, and write the report. An engine that is refused leaves nothing else behind."""
    with np.load(job.samples, allow_pickle=False) as archive:
        samples = [archive[name] for name in archive.files]
    runtime, network, directory = resolve(job.runtime), job.network.resolve(), Path(job.directory)
    if job.build:
        source = Path(job.source) if job.source else None
        inputs = network.prepare(samples)
        runtime.build(network, directory, resources=job.resources, samples=inputs, source=source)
    report = judge(
        runtime,
        network,
        directory,
        resources=job.resources,
        samples=samples,
        real=job.real_samples,
        expected=_reference(job, network, samples),
    )
    if job.build and not report.verdict.passed:
        for path in directory.iterdir():
            path.unlink()
    report.write(Path(job.report))


def _reference(job: Job, network: Network, samples: Photos) -> NDArray[np.float32]:
    """The reference's rows, computed once for all runtimes of a network: on a processor that takes longest."""
    path = Path(job.reference)
    try:
        rows: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        rows = reference_rows(network, samples, threads=job.resources.threads)
        for older in path.parent.glob("*.npy"):
            older.unlink()
        partial = path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as stream:
            np.save(stream, rows)
        partial.replace(path)
    return rows


def main() -> int:
    """Entry of the child process."""
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    os.nice(NICENESS)
    try:
        run(job)
    except ReverieError as error:
        failure = {"title": error.title, "remedy": error.remedy}
    except (MemoryError, OSError) as error:
        failure = {"title": f"{type(error).__name__}: {error}", "remedy": "Free some memory and disk space."}
    else:
        return 0
    Path(job.report).write_text(json.dumps(failure), encoding="utf-8")
    return FAILED


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
