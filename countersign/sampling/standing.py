"""Until when the observer has for a month, and how each month stands.

What belongs here: reading the register, and one deadline a month. What does not: what follows when it is missed, which
is `findings`.
"""

from dataclasses import dataclass
from datetime import datetime

from countersign.clocks.allowance import ClockKind, Tier
from countersign.errors import CalendarError, EvidenceError
from countersign.runs.engine import Engine
from countersign.runs.versions import VersionStore
from countersign.sampling.frozen import FROZEN
from countersign.sampling.ledger import OBSERVED, MonthLines, Said, read_months
from countersign.sampling.month import Month


@dataclass(frozen=True, slots=True)
class Review:
    """How a frozen month stands with its observer. `due` is None where the calendar ends before it."""

    month: Month
    frozen_at: datetime
    due: datetime | None
    lines: MonthLines

    @property
    def observed_at(self) -> datetime | None:
        """When the first results came."""
        first = self.lines.of(OBSERVED)
        return first[0].at if first else None

    @property
    def complete(self) -> bool:
        """Whether the population was, as far as its tests could show when it was observed, drawn or else frozen."""
        said = self.lines.observed or self.lines.drawn or self.lines.of(FROZEN)[-1]
        return bool(said.data["complete"])

    def late(self, now: datetime) -> bool:
        """Whether no results had come by the due date."""
        return self.due is not None and (self.observed_at or now) > self.due

    def stands(self, now: datetime) -> str:
        """How the month stands, in words; no conclusion stands alone where something is missing or seeded it itself."""
        said = ["late"] if self.late(now) else []
        said += [] if self.complete else ["INCOMPLETE"]
        if self.lines.observed is not None:
            said.append(self.lines.observed.data["conclusion"])
            said += ["producer-seeded"] if self.lines.observed.data["seeded_by"] == "producer" else []
        elif self.lines.drawn is None:
            said.append("waits for the observer's nonce" if self.lines.nonce is None else "not drawn yet")
        else:
            said.append("drawn, and no results yet")
        return "; ".join(said)


def reviews(engine: Engine) -> list[Review]:
    """Every month that was frozen, the earliest first."""
    return [
        Review(month, lines.frozen.at, _due(engine.versions, lines.frozen), lines)
        for month, lines in read_months(engine.register.records()).items()
    ]


def review_of(engine: Engine, month: Month) -> Review | None:
    """How one month stands, None where it is not frozen."""
    return next((review for review in reviews(engine) if review.month == month), None)


def _due(versions: VersionStore, said: Said) -> datetime | None:
    """Until when a month is to be observed: it counts from the freeze, by the configuration that was in force then."""
    from countersign.clocks.business import BusinessTime  # noqa: PLC0415  (brings numpy; definitions load without)
    from countersign.clocks.clock import deadline  # noqa: PLC0415

    try:
        configuration = versions.at(said.configuration).configuration
        allowance = configuration.policy.allowance(ClockKind.POPULATION_OBSERVATION, Tier.STANDARD)
        return deadline(BusinessTime(configuration.calendar), allowance, said.at)
    except (CalendarError, EvidenceError):
        return None
