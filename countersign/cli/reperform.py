"""`reperform`: do the control tests of runs again, from what is kept alone, and compare the workpapers."""

import calendar
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, day_of, month_of
from countersign.cli.output import print_json, print_lines, progress
from countersign.controls.model.opening import open_model
from countersign.environment import utc_now
from countersign.evidence.root import EvidenceRoot
from countersign.findings.differences import record_differences
from countersign.runs.account import Registered
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.reperformance import LiveOutcome, Outcome, Reperformed, Reperformer
from countersign.runs.verification import RunFault


def reperform(
    run_id: Annotated[str | None, typer.Argument(help="One run.")] = None,
    day: Annotated[date | None, typer.Option(help="Every run of an intake day.", parser=day_of, metavar="DAY")] = None,
    month: Annotated[
        date | None, typer.Option(help="Every run of a month's intake days.", parser=month_of, metavar="YYYY-MM")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Also ask each run's model again; evidence leaves, as it did then.")
    ] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Perform runs again with the versions of then and compare their workpapers, byte by byte.

    A difference is a finding, SEV-1. Exit 1 where anything differs, or could not be performed.
    """
    if sum(choice is not None for choice in (run_id, day, month)) != 1:
        raise typer.BadParameter("name one of RUN_ID, --day and --month")
    performer = Reperformer(Path(root), live=open_model if live else None)
    runs = _chosen(performer, run_id, day, month)
    found = _Found(performer.faults)
    with progress("performing again", len(runs)) as advance:
        for one in performer.perform(runs):
            found.take(one)
            advance(1)
    findings = _recorded(root, [one for one in found.told if one.outcome is Outcome.DIFFERS])
    if as_json:
        print_json(_document(found, findings))
    else:
        print_lines(_lines(found, findings))
    if not found.ok:
        raise typer.Exit(1)


@dataclass
class _Found:
    """What came of all runs; `told` are those of which there is more to say than that they are identical."""

    faults: list[RunFault]
    counts: Counter[Outcome] = field(default_factory=Counter)
    answers: Counter[LiveOutcome] = field(default_factory=Counter)
    told: list[Reperformed] = field(default_factory=list)

    def take(self, one: Reperformed) -> None:
        self.counts[one.outcome] += 1
        if one.live is not None:
            self.answers[one.live.outcome] += 1
        if one.outcome is not Outcome.IDENTICAL or one.live is not None:
            self.told.append(one)

    @property
    def ok(self) -> bool:
        return self.counts.total() == self.counts[Outcome.IDENTICAL] and not self.faults


def _chosen(performer: Reperformer, run_id: str | None, day: date | None, month: date | None) -> list[Registered]:
    if run_id is not None:
        return performer.run(run_id)
    first = day or month
    assert first is not None
    last = first if day else first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return performer.opened(first, last)


def _recorded(root: Path, differing: list[Reperformed]) -> list[str]:
    if not differing:
        return []
    in_force = ConfigurationDesk(root).in_force()
    return record_differences(EvidenceRoot(root), differing, in_force, clock=utc_now)


def _document(found: _Found, findings: list[str]) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "runs": found.counts.total(),
        **{str(outcome): found.counts[outcome] for outcome in Outcome},
        "faults": [{"kind": fault.kind, "where": fault.where, "detail": fault.detail} for fault in found.faults],
        "results": [_result(one) for one in found.told],
        "asked_again": {str(outcome): found.answers[outcome] for outcome in LiveOutcome} if found.answers else None,
        "findings": findings,
    }


def _result(one: Reperformed) -> dict[str, Any]:
    live = one.live and {
        "outcome": str(one.live.outcome),
        "why": one.live.why,
        "diff": one.live.difference.diff if one.live.difference else [],
    }
    return {
        "run_id": one.run_id,
        "day": one.day.isoformat(),
        "outcome": str(one.outcome),
        "why": one.why,
        "differences": [{"what": each.what, "diff": each.diff} for each in one.differences],
        "asked_again": live,
    }


def _lines(found: _Found, findings: list[str]) -> Iterator[str]:
    for fault in found.faults:
        yield f"{fault.kind}  {fault.where}  expected: {fault.detail}"
    for one in found.told:
        yield from _told(one)
    counts = found.counts
    yield (
        f"{counts.total()} runs: {counts[Outcome.IDENTICAL]} identical, {counts[Outcome.DIFFERS]} differ, "
        f"{counts[Outcome.NOT_PERFORMED]} could not be performed again"
    )
    if found.answers:
        said = (f"{found.answers[outcome]} {outcome.replace('_', ' ')}" for outcome in LiveOutcome)
        yield f"asked again: {', '.join(said)}"
    if counts[Outcome.DIFFERS]:
        yield f"SEV-1, see ESCALATION.md; findings: {', '.join(findings) or 'on record already'}"


def _told(one: Reperformed) -> Iterator[str]:
    if one.outcome is Outcome.NOT_PERFORMED:
        yield f"{one.run_id}  NOT PERFORMED: {one.why}"
    for each in one.differences:
        yield f"{one.run_id}  DIFFERS: {each.what}"
        yield from each.diff
    if one.live is not None and one.live.outcome in (LiveOutcome.OTHER_RESULTS, LiveOutcome.NO_ANSWER):
        yield f"{one.run_id}  asked again: {one.live.outcome.replace('_', ' ')} {one.live.why or ''}".rstrip()
        yield from one.live.difference.diff if one.live.difference else ()
