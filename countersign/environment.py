"""The only module of the domain that reads the clock, a random source or the environment.

What belongs here: the defaults that the outermost caller gets when it passes nothing. Everything below takes
these as arguments (invariant 12), so a test or a re-performance can pass its own.
"""

import os
import secrets
import time
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


def elapsed_ms() -> int:
    """A reading of a clock that only goes forward, in milliseconds; two of them make a latency."""
    return time.monotonic_ns() // 1_000_000


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def variable(name: str) -> str | None:
    """An environment variable, such as the one that holds a key; None where it is unset or empty."""
    return os.environ.get(name) or None


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


def default_allowed_signers() -> Path | None:
    """Who may seal and witness, as ssh-keygen reads it: environment `COUNTERSIGN_ALLOWED_SIGNERS`, a file."""
    path = os.environ.get("COUNTERSIGN_ALLOWED_SIGNERS")
    return Path(path) if path else None


def default_key() -> Path | None:
    """The private key to sign with, or a public one whose private half the agent has: environment `COUNTERSIGN_KEY`."""
    named = os.environ.get("COUNTERSIGN_KEY")
    return Path(named) if named else None


def default_keys() -> Path:
    """The folder of key files: environment `COUNTERSIGN_KEYS`, else `.countersign/keys`."""
    return Path(os.environ.get("COUNTERSIGN_KEYS") or ".countersign/keys")


def agent_at_hand() -> bool:
    """Whether an SSH agent can be asked: environment `SSH_AUTH_SOCK`."""
    return bool(os.environ.get("SSH_AUTH_SOCK"))
