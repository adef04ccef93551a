"""The first version of a calendar. What belongs here: seeding one from the `holidays` library, and writing it down.

Nothing else asks that library: from then on the file is its owner's, and clocks are judged by the file.
"""

import warnings
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.metadata import version

import holidays
import yaml

from countersign.clocks.calendar import WEEKDAYS, Calendar, EarlyClose, Holiday
from countersign.errors import CalendarError

WORKING_WEEK = WEEKDAYS[:5]


def seeded_calendar(
    place: str, first_year: int, last_year: int, *, zone: str, hours: str, early_closes: Iterable[tuple[date, str]]
) -> Calendar:
    """A calendar with the public holidays of a country (`US`) or of a part of one (`GB-ENG`), Monday to Friday.

    Raises CalendarError where the library does not know the place for all of these years, ValueError for the rest.
    """
    return Calendar(
        version=f"{place} {first_year}-{last_year}",
        zone=zone,
        first_year=first_year,
        last_year=last_year,
        hours={weekday: [hours] for weekday in WORKING_WEEK},
        holidays=_public_holidays(place, range(first_year, last_year + 1)),
        early_closes=[EarlyClose(date=day, closes=closes) for day, closes in sorted(early_closes)],
    )


def _public_holidays(place: str, years: Sequence[int]) -> list[Holiday]:
    country, _, part = place.partition("-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it only warns where it knows a part of the years
            known = holidays.country_holidays(country, subdiv=part or None, years=years)
    except (NotImplementedError, Warning) as error:
        raise CalendarError(
            f"{place}: {error}; name another place or other years, or write the file yourself"
        ) from error
    silent = [year for year in years if not known.start_year <= year <= known.end_year]
    if silent:
        raise CalendarError(f"{place}: nothing is known of {silent[0]}, only of {known.start_year} to {known.end_year}")
    return [Holiday(date=day, name=name) for day, name in sorted(known.items())]


def calendar_text(calendar: Calendar) -> str:
    """The file that the owner edits."""
    document = calendar.model_dump(mode="json")
    return (
        f"# Seeded from the library holidays {version('holidays')}. From here on this calendar is its owner's:\n"
        "# check it against what your organisation keeps, edit it by pull request, and give a new version a new name.\n"
        + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    )
