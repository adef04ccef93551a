"""What the register says of the retention store: kept, approved, held, released, purged, restored.

What belongs here: the events and their fold. What does not: acting on them, and asking a store.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import TamperedError
from countersign.evidence.chain import ChainFile, Reading
from countersign.evidence.lines import Draft, parse_line
from countersign.runs.approvals import ACTOR, APPROVED, Act, Approval, Done
from countersign.runs.erasure import ERASED

HALVES = ("chain", "texts")
PACKED, HELD, RELEASED, PURGED, RESTORED = "packed", "retention_held", "retention_released", "purged", "restored"
_OPPOSITE = {HELD: RELEASED, RELEASED: HELD}
_CONFIGURED = ("root_opened", "configuration_adopted")
_EVENT = re.compile(rb'\{"prev":"[0-9a-f]{64}","seq":\d+,"ts":"[^"]*","event":"(\w+)"')
_READ = frozenset(name.encode() for name in (PACKED, HELD, RELEASED, PURGED, RESTORED, APPROVED, ERASED, *_CONFIGURED))


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
        return Draft(PACKED, ACTOR, data)


@dataclass(slots=True)
class Ledger:
    """Every day that was ever kept, what was done by two people, and the approvals of what was not done yet.

    `erased` are the texts that two people took out of each run since, by SHA-256 with their ids.
    """

    days: dict[date, KeptDay] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    waiting: dict[bytes, list[tuple[Approval, str]]] = field(default_factory=dict)
    erased: dict[str, dict[str, str]] = field(default_factory=dict)

    def standing(self) -> list[KeptDay]:
        """The days that have to be in the store, ascending."""
        return [kept for _, kept in sorted(self.days.items()) if not kept.purged]

    def settled(self, act: Act) -> datetime | None:
        """When the very act was done last, or its opposite for any of its days; None where neither was."""
        opposite = (done for done in self.done if done.act.what == _OPPOSITE.get(act.what))
        undone = [done.at for done in opposite if _days(done.act) & _days(act)]
        return max([*undone, *(done.at for done in self.done if done.act == act)], default=None)


def _days(act: Act) -> set[str]:
    return {each["day"] for each in act.on["days"]}


def read_ledger(register: Path) -> Ledger:
    """What the register's lines say. Raises TamperedError for one that is not of its form."""
    ledger = Ledger()
    in_force = ""
    for name, event, texts in _events(register):
        try:
            if name in _CONFIGURED:
                in_force = event["configuration"]
            else:
                _take(ledger, name, event, texts, in_force)
        except (KeyError, TypeError, ValueError) as error:
            where = f"the event {event.get('seq')} ({name})"
            raise TamperedError(f"{register}: {where} is not of its form (SEV-1)") from error
    return ledger


def _events(register: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """The events that matter here with their texts, without parsing the others."""
    found: tuple[str, dict[str, Any], dict[str, str]] | None = None
    reading = Reading(register)
    with ChainFile(register).reading() as file:
        for number, line in enumerate(file, start=1):
            said = _EVENT.match(line)
            event = reading.read(line, at=number, matters=said is not None and said[1] in _READ)
            if said is None:
                if found is not None:
                    _add_text(found[1], found[2], line)
                continue
            if found is not None:
                yield found
            found = None if event is None else (said[1].decode("ascii"), event, {})
    if found is not None:
        yield found


def _add_text(event: dict[str, Any], texts: dict[str, str], line: bytes) -> None:
    """Take a text for what the event says it is, and no other one."""
    said = parse_line(line) or {}
    name = str(said.get("text"))
    if event.get("texts", {}).get(name) == hashlib.sha256(line).hexdigest():
        texts[name] = str(said.get("value"))


def _take(ledger: Ledger, name: str, event: dict[str, Any], texts: dict[str, str], in_force: str) -> None:
    at = parse_instant(event["ts"])
    if name == PACKED:
        kept = _kept(event)
        ledger.days[kept.day] = kept
    elif name == RESTORED:
        if date.fromisoformat(event["day"]) not in ledger.days:
            raise ValueError("it was not kept")
    elif name == APPROVED:
        approval = Approval.read(event, event["actor"], at, texts)
        act = approval.act
        ledger.waiting.setdefault(act.canonical, []).append((approval, in_force))
    elif name == ERASED:
        ledger.erased.setdefault(event["run_id"], {}).update(dict.fromkeys(event["digests"], event["text"]))
    else:
        act = Act(name, {"days": event["days"]})
        approvals = ledger.waiting.pop(act.canonical, [])
        ledger.done.append(Done(act, at, tuple(event["by"]), tuple(approvals), ledger.settled(act)))
        for each in event["days"]:
            kept = ledger.days[date.fromisoformat(each["day"])]
            if name == PURGED:
                kept.purged = True
            else:
                kept.held = name == HELD


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
