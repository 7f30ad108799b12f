"""How each stage runs and how fast, and what the cards do, as messages for `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from indexer.records import Kind, RuntimeReport, stage_order
from indexer.runtime.gpu import GpuReading
from indexer.stages import applies
from search.model_messages import DeviceMessage, StageMessage


def stage_messages(reports: Mapping[str, RuntimeReport], seconds_per_step: Mapping[str, float]) -> list[StageMessage]:
    """One message for each stage with a network, in the order in which they run.

    `reports` is what the worker said (stage to report), `seconds_per_step` the mean seconds of a picture in each step.
    """
    messages: list[StageMessage] = []
    for stage in sorted(reports, key=stage_order):
        report = reports[stage]
        # What listens, or looks at videos only, takes as long as they are: per picture that says nothing.
        seconds = seconds_per_step.get(stage) if applies(stage, Kind.PHOTO) else None
        messages.append(
            {
                "stage": stage,
                "model": report.model,
                "device": report.device,
                "runtime": report.runtime,
                "precision": report.precision,
                "batch_size": report.batch_size,
                "seconds": None if seconds is None else round(seconds, 6),
                "photos_per_second": round(1 / seconds, 1) if seconds else None,
                "refused": [
                    {"runtime": refusal.runtime, "reason": refusal.reason, "remedy": refusal.remedy}
                    for refusal in report.refused
                ],
            }
        )
    return messages


def device_messages(readings: Sequence[GpuReading]) -> list[DeviceMessage]:
    """One message for each card."""
    return [
        {
            "name": reading.name,
            "utilisation": reading.utilisation,
            "memory_used": reading.memory_used,
            "memory_total": reading.memory_total,
            "celsius": reading.celsius,
            "watts": reading.watts,
            "watts_limit": reading.watts_limit,
        }
        for reading in readings
    ]
