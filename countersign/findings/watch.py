"""The watch: looks at the clocks whose instant has come, records what that means, and has people told.

What belongs here: the order of it. A breach goes into the log of a run that is open, then into `findings.jsonl`, then
into the register, which ends it: what a crash leaves undone is due again at the next look, and ids that follow from
facts keep it from being done twice. A run that was handed off gets an addendum instead. Locks in the order runs,
findings, register. What does not belong here: courses, rungs, and how a message is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol

from countersign.changes.hands import Hands, roster_ids
from countersign.clocks.allowance import ClockKind, Tier
from countersign.clocks.clock import Course
from countersign.clocks.instant import from_micros, stamp, to_micros
from countersign.clocks.zones import TZDATA_VERSION
from countersign.errors import BusyError, CountersignError, TamperedError
from countersign.evidence.clock_index import NEVER
from countersign.evidence.indexed import ClockKey, IndexedClock
from countersign.evidence.lines import Draft
from countersign.findings.due import channels_of, steps_now
from countersign.findings.finding import Occurrence
from countersign.findings.ladder import OpenClock, Step, clock_step
from countersign.findings.log import ACTOR, Addition, FindingsLog
from countersign.findings.occurrences import BLOCK, EXCEPTION, breach, noticed, waits_for
from countersign.findings.sending import Sent
from countersign.runs.course import Courses
from countersign.runs.engine import Engine, chunks
from countersign.runs.fold import read_state
from countersign.runs.hands import hands_in_run, hands_of
from countersign.runs.state import RunState

CHUNK = 1000
AT_ONCE = 100  # runs whose logs are open at a time: a process may have few descriptors
_TOLD_AGAIN, _BUSY_AGAIN, _UNTOLD_AGAIN = timedelta(minutes=1), timedelta(seconds=1), timedelta(hours=1)
_STUCK_AGAIN = timedelta(minutes=1)


class Sends(Protocol):
    """Whoever sends steps; see `sending.Sender`."""

    def send(self, steps: Sequence[Step]) -> list[Sent]: ...


@dataclass(slots=True)
class Watched:
    """What one look did: clocks looked at, findings opened, clocks closed, steps sent."""

    looked_at: int = 0
    opened: list[str] = field(default_factory=list)
    closed: int = 0
    sent: list[Sent] = field(default_factory=list)

    @property
    def did_something(self) -> bool:
        """Whether anything is on record that was not before."""
        return bool(self.opened or self.closed or self.sent)


@dataclass(frozen=True, slots=True)
class _Breach:
    """A clock that ran out, with the id of the finding under which it is followed; `what` is None for a known one."""

    clock: IndexedClock
    deadline: int
    finding: str
    what: Occurrence | None


@dataclass(slots=True)
class _Noted:
    """What became of the logs: heads of those that say it now, what completes a handoff, and what has to wait.

    Of a run that waits nothing is settled: `waiting` says for how long. `hands` are those in each change that was read.
    """

    heads: dict[str, str] = field(default_factory=dict)
    addenda: list[Addition] = field(default_factory=list)
    waiting: dict[str, timedelta] = field(default_factory=dict)
    hands: dict[str, Hands] = field(default_factory=dict)


class Watch:
    """Watches the clocks of an engine's evidence root. Without a `sender` it records and tells nobody."""

    def __init__(self, engine: Engine, log: FindingsLog, sender: Sends | None = None) -> None:
        self._engine = engine
        self._clocks = engine.index.clocks
        self._log = log
        self._sender = sender
        self._courses = Courses(engine.versions)

    def look(self) -> Watched:
        """Look once at everything that is due now. Harmless to repeat, and whoever else looks at the same time."""
        done, now = Watched(), self._engine.clock()
        self._log.register_tail()
        # whoever writes a line holds the register's lock from before its instant: what stopped by now is seen by now
        self._engine.index.sync()
        warned: dict[ClockKey, tuple[IndexedClock, Course]] = {}
        while clocks := self._clocks.due(to_micros(now), CHUNK):
            warned.update(self._take(clocks, now, done))
            done.looked_at += len(clocks)
        self._tell(warned, now, done)
        return done

    def _take(
        self, clocks: list[IndexedClock], now: datetime, done: Watched
    ) -> dict[ClockKey, tuple[IndexedClock, Course]]:
        """Record what these clocks mean and when to look at each again; returns those that people are warned of."""
        seen = to_micros(now)
        courses = self._courses.of(clocks, self._clocks.pauses({clock.run_id for clock in clocks}), seen)
        breaches = list(self._breaches(clocks, courses, seen))
        notices = [what for clock in clocks if clock.next_at == 0 for what in self._noticed(clock)]
        if notices:
            done.opened += self._log.open(notices)
        late: set[ClockKey] = set()
        waiting: dict[str, timedelta] = {}
        by_run = [list(group) for _, group in groupby(sorted(breaches, key=_run_of), key=_run_of)]
        for some in chunks(by_run, AT_ONCE):
            noted = self._record(some, done)
            waiting |= noted.waiting
            late |= {one.clock.key for group in some for one in group if one.clock.run_id not in noted.waiting}
        closed = [clock for clock in clocks if _is_over(clock, courses.get(clock.key), late)]
        self._register([self._closed(clock, courses.get(clock.key), late) for clock in closed])
        done.closed += len(closed)
        return self._go_on(clocks, courses, {clock.key for clock in closed}, late, waiting, now)

    def _record(self, by_run: Sequence[list[_Breach]], done: Watched) -> _Noted:
        """Breaches of a few runs into their logs, the findings and the register, the runs' locks held until then."""
        with ExitStack() as locks:
            noted = self._note(by_run, locks)
            settled = [one for group in by_run for one in group if one.clock.run_id not in noted.waiting]
            opened = [self._barring(one.what, noted) for one in settled if one.what is not None]
            if opened or noted.addenda:
                done.opened += self._log.open(opened, noted.addenda)
            self._register([self._breached(one, noted) for one in settled])
        return noted

    def _barring(self, what: Occurrence, noted: _Noted) -> Occurrence:
        """With whoever had a hand in the change; those whom the roster does not know are compared at the disposal."""
        known = roster_ids(self._engine.current.people, noted.hands.get(what.run_id or "", ()))
        return replace(what, barred=tuple(dict.fromkeys([*what.barred, *known])))

    def _register(self, drafts: list[Draft]) -> None:
        if drafts:
            with self._engine.register.writing() as writer:
                writer.append(drafts)
                self._engine.index.sync(writer)

    def _breaches(self, clocks: list[IndexedClock], courses: dict[ClockKey, Course], seen: int) -> Iterator[_Breach]:
        """Clocks that ran out before they were stopped, or before now, and that the register does not have as late."""
        for clock in clocks:
            course = courses.get(clock.key)
            if clock.recorded or course is None:
                continue
            if clock.finding is not None and clock.breached_at is not None:
                yield _Breach(clock, clock.breached_at, clock.finding, None)  # it was late when it was taken over
            elif course.breached(clock.stopped_at, seen):
                what = self._occurrence(clock, course)
                yield _Breach(clock, course.deadline, what.id, what)

    def _occurrence(self, clock: IndexedClock, course: Course) -> Occurrence:
        current, at = self._engine.current, from_micros(course.deadline)
        target = self._engine.versions.at(clock.configuration).policy.target(ClockKind(clock.kind), Tier(clock.tier))
        late = current.people.holding(waits_for(clock.kind, current.policy), at)
        return breach(clock, at, target.owner, late, current.policy)

    def _noticed(self, clock: IndexedClock) -> Iterator[Occurrence]:
        """The finding of a clock that started because something was noticed."""
        if clock.about not in (BLOCK, EXCEPTION):
            return
        policy, at = self._engine.current.policy, from_micros(clock.started_at)
        repeats = policy.escalation.repeated_blocks
        begin = to_micros(at - timedelta(hours=repeats.within_hours))
        count = self._clocks.noticed(clock.source, clock.about, begin, clock.started_at)
        known = roster_ids(self._engine.current.people, hands_of(self._engine.root, clock.run_id) or ())
        yield noticed(clock, at, known, policy, repeated=count >= repeats.count)

    def _note(self, by_run: Sequence[list[_Breach]], locks: ExitStack) -> _Noted:
        """Write breaches into the logs of runs that are open, whose locks are held until the register knows."""
        noted = _Noted()
        held = self._engine.index.held(_run_of(group[0]) for group in by_run)
        for group in by_run:
            run_id = _run_of(group[0])
            if run_id in held:
                continue  # nobody writes there, and nobody concludes it
            try:
                self._note_run(run_id, group, locks, noted)
            except BusyError:
                noted.waiting[run_id] = _BUSY_AGAIN
            except TamperedError:
                continue  # a log that nobody goes on from keeps no breach from being a finding
            except (CountersignError, OSError):
                noted.waiting[run_id] = _STUCK_AGAIN  # it may be read again, and be concluded as if nobody was late
        return noted

    def _note_run(self, run_id: str, breaches: list[_Breach], locks: ExitStack, noted: _Noted) -> None:
        log, run = self._engine.log_of(breaches[0].clock.day, run_id), self._engine.index.run(run_id)
        if run is None or not log.path.exists():
            return
        writer = locks.enter_context(log.writing(blocking=False))
        entries = writer.entries()
        if all(entry.head != run.head for entry in entries):
            return
        state = read_state(run_id, entries, self._engine.root.blobs)
        noted.hands[run_id] = list(hands_in_run(state))
        if state.closed_as is None and state.workpaper is None and state.ingested:
            for one in breaches:
                if not _says(state, one.clock):
                    writer.stage(_event(one))
            noted.heads[run_id] = writer.commit()
        elif state.handoff is not None:
            to = tuple(state.handoff["to"])
            noted.addenda += [Addition(run_id, one.finding, to) for one in breaches if not _says(state, one.clock)]
        elif state.workpaper is not None:
            noted.waiting[run_id] = _STUCK_AGAIN  # too late for its workpaper, and too early to complete its handoff

    def _breached(self, one: _Breach, noted: _Noted) -> Draft:
        clock = one.clock
        data = {**_names(clock), "deadline": stamp(from_micros(one.deadline)), "finding": one.finding}
        data |= {"carried": one.what is None, **self._versions_of(clock)}
        if clock.run_id in noted.heads:
            data["head"] = noted.heads[clock.run_id]
        return Draft("breached", ACTOR, data)

    def _closed(self, clock: IndexedClock, course: Course | None, late: set[ClockKey]) -> Draft:
        """The last word on a clock, with all that it stands on; it is never computed again."""
        assert clock.stopped_at is not None
        breached = clock.breached_at
        if breached is None and clock.key in late:
            breached = _deadline(course)
        data = {
            **_names(clock),
            "started_at": stamp(from_micros(clock.started_at)),
            "stopped_at": stamp(from_micros(clock.stopped_at)),
            "deadline": stamp(from_micros(_deadline(course) if breached is None else breached)),
            "breached_at": None if breached is None else stamp(from_micros(breached)),
            **self._versions_of(clock),
        }
        return Draft("clock_closed", ACTOR, data)

    def _versions_of(self, clock: IndexedClock) -> dict[str, str]:
        manifest = self._engine.versions.at(clock.configuration).configuration.manifest
        return {"calendar": manifest["calendar"], "policy": manifest["policy"], "tzdata": TZDATA_VERSION}

    def _go_on(
        self,
        clocks: list[IndexedClock],
        courses: dict[ClockKey, Course],
        closed: set[ClockKey],
        late: set[ClockKey],
        waiting: Mapping[str, timedelta],
        now: datetime,
    ) -> dict[ClockKey, tuple[IndexedClock, Course]]:
        """Leave with each clock that goes on when to look at it again; returns those that people are warned of now."""
        seen, warned, left = to_micros(now), {}, []
        for clock in clocks:
            course = courses.get(clock.key)
            if clock.key in closed:
                continue
            if course is None:
                at = to_micros(now + _UNTOLD_AGAIN)
            elif ((clock.recorded or clock.key in late) and clock.stopped_at is None) or course.paused:
                at = NEVER
            elif course.deadline < seen:
                at = to_micros(now + waiting.get(clock.run_id, _BUSY_AGAIN))
            else:
                at = next_look(course, seen)
                if seen >= course.half_at:
                    warned[clock.key] = (clock, course)
            left.append(_left(clock, course, at, late=clock.recorded or clock.key in late))
        self._clocks.set_course(left)
        return warned

    def _tell(self, warned: dict[ClockKey, tuple[IndexedClock, Course]], now: datetime, done: Watched) -> None:
        """Send what is due; a warning that did not arrive is looked at again soon."""
        policy = self._engine.current.policy
        if self._sender is None:
            # whoever looks and sends nothing leaves every warning to the next one who does
            self._clocks.set_course([_left(clock, course, to_micros(now)) for clock, course in warned.values()])
            return
        running = {key: _open_clock(*one, waits_for(one[0].kind, policy)) for key, one in warned.items()}
        done.sent += self._sender.send(steps_now(tuple(running.values()), self._log.read(), policy, now))
        notices, channels = self._log.read().notices, channels_of(policy)
        left = []
        for key, clock in running.items():
            step = clock_step(clock, now)
            told = notices.get(step.id, {}) if step is not None else {}
            if any(told[name].may_be_tried_again if name in told else True for name in channels.get(clock.role, ())):
                left.append(_left(*warned[key], to_micros(now + _TOLD_AGAIN)))
        self._clocks.set_course(left)


def look(engine: Engine) -> Watched:
    """One look that tells nobody: what is due to be sent is left to whoever sends."""
    return Watch(engine, FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)).look()


def next_look(course: Course, seen: int) -> int:
    """When something next happens to a clock that runs: a warning, or the first instant at which it is late."""
    return next((at for at in (course.half_at, course.three_quarters_at) if at > seen), course.deadline + 1)


def _deadline(course: Course | None) -> int:
    assert course is not None  # nothing is late, and nothing met, whose deadline cannot be told
    return course.deadline


def _run_of(one: _Breach) -> str:
    return one.clock.run_id


def _says(state: RunState, clock: IndexedClock) -> bool:
    return any((said.clock, said.about) == (clock.kind, clock.about) for said in state.breaches)


def _event(one: _Breach) -> Draft:
    at = stamp(from_micros(one.deadline))
    data = {"clock": one.clock.kind, "about": one.clock.about, "deadline": at, "finding": one.finding}
    return Draft("breached", ACTOR, data)


def _names(clock: IndexedClock) -> dict[str, object]:
    return {"run_id": clock.run_id, "kind": clock.kind, "about": clock.about}


def _is_over(clock: IndexedClock, course: Course | None, late: set[ClockKey]) -> bool:
    """Whether there is nothing left to say of a clock: it was stopped, in time or with its breach on record."""
    if clock.stopped_at is None or course is None:
        return False
    if clock.recorded or clock.key in late:
        return True
    return clock.breached_at is None and not course.breached(clock.stopped_at, clock.stopped_at)


def _left(clock: IndexedClock, course: Course | None, next_at: int, *, late: bool = False) -> dict[str, object]:
    """What the index is to know of a clock; a deadline that was missed stays what it is."""
    told = None if late else course
    return {
        **_names(clock),
        "half_at": told and told.half_at,
        "three_quarters_at": told and told.three_quarters_at,
        "deadline": course.deadline if course is not None and not clock.recorded else clock.deadline,
        "next_at": next_at,
    }


def _open_clock(clock: IndexedClock, course: Course, role: str) -> OpenClock:
    instants = (from_micros(at) for at in (course.half_at, course.three_quarters_at, course.deadline))
    return OpenClock(clock.run_id, ClockKind(clock.kind), role, *instants)
