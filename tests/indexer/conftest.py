from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.long_work import LongFiles
from indexer.media.container import VideoLimits
from indexer.media.frames import Strategy
from indexer.media.limits import Limits
from indexer.models.loading import load_stage
from indexer.models.speech import SpeechStage
from indexer.pipeline import Pipeline, Task
from indexer.records import Analysis, Failure
from indexer.seeing import Sampling
from indexer.stage import LoadedStage
from tests import tiny_tasks
from tests.sample_photos import copy_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    copy_photos(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Analysis | Failure]]:
    """Runs a pipeline to its end; returns the results in the order they were delivered."""

    def run(
        tasks: Iterator[Task] | list[Task],
        load: Callable[[str], LoadedStage],
        *,
        began: Callable[[int], None] = lambda _: None,
        tell: Callable[[int, float], None] = lambda media_id, share: None,
        batch_size: int = 4,
        made: Callable[[Pipeline], None] = lambda _: None,
    ) -> list[Analysis | Failure]:
        results: list[Analysis | Failure] = []
        pipeline = Pipeline(
            load_stage=load,
            thumbnails=tmp_path / "thumbnails",
            limits=Limits(max_pixels=20_000_000, max_bytes=50_000_000),
            decode_threads=2,
            batch_size=batch_size,
            max_wait=0.05,
            long_files=LongFiles(
                limits=VideoLimits(),
                sampling=Sampling(strategy=Strategy.ADAPTIVE, fps=2.0, threads=1),
                notes=tmp_path / "notes",
            ),
        )
        made(pipeline)
        pipeline.run(iter(tasks), began=began, deliver=results.append, tell=tell)
        return results

    return run


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> SpeechStage:
    """The builtin speech model."""
    stage = load_stage("speech:whisper-tiny-en", tiny_tasks.resources(tmp_path_factory.mktemp("speech")))
    assert isinstance(stage, SpeechStage)
    return stage
