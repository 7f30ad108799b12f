"""No library that we import reports to its makers or asks a hub: each is told so before it is imported."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

SILENCE: Final = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}
"""Variables of the environment: ONNX Runtime's, huggingface_hub's and transformers', Ray's, and the one that several
libraries heed, which is for what plug-ins bring. docs/decisions/no-telemetry.md says what each library would do."""


def silence(environ: MutableMapping[str, str]) -> None:
    """Set them in this process's environment, which its children inherit. What stands there already is overruled."""
    environ.update(SILENCE)
