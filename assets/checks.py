"""Asset checks: unpartitioned, never blocking, judged from the index over all days.

Each stands alone, so that the UI and the integrity job can run it. `daily` and `advance` log the same evaluations at
the end of their own step: a check step would be skipped whenever a day leaves its asset untouched.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetKey,
    DagsterInstance,
    OpExecutionContext,
    asset_check,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from assets.metadata import judgement_metadata
from countersign.findings.due import no_clock_overdue
from countersign.findings.incidents import record_incidents, record_root_incidents, with_findings
from countersign.runs.engine import Engine
from countersign.runs.judgements import (
    Judgement,
    every_deployment_has_a_change,
    every_log_verifies,
    logs_are_sound_after_work,
    nothing_blocked,
    totals_reconcile,
)
from countersign.runs.root_checks import files_hold, seals_are_recent, seals_hold
from resources.evidence import Evidence, WallClock


@dataclass(frozen=True)
class Check:
    """A check: `judge` is about the whole root, `after_work` about runs that were just touched, by their ids.

    Without the latter it waits for the night.
    """

    name: str
    asset: str
    meaning: str
    severity: AssetCheckSeverity
    judge: Callable[[Engine, Evidence], Judgement]
    after_work: Callable[[Engine, Sequence[str]], Judgement] | None


def _every_log(engine: Engine, _: Evidence) -> Judgement:
    return _recorded(engine, with_findings(engine, every_log_verifies(engine)))


def _touched_logs(engine: Engine, touched: Sequence[str]) -> Judgement:
    return _recorded(engine, logs_are_sound_after_work(engine, touched))


def _seals(engine: Engine, evidence: Evidence) -> Judgement:
    return _recorded(engine, seals_hold(engine, evidence.signers))


def _newest_seal(engine: Engine, _: Sequence[str]) -> Judgement:
    return _recorded(engine, seals_are_recent(engine))


def _files(engine: Engine, _: Evidence) -> Judgement:
    from countersign.sampling.verification import check_samples  # noqa: PLC0415  (brings pyarrow; definitions load without)

    return _recorded(engine, files_hold(engine.root, check_samples(engine.root)))


def _recorded(engine: Engine, judgement: Judgement) -> Judgement:
    """A judgement whose incidents are findings now."""
    record_incidents(engine, judgement.runs)
    record_root_incidents(engine, judgement.faults)
    return judgement


def _by_the_engine(judge: Callable[[Engine], Judgement]) -> Callable[[Engine, object], Judgement]:
    """A judgement that takes the engine and nothing else."""
    return lambda engine, _: judge(engine)


CHECKS = (
    Check(
        "nothing_blocked",
        "grounding_gate",
        "No run is blocked, unless a corrected one has superseded it.",
        AssetCheckSeverity.WARN,
        _by_the_engine(nothing_blocked),
        _by_the_engine(nothing_blocked),
    ),
    Check(
        "totals_reconcile",
        "change_record",
        "read = opened + already known + refused + out of scope, for the latest reading of every source.",
        AssetCheckSeverity.ERROR,
        _by_the_engine(totals_reconcile),
        _by_the_engine(totals_reconcile),
    ),
    Check(
        "every_deployment_has_a_change",
        "change_record",
        "Every deployment in scope is named by a change that no other supersedes; one that is not skipped the process.",
        AssetCheckSeverity.ERROR,
        _by_the_engine(every_deployment_has_a_change),
        _by_the_engine(every_deployment_has_a_change),
    ),
    Check(
        "no_clock_overdue",
        "finding",
        "No clock runs whose time is used up: every sign-off and observation that is due was given.",
        AssetCheckSeverity.WARN,
        _by_the_engine(no_clock_overdue),
        _by_the_engine(no_clock_overdue),
    ),
    Check(
        "every_log_verifies",
        "audit_log",
        "Every audit log, and findings.jsonl, is whole and the one that the register knows; right after work, the logs "
        "just touched and those of failed runs, or all of them when this check failed the last time. A failure is a "
        "control incident, SEV-1: see ESCALATION.md.",
        AssetCheckSeverity.ERROR,
        _every_log,
        _touched_logs,
    ),
    Check(
        "seals_hold",
        "audit_log",
        "Every seal is signed, goes on from the one before, and is true of register and findings; and nothing has "
        "waited for one for 25 hours, which is all that is judged right after work. A failure is a finding: SEV-1, or "
        "SEV-2 where only a seal is late.",
        AssetCheckSeverity.ERROR,
        _seals,
        _newest_seal,
    ),
    Check(
        "files_hold",
        "audit_log",
        "Every dataset, version, extract and attachment is the one that its name or the register says, private and no "
        "link, and every sample follows again from its population, seed and results. Judged every night. A failure is "
        "a finding, SEV-1.",
        AssetCheckSeverity.ERROR,
        _files,
        None,
    ),
)


def asset_checks() -> list[AssetChecksDefinition]:
    """One standalone check for each of `CHECKS`."""
    return [_standing(check) for check in CHECKS]


def _standing(check: Check) -> AssetChecksDefinition:
    @asset_check(asset=check.asset, name=check.name, description=check.meaning, blocking=False)
    def standing(evidence: Evidence, clock: WallClock) -> AssetCheckResult:
        judgement = check.judge(evidence.engine(clock), evidence)
        return AssetCheckResult(
            passed=judgement.passed,
            severity=check.severity,
            description=judgement.says,
            metadata=judgement_metadata(judgement),
        )

    return standing


def log_evaluations(context: OpExecutionContext, engine: Engine, evidence: Evidence, touched: Iterable[str]) -> None:
    """Record every check's result from inside a running step.

    A check that failed the last time is judged over everything, so that sound work on some runs clears no other.
    """
    runs = list(touched)
    for check in CHECKS:
        if _failed_last(context.instance, check):
            judgement = check.judge(engine, evidence)
        elif check.after_work:
            judgement = check.after_work(engine, runs)
        else:
            continue
        evaluation = AssetCheckEvaluation(
            asset_key=AssetKey(check.asset),
            check_name=check.name,
            passed=judgement.passed,
            severity=check.severity,
            description=judgement.says,
            metadata=judgement_metadata(judgement),
            blocking=False,
        )
        context.log_event(evaluation)  # type: ignore[arg-type]  # its alias leaves out what `log_event` itself takes


def _failed_last(instance: DagsterInstance, check: Check) -> bool:
    judged = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    key = AssetCheckKey(AssetKey(check.asset), check.name)
    found = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=judged)
    return any(record.status is AssetCheckExecutionRecordStatus.FAILED for record in found)
