"""`run` and `intake`: changes in, each to its next pause."""

import sys
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Annotated

import typer

from countersign.changes.sources.build import git_source, github_source
from countersign.changes.sources.deployments import DeploymentsSource
from countersign.changes.sources.files import FilesSource, StreamSource
from countersign.changes.sources.interface import Source
from countersign.changes.sources.servicenow import ServicenowSource
from countersign.cli.deployments import deployments_document, print_deployments
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_engine
from countersign.cli.output import print_json, print_table, progress, say
from countersign.clocks.instant import parse_instant
from countersign.clocks.zones import zone_names, zone_of
from countersign.errors import SourceError
from countersign.evidence.register import IntakeTotals
from countersign.findings.watch import look
from countersign.policy import Limits, Policy
from countersign.runs.deployments import Reconciliation, reconcile
from countersign.runs.engine import Engine, Outcome
from countersign.runs.intake import Intake, record_broken_source, take_in
from countersign.runs.state import Status

app = typer.Typer(no_args_is_help=True)

_NO = (Status.BLOCKED, Status.FAILED)


def run(
    files: Annotated[list[str], typer.Argument(help="Payload files (JSON, JSON Lines), folders of them, or - .")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Execute payloads: new ones become runs, known ones go on from their checkpoint."""
    engine = open_engine(root, policy)
    limits = engine.current.policy.limits
    sources = [_stream(limits) if name == "-" else FilesSource(Path(name), limits) for name in files]
    _read_all(engine, sources, as_json)


def _stream(limits: Limits) -> Source:
    if sys.stdin is None:
        raise SourceError("-: cannot be read: standard input is closed")
    return StreamSource(sys.stdin.buffer, limits)


@app.command("files")
def files_command(
    path: Annotated[Path, typer.Argument(help="A folder, a JSON file or a JSON Lines file of payloads.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Read payload files."""
    engine = open_engine(root, policy)
    _read_all(engine, [FilesSource(path, engine.current.policy.limits)], as_json)


@app.command("git")
def git_command(
    path: Annotated[Path, typer.Argument(help="A git repository.")],
    since: Annotated[str | None, typer.Option(help="First day or instant, by committer time.")] = None,
    until: Annotated[str | None, typer.Option(help="Day or instant before which to stop.")] = None,
    system: Annotated[str | None, typer.Option(help="The system it holds; by default the folder's name.")] = None,
    merges: Annotated[bool, typer.Option("--merges", help="Merge commits only.")] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Read the commits of a git repository as changes."""
    engine = open_engine(root, policy)
    current = engine.current.policy
    begin, end = _instant("--since", since, current), _instant("--until", until, current)
    if begin is not None and end is not None and begin >= end:
        raise typer.BadParameter(f"{until!r} has to be after --since {since!r}", param_hint="--until")
    source = git_source(current, path, system=system, since=begin, until=end, merges_only=merges)
    _read_all(engine, [source], as_json)


@app.command("github")
def github_command(
    file: Annotated[Path, typer.Argument(help="What `gh pr list` wrote; README.md has the command.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Read an export of pull requests as changes."""
    engine = open_engine(root, policy)
    _read_all(engine, [github_source(engine.current.policy, file)], as_json)


@app.command("deployments")
def deployments_command(
    file: Annotated[Path, typer.Argument(help="An export of deployments: JSON Lines, or CSV with a header.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Read deployments; each is joined to its changes, or becomes a run of its own where no change names it."""
    engine = open_engine(root, policy)
    _read_all(engine, [DeploymentsSource(file, engine.current.policy.limits)], as_json)


@app.command("servicenow")
def servicenow_command(
    file: Annotated[Path, typer.Argument(help="An export of change_request, CSV or JSON.")],
    zone: Annotated[str, typer.Option(help="The zone of its times: the session's, or UTC for database values.")],
    approvals: Annotated[Path | None, typer.Option(help="An export of sysapproval_approver, CSV or JSON.")] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Read an export of ServiceNow's change requests as changes."""
    if zone not in zone_names():
        raise typer.BadParameter(f"{zone!r} is not an IANA zone such as America/New_York", param_hint="--zone")
    engine = open_engine(root, policy)
    _read_all(engine, [ServicenowSource(file, zone=zone_of(zone), approvals=approvals)], as_json)


def _instant(option: str, text: str | None, policy: Policy) -> datetime | None:
    """An instant, or midnight of a day in the policy's zone."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-23"):
            return datetime.combine(datetime.fromisoformat(text).date(), time(), policy.zone)
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day such as 2026-11-23, and it {error}", param_hint=option) from error


def _read_all(engine: Engine, sources: Sequence[Source], as_json: bool) -> None:
    intakes = []
    broken = []
    for source in sources:
        try:
            with progress(f"reading {source.name}", source.declared()) as advance:
                intakes.append(take_in(engine, source, progress=advance))
        except SourceError as error:
            record_broken_source(engine, source, str(error))
            broken.append(error)
    found = {outcome.run_id: outcome for intake in intakes for outcome in intake.runs}
    look(engine)  # what is late is on record before a workpaper is written
    # a payload that is known goes on from its checkpoint, if it can
    with progress("going on") as advance:
        found |= {outcome.run_id: outcome for outcome in engine.advance(run_ids=list(found), progress=advance)}
    if intakes:
        followed = [chunk for intake in intakes for chunk in intake.followed]
        _report(intakes, list(found.values()), reconcile(engine.index, followed) if followed else None, as_json)
    if broken:
        raise SourceError("\n".join(map(str, broken)))
    if any(intake.refusals for intake in intakes) or any(outcome.status in _NO for outcome in found.values()):
        raise typer.Exit(1)


def _report(
    intakes: Sequence[Intake], runs: Sequence[Outcome], deployments: Reconciliation | None, as_json: bool
) -> None:
    totals = sum((intake.totals for intake in intakes), IntakeTotals())
    refusals = [refusal for intake in intakes for refusal in intake.refusals]
    if as_json:
        document = {
            "totals": totals.as_dict(),
            "runs": [outcome_document(outcome) for outcome in runs],
            "refusals": [
                {"change_id": refusal.change_id, "where": refusal.where, "reason": refusal.reason}
                for refusal in refusals
            ],
            "skipped": [
                {"change_id": skipped.change_id, "where": skipped.where, "reason": skipped.reason}
                for intake in intakes
                for skipped in intake.skipped
            ],
            **({"deployments": deployments_document(deployments)} if deployments else {}),
        }
        print_json(document)
        return
    print_outcomes(runs)
    if deployments:
        print_deployments(deployments)
    if refusals:
        rows = [(refusal.change_id, refusal.where, refusal.reason) for refusal in refusals]
        print_table(("change", "where", "refused because"), rows)
    print_totals(totals)


def outcome_document(outcome: Outcome) -> dict[str, str | None]:
    """A run as every JSON document shows it."""
    return {
        "run_id": outcome.run_id,
        "change_id": outcome.change_id,
        "status": str(outcome.status),
        "pending": str(outcome.pending) if outcome.pending else None,
        "reason": outcome.reason,
        "rundir": str(outcome.rundir),
    }


def print_outcomes(runs: Sequence[Outcome]) -> None:
    """Runs as a table; of many alike only how many there are."""
    shown = [outcome for outcome in runs if len(runs) <= 40 or outcome.status in _NO]
    rows = [(run.run_id, run.change_id, str(run.status), run.reason) for run in shown]
    if rows:
        print_table(("run", "change", "status", "because"), rows)
    if len(shown) < len(runs):
        say(f"{len(runs) - len(shown)} more runs; `countersign status` lists them all")


def print_totals(totals: IntakeTotals) -> None:
    """The control totals, always: read = opened + known + refused + out of scope."""
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in totals.as_dict().items())
    print_table(("totals",), [(counts,)])
