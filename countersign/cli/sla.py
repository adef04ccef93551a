"""`sla`: how long people have."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines
from countersign.clocks.allowance import ClockKind, Pause, Tier
from countersign.clocks.business import BusinessTime
from countersign.clocks.clock import deadline
from countersign.clocks.instant import parse_instant, stamp
from countersign.clocks.zones import TZDATA_VERSION, zone_of
from countersign.policy import load_calendar, load_policy, read_calendar

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `sla` a group while it has one command."""


@app.command("due")
def due(
    kind: Annotated[ClockKind, typer.Argument(help="What the clock waits for.")],
    tier: Annotated[Tier, typer.Option("--tier", help="The tier of the change.")],
    start: Annotated[
        str, typer.Option("--from", help="When the clock starts, with a zone: 2026-11-20T16:00:00-05:00.")
    ],
    calendar_file: Annotated[
        Path | None,
        typer.Option("--calendar", help="A business calendar.", show_default="the one that the policy names"),
    ] = None,
    pause: Annotated[
        list[str] | None,
        typer.Option("--pause", help="FROM/TO, two such times between which the clock stands; repeat it."),
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Print when a clock that starts at a time is due."""
    started, pauses = _instant(start, "--from"), [_pause(text) for text in pause or []]
    loaded = load_policy(policy)
    calendar = load_calendar(loaded, policy) if calendar_file is None else read_calendar(calendar_file)
    allowance = loaded.allowance(kind, tier)
    when = deadline(BusinessTime(calendar), allowance, started, pauses)
    if as_json:
        print_json({"deadline": stamp(when), "calendar_version": calendar.digest})
        return
    print_lines(
        [
            f"due {stamp(when)}, {when.astimezone(zone_of(calendar.zone)):%a %Y-%m-%d %H:%M:%S %Z}",
            f"{allowance.value} {allowance.unit} from {stamp(started)}, {len(pauses)} pauses",
            f"calendar {calendar.version}, digest {calendar.digest}, tzdata {TZDATA_VERSION}",
        ]
    )


def _pause(text: str) -> Pause:
    begin, slash, end = text.partition("/")
    if not slash:
        raise typer.BadParameter(f"{text!r} is not FROM/TO", param_hint="--pause")
    pause = Pause(_instant(begin, "--pause"), ended := _instant(end, "--pause"), "asked for", "command line")
    if ended < pause.begin:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--pause")
    return pause


def _instant(text: str, option: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint=option) from error
