"""What the register says of the retention store: kept, held, released, purged, restored.

What belongs here: the events and their fold. What does not: acting on them, and asking a store.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft, parse_line

ACTOR = "countersign"
HALVES = ("chain", "texts")
_EVENT = re.compile(rb'\{"prev":"[0-9a-f]{64}","seq":\d+,"ts":"[^"]*","event":"(\w+)"')
_OURS = (b"packed", b"retention_held", b"retention_released", b"purged", b"restored")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One half of a pack as it was read back from the store."""

    key: str
    version: str
    sha256: str
    bytes: int
    mode: str


@dataclass(slots=True)
class KeptDay:
    """A finished day in the store. `register` and `findings` are where its lines begin and end, in bytes."""

    day: date
    store: str
    until: datetime
    register: tuple[int, int]
    findings: tuple[int, int]
    runs: int
    faults: int
    objects: dict[str, StoredObject]
    held: bool = False
    purged: bool = False
    restored: int = 0

    def draft(self) -> Draft:
        """The line that says that it is kept."""
        data = {
            "day": self.day.isoformat(),
            "store": self.store,
            "until": stamp(self.until),
            "register": list(self.register),
            "findings": list(self.findings),
            "runs": self.runs,
            "faults": self.faults,
            "objects": {half: asdict(stored) for half, stored in self.objects.items()},
        }
        return Draft("packed", ACTOR, data)


@dataclass(slots=True)
class Ledger:
    """Every day that was ever kept."""

    days: dict[date, KeptDay] = field(default_factory=dict)

    def standing(self) -> list[KeptDay]:
        """The days that have to be in the store, ascending."""
        return [kept for _, kept in sorted(self.days.items()) if not kept.purged]


def read_ledger(register: Path) -> Ledger:
    """What the register's lines say. Raises TamperedError for one that is not of its form."""
    ledger = Ledger()
    for name, event in _our_events(register):
        try:
            _take(ledger, name, event)
        except (KeyError, TypeError, ValueError) as error:
            raise TamperedError(
                f"{register}: the event {event.get('seq')} ({name}) is not of its form (SEV-1)"
            ) from error
    return ledger


def _our_events(register: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with ChainFile(register).reading() as file:
        for line in file:
            said = _EVENT.match(line)
            if said is not None and said[1] in _OURS:
                yield said[1].decode("ascii"), parse_line(line) or {}


def _take(ledger: Ledger, name: str, event: dict[str, Any]) -> None:
    if name == "packed":
        kept = _kept(event)
        ledger.days[kept.day] = kept
    elif name == "restored":
        ledger.days[date.fromisoformat(event["day"])].restored += 1
    else:
        for each in event["days"]:
            kept = ledger.days[date.fromisoformat(each["day"])]
            if name == "purged":
                kept.purged = True
            else:
                kept.held = name == "retention_held"


def _kept(event: dict[str, Any]) -> KeptDay:
    return KeptDay(
        date.fromisoformat(event["day"]),
        event["store"],
        parse_instant(event["until"]),
        _pair(event["register"]),
        _pair(event["findings"]),
        event["runs"],
        event["faults"],
        {half: StoredObject(**event["objects"][half]) for half in HALVES},
    )


def _pair(value: list[int]) -> tuple[int, int]:
    start, end = value
    return int(start), int(end)
