"""Clocks judged again: by the calendar and the targets that each run was opened under.

What belongs here: holding deadlines and breaches on record against those that follow. What does not: clocks that nobody
has judged yet, which the watch sees to.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from countersign.clocks.instant import from_micros, stamp, to_micros
from countersign.evidence.index import Index
from countersign.evidence.indexed import ClockKey, IndexedClock, IndexedPause
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.runs.course import Courses
from countersign.runs.replay import Difference
from countersign.runs.state import RunState
from countersign.runs.versions import VersionStore


@dataclass(frozen=True, slots=True)
class _Judged:
    """How a clock came out: late exactly where `breached_at` says when."""

    deadline: int | None
    breached_at: int | None

    def shown(self) -> dict[str, str | None]:
        return {"deadline": _shown(self.deadline), "breached_at": _shown(self.breached_at)}


_UNJUDGED = _Judged(None, None)


class Timing:
    """The clocks of an evidence root by its register alone: whatever index lies there is not asked."""

    def __init__(self, root: EvidenceRoot, register: Register, versions: VersionStore) -> None:
        self._index = Index(root, register, "sqlite://")
        self._index.sync()
        self._courses = Courses(versions)
        self._judged: dict[str, dict[tuple[str, str], tuple[_Judged, _Judged]]] = {}

    def judge(self, run_ids: Iterable[str]) -> None:
        """Judge the clocks of these runs, all at once, for `differences`."""
        wanted = list(run_ids)
        clocks = self._index.clocks.of_runs(wanted)
        pauses = self._index.clocks.pauses(clock.run_id for clock in clocks)
        before = {(clock.taken_over_by, clock.kind, clock.about): clock for clock in clocks}
        mine = [_as_judged(clock, before.get(clock.key)) for clock in clocks if _is_judged(clock)]
        again = self._deadlines(mine, pauses)
        self._judged = {run_id: {} for run_id in wanted}
        for clock in mine:
            due = again.get(clock.key)
            late = due is not None and (clock.stopped_at is None or clock.stopped_at > due)
            pair = _Judged(clock.deadline, clock.breached_at), _Judged(due, due if late else None)
            self._judged.setdefault(clock.run_id, {})[clock.kind, clock.about] = pair

    def _deadlines(
        self, clocks: list[IndexedClock], pauses: Mapping[ClockKey, Sequence[IndexedPause]]
    ) -> dict[ClockKey, int]:
        courses = self._courses.of([clock for clock in clocks if clock.key not in pauses], {}, 0)
        for clock in clocks:
            if clock.key in pauses:  # as it was seen when it was judged: what was recorded later did not count
                seen = clock.breached_at if clock.stopped_at is None else clock.stopped_at
                courses |= self._courses.of([clock], pauses, seen or 0)
        return {key: course.deadline for key, course in courses.items()}

    def differences(self, state: RunState) -> Iterator[Difference]:
        """Clocks of a run that come out otherwise than they are on record, in the register or in its log."""
        judged = self._judged[state.run_id]
        for (kind, about), (was, again) in judged.items():
            if was != again:
                yield Difference(f"clock {kind} {about}".rstrip(), was.shown(), again.shown())
        for breach in state.breaches:
            _, again = judged.get((breach.clock, breach.about), (None, _UNJUDGED))
            if again.breached_at != to_micros(breach.deadline):
                yield Difference(f"breach of {breach.clock}", {"breached_at": stamp(breach.deadline)}, again.shown())


def _is_judged(clock: IndexedClock) -> bool:
    """Whether somebody said how it came out; one that was taken over while in time is judged in its successor."""
    return clock.recorded or (clock.closed and clock.taken_over_by is None)


def _as_judged(clock: IndexedClock, before: IndexedClock | None) -> IndexedClock:
    """A clock with what it was judged by: one that was late when it was taken over, with what its predecessor was."""
    if before is None or before.breached_at is None or before.breached_at != clock.breached_at:
        return clock
    return replace(clock, configuration=before.configuration, tier=before.tier)


def _shown(instant: int | None) -> str | None:
    return None if instant is None else stamp(from_micros(instant))
