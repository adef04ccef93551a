"""A row of `change_request` as a payload. What belongs here: what each field means.

Who made it: `requested_by`, else `opened_by`, is the author, since the change is theirs; whoever opened the record and
whoever it is assigned to, who carries it out, are contributors, and nobody of them is its checker. `assigned_to` is
also who deployed: the record names nobody else who could have.

When it was deployed: `deployed_at` is the actual end of the work, and the deployment record carries the actual start,
because an approval that came while production was being changed came too late. Planned dates are never read. In the
night when clocks go back a time that was shown twice is read as the earlier for the work (and as the later for
approvals), which is the reading that helps nobody; a time that the clocks skipped is refused.

When it was requested: `sys_created_on`, which nobody can write, else `opened_at`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from countersign.changes.sources.servicenow.rows import Row
from countersign.clocks.instant import stamp
from countersign.clocks.wall_time import WallTime

CHANGE_FIELDS = (
    "number",
    "type",
    "state",
    "short_description",
    "requested_by",
    "assigned_to",
    "cmdb_ci",
    "work_start",
    "work_end",
)
_TYPES = {"normal": "normal", "standard": "preapproved", "emergency": "emergency"}
_CANCELLED = ("canceled", "cancelled", "4")  # 4 is what the database holds for it
_INCIDENT = re.compile(r"INC\d+")
# the record's own words; a test plan is what was meant to be tested, so it is no test
_WORDS = ("description", "justification", "implementation_plan", "backout_plan", "test_plan", "close_notes")


@dataclass(frozen=True, slots=True)
class _Work:
    """The actual work: when it began and ended, as far as the record says."""

    start: datetime | None
    end: datetime | None
    ambiguous: bool

    @property
    def began(self) -> datetime | None:
        """From when on production may have been changed."""
        return self.start or self.end


def why_not_a_change(row: Row) -> str | None:
    """Why a record was called off before anything was done, or None for one that counts.

    One that was cancelled although work on it began counts: else whoever cancels afterwards makes a change disappear.
    """
    if row.stored("state").casefold() not in _CANCELLED or row.shown("work_start") or row.shown("work_end"):
        return None
    return "cancelled before any work began"


def payload_of(row: Row, decisions: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """The payload of one change request. Raises ValueError for a record that cannot be one."""
    number = row.shown("number")
    work = _work(row, zone)
    created = row.time("sys_created_on", zone) or row.time("opened_at", zone)
    author = row.person("requested_by") or row.person("opened_by")
    if not author:
        raise ValueError("requested_by, opened_by: name nobody; a change has a maker")
    assigned = row.person("assigned_to")
    payload: dict[str, Any] = {
        "id": number,
        "system": _system(row),
        "summary": row.shown("short_description") or "(no short description)",
        "author": author,
        "contributors": _others(author, row.person("opened_by"), assigned),
        "change_type": _type(row),
        "evidence": {
            **_deployment(number, work, assigned),
            **_standing(row, number),
            **_record(row, number, work, created),
            **decisions,
        },
    }
    if created and not (work.end and created.earliest > work.end):
        payload["requested_at"] = stamp(created.earliest)
    if work.end:
        payload["deployed_at"] = stamp(work.end)
        if assigned:
            payload["deployed_by"] = assigned
    if template := row.shown("std_change_producer_version"):
        payload["template"] = template
    if _INCIDENT.fullmatch(row.shown("parent")):
        payload["incident"] = row.shown("parent")
    return payload


def _others(author: str, *people: str) -> list[str]:
    return list(dict.fromkeys(person for person in people if person and person != author))


def _system(row: Row) -> str:
    system = row.shown("cmdb_ci") or row.shown("business_service")
    if not system:
        raise ValueError("cmdb_ci, business_service: both empty; without a system nothing says who may authorise it")
    return system


def _type(row: Row) -> str:
    named = row.stored("type").casefold()
    if named not in _TYPES:
        raise ValueError(f"type: {named!r} is not one of {', '.join(_TYPES)}")
    return _TYPES[named]


def _work(row: Row, zone: ZoneInfo) -> _Work:
    start, end = row.time("work_start", zone), row.time("work_end", zone)
    ambiguous = any(time is not None and time.ambiguous for time in (start, end))
    began = start.earliest if start else None
    ended = _first_after(end, began) if end else None
    if began and ended and ended < began:
        raise ValueError(f"work_end: {stamp(ended)} lies before work_start, {stamp(began)}")
    return _Work(began, ended, ambiguous)


def _first_after(time: WallTime, instant: datetime | None) -> datetime:
    """The earlier reading, unless it lies before the instant."""
    return time.latest if instant and time.earliest < instant else time.earliest


def _deployment(number: str, work: _Work, assigned: str) -> dict[str, Any]:
    """What the record says of the work itself; a deployment only where the work ended."""
    if work.began is None:
        return {}
    by = f" by {assigned}" if assigned else ""
    if work.end is None:
        text = f"Work on {number}{by} began at {stamp(work.began)} and has no end."
    elif work.start is None:
        text = f"{number} implemented{by}, ended at {stamp(work.end)}, with no start on record."
    else:
        text = f"{number} implemented{by} from {stamp(work.start)} to {stamp(work.end)}."
    if work.ambiguous:
        text += "\nThe clocks showed a time of it twice that night; this is the earlier."
    item = {"kind": "deployment" if work.end else "ticket", "text": text, "at": stamp(work.began)}
    return {"work": {**item, **({"by": assigned} if assigned else {})}}


def _standing(row: Row, number: str) -> dict[str, Any]:
    """What stands against the change.

    `unauthorized` is a rejection: ServiceNow's own word that nobody authorised what was done, which no approval beside
    it takes back. A hold says that somebody stopped it, for now.
    """
    found: dict[str, Any] = {}
    if row.flag("unauthorized"):
        text = f"{number} is marked as unauthorized in ServiceNow: it was made without authorisation."
        found["unauthorized"] = {"kind": "rejection", "text": text}
    if row.flag("on_hold"):
        reason = row.shown("on_hold_reason") or "no reason on record"
        found["on hold"] = {"kind": "ticket", "text": f"{number} is on hold: {reason}"}
    return found


def _record(row: Row, number: str, work: _Work, created: WallTime | None) -> dict[str, Any]:
    """The record's own words, as they are, and what its state and times say."""
    texts = {field.replace("_", " "): row.shown(field) for field in _WORDS}
    if code := row.shown("close_code"):
        texts["close code"] = f"{number} was closed as {code}"
    if row.stored("state").casefold() in _CANCELLED:
        texts["cancelled"] = f"{number} was cancelled although work on it had begun."
    if created and work.began and created.earliest > work.began:
        texts["recorded late"] = f"{number} was recorded at {stamp(created.earliest)}, after work on it had begun."
    return {name: {"kind": "ticket", "text": text} for name, text in texts.items() if text}
