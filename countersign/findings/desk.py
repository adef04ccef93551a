"""What people do about clocks: observe a run, and let a clock stand still.

What belongs here: who may, and taking it durably. What does not: sign-offs, which stop the clocks that wait for them,
and when a clock runs out. A pause begins and ends at the instant it is recorded, so it never un-breaches.
"""

from dataclasses import dataclass
from datetime import datetime

from countersign.changes.people import Likeness
from countersign.clocks.allowance import ClockKind, Tier
from countersign.clocks.instant import from_micros, to_micros
from countersign.errors import ClockRefused, UnknownRunError
from countersign.evidence.indexed import IndexedClock, IndexedRun
from countersign.evidence.lines import Draft
from countersign.findings.course import Courses
from countersign.findings.finding import Observed
from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import waits_for
from countersign.runs.engine import Engine
from countersign.runs.state import RunState, read_state

_MOST_WORDS = 10_000


@dataclass(frozen=True, slots=True)
class ObservationReceipt:
    """An observation that is on disk; `stopped` names what it stopped the clocks of, `repeated` that it was there."""

    run_id: str
    by: str
    outcome: str
    stopped: tuple[str, ...]
    repeated: bool


class ClockDesk:
    """Takes observations and pauses for the runs of an engine's evidence root, under the policy in force."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)

    def observe(self, run_id: str, observer: str, outcome: str, reason: str) -> ObservationReceipt:
        """An observer has looked at what was noticed of a run: its observation clocks stop.

        The same again is harmless. Raises ClockRefused, and UnknownRunError.
        """
        run = self._run(run_id)
        if outcome not in set(Observed):
            raise ClockRefused(f"unknown outcome {outcome!r}; it is one of {', '.join(Observed)}")
        _need_reason(reason, "an observation")
        self._refuse_unless_observer(run, observer)
        running = [one for one in self._engine.index.clocks.running(run_id) if _observes(one)]
        fresh = self._log.observe(run_id, observer, Observed(outcome), reason)
        if fresh or running:
            self._engine.register.append("observed", observer, run_id=run_id, outcome=outcome)
            self._engine.index.sync()
        return ObservationReceipt(run_id, observer, outcome, tuple(one.about for one in running), not fresh)

    def pause(self, run_id: str, kind: str, person: str, reason: str) -> list[IndexedClock]:
        """The owner of a clock lets it stand still; returns the clocks that now do. Raises ClockRefused."""
        _need_reason(reason, "a pause")
        running = self._running(run_id, kind, person)
        paused = {clock.key for clock in running if self._stands_still(clock)}
        if len(paused) == len(running):
            raise ClockRefused(f"{kind} of {run_id} stands still already; `countersign sla resume` lets it go on")
        now = self._engine.clock()
        late = [clock for clock in running if clock.breached_at is not None or self._is_late(clock, now)]
        if late:
            since = late[0].breached_at
            raise ClockRefused(
                f"{kind} of {run_id} was breached{f' at {from_micros(since):%Y-%m-%d %H:%M:%S}' if since else ''}; "
                "no pause takes that back"
            )
        return self._note("clock_paused", [clock for clock in running if clock.key not in paused], person, reason)

    def resume(self, run_id: str, kind: str, person: str, reason: str) -> list[IndexedClock]:
        """The owner of a clock lets it go on; returns the clocks that now do. Raises ClockRefused."""
        _need_reason(reason, "to resume")
        paused = [clock for clock in self._running(run_id, kind, person) if self._stands_still(clock)]
        if not paused:
            raise ClockRefused(f"{kind} of {run_id} does not stand still")
        return self._note("clock_resumed", paused, person, reason)

    def _note(self, event: str, clocks: list[IndexedClock], person: str, reason: str) -> list[IndexedClock]:
        drafts = [
            Draft(event, person, {"run_id": one.run_id, "kind": one.kind, "about": one.about}, {"reason": reason})
            for one in clocks
        ]
        self._engine.register.append_many(drafts)
        self._engine.index.sync()
        return clocks

    def _run(self, run_id: str) -> IndexedRun:
        self._engine.index.sync()
        run = self._engine.index.run(run_id)
        if run is None:
            raise UnknownRunError(f"{run_id}: no such run in {self._engine.root.path}; `countersign status` lists them")
        return run

    def _refuse_unless_observer(self, run: IndexedRun, observer: str) -> None:
        self._refuse_unless_known(observer)
        people, now = self._engine.current.people, self._engine.clock()
        standing = people.holds_role(observer, "observer", now)
        if not standing.holds or standing.acting_for:
            why = (
                standing.why if not standing.holds else f"{observer!r} would act for another, and an observer does not"
            )
            raise ClockRefused(f"an observation is not for {observer!r} to give: {why}")
        log = self._engine.log_of(run.day, run.run_id)
        state = read_state(run.run_id, log.records(), self._engine.root.blobs)
        identity = people.identify(observer)
        for part, text in _hands_in(state):
            if not people.is_bot(text) and people.compare(identity, people.identify(text)) is not Likeness.DIFFERENT:
                raise ClockRefused(
                    f"{observer!r} is, or cannot be told apart from, the {part} of this change, {text!r}"
                )

    def _refuse_unless_known(self, person: str) -> None:
        if self._engine.current.policy.person(person) is None:
            raise ClockRefused(f"{person!r} is not on the roster; sign as one of its ids")

    def _running(self, run_id: str, kind: str, person: str) -> list[IndexedClock]:
        """The clocks of this kind that run, where this person may let them stand still. Raises ClockRefused."""
        self._run(run_id)
        if kind not in set(ClockKind):
            raise ClockRefused(f"unknown clock {kind!r}; it is one of {', '.join(ClockKind)}")
        running = [clock for clock in self._engine.index.clocks.running(run_id) if clock.kind == kind]
        if not running:
            raise ClockRefused(f"{kind} of {run_id} does not run; `countersign sla list` shows the clocks that do")
        self._refuse_unless_known(person)
        current, now = self._engine.current, self._engine.clock()
        due = waits_for(kind, current.policy)
        if person in current.people.holding(due, now):
            raise ClockRefused(f"{kind} of {run_id} waits for {person!r} ({due}), who cannot let it stand still")
        owner = current.policy.target(ClockKind(kind), Tier(running[0].tier)).owner
        standing = current.people.holds_role(person, owner, now)
        if not standing.holds:
            raise ClockRefused(f"{kind} of {run_id} is its owner's to let stand still: {standing.why}")
        return running

    def _stands_still(self, clock: IndexedClock) -> bool:
        pauses = self._engine.index.clocks.pauses([clock.run_id]).get(clock.key, [])
        return bool(pauses) and pauses[-1].end is None

    def _is_late(self, clock: IndexedClock, now: datetime) -> bool:
        pauses = self._engine.index.clocks.pauses([clock.run_id])
        course = Courses(self._engine.versions).of([clock], pauses, to_micros(now)).get(clock.key)
        return course is not None and course.deadline < to_micros(now)


def _observes(clock: IndexedClock) -> bool:
    return clock.kind == ClockKind.EXCEPTION_OBSERVATION


def _need_reason(reason: str, what: str) -> None:
    if not reason.strip() or len(reason) > _MOST_WORDS:
        raise ClockRefused(f"{what} needs a reason, in at most {_MOST_WORDS} characters")


def _hands_in(state: RunState) -> list[tuple[str, str]]:
    """Everybody who had a hand in the change or signed it."""
    if not state.ingested:
        return []
    change = state.change
    hands = [("author", change.author), *(("contributor", text) for text in change.contributors)]
    hands += [("deployer", change.deployed_by)] if change.deployed_by else []
    return [*hands, *((f"signer of {key}", signed.by) for key, signed in state.sign_offs.items())]
