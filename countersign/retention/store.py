"""What a retention store promises. What belongs here: the contract. What does not: any store, and what is kept.

Keys are relative paths with slashes. A version is whatever the store calls the one writing of a key; it means nothing
to anybody else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

Over = Literal["delete_marker", "other_version"]


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store says of one version now.

    `mode` is how it is locked, `until` until when (None: not at all). `digest` is the SHA-256 that the store itself
    computed and vouches for, None where only reading tells. `over` is what hides the version from a plain reading.
    """

    size: int
    mode: str
    until: datetime | None
    held: bool
    digest: str | None = None
    over: Over | None = None


class RetentionStore(Protocol):
    """Objects that are written once and cannot go before their time.

    Every method raises StoreError where the store cannot be reached, refuses, or answers in a way that cannot be
    understood. That is never taken for an answer: what could not be asked is neither there nor missing.
    """

    @property
    def name(self) -> str:
        """What the register calls this store. Another place has another name."""

    @property
    def modes(self) -> tuple[str, ...]:
        """The locks that this store gives, the strongest first. Whatever else `stat` shows is no lock."""

    def put(self, key: str, content: Path, digest: str, until: datetime) -> str:
        """Keep a file of this SHA-256 under a key, locked until an instant; returns its version.

        Only when it returns the object is durable. A key that has this very content already keeps it, and its lock
        may only grow longer; StoreError for any other content. A call that broke off half-way has kept the whole
        object or none, and is repeated in the same way.
        """

    def read(self, key: str, version: str) -> Iterator[bytes]:
        """The content of a version, in pieces."""

    def stat(self, key: str, version: str) -> Stat | None:
        """How a version stands, or None where the store knows for certain that it does not have it."""

    def hold(self, key: str, version: str, *, on: bool) -> None:
        """Put a version on legal hold, or take the hold off. What is on hold stays past its time."""

    def remove(self, key: str, version: str) -> None:
        """Remove a version for good. StoreError while it is locked or on hold; harmless where it is gone."""

    def find(self, prefix: str) -> list[tuple[str, str]]:
        """Every version under a prefix with its key, ascending by key: for whoever has lost the register."""
