"""Answers as text for a terminal."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO, cast

from daemon.terminal_images import Protocol, detect_protocol, draw
from daemon.timeline import inside_facts, length_facts, moments_line, render_timeline
from search.messages import DetectionMessage, PhotoMessage, SearchMessage, ServiceMessage, StatusMessage, TagMessage
from search.model_messages import ChangeMessage, DeviceMessage, StageMessage

KNOWN = {"year": 4, "month": 7, "day": 10, "minute": 16}
"""How many characters of "YYYY-MM-DDTHH:MM:SS" are known, by precision."""

SHOWN_TAGS = 12
SHOWN_DETECTIONS = 12
SHOWN_SUFFIXES = 10


def render_results(out: TextIO, message: SearchMessage, *, thumbnails: bool, environ: Mapping[str, str]) -> None:
    """Best first: number, path, where in it, date; the reasons below; the picture where the terminal can show it."""
    protocol = detect_protocol(environ) if thumbnails else None
    for number, result in enumerate(message["results"], start=1):
        date = f"  {result['taken_at'][:10]}" if result["taken_at"] else ""
        more = f"  (+{result['collapsed']} near-identical)" if result["collapsed"] else ""
        where = f"  {moments_line(result['moments'])}" if result["moments"] else ""
        out.write(f"{number:3}  {visible(home_short(result['path'], environ))}{where}{date}{more}\n")
        best = result["moments"][0] if result["moments"] else None
        reasons = dict.fromkeys([*(best["reasons"] if best else ()), *result["reasons"]])
        if reasons:
            out.write(f"     {visible(' · '.join(reasons))}\n")
        _picture(out, protocol, (best["thumbnail"] if best else None) or result["thumbnail"])
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
    facts.extend(inside_facts(message))
    if message["pixels"]:
        measured = message["pixels"]
        names = ("quality", "sharpness", "exposure", "contrast", "brightness")
        facts.append(("pixels", ", ".join(f"{name} {measured[name]:.2f}" for name in names)))
    if message["aesthetic"] is not None:
        facts.append(("aesthetic", f"{message['aesthetic']:.2f}"))
    if message["label"]:
        facts.append(("label", message["label"]))
    for source in dict.fromkeys(tag["source"] for tag in message["tags"]):
        tags = [tag for tag in message["tags"] if tag["source"] == source][:SHOWN_TAGS]
        facts.append((f"tags ({source})", ", ".join(map(_tag, tags))))
    seen = [one for one in message["detections"] if not one["segment"]]
    facts.extend(("seen", _detection(one)) for one in seen[:SHOWN_DETECTIONS])
    hidden = len(seen) - SHOWN_DETECTIONS
    if hidden > 0:
        facts.append(("seen", f"... and {hidden} more"))
    if message["cut_out"]:
        facts.append(("cut-out", message["cut_out"]))
    for job in message["jobs"]:
        problem = f": {job['problem']}" if job["problem"] else ""
        facts.append((f"stage {job['stage']}", f"{job['state']}{problem}"))
    width = max(len(name) for name, _ in facts)
    out.writelines(f"{name:<{width}}  {visible(value)}\n" for name, value in facts)
    render_timeline(out, message)


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
    lines.append(("media", f"{counts['done']:,} ready in {counts['files']:,} files, {waiting:,} to do"))
    if kinds := [_many(count, kind) for kind, count in message["kinds"].items()]:
        lines.append(("", ", ".join(kinds)))
    if counts["missing"]:
        lines.append(("missing", f"{counts['missing']:,} files are gone and not yet forgotten"))
    if message["passed_over"]:
        lines.append(("passed over", _suffixes_line(message["passed_over"])))
    lines.append(("profile", message["profile"]))
    if message["change"] is not None:
        lines.append(("change", change_line(message["change"])))
    lines.extend(("note", f"{note['title']} {note['remedy']}".strip()) for note in message["notes"])
    for stage in message["stages"]:
        lines.extend(_stage_facts(stage))
    lines.extend(("card", _device_line(device)) for device in message["devices"])
    lines.extend(("model", f"{model['name']} ({model['task']}, {model['licence']})") for model in message["models"])
    lines.extend(("vectors", f"{count:,} in {space}") for space, count in message["vectors"].items())
    width = max(len(name) for name, _ in lines)
    out.writelines(f"{name:<{width}}  {visible(value)}\n" for name, value in lines)
    if message["problems"]:
        out.write(f"\nProblems ({message['problems_total']:,}):\n")
        for problem in message["problems"]:
            out.write(f"  {visible(problem['path'])}\n    {problem['title']} {problem['remedy']}\n")
        hidden = message["problems_total"] - len(message["problems"])
        if hidden > 0:
            out.write(f"  ... and {hidden:,} more\n")


def visible(text: str) -> str:
    """A line as it can be printed: what is in names and captions must not steer the terminal, nor begin a new line."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) == "Cc" else one for one in text)


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


def time_left(eta_seconds: float | None, long_left: int) -> str:
    """ ", 12 min left"; videos and sounds, of which nobody knows how long they take, are only counted."""
    if not eta_seconds:
        return ""
    left = f", {duration(eta_seconds)} left"
    if not long_left:
        return left
    return f"{left} for photos, then {'one video or sound' if long_left == 1 else f'{long_left:,} videos and sounds'}"


def _suffixes_line(counts: Mapping[str, int]) -> str:
    """ "12 .xyz, 3 .pdf, 40 others"."""
    shown = [f"{count:,} {suffix or 'without suffix'}" for suffix, count in list(counts.items())[:SHOWN_SUFFIXES]]
    others = sum(list(counts.values())[SHOWN_SUFFIXES:])
    return ", ".join(shown + ([f"{others:,} others"] if others else []))


def _many(count: int, kind: str) -> str:
    """ "1 video", "37 photos"."""
    name = {"audio": "sound"}.get(kind, kind)
    return f"{count:,} {name}{'s' * (count != 1)}"


def _service_facts(service: ServiceMessage) -> Iterator[tuple[str, str]]:
    pace = service["pace"]
    yield "service", f"pid {service['pid']}, version {service['version']}, up {duration(service['uptime_seconds'])}"
    yield "state", service["state"]
    if service["trouble"]:
        yield "trouble", service["trouble"]
    if service["paused"]:
        yield "paused", service["paused"]
    if pace["photos_per_second"]:
        yield "speed", f"{pace['photos_per_second']:.1f} photos/s{time_left(pace['eta_seconds'], pace['long_left'])}"
    for one in service["long_files"]:
        yield "in progress", f"{one['path']} {one['share']:.0%}"
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


def change_line(change: ChangeMessage) -> str:
    """How far a change of profile is, in one sentence."""
    line = f"Changing to {change['profile']}: {change['done']:,} of {change['total']:,} files"
    if change["eta_seconds"]:
        line += f", {change['photos_per_second']:.1f} photos/s{time_left(change['eta_seconds'], change['long_left'])}"
    return f"{line}. {change['trouble']}" if change["trouble"] else f"{line}."


def _stage_facts(stage: StageMessage) -> Iterator[tuple[str, str]]:
    line = f"{stage['stage']}: {stage['runtime']}, {stage['device']}, {stage['precision']}"
    if stage["batch_size"]:
        line += f", batch {stage['batch_size']}"
    if stage["seconds"] and stage["photos_per_second"]:
        line += f", {stage['seconds'] * 1000:.1f} ms a photo ({stage['photos_per_second']:.0f} photos/s by itself)"
    yield "network", line
    for refusal in stage["refused"]:
        yield "not in use", f"{refusal['runtime']}: {refusal['reason']} {refusal['remedy']}".strip()


def _device_line(device: DeviceMessage) -> str:
    facts = [device["name"]]
    if device["utilisation"] is not None:
        facts.append(f"{device['utilisation']:.0%} busy")
    if device["memory_used"] is not None and device["memory_total"] is not None:
        facts.append(f"{device['memory_used'] / 1e9:.1f} of {device['memory_total'] / 1e9:.1f} GB")
    if device["celsius"] is not None:
        facts.append(f"{device['celsius']:.0f} °C")
    if device["watts"] is not None:
        limit = f" of {device['watts_limit']:.0f}" if device["watts_limit"] is not None else ""
        facts.append(f"{device['watts']:.0f}{limit} W")
    return ", ".join(facts)


def _tag(tag: TagMessage) -> str:
    """How many, what, how sure."""
    count = f"{tag['count']} \N{MULTIPLICATION SIGN} " if tag["count"] is not None else ""
    return f"{count}{tag['name']} {tag['confidence']:.2f}"


def _detection(one: DetectionMessage) -> str:
    left, top, right, bottom = one["box"]
    size = f"{right - left:.0%} x {bottom - top:.0%} of the picture"
    return f"{one['label']} {one['score']:.2f}, {size}, from {left:.0%} left, {top:.0%} top"


def _info_facts(info: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if info.get("width"):
        yield "picture", f"{info['format']}, {info['width']} x {info['height']}"
    elif info.get("format"):
        yield "format", f"{info['format']}"
    yield from length_facts(info)
    if info.get("taken_at"):
        yield "taken", _taken(info)
    for name, unit in (
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
    for note in cast(Sequence[Mapping[str, str]], info.get("notes") or ()):
        yield note["label"], note["text"]


def _taken(info: Mapping[str, object]) -> str:
    """The date as far as it is known, its zone, and what told them."""
    date, minutes = str(info["taken_at"]), info.get("utc_offset_minutes")
    known = date[: KNOWN.get(str(info.get("taken_precision")), len(date))].replace("T", " ")
    zone = ""
    if isinstance(minutes, int):
        hours, rest = divmod(abs(minutes), 60)
        zone = f" {'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
    sources = [str(info["taken_source"])] if info.get("taken_source") else []
    sources += [f"zone from {info['zone_source']}"] if info.get("zone_source") else []
    return f"{known}{zone} ({', '.join(sources)})" if sources else f"{known}{zone}"


def _picture(out: TextIO, protocol: Protocol | None, path: str) -> None:
    if protocol is not None and Path(path).is_file():
        draw(out, protocol, Path(path), columns=min(30, shutil.get_terminal_size().columns))
