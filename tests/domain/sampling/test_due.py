"""When a month is due: the second business day after its end, by the calendar in force."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from countersign.clocks.calendar import Calendar
from countersign.errors import CalendarError
from countersign.policy import load_calendar, load_policy
from countersign.sampling.due import due_on, newest_due
from countersign.sampling.month import Month
from tests.conftest import POLICY

ZONE = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return load_calendar(load_policy(POLICY), POLICY)


@pytest.mark.parametrize(
    ("month", "number", "day"),
    [
        ("2026-10", 2, date(2026, 11, 3)),  # a Sunday, then Monday and Tuesday
        ("2026-11", 1, date(2026, 12, 1)),
        ("2026-11", 2, date(2026, 12, 2)),
        ("2026-12", 2, date(2027, 1, 5)),  # New Year's Day is a Friday
        ("2027-06", 2, date(2027, 7, 2)),
        ("2027-06", 3, date(2027, 7, 6)),  # Independence Day is a Sunday, observed on Monday
    ],
)
def test_weekends_and_holidays_do_not_count(month: str, number: int, day: date, calendar: Calendar) -> None:
    assert due_on(Month.parse(month), calendar, number) == day


def test_a_calendar_that_ends_before_says_so(calendar: Calendar) -> None:
    with pytest.raises(CalendarError, match="covers 2026 to 2032, and not 2033-01-01"):
        due_on(Month.parse("2032-12"), calendar, 2)


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (datetime(2026, 11, 3, 4, 59, tzinfo=UTC), "2026-09"),  # still Monday evening in New York
        (datetime(2026, 11, 3, 5, 0, tzinfo=UTC), "2026-10"),
        (datetime(2026, 11, 30, 12, 0, tzinfo=UTC), "2026-10"),
        (datetime(2026, 12, 1, 12, 0, tzinfo=UTC), "2026-10"),
        (datetime(2026, 12, 2, 12, 0, tzinfo=UTC), "2026-11"),
    ],
)
def test_the_newest_month_is_the_one_whose_day_has_come(now: datetime, month: str, calendar: Calendar) -> None:
    assert str(newest_due(now, ZONE, calendar, 2)) == month
