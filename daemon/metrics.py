"""The service's state in Prometheus' text format, for `/metrics`."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from search.messages import StatusMessage

HELP = {
    "files": "Live paths in the library",
    "unidentified": "Live paths not read yet",
    "media": "Distinct contents",
    "pending": "Contents waiting for analysis",
    "pending_long": "Videos and sounds among them",
    "running": "Contents being analysed",
    "done": "Contents fully analysed",
    "quarantined": "Contents given up on until they change",
    "problems": "Files with a problem",
    "missing": "Files that are gone and not yet forgotten",
}

_DeviceKey = Literal["utilisation", "memory_used", "memory_total", "celsius", "watts"]

DEVICE_GAUGES: dict[str, tuple[str, _DeviceKey]] = {
    "utilisation": ("Share of the time a graphics card was busy", "utilisation"),
    "memory_used_bytes": ("Memory of a graphics card that is in use", "memory_used"),
    "memory_total_bytes": ("Memory of a graphics card", "memory_total"),
    "celsius": ("Temperature of a graphics card", "celsius"),
    "watts": ("Power that a graphics card takes", "watts"),
}


def render_metrics(status: StatusMessage) -> bytes:
    """Every figure of a status message as a gauge named `reverie_…`."""
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, value: float) -> None:
        Gauge(f"reverie_{name}", help_text, registry=registry).set(value)

    for name, count in status["counts"].items():
        gauge(name, HELP.get(name, name), count)
    kinds = Gauge("reverie_media_by_kind", "Distinct contents of each kind", ["kind"], registry=registry)
    for kind, count in status["kinds"].items():
        kinds.labels(kind).set(count)
    vectors = Gauge("reverie_vectors", "Vectors in each space", ["space"], registry=registry)
    for space, count in status["vectors"].items():
        vectors.labels(space).set(count)
    batches = Gauge(
        "reverie_batch_size", "Photos in a batch of a stage", ["stage", "device", "runtime"], registry=registry
    )
    networks = Gauge(
        "reverie_network_seconds", "Mean seconds of a stage's network a photo", ["stage"], registry=registry
    )
    for stage in status["stages"]:
        batches.labels(stage["stage"], stage["device"], stage["runtime"]).set(stage["batch_size"])
        if stage["seconds"] is not None:
            networks.labels(stage["stage"]).set(stage["seconds"])
    for name, (help_text, key) in DEVICE_GAUGES.items():
        cards = Gauge(f"reverie_gpu_{name}", help_text, ["gpu"], registry=registry)
        for number, device in enumerate(status["devices"]):
            if (value := device[key]) is not None:
                cards.labels(f"{number}: {device['name']}").set(value)
    change = status["change"]
    if change is not None:
        gauge("change_done", "Files that have what the new profile wants", change["done"])
        gauge("change_total", "Files that a change of profile has to go through", change["total"])
    service = status["service"]
    if service is not None:
        pace = service["pace"]
        gauge("photos_per_second", "Analysis rate of the last half minute", pace["photos_per_second"])
        gauge("analysed_photos", "Files analysed since the service started", pace["finished"])
        gauge("failed_photos", "Files that failed since the service started", pace["failed"])
        gauge("long_files_in_progress", "Videos and sounds that are being gone through", len(service["long_files"]))
        gauge("settling_files", "Files still being written", service["settling"])
        gauge("uptime_seconds", "Seconds since the service started", service["uptime_seconds"])
        gauge("paused", "1 while nothing is handed to the networks on purpose", float(service["paused"] is not None))
        gauge("worker_running", "1 while a worker process exists", float(service["worker_pid"] is not None))
        steps = Gauge(
            "reverie_step_seconds", "Mean seconds a photo or frame spends in a step", ["step"], registry=registry
        )
        for step, seconds in pace["seconds_per_step"].items():
            steps.labels(step).set(seconds)
    return generate_latest(registry)
