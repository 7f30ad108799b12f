"""Answers as text for a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from daemon.terminal_images import Protocol, detect_protocol, draw
from search.messages import PhotoMessage, SearchMessage, ServiceMessage, StatusMessage

SHOWN_TAGS = 12


def render_results(out: TextIO, message: SearchMessage, *, thumbnails: bool, environ: Mapping[str, str]) -> None:
    """Best first: number, path, date; the reasons below; the picture where the terminal can show it."""
    protocol = detect_protocol(environ) if thumbnails else None
    for number, result in enumerate(message["results"], start=1):
        date = f"  {result['taken_at'][:10]}" if result["taken_at"] else ""
        more = f"  (+{result['collapsed']} near-identical)" if result["collapsed"] else ""
        out.write(f"{number:3}  {home_short(result['path'], environ)}{date}{more}\n")
        if result["reasons"]:
            out.write(f"     {' · '.join(result['reasons'])}\n")
        _picture(out, protocol, result["thumbnail"])
    if not message["confident"]:
        out.write("No confident match.\n")
    if message["note"]:
        out.write(f"{message['note']}\n")


def render_photo(out: TextIO, message: PhotoMessage, *, thumbnails: bool, environ: Mapping[str, str]) -> None:
    """Everything known about one file, one fact a line."""
    _picture(out, detect_protocol(environ) if thumbnails else None, message["thumbnail"])
    facts: list[tuple[str, str]] = [("path", path) for path in message["paths"]]
    facts.append(("content", f"sha256 {message['content_hash']}, {message['size']:,} bytes"))
    facts.extend(_info_facts(message["info"] or {}))
    if message["pixels"]:
        measured = message["pixels"]
        names = ("quality", "sharpness", "exposure", "contrast", "brightness")
        facts.append(("pixels", ", ".join(f"{name} {measured[name]:.2f}" for name in names)))
    if message["label"]:
        facts.append(("label", message["label"]))
    for source in dict.fromkeys(tag["source"] for tag in message["tags"]):
        tags = [tag for tag in message["tags"] if tag["source"] == source][:SHOWN_TAGS]
        facts.append((f"tags ({source})", ", ".join(f"{tag['name']} {tag['confidence']:.2f}" for tag in tags)))
    for job in message["jobs"]:
        problem = f": {job['problem']}" if job["problem"] else ""
        facts.append((f"stage {job['stage']}", f"{job['state']}{problem}"))
    width = max(len(name) for name, _ in facts)
    out.writelines(f"{name:<{width}}  {value}\n" for name, value in facts)


def render_status(out: TextIO, message: StatusMessage) -> None:
    """The state of the library and its service."""
    counts = message["counts"]
    lines = [("library", message["library"])]
    service = message["service"]
    if service is None:
        lines.append(("service", "not running (`reverie run` starts it)"))
    else:
        lines.extend(_service_facts(service))
    waiting = counts["unidentified"] + counts["pending"] + counts["running"]
    lines.append(("photos", f"{counts['done']:,} ready in {counts['files']:,} files, {waiting:,} to do"))
    if counts["missing"]:
        lines.append(("missing", f"{counts['missing']:,} files are gone and not yet forgotten"))
    lines.append(("profile", message["profile"]))
    lines.append(("runtime", f"{message['runtime']}; device {message['device']}"))
    lines.extend(("model", f"{model['name']} ({model['task']}, {model['licence']})") for model in message["models"])
    lines.extend(("vectors", f"{count:,} in {space}") for space, count in message["vectors"].items())
    width = max(len(name) for name, _ in lines)
    out.writelines(f"{name:<{width}}  {value}\n" for name, value in lines)
    if message["problems"]:
        out.write(f"\nProblems ({message['problems_total']:,}):\n")
        for problem in message["problems"]:
            out.write(f"  {problem['path']}\n    {problem['title']} {problem['remedy']}\n")
        hidden = message["problems_total"] - len(message["problems"])
        if hidden > 0:
            out.write(f"  ... and {hidden:,} more\n")


def home_short(path: str, environ: Mapping[str, str]) -> str:
    """A path with the home folder as `~`."""
    home = environ.get("HOME", "").rstrip("/")
    return f"~{path[len(home) :]}" if home and path.startswith(f"{home}/") else path


def duration(seconds: float) -> str:
    """Seconds for a person: "45 s", "12 min", "3 h 20 min"."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _service_facts(service: ServiceMessage) -> Iterator[tuple[str, str]]:
    pace = service["pace"]
    yield "service", f"pid {service['pid']}, version {service['version']}, up {duration(service['uptime_seconds'])}"
    yield "state", service["state"]
    if service["trouble"]:
        yield "trouble", service["trouble"]
    if pace["photos_per_second"]:
        eta = f", {duration(pace['eta_seconds'])} left" if pace["eta_seconds"] else ""
        yield "speed", f"{pace['photos_per_second']:.1f} photos/s{eta}"
    if pace["bottleneck"]:
        yield "held back by", pace["bottleneck"]
    if service["settling"]:
        yield "settling", f"{service['settling']} files are still being written"
    worker = service["worker_pid"]
    yield "worker", f"pid {worker}" if worker else "none (it starts when there is work)"
    for folder in service["folders"]:
        reason = f": {folder['reason']}" if folder["reason"] else ""
        yield "folder", f"{folder['path']} ({folder['mode']}{reason})"
        if folder["remedy"]:
            yield "", folder["remedy"]


def _info_facts(info: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if info.get("width"):
        yield "picture", f"{info['format']}, {info['width']} x {info['height']}"
    for name, unit in (
        ("taken_at", ""),
        ("camera", ""),
        ("lens", ""),
        ("exposure_seconds", " s"),
        ("f_number", ""),
        ("iso", ""),
        ("focal_length_mm", " mm"),
        ("title", ""),
        ("description", ""),
        ("rating", ""),
    ):
        if info.get(name) is not None:
            yield name.removesuffix("_seconds").removesuffix("_mm").replace("_", " "), f"{info[name]}{unit}"
    if info.get("latitude") is not None:
        yield "place", f"{info['latitude']:.5f}, {info['longitude']:.5f}"
    for name in ("keywords", "people"):
        values = info.get(name)
        if isinstance(values, list | tuple) and values:
            yield name, ", ".join(str(value) for value in values)


def _picture(out: TextIO, protocol: Protocol | None, path: str) -> None:
    if protocol is not None and Path(path).is_file():
        draw(out, protocol, Path(path), columns=min(30, shutil.get_terminal_size().columns))
