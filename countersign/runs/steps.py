"""The steps of a run: each turns a state into the events that come next.

Pure but for the instant it is given: the same state, versions and instant give the same events. What does not belong
here: files, locks, and the question which run is next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from countersign.changes.classification import classify
from countersign.changes.payload import Payload
from countersign.changes.sources.interface import Origin
from countersign.clocks.instant import stamp
from countersign.controls import gate
from countersign.controls.assessment import Assertion, Assessment, Case, ControlResult, Result, brought
from countersign.controls.quote import find
from countersign.errors import TamperedError
from countersign.evidence.deployed import Trace
from countersign.evidence.lines import Draft
from countersign.policy import Catalogue, Key
from countersign.runs.concealment import conceal
from countersign.runs.handoff import handoff_event
from countersign.runs.questioning import asked_event
from countersign.runs.state import Judged, RunState, Step
from countersign.runs.versions import Versions
from countersign.runs.workpaper import workpaper_event

ENGINE = "countersign"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A payload that has arrived for a run, and from where; `trace` is None while it is as its source gave it."""

    payload: Payload
    source: str
    where: str
    origin: Origin
    supersedes: str | None
    trace: Trace | None = None


def ingest(arrival: Arrival, versions: Versions, now: datetime) -> list[Draft]:
    """The change record itself, its words apart, and what the policy makes of it; a change out of scope ends here."""
    skeleton, texts = conceal(arrival.payload.raw)
    classification = classify(arrival.payload.change, versions.policy, now)
    data = {
        "workflow": "change",
        "digest": arrival.payload.digest,
        "source": arrival.source,
        "origin": arrival.origin,
        "supersedes": arrival.supersedes,
        "configuration": versions.configuration.named,
        "classified": {"tier": classification.tier, "in_scope": classification.in_scope, "at": stamp(now)},
        "change": skeleton,
    }
    drafts = [Draft("ingested", ENGINE, data, {"where": arrival.where, **texts})]
    if not classification.in_scope:
        drafts.append(Draft("out_of_scope", ENGINE))
    return drafts


def assess(state: RunState, versions: Versions, now: datetime) -> list[Draft]:
    """Every control judged, with its reason and, for met and exception, its quote.

    Where the policy names a model, it is asked first, and its answer is an event of its own before it is read.
    """
    case = Case(state.change, state.source, now, state.asked)
    if versions.questions is not None and state.asked is None:
        return [asked_event(versions.questions.ask(case))]
    assessment = versions.mapper(case)
    texts: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for result in _of_every_control(assessment, versions.catalogue):
        reason = f"reason/{result.control}"
        texts[reason] = result.reason
        row: dict[str, Any] = {"control": result.control, "result": result.result.value, "reason": reason}
        if result.judged_by is not None:
            row["judged_by"] = result.judged_by
        if (assertion := result.assertion) is not None:
            row |= {
                "evidence": assertion.evidence,
                "quote": citation(state, assertion, f"quote/{result.control}", texts),
            }
        rows.append(row)
    data: dict[str, Any] = {"mapper": assessment.mapper, "controls": rows}
    if assessment.claims:
        data["claims"] = [_claim(state, claim, texts) for claim in assessment.claims]
    return [Draft("assessed", ENGINE, data, texts)]


def _claim(state: RunState, claim: Assertion, texts: dict[str, str]) -> dict[str, Any]:
    """What a model asserted, as the event carries it."""
    reason = f"claim/{claim.control}"
    texts[reason] = claim.text
    return {
        "control": claim.control,
        "result": claim.result.value,
        "reason": reason,
        "evidence": claim.evidence,
        "quote": citation(state, claim, f"claimed/{claim.control}", texts),
        "made_by": claim.made_by,
    }


def _of_every_control(assessment: Assessment, catalogue: Catalogue) -> list[ControlResult]:
    """The results in the catalogue's order; a control that the mapper says nothing of is abstained, never left out."""
    said = {result.control: result for result in assessment.results}
    if len(said) != len(assessment.results) or not said.keys() <= catalogue.by_id.keys():
        raise ValueError(f"{assessment.mapper} judged a control twice, or one that the catalogue does not have")
    silent = f"{assessment.mapper} says nothing of this control"
    return [said.get(name) or ControlResult(name, Result.ABSTAINED, silent) for name in catalogue.by_id]


def citation(state: RunState, assertion: Assertion, name: str, texts: dict[str, str]) -> list[int] | str:
    """A quote as an event carries it: its span in the evidence, or the id of a text where it stands nowhere."""
    item = state.change.evidence.get(assertion.evidence)
    span = find(assertion.quote, item.text) if item else None
    if span is not None:
        return list(span)
    texts[name] = assertion.quote
    return name


def asserted(state: RunState) -> list[Assertion]:
    """The assertions of a logged assessment, a model's, and those the payload brought, as the gate judges them."""
    made = [
        Assertion(judged.control, judged.result, judged.reason, judged.evidence, judged.quote or "", judged.judged_by)
        for judged in (*state.judged, *state.claims)
        if judged.evidence is not None and judged.result in (Result.MET, Result.EXCEPTION)
    ]
    return [*made, *brought(state.change)]


def verdict_rows(decision: gate.Decision) -> list[dict[str, Any]]:
    """A gate decision as its event carries it; why an assertion is not grounded stands in the texts `why/<n>`."""
    return [
        {
            "control": verdict.assertion.control,
            "result": verdict.assertion.result.value,
            "made_by": verdict.assertion.made_by,
            "evidence": verdict.assertion.evidence,
            "span": list(verdict.span) if verdict.span else None,
            "why": None if verdict.grounded else f"why/{number}",
        }
        for number, verdict in enumerate(decision.verdicts)
    ]


def pass_gate(state: RunState, versions: Versions, now: datetime) -> list[Draft]:
    """The gate's decision; a notice to the observer where something is wrong; the end where it blocks."""
    if state.passed is None:
        decision = gate.decide(state.change, versions.catalogue, versions.policy.change_ids, asserted(state))
        word = "passed" if decision.passed else "blocked"
        texts = {f"why/{n}": verdict.why for n, verdict in enumerate(decision.verdicts) if verdict.why is not None}
        if decision.reason is not None:
            texts["gate"] = decision.reason
        drafts = [Draft("gated", ENGINE, {"decision": word, "assertions": verdict_rows(decision)}, texts)]
        exceptions = [judged.control for judged in state.judged if judged.result is Result.EXCEPTION]
        if not decision.passed or exceptions:
            drafts.append(_notice(versions, now, "exception" if decision.passed else "block", exceptions))
        if decision.passed:
            return drafts
    else:
        drafts = []
    return [*drafts, Draft("blocked", ENGINE, {"step": Step.GATE.value})]


def check_gate_again(state: RunState, versions: Versions) -> None:
    """Decide the gate again from payload and assertions, once for a log that was read.

    Raises TamperedError where the log says otherwise.
    """
    if state.gate_holds:
        return
    decision = gate.decide(state.change, versions.catalogue, versions.policy.change_ids, asserted(state))
    if decision.passed is not state.passed or verdict_rows(decision) != list(state.verdicts):
        raise TamperedError(f"{state.run_id}: the logged gate decision does not follow from its payload; SEV-1")
    state.gate_holds = True


def check_workpaper_again(state: RunState) -> None:
    """Make the workpaper again from a log that was read. Raises TamperedError where the log's is another."""
    if not state.workpaper_holds and dict(state.workpaper or {}) != dict(workpaper_event(state).data):
        raise TamperedError(f"{state.run_id}: the logged workpaper does not follow from its log; SEV-1")


def _notice(versions: Versions, now: datetime, about: str, controls: list[str]) -> Draft:
    observers = versions.people.holding("observer", now)
    severity = "SEV-3" if about == "exception" else "SEV-2"
    return Draft("noticed", ENGINE, {"to": observers, "about": about, "severity": severity, "controls": controls})


def ask(state: RunState, key: Key, versions: Versions, now: datetime) -> list[Draft]:
    """Ask for a sign-off, saying what is handed to whom; or end the run where it was rejected."""
    if key in state.sign_offs:
        return [_notice(versions, now, "block", []), Draft("blocked", ENGINE, {"step": key.value})]
    role = versions.policy.sign_off.role(key)
    data = {
        "key": key.value,
        "role": role,
        "to": versions.people.holding(role, now),
        "tier": state.tier,
        "handed": {"log_head": state.head, "controls": _tally(state.results)},
    }
    return [Draft("sign_off_requested", ENGINE, data)]


def _tally(results: Iterable[Judged]) -> dict[str, int]:
    """How many controls came out how."""
    tally = {result.value: 0 for result in Result}
    for judged in results:
        tally[judged.result] += 1
    return tally


def failure(state: RunState, error: Exception) -> Draft:
    """The event of a step that raised; its words stand in a text."""
    said = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode("utf-8")
    data = {"step": str(state.next_step), "error": type(error).__name__}
    return Draft("failed", ENGINE, data, {f"error/{state.failures}": said})


def next_drafts(state: RunState, arrival: Arrival | None, versions: Versions, now: datetime) -> list[Draft]:
    """The events of the run's next step; none at a pause, at the end, or while there is no payload to ingest."""
    match state.next_step:
        case None:
            return []
        case Step.INGEST:
            return ingest(arrival, versions, now) if arrival else []
        case Step.ASSESS:
            return assess(state, versions, now)
        case Step.GATE:
            return pass_gate(state, versions, now)
        case Step.INDEPENDENT_REVIEW | Step.MAKER_CHECKER as step:
            return ask(state, Key(step.value), versions, now)
        case Step.WORKPAPER:
            check_gate_again(state, versions)
            state.workpaper_holds = True
            return [workpaper_event(state)]
        case Step.HANDOFF:
            check_gate_again(state, versions)
            check_workpaper_again(state)
            return [handoff_event(state, versions)]
