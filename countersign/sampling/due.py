"""Which months are due: to be frozen and drawn, or to be looked at for what their observer found.

What belongs here: those questions, answered without a clock of its own. What does not: when they are asked.
"""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from countersign.clocks.calendar import Calendar
from countersign.clocks.instant import local_day, parse_instant
from countersign.evidence.register import events_of
from countersign.runs.engine import Engine
from countersign.sampling.month import Month


def due_on(month: Month, calendar: Calendar, business_day: int) -> date:
    """The so-manieth business day after a month has ended. Raises CalendarError where the calendar ends before."""
    return calendar.business_day(month.next.first, business_day)


def newest_due(now: datetime, zone: ZoneInfo, calendar: Calendar, business_day: int) -> Month:
    """The newest month whose day has come, in the policy's zone; two months back where the last one has to wait."""
    today = local_day(now, zone)
    month = Month.of(today).previous
    return month if today >= due_on(month, calendar, business_day) else month.previous


def due_month(engine: Engine) -> tuple[Month, str | None]:
    """The newest month whose day has come, and why there is nothing to do for it, if so."""
    policy, calendar = engine.current.policy, engine.current.configuration.calendar
    number = policy.sample.drawn_on_business_day
    month = newest_due(engine.clock(), policy.zone, calendar, number)
    why_not = _why_not(engine, month)
    if why_not is not None:
        why_not = f"{why_not}; {month.next} is due on {due_on(month.next, calendar, number)}"
    return month, why_not


def _why_not(engine: Engine, month: Month) -> str | None:
    """Why there is nothing to do for a month, or None."""
    policy = engine.current.policy
    if month < Month.of(policy.intake_since):
        return "over before the first intake day"

    def has(event: str) -> bool:
        return any(line["month"] == str(month) for line in events_of(engine.root.register, event))

    if has("sample_drawn"):
        return "drawn"
    if has("population_frozen") and policy.sample.nonce == "required" and not has("sample_nonce"):
        return "frozen, and waits for the observer's nonce"
    return None


def waiting_months(register: Path, since: datetime) -> list[str]:
    """The frozen months without results, and those whose results came since an instant."""
    heard = {line["month"]: parse_instant(line["ts"]) for line in events_of(register, "sample_observed")}
    frozen = sorted({line["month"] for line in events_of(register, "population_frozen")})
    return [month for month in frozen if month not in heard or heard[month] >= since]
