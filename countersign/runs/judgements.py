"""Whether all is well with the runs of a root, as checks ask it: pure judgements over index, logs and register.

What belongs here: what a check says, and the rows that it shows. What does not: when it is asked (`assets.checks`),
seals and files beside the runs (`root_checks`), and what becomes of a failure (`findings.incidents`).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from countersign.errors import CountersignError
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO
from countersign.evidence.seals import RootFault
from countersign.runs.engine import CHUNK, Engine, chunks


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check says, with a table of day or source and finding.

    `runs` are the ids of those that failed it, `faults` what is wrong with the root itself.
    """

    passed: bool
    says: str
    rows: tuple[tuple[str, str], ...] = ()
    runs: tuple[str, ...] = ()
    faults: tuple[RootFault, ...] = ()


def nothing_blocked(engine: Engine) -> Judgement:
    """No run is blocked that a corrected one has not superseded."""
    blocked = Counter(run.day for run in engine.index.standing_at(["BLOCKED"]) if not run.superseded_by)
    rows = tuple((day.isoformat(), f"{count} blocked") for day, count in sorted(blocked.items()))
    total = blocked.total()
    return Judgement(
        not total, f"{total} blocked: fix the input, never the gate" if total else "nothing is blocked", rows
    )


def totals_reconcile(engine: Engine) -> Judgement:
    """Every source's latest reading adds up, agrees with the source's own count, and went to its end."""
    rows = []
    wrong = 0
    for name, intake in engine.index.latest_intakes().items():
        said = ", ".join(f"{key} {count}" for key, count in intake.totals.as_dict().items())
        if intake.broken is not None:
            said = intake.broken
        elif not intake.totals.reconciled:
            said = f"does not add up: {said}"
        elif intake.declared not in (None, intake.totals.read):
            said = f"the source counts {intake.declared}: {said}"
        else:
            rows.append((name, said))
            continue
        wrong += 1
        rows.append((name, said))
    return Judgement(
        not wrong, f"{wrong} sources do not reconcile" if wrong else "every source reconciles", tuple(rows)
    )


def every_deployment_has_a_change(engine: Engine) -> Judgement:
    """Every deployment in scope is named by a change that stands; a deployment whose change turned up is."""
    alone = engine.index.deployments.without_change()
    rows = tuple((one.system, f"{one.id}: {one.revision} by {one.deployed_by} at {one.deployed_at}") for one in alone)
    says = f"{len(alone)} deployments without a change; see RUNBOOK.md" if alone else "every deployment has a change"
    return Judgement(not alone, says, rows)


def every_log_verifies(engine: Engine) -> Judgement:
    """Every log is whole, from its first line, and the one that the register knows."""
    return _judge_logs(engine, engine.index.all_runs(), "verify", _verifies)


def logs_are_sound_after_work(engine: Engine, run_ids: Iterable[str]) -> Judgement:
    """The logs of these runs, which the engine has just read to their end, still end in the head the register knows.

    Those of runs that are FAILED verify from their first line: a log that cannot be gone on from is touched by nobody.
    """
    failed = {run.run_id: run for run in engine.index.standing_at(["FAILED"])}
    touched = {run.run_id: run for chunk in chunks(run_ids, CHUNK) for run in engine.index.runs(chunk).values()}

    def sound(engine: Engine, run: IndexedRun) -> bool:
        return _verifies(engine, run) if run.run_id in failed else _ends_as_registered(engine, run)

    return _judge_logs(engine, (touched | failed).values(), "end as the register knows", sound)


def _verifies(engine: Engine, run: IndexedRun) -> bool:
    log = engine.log_of(run.day, run.run_id)
    never_begun = run.head == ZERO and not log.path.exists()  # its payload, read again, goes on from here
    return never_begun or log.check(registered=run.heads).ok


def _ends_as_registered(engine: Engine, run: IndexedRun) -> bool:
    return engine.log_of(run.day, run.run_id).head == run.head


def _judge_logs(
    engine: Engine, runs: Iterable[IndexedRun], what: str, sound: Callable[[Engine, IndexedRun], bool]
) -> Judgement:
    wrong: list[IndexedRun] = []
    checked = 0
    for run in runs:
        checked += 1
        try:
            holds = sound(engine, run)
        except CountersignError:
            holds = False
        if not holds:
            wrong.append(run)
    days = Counter(run.day for run in wrong)
    rows = tuple((day.isoformat(), f"{count} do not {what}") for day, count in sorted(days.items()))
    total = len(wrong)
    says = f"{total} of {checked} logs do not {what}: SEV-1, see ESCALATION.md" if total else f"{checked} logs {what}"
    return Judgement(not total, says, rows, tuple(run.run_id for run in wrong))
