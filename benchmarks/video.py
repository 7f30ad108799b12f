"""How long a video takes, step by step, against its own length, against OpenCV, and for longer and longer videos.

    python -m benchmarks.video [--rounds 3] [--minutes 1 10 60] [--quick]

The clip is made here: 60 seconds of 1920 x 1080, 30 frames a second, H.264 with a keyframe each second as phones
write it, photos that a camera moves over, a cut every 5 seconds, and speech (espeak-ng) through half of it.

- **everything**: the real worker line with the builtin profile on that clip, networks loaded before: shots, colours,
  concepts, sound, speech, thumbnails. The goal: twice as fast as it plays.
- **steps**, each alone: metadata; the frames that are looked at; the networks; speech. They overlap in the line.
- **OpenCV**: every frame decoded through cv2.VideoCapture, in the same round. The goal: our frames 3 times as fast.
- **length**: the same clip 1, 10 and 60 times in a row (copied, not encoded again), each in a process of its own:
  seconds for each minute, and the memory at its peak. The goals: a minute of the longest costs at most 1.2 times one of
  the shortest that is long enough to tell (10), and its process takes at most 1.3 times the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2

from benchmarks import report
from config.settings import load
from daemon.model_report import plan_of
from daemon.setup import setup_of
from daemon.worker import long_files_of, resources_of
from indexer.hearing import hear
from indexer.media.files import FileIdentity
from indexer.media.frames import sample
from indexer.media.limits import Limits
from indexer.media.video import open_video
from indexer.models.loading import load_stage
from indexer.notes import Notes
from indexer.photo_work import Task
from indexer.pipeline import Pipeline
from indexer.records import Analysis, Failure, Kind
from indexer.stage import LoadedStage, SoundStage
from indexer.stages import applies
from tests.films import View, film
from tests.sample_photos import PHOTOS

SECONDS, SHOT = 60, 5
GAP = 0.1
"""Seconds between two copies: packets may be stamped a little before the beginning of their file."""
TEXT = (
    "We are at the lake with the whole family, and the children have built a boat out of old wood. "
    "Later there will be cake, and grandmother will tell the story of the winter when the river froze."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--quick", action="store_true", help="a small clip, nothing kept: does it run?")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.once is not None:
        print(json.dumps(once(args.once)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        clip = make_clip(Path(scratch, "clip.mp4"), quick=args.quick)
        rounds, minutes = (1, [1]) if args.quick else (args.rounds, args.minutes)
        figures = measure(clip, Path(scratch), rounds, minutes)
    report.write(
        "video", figures, ["av", "opencv-python-headless", "faster-whisper", "onnxruntime"], keep=not args.quick
    )


def make_clip(path: Path, *, quick: bool) -> Path:
    """The clip, or a small one."""
    seconds, size, fps = (10, (320, 180), 10) if quick else (SECONDS, (1920, 1080), 30)
    names = list(PHOTOS)
    views = [View(names[number % len(names)], SHOT) for number in range(seconds // SHOT)]
    says = [(start, TEXT) for start in range(2, seconds - 8, 24)]
    return film(path, views, says=says, size=size, fps=fps, options={"g": str(fps), "preset": "veryfast"})


def measure(clip: Path, scratch: Path, rounds: int, minutes: Sequence[int]) -> dict[str, Any]:
    """Seconds of each step and of everything, the ratios, and the cost of length."""
    line = Line(scratch)
    with open_video(str(clip), line.long_files.limits) as video:
        length = video.info.duration
        size = f"{video.info.width} x {video.info.height}"
    line.run(clip)  # what is loaded and built only once is there
    runs: list[dict[str, float]] = []
    for _ in range(rounds):
        analysis, everything = line.run(clip)
        runs.append(
            {
                "metadata": seconds_of(lambda: metadata(clip, line)),
                "frames": seconds_of(lambda: frames(clip, line)),
                "opencv": seconds_of(lambda: opencv(clip)),
                "speech": seconds_of(lambda: listen(clip, line)),
                "networks": analysis.seconds["resize"] + analysis.seconds["concepts"],
                "everything": everything,
            }
        )
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    to_opencv = statistics.median(run["opencv"] / run["frames"] for run in runs)
    longer = [cost_of(clip, scratch, count) for count in minutes]
    base, last = longer[min(1, len(longer) - 1)], longer[-1]
    return {
        "clip": {"seconds": round(length, 1), "size": size, "megabytes": round(clip.stat().st_size / 1e6, 1)},
        "seconds": {name: round(value, 3) for name, value in medians.items()},
        "times_playback": {name: round(length / value, 1) for name, value in medians.items()},
        "length": longer,
        "rounds": [{name: round(value, 3) for name, value in run.items()} for run in runs],
        "goals": [
            report.goal("a video with speech, everything: times playback", length / medians["everything"], at_least=2),
            report.goal("a video's frames: times as fast as OpenCV decodes them all", to_opencv, at_least=3),
            report.goal(
                f"a minute of a video {last['times']} times as long as the clip, to one of {base['times']}",
                last["seconds_per_clip"] / base["seconds_per_clip"],
                at_most=1.2,
            ),
            report.goal(
                f"memory for a video {last['times']} times as long as the clip, to {base['times']}",
                last["megabytes"] / base["megabytes"],
                at_most=1.3,
            ),
        ],
    }


class Line:
    """The worker's line with the settings as they come, in a library of its own."""

    def __init__(self, scratch: Path) -> None:
        settings = load(environ=os.environ, files=[], flags={"library": str(scratch / "library")})
        setup = setup_of(settings)
        plan = plan_of("builtin", settings.paths)
        self._stages = tuple(stage for stage in plan.stages if applies(stage, Kind.VIDEO))
        resources = resources_of(setup)
        self.stages: dict[str, LoadedStage] = {}
        self.long_files = long_files_of(setup)
        self._runs = 0

        def loading(name: str) -> LoadedStage:
            self.stages[name] = load_stage(name, resources)
            return self.stages[name]

        self._pipeline = Pipeline(
            load_stage=loading,
            thumbnails=Path(os.fsdecode(setup.thumbnails)),
            limits=Limits(max_pixels=setup.max_pixels, max_bytes=setup.max_bytes),
            decode_threads=setup.decode_threads,
            batch_size=setup.batch_size,
            max_wait=setup.max_wait,
            long_files=self.long_files,
        )

    def run(self, clip: Path) -> tuple[Analysis, float]:
        """Everything about a clip, as if it had never been seen; and the seconds that it took."""
        self._runs += 1
        status = clip.stat()
        task = Task(
            media_id=1,
            content_hash=f"{self._runs:064x}",
            path=str(clip),
            identity=FileIdentity(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino),
            sidecars=(),
            stages=self._stages,
            kind=Kind.VIDEO,
        )
        results: list[Analysis | Failure] = []
        began = time.perf_counter()
        self._pipeline.run(iter([task]), began=lambda _: None, deliver=results.append)
        seconds = time.perf_counter() - began
        [result] = results
        if isinstance(result, Failure) or result.failed:
            raise SystemExit(f"the clip was not analysed: {result}")
        return result, seconds


def seconds_of(action: Callable[[], object]) -> float:
    """How long one call takes."""
    return report.milliseconds(action) / 1000


def metadata(clip: Path, line: Line) -> None:
    """What the file says about itself."""
    with open_video(str(clip), line.long_files.limits):
        pass


def frames(clip: Path, line: Line) -> None:
    """The frames that are looked at, small and upright."""
    sampling = line.long_files.sampling
    with open_video(str(clip), line.long_files.limits) as video:
        for _ in sample(video, sampling.strategy, every=1 / sampling.fps, threads=sampling.threads):
            pass


def opencv(clip: Path) -> None:
    """Every frame, as OpenCV gives it."""
    capture = cv2.VideoCapture(str(clip))
    while capture.read()[0]:
        pass
    capture.release()


def listen(clip: Path, line: Line) -> None:
    """Sound, voice activity and speech to text."""
    stages = {name: stage for name, stage in line.stages.items() if isinstance(stage, SoundStage)}
    with open_video(str(clip), line.long_files.limits) as video, tempfile.TemporaryDirectory() as notes:
        hear(video.source, stages, Notes(Path(notes), "0" * 64, ""), tell=lambda _: None)


def cost_of(clip: Path, scratch: Path, times: int) -> dict[str, float]:
    """Seconds for each time that the clip comes in a row, and megabytes at the peak, in a process of its own."""
    path = repeated(clip, scratch / f"{times}.mp4", times)
    command = [sys.executable, "-m", "benchmarks.video", "--once", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    path.unlink()
    figures: dict[str, float] = json.loads(said)
    return {
        "times": times,
        "seconds_per_clip": round(figures["seconds"] / times, 3),
        "megabytes": round(figures["megabytes"], 1),
        "moments": figures["moments"],
    }


def once(path: Path) -> dict[str, float]:
    """One video in this process: seconds without loading, megabytes at the peak."""
    with tempfile.TemporaryDirectory() as scratch:
        line = Line(Path(scratch))
        line.run(make_clip(Path(scratch, "small.mp4"), quick=True))
        analysis, seconds = line.run(path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": peak / 1024, "moments": len(analysis.segments) - 1}


def repeated(clip: Path, path: Path, times: int) -> Path:
    """The clip so many times in a row, as one file; nothing is encoded again."""
    with av.open(str(path), "w") as output:
        shift = 0.0
        with av.open(str(clip)) as source:
            streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for _ in range(times):
            end = shift
            with av.open(str(clip)) as source:
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    moved = round(shift / packet.time_base)
                    packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    packet.stream = streams[packet.stream.index]
                    output.mux(packet)
            shift = end + GAP
    return path


if __name__ == "__main__":
    main()
