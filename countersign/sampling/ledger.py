"""What the register says of the monthly samples: when each was frozen, seeded, drawn and observed.

What belongs here: reading those lines, and which seal covers one. What does not: writing any, and judging a signature.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from countersign.clocks.instant import parse_instant
from countersign.errors import SampleRefused
from countersign.evidence.lines import Entry
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal, read_seal, seal_numbers, signature_path
from countersign.sampling.frozen import FROZEN
from countersign.sampling.month import Month

NONCE, DRAWN, OBSERVED = "sample_nonce", "sample_drawn", "sample_observed"
_CONFIGURED = ("root_opened", "configuration_adopted")


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the register about a sample: `index` counts raw lines from 0, `configuration` was in force then."""

    event: str
    actor: str
    at: datetime
    index: int
    configuration: str
    data: dict[str, Any]
    texts: dict[str, str]


@dataclass(slots=True)
class MonthLines:
    """Everything that the register says of one month's sample, in its order."""

    month: Month
    lines: list[Said] = field(default_factory=list)

    def of(self, event: str) -> list[Said]:
        """The lines of one event."""
        return [said for said in self.lines if said.event == event]

    def before(self, said: Said) -> "MonthLines":
        """What was said before a line."""
        return MonthLines(self.month, [one for one in self.lines if one.index < said.index])

    @property
    def frozen(self) -> Said:
        """The freeze of the population; later ones add what came late. Raises SampleRefused where there is none."""
        freezes = self.of(FROZEN)
        if not freezes:
            raise SampleRefused(
                f"{self.month}: the population is not frozen; `countersign sample freeze {self.month}` does it"
            )
        return freezes[0]

    @property
    def nonce(self) -> Said | None:
        """The observer's nonce for the frozen population."""
        return next(iter(self.of(NONCE)), None)

    @property
    def drawn(self) -> Said | None:
        """The draw that counts, which is the last one."""
        return next(reversed(self.of(DRAWN)), None)

    @property
    def observed(self) -> Said | None:
        """The last results of the draw that counts."""
        drawn = self.drawn
        found = [said for said in self.of(OBSERVED) if drawn and said.data["manifest"] == drawn.data["manifest"]]
        return next(reversed(found), None)


def read_month(entries: Iterable[Entry], month: Month) -> MonthLines:
    """What a register's entries say of one month."""
    return read_months(entries).get(month) or MonthLines(month)


def read_months(entries: Iterable[Entry]) -> dict[Month, MonthLines]:
    """What a register's entries say of every month that was frozen, the earliest first."""
    months: dict[Month, MonthLines] = {}
    for said in _said(entries):
        month = Month.parse(said.data["month"])
        months.setdefault(month, MonthLines(month)).lines.append(said)
    return dict(sorted(months.items()))


def _said(entries: Iterable[Entry]) -> Iterator[Said]:
    configuration = ""
    for entry in entries:
        if entry.event in _CONFIGURED:
            configuration = entry.data["configuration"]
        elif entry.event in (FROZEN, NONCE, DRAWN, OBSERVED) and not entry.missing:  # else void, see Register.records
            at = parse_instant(entry.ts)
            yield Said(entry.event, entry.actor, at, entry.line - 1, configuration, entry.data, entry.texts)


def require_sealed(root: EvidenceRoot, said: Said) -> Seal:
    """The first signed seal that covers a line, by which it was published. Raises SampleRefused."""
    for number in seal_numbers(root):
        if signature_path(root, number).is_file() and (seal := read_seal(root, number)).lines > said.index:
            return seal
    raise SampleRefused(
        f"{said.data['month']}: no seal covers its {said.event} line yet, so nobody else can know of it;"
        " `countersign seal` makes one"
    )
