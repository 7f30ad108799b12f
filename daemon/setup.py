"""What workers are told, made from the settings."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.errors import ModelError, StageBroken
from config.settings import Settings
from daemon.governor import Governor, GpuLimits
from daemon.protocol import Setup
from daemon.scheduler import Workers
from daemon.supervisor import Supervisor
from daemon.worker_pool import WorkerPool
from indexer.models.resources import RunPolicy
from indexer.runtime.devices import devices_for
from indexer.runtime.gpu import GpuMonitor


def setup_of(
    settings: Settings, *, thumbnails: Path | None = None, device: str | None = None, workers: int = 1
) -> Setup:
    """The first frame to a worker, one of so many that share the processor.

    `thumbnails` and `device` stand for those of the settings.
    """
    paths, processing, networks = settings.paths, settings.processing, settings.analysis.ml_models
    threads = math.ceil(processing.workers / workers)
    return Setup(
        thumbnails=os.fsencode(thumbnails or paths.thumbnails),
        models=os.fsencode(paths.models),
        model_cache=os.fsencode(paths.model_cache),
        config_folders=tuple(map(os.fsencode, paths.config_folders)),
        decode_threads=threads,
        network_threads=threads,
        batch_size=networks.batch_size,
        max_wait=processing.max_wait_seconds,
        max_pixels=processing.max_megapixels * 1_000_000,
        max_bytes=processing.max_file_megabytes * 1_000_000,
        notes=os.fsencode(paths.notes),
        extraction_strategy=settings.video.extraction_strategy,
        extract_fps=settings.video.extract_fps,
        max_video_seconds=settings.video.max_hours * 3600,
        max_video_pixels=settings.video.max_megapixels * 1_000_000,
        device=device or networks.device,
        use_tensorrt=networks.use_tensorrt,
        tensorrt_precision=networks.tensorrt_precision,
        enable_amp=networks.enable_amp,
        cudnn_benchmark=networks.cudnn_benchmark,
        allow_tf32=networks.allow_tf32,
        memory_megabytes=settings.gpu.memory_megabytes,
    )


def policy_of(settings: Settings) -> RunPolicy:
    """The same for networks that are run by the command line itself."""
    networks = settings.analysis.ml_models
    return RunPolicy(
        device=networks.device,
        batch_size=networks.batch_size,
        use_tensorrt=networks.use_tensorrt,
        tensorrt_precision=networks.tensorrt_precision,
        enable_amp=networks.enable_amp,
        cudnn_benchmark=networks.cudnn_benchmark,
        allow_tf32=networks.allow_tf32,
        memory_megabytes=settings.gpu.memory_megabytes,
    )


class Pool(Workers, Protocol):
    """Workers, and what `status` tells of them."""

    @property
    def pids(self) -> list[int]:
        """Process ids of those that run on this machine."""

    @property
    def pid(self) -> int | None:
        """The first of them."""

    @property
    def troubles(self) -> list[ModelError]:
        """Why some of them do not take part."""

    def rest(self, error: StageBroken) -> None:
        """Do without the worker that told of this for a while. Raises the error if no other can work."""


@dataclass(frozen=True, slots=True)
class Workforce:
    """The workers, and what says when they must wait."""

    pool: Pool
    governor: Governor


def employ(settings: Settings, environment: Mapping[str, str]) -> Workforce:
    """The workers of this machine, one for each device, that start when there is work.

    Nothing is started here; the cards are only counted.
    """
    processing, gpu = settings.processing, settings.gpu
    monitor = GpuMonitor()
    device, spread = settings.analysis.ml_models.device, settings.experimental.use_multi_gpu
    cards = monitor.devices() if spread else ()
    devices = devices_for(device, use_multi_gpu=spread, cards=cards, environment=environment)
    pool = WorkerPool(
        [
            Supervisor(
                setup_of(settings, device=one, workers=len(devices)),
                stall_seconds=processing.stall_seconds,
                idle_seconds=processing.idle_seconds,
                clock=time.monotonic,
            )
            for one in devices
        ],
        clock=time.monotonic,
    )
    limits = GpuLimits(
        max_celsius=gpu.max_celsius,
        max_watts=gpu.max_watts,
        memory_bytes=None if gpu.memory_megabytes is None else gpu.memory_megabytes << 20,
    )
    governor = Governor(
        monitor.devices,
        limits,
        devices=devices,
        environment=environment,
        workers=lambda: pool.pids,
        clock=time.monotonic,
    )
    return Workforce(pool, governor)


def employ_cluster(settings: Settings, address: str) -> Workforce:
    """The machines of a Ray cluster, which look after their own cards. Raises NoCluster."""
    from daemon.cluster import RayPool  # noqa: PLC0415 - few need it

    processing = settings.processing
    pool = RayPool(
        address,
        setup_of(settings),
        stall_seconds=processing.stall_seconds,
        idle_seconds=processing.idle_seconds,
    )
    governor = Governor(
        lambda: (), GpuLimits(), devices=(), environment={}, workers=lambda: pool.pids, clock=time.monotonic
    )
    return Workforce(pool, governor)
