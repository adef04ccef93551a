"""`sla`: how long people have, whose turn it is, and letting a clock stand still."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, instant_of, open_existing
from countersign.cli.output import print_json, print_lines, print_table, say
from countersign.clocks.allowance import ClockKind, Pause, Tier
from countersign.clocks.business import BusinessTime
from countersign.clocks.clock import deadline
from countersign.clocks.instant import from_micros, stamp
from countersign.clocks.zones import TZDATA_VERSION, zone_of
from countersign.evidence.indexed import IndexedClock
from countersign.findings.pausing import pause as let_stand
from countersign.findings.pausing import resume as let_go_on
from countersign.findings.report import monthly
from countersign.findings.turns import Turn, turns
from countersign.policy import load_calendar, load_policy, read_calendar

app = typer.Typer(no_args_is_help=True)


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
    started, pauses = instant_of(start, "--from"), [_pause(text) for text in pause or []]
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


RunId = Annotated[str, typer.Argument(help="The run, as `countersign status` shows it.")]
Owner = Annotated[str, typer.Option("--as", help="The owner of the clock: an id of the roster.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words that an auditor can follow.")]
_SPAN = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@app.command("list")
def list_clocks(
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose time is used up.")] = False,
    within: Annotated[
        str | None, typer.Option("--within", help="Only those with so little time left: 30m, 2h, 1d; late ones too.")
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """List the clocks that run: whose they are, until when, and how much time is left as they count it."""
    limit = None if within is None else _span(within)
    shown = [turn for turn in turns(open_existing(root, policy)) if turn.overdue or not overdue]
    if limit is not None:
        shown = [turn for turn in shown if turn.left is not None and turn.left <= limit]
    if as_json:
        print_json({"clocks": [_turn(turn) for turn in shown]})
    elif shown:
        rows = [
            (turn.run_id, turn.change_id, turn.clock, turn.role, ", ".join(turn.people) or "nobody", *_time(turn))
            for turn in shown
        ]
        print_table(("run", "change", "clock", "due from", "who", "deadline", "time left"), rows)
    else:
        say("no such clock runs")


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not like 30m, 2h or 1d", param_hint="--within")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _turn(turn: Turn) -> dict[str, object]:
    return {
        "run_id": turn.run_id,
        "change_id": turn.change_id,
        "clock": turn.clock,
        "role": turn.role,
        "people": list(turn.people),
        "started_at": stamp(turn.started_at),
        "deadline": turn.deadline and stamp(turn.deadline),
        "left_seconds": None if turn.left is None else int(turn.left.total_seconds()),
        "overdue": turn.overdue,
        "paused": turn.paused,
    }


def _time(turn: Turn) -> tuple[str, str]:
    if turn.deadline is None or turn.left is None:
        return "cannot be told", ""
    if turn.overdue:
        return stamp(turn.deadline)[:19], "overdue"
    seconds = int(turn.left.total_seconds())
    left = f"{seconds // 3600} h {seconds % 3600 // 60:02} min{' of business time' if turn.business else ''}"
    return stamp(turn.deadline)[:19], f"{left}, paused" if turn.paused else left


@app.command("pause")
def pause_clock(
    run_id: RunId,
    kind: Annotated[ClockKind, typer.Argument(help="Which clock.")],
    person: Owner,
    reason: Reason,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Let a clock stand still from now on. Its owner may, whoever is due may not; a breach stays one."""
    _changed(let_stand(open_existing(root, policy), run_id, kind, person, reason), "stands still", as_json)


@app.command("resume")
def resume_clock(
    run_id: RunId,
    kind: Annotated[ClockKind, typer.Argument(help="Which clock.")],
    person: Owner,
    reason: Reason,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Let a clock go on."""
    _changed(let_go_on(open_existing(root, policy), run_id, kind, person, reason), "goes on", as_json)


def _changed(clocks: Sequence[IndexedClock], now: str, as_json: bool) -> None:
    if as_json:
        print_json({"clocks": [{"run_id": one.run_id, "kind": one.kind, "about": one.about} for one in clocks]})
        return
    for one in clocks:
        say(f"{one.kind}{f' of {one.about}' if one.about else ''} of {one.run_id} {now}")


@app.command("report")
def report_month(
    month: Annotated[str, typer.Option("--month", help="YYYY-MM.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Report a month (in UTC): how the clocks that were due in it came out, and every pause, with its reason."""
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise typer.BadParameter(f"{month!r} is not like 2026-11", param_hint="--month") from error
    found = monthly(open_existing(root, policy), first)
    pauses = [
        {
            "run_id": one.run_id,
            "clock": one.kind,
            "about": one.about,
            "from": stamp(from_micros(one.begin)),
            "to": None if one.end is None else stamp(from_micros(one.end)),
            "by": one.by,
            "reason": one.reason,
        }
        for one in found.pauses
    ]
    if as_json:
        rows = [
            {"clock": one.kind, "tier": one.tier, "met": one.met, "breached": one.breached} for one in found.attainment
        ]
        print_json({"month": found.month, "clocks": rows, "pauses": pauses})
        return
    print_table(
        ("clock", "tier", "met", "breached"),
        [(one.kind, one.tier, one.met, one.breached) for one in found.attainment],
        title=f"Clocks that were due in {found.month}",
    )
    print_table(
        ("run", "clock", "from", "to", "by", "reason"),
        [(one["run_id"], one["clock"], one["from"], one["to"] or "lasts", one["by"], one["reason"]) for one in pauses],
        title=f"Pauses in {found.month}",
    )


def _pause(text: str) -> Pause:
    begin, slash, end = text.partition("/")
    if not slash:
        raise typer.BadParameter(f"{text!r} is not FROM/TO", param_hint="--pause")
    pause = Pause(instant_of(begin, "--pause"), ended := instant_of(end, "--pause"), "asked for", "command line")
    if ended < pause.begin:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--pause")
    return pause
