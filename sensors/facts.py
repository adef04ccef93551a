"""The facts that sensors watch: what is there and not yet taken up. Read here, decided in `decisions`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from countersign.changes.sources.interface import Source
from countersign.errors import SourceError
from countersign.findings.due import MOST, due_now
from countersign.findings.finding import Findings
from countersign.runs.engine import Engine


@dataclass(frozen=True)
class Fact:
    """Something that waits for a run: `key` is the same while it is the same, `days` are those to be worked on."""

    key: str
    days: tuple[date, ...]
    says: str


def new_payloads(engine: Engine, sources: Sequence[Source]) -> Fact | None:
    """Sources that look otherwise than at their latest reading. Raises SourceError when no source can be looked at."""
    latest = engine.index.latest_intakes()
    changed: dict[str, str] = {}
    broken: list[str] = []
    for source in sources:
        try:
            state = source.state()
        except SourceError as error:
            broken.append(str(error))
            continue
        read = latest.get(source.name)
        if state is not None and (read is None or read.state != state or read.broken is not None):
            changed[source.name] = state
    if broken and not changed:
        raise SourceError("; ".join(broken))
    if not changed:
        return None
    return Fact(_key(sorted(changed.items())), (engine.today,), f"new in {', '.join(sorted(changed))}")


def recorded_sign_offs(engine: Engine) -> Fact | None:
    """Sign-offs that no run has taken up, and completed runs that a crash kept out of their day's files."""
    signed = engine.index.signed()
    unpublished = engine.views.unpublished()
    if not signed and not unpublished:
        return None
    days = tuple(sorted({*(run.day for run in signed), *unpublished}))
    parts = sorted((run.run_id, run.head) for run in signed) + [(day.isoformat(), "") for day in unpublished]
    return Fact(_key(parts), days, f"{len(signed)} sign-offs recorded, {len(unpublished)} days not published")


def due_clocks(engine: Engine, findings: Findings) -> Fact | None:
    """Clocks whose instant has come, and steps that are to be sent."""
    due = due_now(engine, findings, engine.clock())
    if not due.clocks and not due.steps:
        return None
    parts = sorted((":".join(clock.key), str(clock.next_at)) for clock in due.clocks)
    parts += sorted((step.id, "") for step in due.steps)
    more = " or more" if len(due.clocks) == MOST else ""
    return Fact(_key(parts), (), f"{len(due.clocks)}{more} clocks and {len(due.steps)} steps are due")


def _key(parts: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
