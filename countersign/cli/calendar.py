"""`calendar`: the first version of a business calendar."""

import re
from datetime import date
from typing import Annotated

import typer
from pydantic import ValidationError

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines
from countersign.clocks.seed import calendar_text, seeded_calendar

app = typer.Typer(no_args_is_help=True)

_HOME, _HOME_ZONE = "US", "America/New_York"


@app.callback()
def group() -> None:
    """Keep `calendar` a group while it has one command."""


@app.command("build")
def build(
    place: Annotated[str, typer.Argument(help="A country, or a part of one: US, US-CA, GB-ENG, IN.")],
    years: Annotated[str, typer.Option("--years", help="The years to cover, such as 2026-2032.")],
    zone: Annotated[
        str | None,
        typer.Option("--zone", help=f"The IANA time zone of the hours; {_HOME_ZONE} for {_HOME}.", show_default=False),
    ] = None,
    hours: Annotated[str, typer.Option("--hours", help="Working hours, Monday to Friday.")] = "09:00-17:00",
    early_close: Annotated[
        list[str] | None,
        typer.Option("--early-close", help="A day that ends sooner, such as 2026-11-27=13:00; repeat it."),
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Print a calendar with the public holidays of a place, to be kept in a file and edited by its owner."""
    if zone is None and place != _HOME:
        raise typer.BadParameter(f"name the time zone of {place}, such as Europe/London", param_hint="--zone")
    first, last = _years(years)
    try:
        calendar = seeded_calendar(
            place,
            first,
            last,
            zone=zone or _HOME_ZONE,
            hours=hours,
            early_closes=[_early_close(text) for text in early_close or []],
        )
    except ValidationError as error:
        raise typer.BadParameter(_first(error)) from error
    if as_json:
        print_json(calendar.model_dump(mode="json"))
    else:
        print_lines(calendar_text(calendar).splitlines())


def _years(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", text, re.ASCII)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no span of years such as 2026-2032", param_hint="--years")
    return int(found[1]), int(found[2] or found[1])


def _early_close(text: str) -> tuple[date, str]:
    day, _, closes = text.partition("=")
    try:
        return date.fromisoformat(day), closes
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not like 2026-11-27=13:00", param_hint="--early-close") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
