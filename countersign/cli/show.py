"""`show`: a run's pages, for people and as JSON."""

from typing import Annotated, Any

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_index
from countersign.cli.output import print_json, print_lines
from countersign.clocks.instant import stamp
from countersign.errors import EvidenceError
from countersign.evidence.lines import Entry
from countersign.evidence.log import AuditLog
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.findings.log import FindingsLog
from countersign.runs import pages
from countersign.runs.fold import read_state
from countersign.runs.handoff import handoff_document
from countersign.runs.state import RunState
from countersign.runs.workpaper import workpaper_document


def show(
    run_id: Annotated[str, typer.Argument(help="The run, as `countersign status` lists it.")],
    workpaper: Annotated[
        bool, typer.Option("--workpaper", help="The workpaper (the default; a draft until signed).")
    ] = False,
    handoff: Annotated[bool, typer.Option("--handoff", help="The handoff report.")] = False,
    log: Annotated[bool, typer.Option("--log", help="The audit log, event by event.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="The change and its evidence.")] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Show a run's workpaper, handoff report, log or evidence."""
    if workpaper + handoff + log + evidence > 1:
        raise typer.BadParameter("one page at a time: --workpaper, --handoff, --log or --evidence")
    place, index = open_index(root)
    run = index.known(run_id)
    path = place.log(run.day, run_id)
    if not path.is_file():
        raise EvidenceError(f"{run_id} was opened, but its log is not there; execute its payload again")
    entries = list(AuditLog(path).records())
    state = read_state(run_id, entries, place.blobs)
    document, lines = _page(state, entries, handoff=handoff, log=log, evidence=evidence)
    if handoff:
        added, register = _added(place, run_id), Register(place).standing()
        document, lines = {**document, **added, "shown_on": register}, [*lines, *pages.addenda_page(added)]
        lines += ["", f"SHOWN ON A {register}"]
    if as_json:
        print_json(document)
    else:
        print_lines(lines)


def _added(place: EvidenceRoot, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """What came after the handoff: breaches that came to light, and what observers made of the run."""
    findings = FindingsLog(place).read()
    late = [
        {"finding": one.finding, "to": list(one.to), "at": stamp(one.at)} for one in findings.addenda.get(run_id, ())
    ]
    seen = [
        {"by": one.by, "at": stamp(one.at), "outcome": str(one.outcome), "reason": one.reason}
        for one in findings.observations.get(run_id, ())
    ]
    return {"addenda": late, "observations": seen}


def _page(
    state: RunState, entries: list[Entry], *, handoff: bool, log: bool, evidence: bool
) -> tuple[dict[str, Any], list[str]]:
    if log:
        events = [_event(entry) for entry in entries]
        return {"run_id": state.run_id, "events": events}, pages.log_page(entries)
    if evidence:
        return _evidence(state), pages.evidence_page(state)
    if handoff:
        if state.handoff is None:
            raise EvidenceError(f"{state.run_id} is not handed off (status {state.status}): {state.reason}")
        document = handoff_document(state)
        return document, pages.handoff_page(document)
    if state.assessed_at is None:
        raise EvidenceError(f"{state.run_id} has no workpaper (status {state.status}): {state.reason}")
    document = {**workpaper_document(state), "status": str(state.status), "draft": state.workpaper is None}
    if state.workpaper is None:
        document["reason"] = state.reason
    return document, pages.workpaper_page(document)


def _event(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "ts": entry.ts,
        "event": entry.event,
        "actor": entry.actor,
        **entry.data,
        "texts": entry.texts,
        "head": entry.head,
    }


def _evidence(state: RunState) -> dict[str, Any]:
    if not state.ingested:
        raise EvidenceError(f"{state.run_id} has ingested nothing yet")
    return {
        "run_id": state.run_id,
        "digest": state.digest,
        "origin": state.origin,
        "source": state.source,
        "where": state.where,
        "payload": dict(state.payload.raw),
    }
