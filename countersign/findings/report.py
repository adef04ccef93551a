"""The operations report: clean runs against issues, whose turn it is, how clocks came out, what is open.

What belongs here: the numbers, read off the index, the findings and the published handoffs. What does not: how they
look, which is `chart` and whoever prints them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import pyarrow.parquet as pq

from countersign.clocks.instant import from_micros, to_micros
from countersign.evidence.indexed import Attainment, IndexedPause, Waiting
from countersign.evidence.plain import open_plain
from countersign.findings.finding import Findings
from countersign.findings.occurrences import waits_for
from countersign.policy import Role
from countersign.runs.engine import Engine
from countersign.runs.handoff import DATASET


@dataclass(frozen=True, slots=True)
class Turn:
    """What waits for a role: how many clocks run, how many of them are overdue, and when the next one is due."""

    role: str
    people: tuple[str, ...]
    running: int
    overdue: int
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """How everything stands at an instant; superseded runs do not count."""

    at: datetime
    clean: int
    issues: dict[str, int]
    waiting: int
    queue: tuple[Turn, ...]
    attainment: tuple[Attainment, ...]
    open_findings: dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class MonthlyReport:
    """How the clocks that were due in a month came out, and every pause that fell into it."""

    month: str
    attainment: tuple[Attainment, ...]
    pauses: tuple[IndexedPause, ...]


def report(engine: Engine, findings: Findings) -> Report:
    """The report as of now."""
    now, late = engine.clock(), engine.index.clocks.late_runs()
    clean_runs = _clean_runs(engine)
    clean, issues, waiting = 0, Counter[str](), 0
    for run in engine.index.all_runs():
        if run.superseded_by is not None or run.status == "OUT_OF_SCOPE":
            continue
        if run.run_id in late:
            issues["late"] += 1
        elif run.status == "COMPLETED":
            clean += run.run_id in clean_runs
            issues["exception or not tested"] += run.run_id not in clean_runs
        elif run.status in ("BLOCKED", "FAILED"):
            issues[run.status.lower()] += 1
        else:
            waiting += 1
    opened = Counter((one.what.owner, one.what.severity.value) for one in findings.open())
    return Report(
        now,
        clean,
        {name: count for name, count in sorted(issues.items()) if count},
        waiting,
        tuple(_queue(engine, now)),
        tuple(engine.index.clocks.attainment()),
        dict(sorted(opened.items())),
    )


def monthly(engine: Engine, month: date) -> MonthlyReport:
    """A month of clocks, from its first day on, in UTC."""
    begin = datetime.fromisoformat(f"{month:%Y-%m}-01T00:00:00+00:00")
    end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
    clocks, name = engine.index.clocks, f"{month:%Y-%m}"
    pauses = clocks.pauses_between(to_micros(begin), to_micros(end))
    return MonthlyReport(name, tuple(clocks.attainment(name)), tuple(pauses))


def _clean_runs(engine: Engine) -> set[str]:
    """The runs whose handoff, as it was published, says that they are clean."""
    clean: set[str] = set()
    for path in sorted((engine.root.datasets / DATASET).glob("day=*.parquet")):
        with open_plain(path) as file:
            rows = pq.read_table(file, columns=["run_id", "clean"])
        clean.update(rows.filter(rows.column("clean")).column("run_id").to_pylist())
    return clean


def _queue(engine: Engine, now: datetime) -> Iterator[Turn]:
    policy = engine.current.policy
    waiting = sorted(
        ((waits_for(one.kind, policy), one) for one in engine.index.clocks.waiting(to_micros(now))), key=_role
    )
    for role, group in groupby(waiting, key=_role):
        kinds = [one for _, one in group]
        ahead = [one.next_at for one in kinds if one.next_at is not None]
        yield Turn(
            role,
            tuple(engine.current.people.holding(role, now)),
            sum(one.running for one in kinds),
            sum(one.overdue for one in kinds),
            from_micros(min(ahead)) if ahead else None,
        )


def _role(pair: tuple[Role, Waiting]) -> Role:
    return pair[0]
