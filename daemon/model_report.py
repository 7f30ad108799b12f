"""What is known, installed and in use, and what a change of profile would cost: as messages."""

from __future__ import annotations

from config.errors import ReverieError
from config.paths import Paths
from daemon.rates import Rates
from daemon.view import BUILTIN_PLAN
from indexer.models.builtin import ModelCard, describe_models
from indexer.models.listing import ModelEntry, ModelList, load_list, models_of, plan_for, split_stage
from indexer.models.store import Store
from indexer.records import Kind, Plan
from search.catalog import Catalog
from search.model_messages import (
    ChangeMessage,
    CostMessage,
    KnownModelMessage,
    ModelMessage,
    ModelsMessage,
    ProfileMessage,
)

FLOAT16 = 2
ROW_BYTES = 3 * 8
"""Of an index's row besides the vector: its id, its photo's id, whether it is alive."""


class UnknownName(ReverieError):
    """No profile or model is called so."""

    exit_status = 2


def plan_of(profile: str, paths: Paths) -> Plan:
    """The plan of a profile as it is defined and installed now.

    Raises UnknownName, ModelError for a profile that lacks a model, ConfigError for a list that is wrong.
    """
    listed = load_list(paths.config_folders)
    if profile not in listed.profiles:
        kind = "a model, not a profile" if profile in listed.models else "not the name of a profile"
        raise UnknownName(f"{profile} is {kind}.", f"The profiles are: {', '.join(listed.profiles)}.")
    return plan_for(profile, listed, Store(paths.models), paths.config_folders)


def models_in_use(plan: Plan, paths: Paths) -> list[ModelMessage]:
    """The models behind the stages of a plan."""
    messages = [_card_message(card) for card in describe_models()] if "concepts" in plan.stages else []
    names = _model_names(plan)
    if not names:
        return messages
    listed = load_list(paths.config_folders).models
    for name in names:
        entry = listed.get(name)
        if entry is not None:
            messages.append(
                {
                    "name": name,
                    "task": entry.task,
                    "source": _source(entry),
                    "version": (entry.revision or "")[:12],
                    "licence": entry.licence,
                }
            )
    return messages


def known_models(catalog: Catalog | None, paths: Paths, change: ChangeMessage | None) -> ModelsMessage:
    """Everything in the lists, with what is installed and in use. `catalog` is None where there is no library yet.

    Raises ConfigError for a list that is wrong.
    """
    listed, store = load_list(paths.config_folders), Store(paths.models)
    active = None if catalog is None else catalog.plans().active
    in_use = (active or BUILTIN_PLAN).profile
    used = {entry.name for entry in models_of(listed.profiles[in_use], listed)} if in_use in listed.profiles else set()
    profiles = []
    for profile in listed.profiles.values():
        entries = models_of(profile, listed)
        missing = [entry.name for entry in entries if not store.installed(entry)]
        state = "not installed" if missing else "ready"
        if change is not None and change["profile"] == profile.name:
            state = "being built"
        if profile.name == in_use:
            state = "in use"
        message: ProfileMessage = {
            "name": profile.name,
            "about": profile.about,
            "state": state,
            "stages": list(profile.stages),
            "models": [entry.name for entry in entries],
            "missing": missing,
        }
        profiles.append(message)
    models = [
        _model_message(entry, installed=store.installed(entry), in_use=entry.name in used)
        for entry in listed.models.values()
    ]
    return {"profiles": profiles, "models": models, "change": change}


def cost_of(profile: str, catalog: Catalog, paths: Paths) -> CostMessage:
    """What a change to a profile would take. Raises as `plan_of` does."""
    plan = plan_of(profile, paths)
    active = catalog.plans().active or BUILTIN_PLAN
    counts = catalog.counts()
    photos = counts.kinds.get(Kind.PHOTO, 0)
    new = plan.space != active.space
    # A video has a vector for each of its moments: as many as now, as far as it was gone through.
    rows = max(counts.media, counts.vectors.get(active.space.name, 0)) if new else 0
    vectors = rows * plan.space.dimension * FLOAT16
    more = new or bool(set(plan.stages) - set(active.stages))
    drops = sorted(set(active.stages) - set(plan.stages))
    rate = Rates(paths.library).rate_of(plan)
    return {
        "profile": profile,
        "photos": photos if more else 0,
        "long_files": counts.media - photos if more else 0,
        "vector_bytes": vectors,
        "index_bytes": vectors + rows * ROW_BYTES,
        "seconds": photos / rate if rate else None,
        "drops": drops,
    }


def named(name: str, listed: ModelList) -> list[ModelEntry]:
    """The models that a profile's or a model's name stands for. Raises UnknownName."""
    if name in listed.profiles:
        return list(models_of(listed.profiles[name], listed))
    if name in listed.models:
        return [listed.models[name]]
    raise UnknownName(
        f"There is no profile or model {name!r}.",
        f"The profiles are {', '.join(listed.profiles)}; the models are {', '.join(listed.models)}.",
    )


def _model_names(plan: Plan) -> list[str]:
    """The listed models that the stages of a plan run, each once."""
    pairs = [split_stage(stage) for stage in plan.stages if ":" in stage]
    return list(dict.fromkeys(model for _, model in pairs))


def _card_message(card: ModelCard) -> ModelMessage:
    return {
        "name": card.name,
        "task": card.task,
        "source": f"package {card.package}",
        "version": card.version,
        "licence": card.licence,
    }


def _source(entry: ModelEntry) -> str:
    return f"package {entry.package}" if entry.package else f"{entry.repository}"


def _model_message(entry: ModelEntry, *, installed: bool, in_use: bool) -> KnownModelMessage:
    return {
        "name": entry.name,
        "task": entry.task,
        "title": entry.title,
        "about": entry.about,
        "source": _source(entry),
        "revision": entry.revision or "",
        "licence": entry.licence,
        "size": entry.size,
        "dimension": entry.dimension,
        "memory_megabytes": entry.memory_megabytes,
        "languages": list(entry.languages),
        "installed": installed,
        "in_use": in_use,
    }
