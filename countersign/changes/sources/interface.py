"""What a source gives. What belongs here: the interface; not any one system.

A source yields an item for everything that it read, so that counts add up: a record, a skip with its reason, or a
record that could not be read. A source that breaks off raises SourceError: a failed read is never a smaller one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Origin = Literal["extracted", "submitted"]


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


Item = Record | Skipped | Unreadable


class Source(Protocol):
    """One reading of one system."""

    @property
    def name(self) -> str:
        """How the register calls this source."""

    @property
    def adapter(self) -> str:
        """The kind of source, as policy names those whose evidence counts as extracted."""

    def state(self) -> str | None:
        """What is there now, cheaply: it differs when `items` would. None if it cannot say. Raises SourceError."""

    def items(self) -> Iterator[Item]:
        """Everything that is there, once each, in a stable order. Raises SourceError when it breaks off."""

    def declared(self) -> int | None:
        """How many items the source itself counts, found another way than by reading them; None if it cannot say."""
