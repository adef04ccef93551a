"""The handoff report: the workpaper's conclusion for the third-party observer, and how to check it.

What belongs here: the handoff's event, document and dataset row. With it a run's log closes.
"""

from typing import Any

from countersign.clocks.instant import stamp
from countersign.controls.assessment import Result
from countersign.evidence.columns import Column
from countersign.evidence.lines import Draft
from countersign.runs.state import RunState
from countersign.runs.versions import Versions
from countersign.runs.workpaper import workpaper_document

DATASET = "handoff_report"

_FINDING = (
    Column("control", "text", "the control"),
    Column("reason", "text", "why it came out so"),
    Column("quote", "text", "the cited words"),
)
COLUMNS = (
    Column("run_id", "text", "the run"),
    Column("change_id", "text", "the change, as its source names it"),
    Column("system", "text", "the system that was changed"),
    Column("tier", "text", "standard or emergency"),
    Column("observers", "texts", "roster ids of the observers it was handed to"),
    Column("conclusion", "text", "the workpaper's conclusion"),
    Column("clean", "flag", "every applicable control met, nothing left open"),
    Column("exceptions", "records", "controls that are not met", _FINDING),
    Column("abstentions", "records", "controls not tested", _FINDING),
    Column("opened_at", "instant", "when the run was opened"),
    Column("handed_off_at", "instant", "when it was handed off, which closed its log"),
    Column("workpaper", "text", "SHA-256 of the workpaper document"),
    Column("log_head", "text", "SHA-256 of the log's workpaper event"),
)

_AT_HEAD = "the line whose SHA-256 is `log_head` is the workpaper"


def handoff_event(state: RunState, versions: Versions) -> Draft:
    """The event that hands the workpaper to whoever observed on its day, and closes the log."""
    assert state.workpaper is not None
    assert state.workpaper_at is not None
    data = {
        "to": versions.people.holding("observer", state.workpaper_at),
        "workpaper": state.workpaper["document"],
        "log_head": state.workpaper_head,
        "conclusion": state.workpaper["conclusion"],
        "clean": state.workpaper["clean"],
    }
    return Draft("handed_off", "countersign", data)


def handoff_document(state: RunState) -> dict[str, Any]:
    """The handoff report in full: the workpaper, the head it stands on, and how to verify it."""
    assert state.handoff is not None
    assert state.handoff_at is not None
    return {
        "run_id": state.run_id,
        "to": list(state.handoff["to"]),
        "handed_off_at": stamp(state.handoff_at),
        "log_head": state.handoff["log_head"],
        "workpaper_digest": state.handoff["workpaper"],
        "workpaper": workpaper_document(state),
        "verify": [
            f"countersign verify {state.run_id}",
            "python -c \"from countersign import AuditLog; print(AuditLog(RUNDIR + '/audit.jsonl').verify())\"",
            f"by hand: each event line's `prev` is the SHA-256 of the whole event line before it; {_AT_HEAD}",
        ],
    }


def handoff_row(state: RunState) -> dict[str, Any]:
    """A completed run as a row of `COLUMNS`."""
    assert state.handoff is not None
    findings = {
        result: [
            {"control": judged.control, "reason": judged.reason, "quote": judged.quote}
            for judged in state.results
            if judged.result is result
        ]
        for result in (Result.EXCEPTION, Result.ABSTAINED)
    }
    return {
        "run_id": state.run_id,
        "change_id": state.change.id,
        "system": state.change.system,
        "tier": state.tier,
        "observers": list(state.handoff["to"]),
        "conclusion": state.handoff["conclusion"],
        "clean": state.handoff["clean"],
        "exceptions": findings[Result.EXCEPTION],
        "abstentions": findings[Result.ABSTAINED],
        "opened_at": state.opened_at,
        "handed_off_at": state.handoff_at,
        "workpaper": state.handoff["workpaper"],
        "log_head": state.handoff["log_head"],
    }
