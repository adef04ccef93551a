"""The workpaper: what was tested, with what result, on which words, signed by whom.

What belongs here: the workpaper's event, document and dataset row. The event carries references; the document is
resolved from the run's own log, and the event carries its SHA-256, so that it can be made again byte by byte.
"""

import hashlib
from typing import Any

import orjson

from countersign.clocks.allowance import Tier
from countersign.clocks.instant import stamp
from countersign.controls.assessment import Result
from countersign.evidence.columns import Column
from countersign.evidence.lines import Draft
from countersign.policy import Key, Kind
from countersign.runs.state import RunState, SignOff

DATASET = "workpaper"
UNSIGNED = "unsigned sign-off"

_CONTROL = (
    Column("id", "text", "the control"),
    Column("result", "text", "met, exception, abstained or not_applicable"),
    Column("evidence", "text", "name of the cited evidence item"),
    Column("quote", "text", "the cited words"),
    Column("reason", "text", "why it came out so"),
    Column("judged_by", "text", "the mapper and its version, or the reviewer who determined it"),
)
COLUMNS = (
    Column("run_id", "text", "the run"),
    Column("change_id", "text", "the change, as its source names it"),
    Column("system", "text", "the system that was changed"),
    Column("summary", "text", "what the change is, in the source's words"),
    Column("change_type", "text", "normal, preapproved or emergency"),
    Column("tier", "text", "standard or emergency"),
    Column("author", "text", "who made the change, as the source names them"),
    Column("contributors", "texts", "who else made it, as the source names them"),
    Column("deployed_by", "text", "who deployed it, as the source names them"),
    Column("requested_at", "instant", "when it was requested"),
    Column("deployed_at", "instant", "when it was deployed"),
    Column("revision", "text", "the final revision"),
    Column("origin", "text", "extracted or submitted"),
    Column("source", "text", "the source it was read from"),
    Column("conclusion", "text", "the workpaper's conclusion"),
    Column("clean", "flag", "every applicable control met, nothing left open, nobody late"),
    Column("breaches", "texts", "clocks that ran out before it was prepared"),
    Column("controls", "records", "each control with its result", _CONTROL),
    Column("gate", "text", "passed"),
    Column("exceptions", "texts", "controls that are not met"),
    Column("abstentions", "texts", "controls not tested"),
    Column("reviewed_by", "text", "roster id of the independent reviewer"),
    Column("reviewed_at", "instant", "when the review was recorded"),
    Column("approved_by", "text", "roster id of the approver"),
    Column("approved_at", "instant", "when the approval was recorded"),
    Column("configuration", "text", "SHA-256 of the configuration in force when the run was opened"),
    Column("policy", "text", "SHA-256 of the policy it was assessed with"),
    Column("policy_version", "text", "that policy's version"),
    Column("catalogue", "text", "SHA-256 of the catalogue it was assessed with"),
    Column("catalogue_version", "text", "that catalogue's version"),
    Column("roster", "text", "SHA-256 of that policy's roster"),
    Column("assessed_at", "instant", "when it was assessed"),
    Column("prepared_at", "instant", "when the workpaper was prepared"),
    Column("log_head", "text", "SHA-256 of the log's last event before the workpaper"),
)


def results_of(state: RunState, result: Result) -> list[str]:
    """The controls that came out so, determinations taken in."""
    return [judged.control for judged in state.results if judged.result is result]


def is_clean(state: RunState) -> bool:
    """Every applicable control met: no exception, no abstention left open, and nobody late."""
    settled = all(judged.result in (Result.MET, Result.NOT_APPLICABLE) for judged in state.results)
    return settled and not state.breaches


def conclusion(state: RunState) -> str:
    """What the workpaper concludes, in one sentence."""
    exceptions = results_of(state, Result.EXCEPTION)
    untested = results_of(state, Result.ABSTAINED)
    parts = []
    if exceptions:
        parts.append(f"exception in {', '.join(exceptions)}")
    if untested:
        parts.append(f"not tested: {', '.join(untested)}")
    if state.breaches:
        parts.append(f"late: {', '.join(breach.clock for breach in state.breaches)}")
    said = "; ".join(parts) or "clean: every applicable control was met"
    return said[0].upper() + said[1:]


def is_retroactive(state: RunState, signed: SignOff) -> bool:
    """Whether a sign-off of an emergency came after the change was deployed."""
    deployed_at = state.change.deployed_at
    return state.tier == Tier.EMERGENCY and deployed_at is not None and signed.at > deployed_at


def _sign_off(state: RunState, key: Key) -> dict[str, Any]:
    signed = state.sign_offs[key]
    return {
        "key": key.value,
        "by": signed.by,
        "acting_for": signed.acting_for,
        "role": signed.role,
        "decision": signed.decision,
        "reason": signed.reason,
        "requested_at": stamp(state.requests[key].at),
        "signed_at": stamp(signed.at),
        "signed_by_key": signed.by_key or UNSIGNED,
        "retroactive": is_retroactive(state, signed),
        "log_head": signed.log_head,
        "register": {"size": signed.register_size, "head": signed.register_head},
    }


def _model(state: RunState) -> dict[str, Any] | None:
    """What a model asserted, and the head of the event that holds its prompt and its answer; None where none judged."""
    if state.asked is None:
        return None
    return {
        "reader": state.asked.reader,
        "template": state.asked.prompt.template,
        "log_head": state.asked_head,
        "failure": state.asked.said.failure,
        "claims": [
            {
                "id": claim.control,
                "result": claim.result.value,
                "evidence": claim.evidence,
                "quote": claim.quote,
                "span": list(claim.span) if claim.span else None,
                "reason": claim.reason,
            }
            for claim in state.claims
        ],
    }


def workpaper_document(state: RunState) -> dict[str, Any]:
    """The workpaper in full; `log_head` is that of the last sign-off. Before the approvals it is a draft."""
    change = state.change
    assert state.assessed_at is not None
    return {
        "run_id": state.run_id,
        "change": {
            "id": change.id,
            "system": change.system,
            "summary": change.summary,
            "type": change.change_type.value,
            "tier": state.tier,
            "requested_at": stamp(change.requested_at) if change.requested_at else None,
            "deployed_at": stamp(change.deployed_at) if change.deployed_at else None,
            "revision": change.revision,
            "incident": change.incident,
            "template": change.template,
            "source": state.source,
            "origin": state.origin,
            "supersedes": state.supersedes,
        },
        "people": {
            "author": change.author,
            "contributors": list(change.contributors),
            "deployed_by": change.deployed_by,
        },
        "deployments": [
            {
                "evidence": name,
                "at": stamp(item.at) if item.at else None,
                "by": item.by,
                "revision": item.revision,
                "origin": item.origin,
            }
            for name, item in change.evidence.items()
            if item.kind is Kind.DEPLOYMENT
        ],
        "controls": [
            {
                "id": judged.control,
                "result": judged.result.value,
                "evidence": judged.evidence,
                "origin": change.evidence[judged.evidence].origin if judged.evidence in change.evidence else None,
                "quote": judged.quote,
                "span": list(judged.span) if judged.span else None,
                "reason": judged.reason,
                "judged_by": judged.judged_by,
            }
            for judged in state.results
        ],
        "brought": [
            {"control": claim.control, "text": claim.text, "evidence": claim.evidence, "quote": claim.quote}
            for claim in change.assertions
        ],
        "model": _model(state),
        "gate": "passed" if state.passed else "blocked",
        "exceptions": results_of(state, Result.EXCEPTION),
        "abstentions": results_of(state, Result.ABSTAINED),
        "sign_offs": [_sign_off(state, key) for key in Key if key in state.sign_offs],
        "breaches": [
            {
                "clock": breach.clock,
                "about": breach.about,
                "breached_at": stamp(breach.deadline),
                "finding": breach.finding,
            }
            for breach in state.breaches
        ],
        "conclusion": conclusion(state),
        "clean": is_clean(state),
        "versions": {**state.configuration, "mapper": state.mapper},
        "assessed_at": stamp(state.assessed_at),
        "log_head": state.sign_off_head,
    }


def document_bytes(document: dict[str, Any]) -> bytes:
    """A document as it is compared and hashed: JSON with sorted keys."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def document_digest(document: dict[str, Any]) -> str:
    """SHA-256 of a document's bytes."""
    return hashlib.sha256(document_bytes(document)).hexdigest()


def workpaper_event(state: RunState) -> Draft:
    """The event that concludes the test, naming the digest of the whole document."""
    document = workpaper_document(state)
    data = {
        "document": document_digest(document),
        "log_head": document["log_head"],
        "results": {judged.control: judged.result.value for judged in state.results},
        "exceptions": document["exceptions"],
        "abstentions": document["abstentions"],
        "conclusion": document["conclusion"],
        "clean": document["clean"],
        "versions": document["versions"],
    }
    return Draft("workpaper", "countersign", data)


def workpaper_row(state: RunState) -> dict[str, Any]:
    """A completed run as a row of `COLUMNS`."""
    change = state.change
    review, approval = (state.sign_offs[key] for key in Key)
    return {
        "run_id": state.run_id,
        "change_id": change.id,
        "system": change.system,
        "summary": change.summary,
        "change_type": change.change_type.value,
        "tier": state.tier,
        "author": change.author,
        "contributors": list(change.contributors),
        "deployed_by": change.deployed_by,
        "requested_at": change.requested_at,
        "deployed_at": change.deployed_at,
        "revision": change.revision,
        "origin": state.origin,
        "source": state.source,
        "conclusion": conclusion(state),
        "clean": is_clean(state),
        "breaches": [breach.clock for breach in state.breaches],
        "controls": [
            {
                "id": judged.control,
                "result": judged.result.value,
                "evidence": judged.evidence,
                "quote": judged.quote,
                "reason": judged.reason,
                "judged_by": judged.judged_by,
            }
            for judged in state.results
        ],
        "gate": "passed" if state.passed else "blocked",
        "exceptions": results_of(state, Result.EXCEPTION),
        "abstentions": results_of(state, Result.ABSTAINED),
        "reviewed_by": review.by,
        "reviewed_at": review.at,
        "approved_by": approval.by,
        "approved_at": approval.at,
        "configuration": state.configuration["digest"],
        "policy": state.configuration["policy"],
        "policy_version": state.configuration["policy_version"],
        "catalogue": state.configuration["catalogue"],
        "catalogue_version": state.configuration["catalogue_version"],
        "roster": state.configuration["roster"],
        "assessed_at": state.assessed_at,
        "prepared_at": state.workpaper_at,
        "log_head": state.sign_off_head,
    }
