"""The service's state in Prometheus' text format, for `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from search.messages import StatusMessage

HELP = {
    "files": "Live paths in the library",
    "unidentified": "Live paths not read yet",
    "media": "Distinct contents",
    "pending": "Photos waiting for analysis",
    "running": "Photos being analysed",
    "done": "Photos fully analysed",
    "quarantined": "Photos given up on until they change",
    "problems": "Files with a problem",
    "missing": "Files that are gone and not yet forgotten",
}


def render_metrics(status: StatusMessage) -> bytes:
    """Every figure of a status message as a gauge named `reverie_…`."""
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, value: float) -> None:
        Gauge(f"reverie_{name}", help_text, registry=registry).set(value)

    for name, count in status["counts"].items():
        gauge(name, HELP.get(name, name), count)
    vectors = Gauge("reverie_vectors", "Vectors in each space", ["space"], registry=registry)
    for space, count in status["vectors"].items():
        vectors.labels(space).set(count)
    service = status["service"]
    if service is not None:
        pace = service["pace"]
        gauge("photos_per_second", "Analysis rate of the last half minute", pace["photos_per_second"])
        gauge("analysed_photos", "Photos analysed since the service started", pace["finished"])
        gauge("failed_photos", "Photos that failed since the service started", pace["failed"])
        gauge("settling_files", "Files still being written", service["settling"])
        gauge("uptime_seconds", "Seconds since the service started", service["uptime_seconds"])
        gauge("worker_running", "1 while a worker process exists", float(service["worker_pid"] is not None))
        steps = Gauge("reverie_step_seconds", "Mean seconds a photo spends in a step", ["step"], registry=registry)
        for step, seconds in pace["seconds_per_step"].items():
            steps.labels(step).set(seconds)
    return generate_latest(registry)
