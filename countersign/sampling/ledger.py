"""What the register says of the monthly samples: when each was frozen, seeded, drawn and observed.

What belongs here: reading those lines, and which seal covers one. What does not: writing any, and judging a signature.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from countersign.clocks.instant import parse_instant
from countersign.errors import SampleRefused, SamplingError, printable
from countersign.evidence.lines import Entry
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal, read_seal, seal_numbers, signature_path

FROZEN, NONCE, DRAWN, OBSERVED = "population_frozen", "sample_nonce", "sample_drawn", "sample_observed"
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

    month: str
    lines: list[Said] = field(default_factory=list)

    def of(self, event: str) -> list[Said]:
        """The lines of one event."""
        return [said for said in self.lines if said.event == event]

    @property
    def frozen(self) -> Said:
        """The freeze that counts, which is the last one. Raises SampleRefused where there is none."""
        freezes = self.of(FROZEN)
        if not freezes:
            raise SampleRefused(
                f"{self.month}: the population is not frozen; `countersign sample freeze {self.month}` does it"
            )
        return freezes[-1]

    def about(self, event: str) -> list[Said]:
        """The lines of one event that are about the frozen population."""
        digest = self.frozen.data["digest"]
        return [said for said in self.of(event) if said.data["digest"] == digest]

    @property
    def nonce(self) -> Said | None:
        """The observer's nonce for the frozen population."""
        return next(iter(self.about(NONCE)), None)

    @property
    def drawn(self) -> Said | None:
        """The last draw from the frozen population."""
        return next(reversed(self.about(DRAWN)), None)


def month_of(text: str) -> str:
    """A month as `2026-10`. Raises SamplingError."""
    try:
        if len(text) != len("2026-10"):
            raise ValueError("another length")
        return f"{date.fromisoformat(f'{text}-01'):%Y-%m}"
    except ValueError as error:
        raise SamplingError(f"{printable(text)}: no month; write it as 2026-10") from error


def read_month(entries: Iterable[Entry], month: str) -> MonthLines:
    """What a register's entries say of one month."""
    return read_months(entries).get(month) or MonthLines(month)


def read_months(entries: Iterable[Entry]) -> dict[str, MonthLines]:
    """What a register's entries say of every month, by month."""
    months: dict[str, MonthLines] = {}
    for said in _said(entries):
        months.setdefault(said.data["month"], MonthLines(said.data["month"])).lines.append(said)
    return dict(sorted(months.items()))


def _said(entries: Iterable[Entry]) -> Iterator[Said]:
    configuration = ""
    for entry in entries:
        if entry.event in _CONFIGURED:
            configuration = entry.data["configuration"]
        elif entry.event in (FROZEN, NONCE, DRAWN, OBSERVED):
            at = parse_instant(entry.ts)
            yield Said(entry.event, entry.actor, at, entry.line - 1, configuration, entry.data, entry.texts)


def require_sealed(root: EvidenceRoot, frozen: Said) -> Seal:
    """The first signed seal that covers a freeze, by which its digest was published. Raises SampleRefused."""
    for number in seal_numbers(root):
        if signature_path(root, number).is_file() and (seal := read_seal(root, number)).lines > frozen.index:
            return seal
    raise SampleRefused(
        f"{frozen.data['month']}: no seal covers the frozen population yet, so its digest is not published;"
        " `countersign seal` makes one"
    )
