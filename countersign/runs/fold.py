"""From a run's log to its state: the fold of its events, which is the checkpoint.

What belongs here: one way to read every event, and the order in which they may come. What does not: deciding
anything new. An event out of order is TamperedError, since nobody but the engine and the signers writes here.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from countersign.changes.payload import Payload
from countersign.clocks.instant import parse_instant
from countersign.controls.assessment import Result
from countersign.errors import TamperedError
from countersign.evidence.lines import ERASED, Entry
from countersign.policy import Key
from countersign.runs.concealment import text_of_evidence
from countersign.runs.questioning import asked_of
from countersign.runs.state import Breach, Judged, Request, RunState, SignOff, Status, Step


def read_state(run_id: str, entries: Iterable[Entry], blobs: Path | None = None) -> RunState:
    """Fold a run's events. Raises TamperedError for an event that cannot stand where it stands."""
    state = RunState(run_id)
    for _ in states(state, entries, blobs):
        pass
    return state


def states(state: RunState, entries: Iterable[Entry], blobs: Path | None = None) -> Iterator[Entry]:
    """Fold a run's events into a state, one by one; each is given out when the state is the one after it."""
    for entry in without_voided(entries):
        apply(state, entry, blobs)
        yield entry


def without_voided(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Leave out an event whose texts a power cut took, which the `recovered` event after it declares void."""
    held: Entry | None = None
    for entry in entries:
        if held is not None:
            if entry.event != "recovered" or entry.data.get("voids") != [held.seq]:
                raise TamperedError(f"line {held.line}: the texts {sorted(held.missing)} are missing")
            held = None
        if entry.missing:
            held = entry
        else:
            yield entry
    if held is not None:
        raise TamperedError(f"line {held.line}: the texts {sorted(held.missing)} are missing")


def apply(state: RunState, entry: Entry, blobs: Path | None = None, *, arrived: Payload | None = None) -> None:
    """Take one event into the state; `arrived` saves reading a payload back that was accepted a moment ago."""
    _expect(state, entry, state.closed_as is None or entry.event == "recovered", "the run is closed")
    state.erased |= entry.erased.keys()
    try:
        match entry.event:
            case "ingested":
                _ingested(state, entry)
                state.blobs, state.accepted = blobs, arrived
            case "out_of_scope":
                state.closed_as = Status.OUT_OF_SCOPE
            case "model_asked":
                _expect(state, entry, state.ingested and not state.judged, "the change is not waiting for it")
                _expect(state, entry, state.asked is None, "the model was asked already")
                state.asked, state.asked_head = asked_of(entry), entry.head
            case "assessed":
                _assessed(state, entry)
            case "gated":
                _gated(state, entry)
            case "noticed" | "breached" | "recovered":
                _remarked(state, entry)
            case "sign_off_requested":
                _requested(state, entry)
            case "signed_off":
                _signed(state, entry)
            case "blocked":
                _blocked(state, entry)
            case "workpaper":
                _concluded(state, entry)
            case "handed_off":
                _expect(state, entry, state.workpaper is not None, "a workpaper comes first")
                state.handoff, state.closed_as = entry.data, Status.COMPLETED
                state.handoff_at = parse_instant(entry.ts)
            case "failed":
                state.failures += 1
                state.error = f"{entry.data['step']}: {next(iter(entry.texts.values()), entry.data['error'])}"
            case _:
                _expect(state, entry, False, "no such event")
    except (KeyError, TypeError, ValueError) as error:
        raise TamperedError(f"event {entry.seq} ({entry.event}) is not of its form: {error!r}") from error
    if entry.event not in ("failed", "recovered", "breached"):
        state.error = None
    state.head = entry.head


def _expect(state: RunState, entry: Entry, holds: bool, why_not: str) -> None:
    if not holds:
        raise TamperedError(f"{state.run_id}: event {entry.seq} ({entry.event}) cannot stand here: {why_not}")


def _ingested(state: RunState, entry: Entry) -> None:
    _expect(state, entry, not state.ingested, "the change is ingested already")
    data = entry.data
    state.skeleton, state.texts, state.digest = data["change"], entry.texts, data["digest"]
    state.opened_at = parse_instant(entry.ts)
    state.origin, state.source, state.where = data["origin"], data["source"], entry.texts["where"]
    state.supersedes = data["supersedes"]
    state.configuration, state.classified = data["configuration"], data["classified"]


def _assessed(state: RunState, entry: Entry) -> None:
    _expect(state, entry, state.ingested and not state.judged, "the change is not waiting for it")
    data = entry.data
    state.mapper, state.assessed_at = data["mapper"], parse_instant(entry.ts)
    state.assessed_head = entry.head
    mapper = data["mapper"]
    state.judged = tuple(_judged(state, entry, row, row.get("judged_by", mapper)) for row in data["controls"])
    state.results = state.judged
    state.claims = tuple(_judged(state, entry, row, row["made_by"]) for row in data.get("claims", ()))


def _judged(state: RunState, entry: Entry, row: Mapping[str, Any], judged_by: str) -> Judged:
    evidence, cited = row.get("evidence"), row.get("quote")
    span: tuple[int, int] | None = None
    quote: str | None = None
    if isinstance(cited, list) and text_of_evidence(evidence or "") in state.erased:
        span, quote = (cited[0], cited[1]), ERASED
    elif isinstance(cited, list):
        span = (cited[0], cited[1])
        text = state.texts.get(text_of_evidence(evidence or ""), "")
        _expect(state, entry, 0 <= span[0] < span[1] <= len(text), "its quote is nowhere")
        quote = text[slice(*span)]
    elif cited is not None:
        quote = entry.texts[cited]
    result = Result(row["result"])
    cites = result in (Result.MET, Result.EXCEPTION)
    _expect(state, entry, cites == (evidence is not None), "met and exception cite evidence, and nothing else does")
    return Judged(row["control"], result, entry.texts[row["reason"]], evidence, quote, span, judged_by)


def _gated(state: RunState, entry: Entry) -> None:
    _expect(state, entry, bool(state.judged) and state.passed is None, "no assessment waits for it")
    state.passed = entry.data["decision"] == "passed"
    state.gated_head = entry.head
    state.verdicts = tuple(entry.data["assertions"])
    state.gate_reason = entry.texts.get("gate")


def _blocked(state: RunState, entry: Entry) -> None:
    rejected = any(signed.decision == "rejected" for signed in state.sign_offs.values())
    _expect(state, entry, state.passed is False or rejected, "nothing blocks it")
    state.closed_as = Status.BLOCKED


def _concluded(state: RunState, entry: Entry) -> None:
    approved = [signed.decision for signed in state.sign_offs.values()] == ["approved", "approved"]
    _expect(state, entry, approved and state.workpaper is None, "both approvals come first")
    state.workpaper, state.workpaper_head = entry.data, entry.head
    state.workpaper_at = parse_instant(entry.ts)


def _remarked(state: RunState, entry: Entry) -> None:
    """What a run goes on from as if it were not there."""
    if entry.event == "noticed":
        state.notices.setdefault(entry.data["about"], parse_instant(entry.ts))
    elif entry.event == "breached":
        _breached(state, entry)


def _breached(state: RunState, entry: Entry) -> None:
    """A breach changes nothing but what the workpaper says; after it there is only an addendum."""
    data = entry.data
    breach = Breach(data["clock"], data["about"], parse_instant(data["deadline"]), data["finding"])
    _expect(state, entry, state.ingested and state.workpaper is None, "a workpaper is there, or no change yet")
    _expect(state, entry, breach.deadline < parse_instant(entry.ts), "the time is not used up yet")
    again = any((breach.clock, breach.about) == (other.clock, other.about) for other in state.breaches)
    _expect(state, entry, not again, "this clock was breached before")
    state.breaches.append(breach)


def _requested(state: RunState, entry: Entry) -> None:
    key = Key(entry.data["key"])
    _expect(state, entry, state.passed is True and state.next_step == Step(key), "it is not its turn")
    state.requests[key] = Request(key, entry.data["role"], entry.head, parse_instant(entry.ts))


def _signed(state: RunState, entry: Entry) -> None:
    data = entry.data
    key = Key(data["key"])
    _expect(state, entry, state.pending is key, "this sign-off is not pending")
    _expect(state, entry, data["request"] == state.requests[key].head, "it answers another request")
    _expect(state, entry, data["log_head"] == state.head, "it was given on another head of this log")
    _expect(state, entry, data["decision"] in ("approved", "rejected"), "no such decision")
    _expect(state, entry, isinstance(data.get("acting_for", ""), str), "whom it acts for is no id")
    determinations = tuple(
        _judged(state, entry, row, f"{data['role']}:{entry.actor}") for row in data["determinations"]
    )
    open_controls = [judged.control for judged in state.judged if judged.result is Result.ABSTAINED]
    for determined in determinations:
        _expect(state, entry, determined.control in open_controls, "it determines a control that is not open")
        _expect(state, entry, determined.result in (Result.MET, Result.EXCEPTION), "it determines nothing")
        open_controls.remove(determined.control)
    settled = {judged.control: judged for judged in determinations if key is Key.INDEPENDENT_REVIEW}
    state.results = tuple(settled.get(judged.control, judged) for judged in state.results)
    state.sign_off_head = entry.head
    state.sign_offs[key] = SignOff(
        key,
        entry.head,
        entry.actor,
        data["role"],
        data["decision"],
        entry.texts.get(f"reason/{key}"),
        parse_instant(entry.ts),
        data["log_head"],
        data["register"]["size"],
        data["register"]["head"],
        data["configuration"],
        determinations,
        data.get("acting_for"),
        entry.texts.get(f"statement/{key}"),
        entry.texts.get(f"signature/{key}"),
        data["signed"]["by_key"] if "signed" in data else None,
    )
