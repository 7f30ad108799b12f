"""Which hub is asked and with which token, from the environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.paths import home

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_LONGEST_TOKEN: Final = 4096
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Where plain HTTP shows a token to nobody."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A model hub, by its address."""

    endpoint: str = DEFAULT_ENDPOINT
    timeout_seconds: float = 30
    """A hub that says nothing for so long is given up."""
    token: str | None = field(default=None, repr=False)
    """Shown to the hub alone: never to another host, never in a message."""
    pause: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)
    """Waits for so many seconds when the hub asks for it."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pause: Callable[[float], None] = time.sleep) -> Hub:
        """The hub that HF_ENDPOINT names (a mirror), else the public one, with the user's token if there is
        one; plain HTTP to another machine goes without, since everybody on the way could read it.

        Raises ConfigError for what is no address, or no token.
        """
        endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
        try:
            parts = urlsplit(endpoint)
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None
            _ = parts.port
        except ValueError:
            usable = False
        if not usable:
            shown = endpoint.rpartition("@")[2]  # what stands before is a password
            raise ConfigError(
                f"HF_ENDPOINT is {shown}, which is no address of a hub.", f"Unset it, or set {DEFAULT_ENDPOINT}."
            )
        readable = parts.scheme == "http" and parts.hostname not in _THIS_MACHINE
        return cls(endpoint, token=None if readable else _token(environ), pause=pause)


def _token(environ: Mapping[str, str]) -> str | None:
    """The user's token, from where the hub's own client looks for it: HF_TOKEN, else the file that its login writes.

    A file that is not there or cannot be read is no token: no listed model needs one.
    """
    if token := environ.get("HF_TOKEN", "").strip():
        return _checked(token, "HF_TOKEN")
    file = _token_file(environ)
    try:
        with file.open(encoding="utf-8") as stream:
            token = stream.read(_LONGEST_TOKEN + 1).strip()
    except (OSError, ValueError):
        return None
    return _checked(token, str(file)) if token else None


def _token_file(environ: Mapping[str, str]) -> Path:
    if named := environ.get("HF_TOKEN_PATH"):
        return Path(named).expanduser()
    if named := environ.get("HF_HOME"):
        return Path(named).expanduser() / "token"
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home(environ) / ".cache") / "huggingface" / "token"


def _checked(token: str, origin: str) -> str:
    """Raises ConfigError, without the token, for what cannot be in a header."""
    if len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"What {origin} holds is no token of the model hub.", "Correct it, or remove it.")
    return token
