"""A run's documents as pages for people. What belongs here: lines of text; nothing is decided or looked up."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from countersign.evidence.lines import Entry
from countersign.runs.state import RunState

_WIDTH = 110
_MARKS = {"met": "met", "exception": "EXCEPTION", "abstained": "not tested", "not_applicable": "n/a"}


def workpaper_page(document: dict[str, Any]) -> list[str]:
    """The workpaper, as somebody files it."""
    change, people, versions = document["change"], document["people"], document["versions"]
    title = "DRAFT WORKPAPER" if document.get("draft") else "WORKPAPER"
    lines = [f"{title}  {document['run_id']}", "=" * _WIDTH]
    lines += _pairs(
        [
            ("change", f"{change['id']}  ({change['system']})"),
            ("summary", change["summary"]),
            ("type", f"{change['type']}, {change['tier']} tier"),
            ("requested", change["requested_at"]),
            ("deployed", change["deployed_at"]),
            ("revision", change["revision"]),
            ("author", people["author"]),
            ("contributors", ", ".join(people["contributors"])),
            ("deployed by", people["deployed_by"]),
            ("source", f"{change['source']} ({change['origin']})"),
            ("supersedes", change["supersedes"]),
        ]
    )
    lines += ["", "DEPLOYMENTS"] if document["deployments"] else []
    lines += [f"  {_deployment(deployment)}" for deployment in document["deployments"]]
    lines += ["", "CONTROLS"]
    for control in document["controls"]:
        lines += _control(control, versions["mapper"])
    if document["model"] is not None:
        lines += _model(document["model"])
    for claim in document["brought"]:
        lines += [
            f"  claimed by the payload: {claim['control']}: {claim['text']}",
            *_quote(claim["quote"], claim["evidence"]),
        ]
    lines += ["", f"GATE        {document['gate']}", f"CONCLUSION  {document['conclusion']}"]
    if document.get("draft"):
        lines.append(f"STATUS      {document['status']}: {document.get('reason') or ''}".rstrip(": "))
    lines += ["", "LATE"] if document["breaches"] else []
    lines += [
        f"  {breach['clock']:<20}ran out at {breach['breached_at']}: {breach['finding']}"
        for breach in document["breaches"]
    ]
    lines += ["", "SIGN-OFFS"]
    lines += _sign_offs(document["sign_offs"])
    lines += ["", "STANDS ON"]
    lines += _pairs(
        [
            ("configuration", versions["digest"]),
            ("policy", f"{versions['policy_version']}  {versions['policy']}"),
            ("catalogue", f"{versions['catalogue_version']}  {versions['catalogue']}"),
            ("calendar", f"{versions['calendar_version']}  {versions['calendar']}"),
            ("roster", versions["roster"]),
            ("systems", versions["systems"]),
            ("judged by", f"{versions['mapper']} at {document['assessed_at']}"),
            *(() if document.get("draft") else (("log head", document["log_head"]),)),
        ]
    )
    return lines


def handoff_page(document: dict[str, Any]) -> list[str]:
    """The handoff report, as the observer gets it."""
    lines = [f"HANDOFF REPORT  {document['run_id']}", "=" * _WIDTH]
    lines += _pairs(
        [
            ("to", ", ".join(document["to"])),
            ("handed off", document["handed_off_at"]),
            ("log head", document["log_head"]),
            ("workpaper", document["workpaper_digest"]),
        ]
    )
    lines += ["", "HOW TO VERIFY", *(f"  {line}" for line in document["verify"]), ""]
    return [*lines, *workpaper_page(document["workpaper"])]


def addenda_page(added: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What came after a handoff."""
    lines = ["", "AFTER THE HANDOFF"] if any(added.values()) else []
    lines += [f"  {one['at']}  late: {one['finding']}, to {', '.join(one['to'])}" for one in added["addenda"]]
    seen = added["observations"]
    return [*lines, *(f"  {one['at']}  {one['outcome']} by {one['by']}: {one['reason']}" for one in seen)]


def log_page(entries: Sequence[Entry]) -> list[str]:
    """The audit log, one event a line."""
    return [f"{entry.seq:>4}  {entry.ts}  {entry.event:<20} {entry.actor:<16} {entry.head[:16]}" for entry in entries]


def evidence_page(state: RunState) -> list[str]:
    """The change's evidence, each item with its words."""
    change = state.change
    lines = [f"EVIDENCE  {state.run_id}  {change.id}", "=" * _WIDTH]
    for name, item in change.evidence.items():
        about = ", ".join(
            part
            for part in (
                item.kind.value,
                f"by {item.by}" if item.by else "",
                f"at {item.at.isoformat()}" if item.at else "",
                f"on {item.revision}" if item.revision else "",
            )
            if part
        )
        lines += ["", f"{name}  ({about})", *_wrap(item.text, "  | ")]
        lines += [f"  attached: {file.name} {file.sha256}" for file in item.attachments]
    return lines


def _deployment(deployment: dict[str, Any]) -> str:
    said = (("by", deployment["by"]), ("at", deployment["at"]), ("revision", deployment["revision"]))
    return f"{deployment['evidence']}  " + ", ".join(
        [*(f"{name} {value}" for name, value in said if value), deployment["origin"]]
    )


def _control(control: dict[str, Any], mapper: str) -> list[str]:
    lines = [f"  {control['id']:<12}{_MARKS[control['result']]:<12}{control['reason']}"]
    if control["quote"] is not None:
        lines += _quote(control["quote"], control["evidence"])
    if control["judged_by"].startswith("reviewer:"):
        lines.append(f"{'':<26}determined by {control['judged_by']}")
    elif control["judged_by"] != mapper:
        lines.append(f"{'':<26}judged by {control['judged_by']}")
    return lines


def _model(model: dict[str, Any]) -> list[str]:
    lines = ["", f"READ BY THE MODEL {model['reader']}, {model['template']}, log event {model['log_head'][:16]}"]
    if model["failure"] is not None:
        lines.append(f"  no usable answer: {model['failure']}")
    for claim in model["claims"]:
        lines.append(f"  {claim['id']:<12}says {_MARKS[claim['result']]:<12}{claim['reason']}")
        lines += _quote(claim["quote"], claim["evidence"])
    return lines


def _quote(quote: str, evidence: str) -> list[str]:
    return [*_wrap(f"“{quote}”", " " * 26), f"{'':<26}({evidence})"]


def _sign_offs(sign_offs: Sequence[dict[str, Any]]) -> list[str]:
    if not sign_offs:
        return ["  none yet"]
    return [
        f"  {signed['key']:<20}{signed['decision']} by {signed['by']}"
        + (f" for {signed['acting_for']}" if signed["acting_for"] else "")
        + f" ({signed['role']}) at {signed['signed_at']}"
        + f", {signed['signed_by_key']}"
        + (", retroactive" if signed["retroactive"] else "")
        + (f": {signed['reason']}" if signed["reason"] else "")
        for signed in sign_offs
    ]


def _pairs(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    return [f"  {name:<14}{value}" for name, value in pairs if value]


def _wrap(text: str, indent: str) -> list[str]:
    return [
        line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        or [indent.rstrip()]
    ]
