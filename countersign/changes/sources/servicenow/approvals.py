"""Rows of `sysapproval_approver` as evidence of one change. What belongs here: whose decision a row is, and when.

An approval row names the approver who was asked, and nowhere who decided: a delegate decides in a row that goes on
naming the approver. Who wrote the row last, `sys_updated_by`, is who decided, and `sys_updated_on` is when, since a
decided row is not touched again; a later touch makes an approval later, never earlier.
"""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from countersign.changes.people import fold
from countersign.changes.sources.servicenow.rows import Row
from countersign.clocks.instant import stamp

APPROVAL_FIELDS = ("sysapproval", "approver", "state", "sys_updated_by", "sys_updated_on")
_DECIDED = {"approved": "approval", "rejected": "rejection"}
_UNDECIDED = frozenset(
    (
        "not requested",
        "not yet requested",
        "requested",
        "not required",
        "no longer required",
        "cancelled",
        "canceled",
        "duplicate",
    )
)
# who writes in nobody's name: workflows, and mails whose sender ServiceNow does not know
_NOBODY = ("system", "guest")
_NEVER = "9999"


def decisions(rows: Iterable[Row], number: str, zone: ZoneInfo) -> dict[str, Any]:
    """The evidence in a change's approval rows, by time, so that another order of the export gives the same names.

    Raises ValueError where a row cannot be read or its state is not one of ServiceNow's: passing over it might pass
    over a rejection.
    """
    found: list[tuple[dict[str, Any], str]] = []
    for row in rows:
        try:
            one = (_decision(row, number, zone), row.shown("comments"))
        except ValueError as error:
            raise ValueError(f"an approval of it cannot be read: {error}") from error
        if one not in found:  # pages of an export overlap
            found.append(one)
    found.sort(key=lambda one: (one[0].get("at", _NEVER), one[0]["text"], one[1]))
    evidence: dict[str, Any] = {}
    for position, (item, comments) in enumerate(found, start=1):
        evidence[f"approval-{position}"] = item
        if comments:
            evidence[f"approval-{position}-comments"] = {"kind": "other", "text": comments}
    return evidence


def _decision(row: Row, number: str, zone: ZoneInfo) -> dict[str, Any]:
    row.require(*APPROVAL_FIELDS)
    state = row.stored("state").casefold().replace("_", " ")
    approver, group = row.person("approver"), row.shown("group")
    asked = approver or (f"the group {group}" if group else "an unnamed approver")
    if state in _UNDECIDED:
        return {"kind": "other", "text": f"{number}: the approval of {asked} is {state}"}
    if state not in _DECIDED:
        raise ValueError(f"state: {state!r} is none of an approval; export values, not translations")
    # one that names no approver is a group's, whoever wrote it last: nobody's
    actor = row.person("sys_updated_by") if approver else ""
    item: dict[str, Any] = {"kind": _DECIDED[state], **_given(actor, approver)}
    delegate = f" for {approver}" if "on_behalf_of" in item else ""
    time = row.time("sys_updated_on", zone)
    if time:
        # two readings in the night when clocks go back: an approval must not look earlier than it was
        item["at"] = stamp(time.latest)
    when = f" at {item['at']}" if time else ""
    item["text"] = f"{number} {state} {f'by {actor}{delegate}' if actor else f'for {asked}'}{when}."
    if time and time.ambiguous:
        item["text"] += "\nThe clocks showed that time twice that night; this is the later."
    if approver and group:
        item["text"] += f"\nIn the group {group}."
    return item


def _given(actor: str, approver: str) -> dict[str, Any]:
    """Who gave a decision, and whose it was where that is not plainly the same."""
    given: dict[str, Any] = {"by": actor} if actor else {}
    if actor in _NOBODY:
        given["is_bot"] = True
    if approver and fold(actor) != fold(approver):
        given["on_behalf_of"] = approver
    return given
