"""What a source gives. What belongs here: the interface; not any one system.

A source is read in two steps. `fetch` brings what the system gave, raw, into files; what it fetched is kept under its
digest, and `items` reads the kept bytes and nothing else. It yields an item for everything that it read, so that counts
add up: a record, a deployment, a skip with its reason, or a record that could not be read. One that breaks off raises
SourceError in either step: a failed read is never a smaller one.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from countersign.changes.deployment import Deployment
from countersign.errors import SourceError
from countersign.evidence import durable

Origin = Literal["extracted", "submitted"]

# before the adapter: how the register calls a reading that no entry of the policy names, and that none can be called
BY_HAND = "by hand/"


@dataclass(frozen=True, slots=True)
class Record:
    """A payload as the source gives it; `where` names the place, such as a file and a line."""

    where: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is no deployed change of this source, and why; counted as out of scope."""

    where: str
    change_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be a payload, and why; `content` is what was read."""

    where: str
    change_id: str | None
    reason: str
    content: bytes


Item = Record | Deployment | Skipped | Unreadable


@dataclass(frozen=True, slots=True)
class Raw:
    """What a source gave, in a file of its own; `query` is how it was asked for, or the name of the export."""

    path: Path
    query: str


class Source(Protocol):
    """One reading of one system."""

    @property
    def name(self) -> str:
        """How the register calls this source."""

    @property
    def adapter(self) -> str:
        """The kind of source, as policy names those whose evidence counts as extracted."""

    @property
    def extractor(self) -> str:
        """The adapter in its version: another version may read other payloads from the same bytes."""

    def state(self) -> str | None:
        """What is there now, cheaply: it differs when `items` would. None if it cannot say. Raises SourceError."""

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        """Write what the system gives now into an empty folder, byte for byte; nothing where payloads are submitted.

        Raises SourceError.
        """

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        """Everything that stands in these files, once each, in a stable order; they are `fetch`'s, in its order.

        Raises SourceError when it breaks off.
        """

    def rows(self) -> Sequence[int]:
        """How many rows each fetched file held; known once `items` was read to its end."""

    def joined(self) -> int:
        """How many of these rows are part of another row's item, as an approval is of its change; known with `rows`.

        Every row is an item or joined to one, so read + joined = rows.
        """

    def declared(self) -> int | None:
        """How many items the source itself counts, found another way than by reading them; None if it cannot say."""


def fetch_file(path: Path, scratch: Path, *, query: str | None = None) -> Raw:
    """Fetch an export that lies in a file. Raises SourceError where it cannot be read."""
    copy = scratch / path.name
    try:
        durable.new_file(copy).close()  # private before there is anything in it
        shutil.copyfile(path, copy)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    return Raw(copy, query or path.name)


def file_state(path: Path) -> str:
    """What tells one version of an export file from another, cheaply. Raises SourceError where there is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
