"""The only module of the domain that reads the clock, a random source or the environment.

What belongs here: the defaults that the outermost caller gets when it passes nothing. Everything below takes
these as arguments (invariant 12), so a test or a re-performance can pass its own.
"""

import os
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]


def utc_now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def random_bytes(count: int) -> bytes:
    """Unpredictable bytes, for the salts that keep an erased text from being guessed back."""
    return secrets.token_bytes(count)


def without_variables(names: Iterable[str]) -> dict[str, str]:
    """The environment of this process for a child, but for these variables."""
    left_out = set(names)
    return {name: value for name, value in os.environ.items() if name not in left_out}


def variables() -> dict[str, str]:
    """The environment of this process, for whoever fills secrets into an address."""
    return dict(os.environ)


def default_root() -> Path:
    """The evidence root: environment `COUNTERSIGN_ROOT`, else `./evidence`."""
    return Path(os.environ.get("COUNTERSIGN_ROOT") or "evidence")


def default_policy() -> Path:
    """The policy file: environment `COUNTERSIGN_POLICY`, else `./policy.yaml`."""
    return Path(os.environ.get("COUNTERSIGN_POLICY") or "policy.yaml")


def default_seal_key() -> Path | None:
    """The key that seals: environment `COUNTERSIGN_SEAL_KEY`, a private key file or the public one of an agent's."""
    path = os.environ.get("COUNTERSIGN_SEAL_KEY")
    return Path(path) if path else None
