"""Which evidence belongs to which finished day, by the register's own lines.

What belongs here: one pass that cuts register and findings into days and says which files each day names. A day has the
lines from its first instant in the policy's zone to the next day's; where a clock was set back, the lines stay where
they stand. What does not: reading those files.

A run concludes when its log closes, or when another run supersedes it or takes it over while it is open.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo

from countersign.clocks.instant import local_day, parse_instant, stamp
from countersign.errors import TamperedError
from countersign.evidence.chain import Reading, open_lines
from countersign.evidence.deployed import superseded
from countersign.evidence.lines import ZERO
from countersign.evidence.register import OF_MONTHS, files_of
from countersign.evidence.root import EvidenceRoot

Span = tuple[int, int]
_DAY = timedelta(days=1)
_EVENT = re.compile(rb'\{"prev":"[0-9a-f]{64}","seq":\d+,"ts":"([0-9T:.Z-]+)","event":"(\w+)"')
_READ = frozenset(
    (
        b"root_opened",
        b"configuration_adopted",
        b"run_opened",
        b"run_head",
        b"run_closed",
        b"signed_off",
        b"breached",
        b"extract",
        b"sealed",
        b"timestamped",
        b"witnessed",
        *(event.encode() for event in OF_MONTHS),
    )
)


@dataclass(slots=True)
class ConcludedRun:
    """A run with the head that the register knows, and the configurations that were in force in its time."""

    run_id: str
    day: date
    configurations: set[str]
    head: str = ZERO
    superseded: bool = False


@dataclass(slots=True)
class FinishedDay:
    """What a day's lines name; `register` and `findings` are where these begin and end, in bytes."""

    day: date
    register: Span
    findings: Span = (0, 0)
    runs: dict[str, ConcludedRun] = field(default_factory=dict)
    configurations: set[str] = field(default_factory=set)
    extracts: set[str] = field(default_factory=set)
    seals: set[int] = field(default_factory=set)
    witnesses: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far register and findings are read, in bytes: what comes behind is of a day that is not over."""

    register: int
    findings: int


def finished_days(
    root: EvidenceRoot, zone: ZoneInfo, today: date, reach: Reach, kept: Mapping[date, tuple[Span, Span]]
) -> Iterator[FinishedDay]:
    """The days before today that have lines, ascending; no lock is held meanwhile.

    `kept` are the register's and the findings' lines of days that are kept already, where they stay whatever a clock
    says later. Raises TamperedError for a line that is not of its form.
    """
    findings = list(_spans(root.findings, reach.findings, zone, {day: span[1][1] for day, span in kept.items()}))
    end = 0
    for finished in _days(root.register, reach.register, zone, {day: span[0][1] for day, span in kept.items()}):
        if finished.day >= today:
            return
        start = end
        while findings and findings[0][0] <= finished.day:  # those of a day without a register line go with the next
            end = findings.pop(0)[1][1]
        finished.findings = (start, end)
        yield finished


def _days(register: Path, size: int, zone: ZoneInfo, cuts: Mapping[date, int]) -> Iterator[FinishedDay]:
    open_runs: dict[str, ConcludedRun] = {}
    in_force: set[str] = set()
    now: FinishedDay | None = None
    reading = Reading(register)
    for at, line, day, event in _lines(register, size, zone, cuts):
        if now is None or day > now.day:
            if now is not None:
                yield now
            now = FinishedDay(day, (at, at), configurations=set(in_force))
        now.register = (now.register[0], at + len(line))
        said = reading.read(line, at=at, matters=event in _READ)
        if said is not None:
            try:
                _take(now, open_runs, in_force, event, said)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise TamperedError(f"{register}: the line at byte {at} is not of its form (SEV-1)") from error
    if now is not None:
        yield now


def _take(
    now: FinishedDay, open_runs: dict[str, ConcludedRun], in_force: set[str], event: bytes, said: dict[str, Any]
) -> None:
    now.files.update(files_of(event.decode(), said))
    match event:
        case b"root_opened" | b"configuration_adopted":
            in_force.clear()
            in_force.add(said["configuration"])
            now.configurations |= in_force
            for run in open_runs.values():
                run.configurations |= in_force
        case b"run_opened":
            opened = ConcludedRun(said["run_id"], date.fromisoformat(said["day"]), {said["configuration"], *in_force})
            open_runs[opened.run_id] = opened
            for pair in superseded([said]):
                if (before := open_runs.get(pair["old"])) is not None:
                    before.superseded = True
                    now.runs[before.run_id] = before
        case b"run_head" | b"run_closed" | b"signed_off" | b"breached":
            paused = open_runs.get(said["run_id"])
            if paused is not None and "head" in said:
                paused.head = said["head"]
                if event == b"run_closed":
                    del open_runs[paused.run_id]
                if event == b"run_closed" or paused.superseded:
                    now.runs[paused.run_id] = paused
        case b"extract":
            now.extracts.add(said["digest"])
        case b"sealed":
            now.seals.add(int(said["number"]))
        case b"timestamped" | b"witnessed":
            now.witnesses.add(PurePath(said["file"]).name)
        case _:
            pass


def _spans(path: Path, size: int, zone: ZoneInfo, cuts: Mapping[date, int]) -> Iterator[tuple[date, Span]]:
    start, end, current = 0, 0, None
    for at, line, day, _ in _lines(path, size, zone, cuts):
        if current is not None and day > current:
            yield current, (start, end)
            start = at
        current = day if current is None else max(current, day)
        end = at + len(line)
    if current is not None:
        yield current, (start, end)


def _lines(path: Path, size: int, zone: ZoneInfo, cuts: Mapping[date, int]) -> Iterator[tuple[int, bytes, date, bytes]]:
    """Every line with its offset, day and event; a text, or what a power cut left, has the day of the event before.

    No line before the end of a kept day is of a later day, and none after it is of that day.
    """
    ends = sorted((end, day) for day, end in cuts.items())
    current, next_day, at = date.min, "", 0
    if size == 0:
        return
    with open_lines(path) as file:
        while at < size:
            line = file.readline()
            event = b""
            if said := _EVENT.match(line):
                ts, event = said[1].decode("ascii"), said[2]
                if ts >= next_day:
                    current = max(current, local_day(parse_instant(ts), zone))
                    next_day = _beginning(current + _DAY, zone)
            while ends and at >= ends[0][0]:
                current = max(current, ends.pop(0)[1] + _DAY)
                next_day = _beginning(current + _DAY, zone)
            yield at, line, min(current, ends[0][1]) if ends else current, event
            at += len(line)


def _beginning(day: date, zone: ZoneInfo) -> str:
    return stamp(datetime.combine(day, time(), zone))
