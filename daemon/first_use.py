"""One line, said once to each user after an indexing: what `reverie models pull standard` would add.

It is said on any machine, with or without a GPU. Whether the hub can be reached is not known without asking it, which
nothing here does; a machine without a network takes the files from a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from config.errors import ReverieError
from config.paths import user_state
from daemon.models_render import size
from search.model_messages import ModelsMessage

OFFERED, FLOOR = "standard", "builtin"
"""The first profile is offered to users who have only the second."""
FILE_NAME = "told-of-models"


def offer_once(known: Callable[[], ModelsMessage], environ: Mapping[str, str]) -> str | None:
    """The line, the first time that a user of the builtin profile indexes; else None.

    Where it cannot be remembered that it was said, or `known` cannot tell, it is not said.
    """
    try:
        told = user_state(environ) / FILE_NAME
        if told.exists():
            return None
        line = _line(known())
        if line is not None:
            told.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            told.touch()
    except (OSError, ReverieError):
        return None
    return line


def _line(known: ModelsMessage) -> str | None:
    profiles = {profile["name"]: profile for profile in known["profiles"]}
    offered, floor = profiles.get(OFFERED), profiles.get(FLOOR)
    if offered is None or floor is None or floor["state"] != "in use" or not offered["missing"]:
        return None
    # The list does not know every download; the weights as 32-bit numbers are as large or larger.
    missing = [model for model in known["models"] if model["name"] in offered["missing"]]
    total = sum(model["size"] or (model["memory_megabytes"] or 0) * 10**6 for model in missing)
    return f"`reverie models pull {OFFERED}` ({size(total)} from the model hub) would add: {offered['about']}"
