"""Business calendars of three places, and times as their walls show them."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from countersign.clocks.business import BusinessTime
from countersign.clocks.calendar import Calendar
from countersign.policy import read_calendar
from tests.conftest import REPOSITORY

FIVE_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
SHIPPED = read_calendar(REPOSITORY / "calendar.yaml")


def document(**changes: Any) -> dict[str, Any]:
    """A small calendar's fields, with some replaced; None removes one."""
    fields = {
        "version": "test",
        "zone": "Europe/London",
        "first_year": 2026,
        "last_year": 2027,
        "hours": {day: ["09:00-17:00"] for day in FIVE_DAYS},
        "holidays": [],
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def calendar(**changes: Any) -> Calendar:
    return Calendar.model_validate(document(**changes), strict=False)


def holidays(*days: str) -> list[dict[str, str]]:
    return [{"date": day, "name": "holiday"} for day in days]


NEW_YORK = BusinessTime(SHIPPED)
NEW_YORK_EARLY = BusinessTime(
    Calendar.model_validate(
        SHIPPED.model_dump(mode="json") | {"early_closes": [{"date": "2026-11-27", "closes": "13:00"}]}, strict=False
    )
)
NEW_YORK_ALWAYS = BusinessTime(
    calendar(
        zone="America/New_York",
        hours={day: ["00:00-24:00"] for day in (*FIVE_DAYS, "saturday", "sunday")},
    )
)
NEW_YORK_NIGHTS = BusinessTime(calendar(zone="America/New_York", hours={"sunday": ["02:30-06:00"]}))
LONDON = BusinessTime(
    calendar(
        hours={day: ["09:00-17:30"] for day in FIVE_DAYS},
        # 26 December 2026 is a Saturday, so the bank holiday is kept on Monday 28; 2027: 27 and 28 for Saturday, Sunday
        holidays=holidays(
            "2026-04-03", "2026-04-06", "2026-12-25", "2026-12-28", "2027-01-01", "2027-12-27", "2027-12-28"
        ),
    )
)
KOLKATA = BusinessTime(
    calendar(
        zone="Asia/Kolkata",
        hours={day: ["09:30-13:00", "14:00-18:30"] for day in FIVE_DAYS} | {"saturday": ["09:30-13:30"]},
        holidays=holidays("2026-01-26", "2026-10-02", "2026-10-02"),
    )
)


def at(business: BusinessTime, text: str) -> datetime:
    """A time on the wall of an office, such as `2026-11-20 16:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(business.calendar.zone))


def shown(business: BusinessTime, instant: datetime) -> str:
    """The wall of an office at an instant."""
    return instant.astimezone(ZoneInfo(business.calendar.zone)).strftime("%a %Y-%m-%d %H:%M")
