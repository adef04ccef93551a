"""Observations: an observer has looked at what was noticed of a run, which stops its observation clocks.

What belongs here: who may observe, and taking it durably: the words into `findings.jsonl`, then the fact into the
register, at whose instant the clocks stop.
"""

from dataclasses import dataclass
from pathlib import Path

from countersign.changes.hands import not_shown_apart
from countersign.clocks.allowance import ClockKind
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import ClockRefused
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import Observed
from countersign.findings.log import FindingsLog
from countersign.policy import Policy
from countersign.runs.engine import Engine
from countersign.runs.fold import read_state
from countersign.runs.hands import hands_in_run
from countersign.runs.run import configured

MOST_WORDS = 10_000


@dataclass(frozen=True, slots=True)
class ObservationReceipt:
    """An observation that is on disk; `stopped` says what its clocks were about, `repeated` that it was there."""

    run_id: str
    by: str
    outcome: str
    stopped: tuple[str, ...]
    repeated: bool


def record_observation(
    rundir: Path | str,
    observer: str,
    outcome: str,
    reason: str,
    *,
    policy: Path | str | Policy | None = None,
    clock: Clock = utc_now,
    entropy: Entropy = random_bytes,
) -> ObservationReceipt:
    """Record that an observer has looked at a run: `outcome` is `noted` or `challenged`, `observer` a roster id.

    The same again is harmless. Raises ClockRefused with the reason.
    """
    folder = Path(rundir)
    engine = Engine(EvidenceRoot.of_run(folder).path, configured(policy), clock=clock, entropy=entropy)
    return observe(engine, folder.absolute().name, observer, outcome, reason)


def observe(engine: Engine, run_id: str, observer: str, outcome: str, reason: str) -> ObservationReceipt:
    """The same for a run of an engine's evidence root, by its id. Raises ClockRefused, and UnknownRunError."""
    run = known_run(engine, run_id)
    if outcome not in set(Observed):
        raise ClockRefused(f"unknown outcome {outcome!r}; it is one of {', '.join(Observed)}")
    need_reason(reason, "an observation")
    _refuse_unless_observer(engine, run, observer)
    running = [one for one in engine.index.clocks.running(run_id) if one.kind == ClockKind.EXCEPTION_OBSERVATION]
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    fresh = log.observe(run_id, observer, Observed(outcome), reason)
    if fresh or running:
        engine.register.append("observed", observer, run_id=run_id, outcome=str(outcome))
        engine.index.sync()
    return ObservationReceipt(run_id, observer, str(outcome), tuple(one.about for one in running), not fresh)


def known_run(engine: Engine, run_id: str) -> IndexedRun:
    """A run as the register describes it now. Raises UnknownRunError."""
    engine.index.sync()
    return engine.index.known(run_id)


def need_reason(reason: str, what: str) -> None:
    """Raise ClockRefused unless there is a reason of a length that people read."""
    if not reason.strip() or len(reason) > MOST_WORDS:
        raise ClockRefused(f"{what} needs a reason, in at most {MOST_WORDS} characters")


def _refuse_unless_observer(engine: Engine, run: IndexedRun, observer: str) -> None:
    people = engine.current.people
    if engine.current.policy.person(observer) is None:
        raise ClockRefused(f"{observer!r} is not on the roster; sign as one of its ids")
    standing = people.holds_role(observer, "observer", engine.clock())
    if not standing.holds or standing.acting_for:
        why = f"{observer!r} would act for another, and an observer does not" if standing.acting_for else standing.why
        raise ClockRefused(f"an observation is not for {observer!r} to give: {why}")
    log = engine.log_of(run.day, run.run_id)
    state = read_state(run.run_id, log.records(), engine.root.blobs)
    if hand := not_shown_apart(people, people.identify(observer), list(hands_in_run(state))):
        part, text = hand
        raise ClockRefused(f"{observer!r} is, or cannot be told apart from, the {part} of this change, {text!r}")
