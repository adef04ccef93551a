"""When a month is due to be frozen. What belongs here: that question, answered without a clock of its own."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from countersign.clocks.calendar import Calendar
from countersign.clocks.instant import local_day
from countersign.sampling.month import Month


def due_on(month: Month, calendar: Calendar, business_day: int) -> date:
    """The so-manieth business day after a month has ended. Raises CalendarError where the calendar ends before."""
    return calendar.business_day(month.next.first, business_day)


def newest_due(now: datetime, zone: ZoneInfo, calendar: Calendar, business_day: int) -> Month:
    """The newest month whose day has come, in the policy's zone; two months back where the last one has to wait."""
    today = local_day(now, zone)
    month = Month.of(today).previous
    return month if today >= due_on(month, calendar, business_day) else month.previous
