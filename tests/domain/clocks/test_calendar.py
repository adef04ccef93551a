"""The calendar document is read strictly; the one that ships has the days that OPM lists."""

import ast
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from countersign.clocks.calendar import WEEKDAYS
from countersign.clocks.zones import zone_names, zone_of
from countersign.errors import PolicyError
from countersign.policy import load_calendar, load_policy, read_calendar
from tests.conftest import POLICY, REPOSITORY
from tests.domain.clocks.offices import FIVE_DAYS, SHIPPED, calendar, document, holidays


def monday(*spans: str) -> dict[str, Any]:
    return {"hours": {"monday": list(spans)}}


def closing(*days: str, closes: str = "13:00") -> dict[str, Any]:
    return {"early_closes": [{"date": day, "closes": closes} for day in days]}


# name: (fields that differ from a calendar that can be used; None removes one), what the message begins with
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "field_missing": ({"zone": None}, "zone: Field required"),
    "field_unknown": ({"country": "GB"}, "country: Extra inputs are not permitted"),
    "version_empty": ({"version": ""}, "version: String should have at least 1 character"),
    "zone_unknown": ({"zone": "Mars/Olympus"}, "zone: 'Mars/Olympus' is not an IANA zone"),
    "zone_that_is_a_path": ({"zone": "../zoneinfo/UTC"}, "zone: '../zoneinfo/UTC' is not an IANA zone"),
    "year_as_text": ({"first_year": "2026"}, "first_year: Input should be a valid integer"),
    "years_backwards": ({"first_year": 2028}, "last_year: lies before first_year"),
    "years_without_end": ({"last_year": 99999}, "last_year: Input should be less than"),
    "weekday_unknown": ({"hours": {"funday": ["09:00-17:00"]}}, "hours.funday.[key]: Input should be 'monday'"),
    "no_hours_at_all": ({"hours": {"monday": []}}, "hours: there are none"),
    "hours_without_end": (monday("09:00"), "hours.monday: '09:00' is not a span of hours"),
    "hours_in_one_digit": (monday("9:00-17:00"), "hours.monday: '9:00' is not a time of day"),
    "hours_after_midnight": (monday("22:00-25:00"), "hours.monday: '25:00' is not a time of day"),
    "hours_over_midnight": (monday("22:00-06:00"), "hours.monday: '22:00-06:00' ends before it begins"),
    "hours_empty": (monday("09:00-09:00"), "hours.monday: '09:00-09:00' ends before it begins"),
    "hours_that_overlap": (monday("09:00-13:00", "12:00-17:00"), "hours.monday: 09:00-13:00, 12:00-17:00: spans of"),
    "hours_that_touch": (monday("09:00-12:00", "12:00-17:00"), "hours.monday: 09:00-12:00, 12:00-17:00: spans of"),
    "hours_out_of_order": (monday("13:00-17:00", "09:00-12:00"), "hours.monday: 13:00-17:00, 09:00-12:00: spans"),
    "holiday_without_a_name": ({"holidays": [{"date": "2026-01-01"}]}, "holidays.0.name: Field required"),
    "holiday_on_no_day": ({"holidays": holidays("2026-02-30")}, "holidays.0.date: Input should be a valid date"),
    "holiday_outside": ({"holidays": holidays("2025-12-31")}, "holidays: 2025-12-31 lies outside 2026 to 2027"),
    "early_close_outside": (closing("2028-01-03"), "early_closes: 2028-01-03 lies outside"),
    "early_close_twice": (closing("2026-11-27", "2026-11-27"), "early_closes: 2026-11-27 is given twice"),
    "early_close_on_a_day_off": (closing("2026-11-28"), "early_closes: 2026-11-28 at 13:00 is not within the"),
    "early_close_at_closing": (closing("2026-11-27", closes="17:00"), "early_closes: 2026-11-27 at 17:00 is not"),
    "early_close_at_opening": (closing("2026-11-27", closes="09:00"), "early_closes: 2026-11-27 at 09:00 is not"),
    "early_close_at_no_time": (closing("2026-11-27", closes="1 pm"), "early_closes.0.closes: '1 pm' is not a time"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_calendar_is_refused_with_file_and_field(case: str, tmp_path: Path) -> None:
    changes, says = BAD[case]
    path = tmp_path / "calendar.yaml"
    path.write_text(yaml.safe_dump(document(**changes)), encoding="utf-8")
    with pytest.raises(PolicyError) as refusal:
        read_calendar(path)
    assert str(refusal.value).removeprefix(f"{path}: ").startswith(says)


def test_a_time_that_yaml_takes_for_a_number_is_refused(tmp_path: Path) -> None:
    """Without quotes, 13:00 is 780 to YAML: sixty is its base."""
    path = tmp_path / "calendar.yaml"
    path.write_text(yaml.safe_dump(document(**closing("2026-11-27"))).replace("'13:00'", "13:00"), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"early_closes\.0\.closes: Input should be a valid string"):
        read_calendar(path)


def test_json_is_read_too_and_is_the_same_version(tmp_path: Path) -> None:
    path = tmp_path / "calendar.json"
    path.write_text(json.dumps(document()), encoding="utf-8")
    assert read_calendar(path).digest == calendar().digest


def test_every_edit_is_another_version() -> None:
    versions = {
        calendar(**changes).digest
        for changes in ({}, {"version": "2"}, {"holidays": holidays("2026-01-01")}, closing("2026-11-27"))
    }
    assert len(versions) == 4


NINE, ONE, FIVE = 9 * 3600, 13 * 3600, 17 * 3600


def test_hours_of_a_day_follow_weekday_holidays_and_early_closes() -> None:
    """A holiday that is listed twice, falls on a day off, or on an early close, is a day without hours."""
    made = calendar(
        hours={day: ["09:00-12:00", "13:00-17:00"] for day in FIVE_DAYS},
        holidays=holidays("2026-12-25", "2026-12-25", "2026-12-26", "2026-12-24"),
        **closing("2026-12-24", "2026-12-31", closes="12:30"),
    )
    assert made.hours_of(date(2026, 12, 23)) == ((NINE, 12 * 3600), (ONE, FIVE))
    assert made.hours_of(date(2026, 12, 31)) == ((NINE, 12 * 3600),)
    for day in (24, 25, 26, 27):
        assert made.hours_of(date(2026, 12, day)) == ()


# OPM, "Federal Holidays", as days on which federal offices are closed: month and day by year; a holiday on a Saturday
# is kept on the Friday before, one on a Sunday on the Monday after.
OPM = {
    2026: "0101 0119 0216 0525 0619 0703 0907 1012 1111 1126 1225",
    2027: "0101 0118 0215 0531 0618 0705 0906 1011 1111 1125 1224 1231",
    2028: "0117 0221 0529 0619 0704 0904 1009 1110 1123 1225",
    2029: "0101 0115 0219 0528 0619 0704 0903 1008 1112 1122 1225",
    2030: "0101 0121 0218 0527 0619 0704 0902 1014 1111 1128 1225",
    2031: "0101 0120 0217 0526 0619 0704 0901 1013 1111 1127 1225",
    2032: "0101 0119 0216 0531 0618 0705 0906 1011 1111 1125 1224 1231",
}


@pytest.mark.parametrize("year", OPM)
def test_the_calendar_that_ships_is_closed_when_federal_offices_are(year: int) -> None:
    """31 December 2027 and 2032 are New Year's Day of the year after."""
    working_week = [day for day in SHIPPED.days() if day.year == year and day.weekday() < 5]
    closed = {day for day in working_week if not SHIPPED.hours_of(day)}
    assert closed == {date(year, int(day[:2]), int(day[2:])) for day in OPM[year].split()}
    assert {SHIPPED.hours_of(day) for day in working_week} - {()} == {((NINE, FIVE),)}


def test_the_policy_that_ships_names_the_calendar_that_ships() -> None:
    assert load_calendar(load_policy(POLICY), POLICY).digest == SHIPPED.digest
    assert (SHIPPED.zone, SHIPPED.first_year, SHIPPED.last_year) == ("America/New_York", 2026, 2032)
    assert list(SHIPPED.hours) == list(WEEKDAYS[:5])


def test_every_zone_of_the_release_can_be_read() -> None:
    assert len(zone_names()) > 400
    for name in zone_names():
        assert zone_of(name).key == name


def test_only_the_seed_asks_the_holidays_library() -> None:
    asks = set()
    for path in (REPOSITORY / "countersign").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            asks |= {path.name for name in names if name.split(".")[0] == "holidays"}
    assert asks == {"seed.py"}
