"""What `reverie models` says, as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from daemon.render import change_line, duration
from search.model_messages import CostMessage, KnownModelMessage, ModelsMessage

if TYPE_CHECKING:
    from daemon.verify import NetworkJudgement, RuntimeJudgement


def render_models(out: TextIO, message: ModelsMessage) -> None:
    """Profiles first, then models, then what is being changed."""
    out.write("Profiles:\n")
    table = [(profile["name"], profile["state"], profile["about"]) for profile in message["profiles"]]
    _table(out, table)
    for profile in message["profiles"]:
        if profile["missing"]:
            out.write(f"  {profile['name']} lacks {', '.join(profile['missing'])}: ")
            out.write(f"`reverie models pull {profile['name']}`\n")
    out.write("\nModels:\n")
    _table(out, [_row(model) for model in message["models"]])
    if message["change"] is not None:
        out.write(f"\n{change_line(message['change'])}\n  `reverie models cancel` stops the change.\n")


def render_cost(out: TextIO, cost: CostMessage) -> None:
    """What a change would take, one fact a line."""
    seconds = cost["seconds"]
    time_needed = "unknown: nothing like it was measured on this library yet"
    if seconds is not None:
        time_needed = f"about {duration(seconds)} for the photos, at the rate measured on this library"
    disk = f"{size(cost['vector_bytes'])} for vectors, {size(cost['index_bytes'])} for their index"
    lines = [
        ("profile", cost["profile"]),
        ("to analyse", f"{cost['photos']:,} photos, {cost['long_files']:,} videos and sounds, while searches go on"),
        ("disk", f"{disk}, beside the old ones until the change is done"),
        ("time", time_needed),
        (
            "afterwards",
            f"the results of {', '.join(cost['drops'])} are dropped" if cost["drops"] else "nothing is dropped",
        ),
    ]
    width = max(len(name) for name, _ in lines)
    out.writelines(f"{name:<{width}}  {value}\n" for name, value in lines)


def render_networks(out: TextIO, networks: Sequence[NetworkJudgement]) -> None:
    """What every runtime is worth for each network: a table each, and below it why some may not serve."""
    if not networks:
        out.write("Nothing to judge: these networks are judged when they are built for this machine.\n")
    head = ("runtime", "precision", "verdict", "cosine", "spread", "overlap", "items/s", "speed")
    for network in networks:
        photos = f"{network['real_samples']} photos of the library"
        if made_up := network["samples"] - network["real_samples"]:
            photos += f" and {made_up} generated pictures"
        out.write(f"{network['network']}, judged on {photos}:\n")
        _table(out, [head, *(_judgement_row(judged) for judged in network["runtimes"])])
        for judged in network["runtimes"]:
            if judged["reason"]:
                out.write(f"  {judged['runtime']}: {judged['reason']} {judged['remedy']}".rstrip() + "\n")


def size(count: int) -> str:
    """Bytes for a person: "512 B", "61 kB", "605 MB", "1.7 GB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 10 * unit else f"{count / unit:.0f} {name}"
    return f"{count} B"


def _judgement_row(judged: RuntimeJudgement) -> tuple[str, ...]:
    figures = [judged["cosine"], judged["spread"], judged["overlap"]]
    rate, speedup = judged["items_per_second"], judged["speedup"]
    verdict = "passed" if judged["passed"] else "not there" if judged["cosine"] is None else "refused"
    return (
        judged["runtime"],
        judged["precision"],
        verdict,
        *("" if figure is None else f"{figure:.4f}" for figure in figures),
        "" if rate is None else f"{rate:.1f}",
        "" if speedup is None else f"{speedup:.2f} x",
    )


def _row(model: KnownModelMessage) -> tuple[str, ...]:
    state = "in use" if model["in_use"] else "installed" if model["installed"] else "not installed"
    facts = [
        ("a package" if model["source"].startswith("package") else "size not known")
        if model["size"] is None
        else size(model["size"]),
        f"{model['dimension']} dimensions" if model["dimension"] else "",
        f"needs {size(model['memory_megabytes'] * 1_000_000)} of memory" if model["memory_megabytes"] else "",
        ", ".join(model["languages"]),
    ]
    return model["name"], model["task"], state, f"{', '.join(fact for fact in facts if fact)}; {model['licence']}"


def _table(out: TextIO, rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        out.write(f"  {line.rstrip()}\n")
