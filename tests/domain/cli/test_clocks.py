"""`calendar build` and `sla due`, as a user has them."""

from pathlib import Path

import pytest
import yaml

from countersign.policy import read_calendar
from tests.conftest import REPOSITORY
from tests.domain.cli.conftest import Cli, Write

FRIDAY_AT_FOUR = ("--from", "2026-11-20T16:00:00-05:00")
CLOSED_EARLY = ("calendar", "build", "US", "--years", "2026-2032", "--early-close", "2026-11-27=13:00")


def built(cli: Cli, write: Write, *arguments: object) -> Path:
    answer = cli("calendar", "build", *arguments)
    assert (answer.code, answer.err) == (0, "")
    return write("built.yaml", answer.out.encode())


def test_the_calendar_that_ships_is_what_build_prints(cli: Cli, write: Write) -> None:
    assert built(cli, write, "US", "--years", "2026-2032").read_text() == (REPOSITORY / "calendar.yaml").read_text()


def test_a_calendar_of_another_place_has_its_zone_hours_and_early_closes(cli: Cli, write: Write) -> None:
    calendar = read_calendar(
        built(cli, write, "GB-ENG", "--years", "2026", "--zone", "Europe/London", "--hours", "08:30-17:30",
              "--early-close", "2026-12-31=12:30", "--early-close", "2026-12-24=12:00")
    )  # fmt: skip
    assert (calendar.version, calendar.zone, calendar.last_year) == ("GB-ENG 2026-2026", "Europe/London", 2026)
    assert calendar.hours["friday"] == ["08:30-17:30"]
    assert [str(early.date) for early in calendar.early_closes] == ["2026-12-24", "2026-12-31"]
    assert {"Easter Monday", "Boxing Day (observed)"} <= {holiday.name for holiday in calendar.holidays}


def test_the_document_of_a_calendar_is_its_file(cli: Cli) -> None:
    assert cli(*CLOSED_EARLY, "--json").document == yaml.safe_load(cli(*CLOSED_EARLY).out)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("XX", "--years", "2026", "--zone", "UTC"), "XX: Country XX not available"),
        (("GB-ZZZ", "--years", "2026", "--zone", "UTC"), "does not have subdivision ZZZ"),
        (("IN", "--years", "2030-2040", "--zone", "Asia/Kolkata"), "available only from 2001 to 2035"),
        (("US", "--years", "1990-2150"), "US: nothing is known of 2101, only of"),
        (("GB", "--years", "2026"), "name the time zone of GB"),
        (("US", "--years", "26-32"), "'26-32' is no span of years"),
        (("US", "--years", "2032-2026"), "lies before"),
        (("US", "--years", "2026", "--hours", "9-5"), "'9' is not a time of day"),
        (("US", "--years", "2026", "--zone", "Mars/Olympus"), "not an IANA zone"),
        (("US", "--years", "2026", "--early-close", "thanksgiving"), "is not like"),
        (("US", "--years", "2026", "--early-close", "2026-11-28=13:00"), "2026-11-28 at 13:00 is not within"),
        (("US", "--years", "2026", *("--early-close", "2026-11-27=13:00") * 2), "is given twice"),
    ],
)
def test_a_calendar_that_cannot_be_built_is_wrong_usage(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    answer = cli("calendar", "build", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert says in " ".join(answer.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("kind", "tier", "deadline"),
    [
        ("independent_review", "standard", "2026-11-23T17:00:00.000000Z"),
        ("independent_review", "emergency", "2026-11-20T22:00:00.000000Z"),
        ("maker_checker", "standard", "2026-11-23T21:00:00.000000Z"),
        ("exception_observation", "emergency", "2026-11-21T01:00:00.000000Z"),
        ("population_observation", "standard", "2026-12-07T21:00:00.000000Z"),
    ],
)
def test_due_is_counted_in_the_calendar_of_the_policy(cli: Cli, kind: str, tier: str, deadline: str) -> None:
    answer = cli("sla", "due", kind, "--tier", tier, *FRIDAY_AT_FOUR, "--json")
    assert answer.document == {
        "deadline": deadline,
        "calendar_version": read_calendar(REPOSITORY / "calendar.yaml").digest,
    }


def test_due_with_a_calendar_of_ones_own_and_pauses(cli: Cli, write: Write) -> None:
    path = built(cli, write, *CLOSED_EARLY[2:])
    wednesday = ("--from", "2026-11-25T16:30:00-05:00", "--calendar", path, "--json")
    one = ("--pause", "2026-11-27T10:00:00-05:00/2026-11-27T10:30:00-05:00")
    other = ("--pause", "2026-11-27T11:00:00-05:00/2026-11-27T11:30:00-05:00")
    due = ("sla", "due", "independent_review", "--tier", "standard")
    assert cli(*due, *wednesday).document["deadline"] == "2026-11-27T17:30:00.000000Z"
    paused = cli(*due, *wednesday, *one, *other).document
    assert paused == {"deadline": "2026-11-30T14:30:00.000000Z", "calendar_version": read_calendar(path).digest}


def test_due_says_for_people_what_it_stands_on(cli: Cli) -> None:
    out = cli("sla", "due", "maker_checker", "--tier", "standard", *FRIDAY_AT_FOUR).out
    assert "due 2026-11-23T21:00:00.000000Z, Mon 2026-11-23 16:00:00 EST" in out
    assert "1 business_days from 2026-11-20T21:00:00.000000Z, 0 pauses" in out
    assert "calendar US 2026-2032, digest " in out
    assert ", tzdata 20" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("maker_checker", "--tier", "standard", "--from", "2040-01-02T10:00:00Z"),
            "lies outside the business calendar",
        ),
        (("maker_checker", "--tier", "standard", "--from", "2026-11-20T16:00:00"), "needs a date, a time and a zone"),
        (("maker_checker", "--tier", "urgent", *FRIDAY_AT_FOUR), "'urgent' is not one of"),
        (("coffee_break", "--tier", "standard", *FRIDAY_AT_FOUR), "'coffee_break' is not one of"),
        (
            ("maker_checker", "--tier", "standard", *FRIDAY_AT_FOUR, "--calendar", "nowhere.yaml"),
            "nowhere.yaml: not fou",
        ),
        (("maker_checker", "--tier", "standard", *FRIDAY_AT_FOUR, "--pause", "lunch"), "is not FROM/TO"),
        (
            ("maker_checker", "--tier", "standard", *FRIDAY_AT_FOUR, "--pause", "2026-11-23T10:00Z/2026-11-23T09:00Z"),
            "ends before it begins",
        ),
    ],
)
def test_a_deadline_that_cannot_be_told_is_unusable(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    answer = cli("sla", "due", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert says in " ".join(answer.err.replace("│", " ").split())
