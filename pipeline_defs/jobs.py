"""The jobs: `daily` over the evidence chain, and the op jobs that work on what run config names."""

from datetime import date
from pathlib import Path

from dagster import (
    AssetMaterialization,
    AssetsDefinition,
    AssetSelection,
    Config,
    DefaultScheduleStatus,
    JobDefinition,
    OpExecutionContext,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    job,
    op,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from assets.checks import log_evaluations
from assets.evidence_chain import POOL
from assets.findings import FINDING, operations
from assets.metadata import findings_metadata, stage_metadata
from assets.retention import retention_assets
from countersign.errors import SignatureError
from countersign.evidence.timestamping import timestamp_seals
from countersign.runs.daywork import needs_somebody, work_days
from countersign.runs.sealing import make_seal
from countersign.runs.sign_offs import SignOffDesk
from resources.evidence import Evidence, WallClock
from sensors.asked import ADVANCE, DAILY, WATCH, AdvanceConfig

RECORD_SIGN_OFF, INTEGRITY, SEAL = "record_sign_off", "integrity", "seal"
ROLL_UP, RETENTION = "sla_roll_up", "retention"
NO_SEAL_KEY = "no key seals this evidence root; name one with COUNTERSIGN_SEAL_KEY and start again"


class SignOffConfig(Config):
    """A signed statement, as files hold it. Nobody signs here: whoever launches a job is not known to be anybody."""

    statement: str = Field(description="What `countersign sign-off request RUN_ID KEY --as PERSON` printed.")
    signature: str = Field(description="What `ssh-keygen -Y sign` made of it: the whole text of the .sig file.")


@op(pool=POOL)
def advance_days(context: OpExecutionContext, config: AdvanceConfig, evidence: Evidence, clock: WallClock) -> None:
    """Move the runs of the given days to their next pause; one materialisation for each asset and day that changed."""
    engine = evidence.engine(clock)
    evidence.look(engine, send=False)  # what is late is on record before a workpaper is written
    touched: list[str] = []
    for report in work_days(engine, (date.fromisoformat(day) for day in config.days)):
        needed = needs_somebody(engine, report.day)
        for stage in report.stages():
            metadata = stage_metadata(engine, report, stage, needed)
            context.log_event(AssetMaterialization(stage, partition=report.day.isoformat(), metadata=metadata))
        touched += report.runs
    evidence.look(engine, send=False)
    log_evaluations(context, engine, evidence, touched)


@op(pool=POOL)
def watch_clocks(context: OpExecutionContext, evidence: Evidence, clock: WallClock) -> None:
    """Record what ran out and tell who is to be told; one materialisation of `finding` where anything is new."""
    engine = evidence.engine(clock)
    watched = evidence.look(engine, send=True)
    if watched.did_something:
        metadata = findings_metadata(evidence.findings(engine).read(), watched.looked_at)
        context.log_event(AssetMaterialization(FINDING, metadata=metadata))
    log_evaluations(context, engine, evidence, ())


@op(pool=POOL)
def sign(context: OpExecutionContext, config: SignOffConfig, evidence: Evidence, clock: WallClock) -> None:
    """Take a signed statement; the approval sensor asks for `advance` afterwards. The same again is a success.

    Whatever runs of it can be taken are; then it fails where one was refused, naming each of those.
    """
    desk = SignOffDesk(evidence.engine(clock))
    # a launchpad leaves off what is white space: both files have their one form, and it is put back
    statement, signature = config.statement.strip(), f"{config.signature.strip()}\n"
    submission = desk.submit(statement.encode(), signature.encode())
    for receipt in submission.taken:
        was = "was recorded before" if receipt.repeated else "is recorded"
        context.log.info(f"{receipt.key} of {receipt.run_id} {was}: {receipt.decision} by {receipt.by}")
    submission.require_whole()


@op(pool=POOL)
def seal_root(context: OpExecutionContext, evidence: Evidence, clock: WallClock) -> None:
    """Seal the evidence root as it is now. Fails where no key is configured."""
    engine = evidence.engine(clock)
    if not evidence.seal_key:
        raise SignatureError(NO_SEAL_KEY)
    made = make_seal(engine.root, engine.current.configuration, Path(evidence.seal_key), clock=engine.clock)
    context.log.info(f"seal {made.number} of {made.lines} register lines, SHA-256 {made.digest}")
    for number, why in timestamp_seals(engine.root, clock=engine.clock).failed.items():
        context.log.warning(f"seal {number} is not timestamped yet, the next sealing asks again: {why}")


def daily_job(chain: AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """All seven stages of one day, without check steps: the step itself logs the evaluations."""
    return define_asset_job(
        DAILY,
        selection=AssetSelection.assets(chain).without_checks(),
        executor_def=in_process_executor,
        description="Read the sources (today only) and move every change of one day to its next pause.",
    )


def integrity_job() -> UnresolvedAssetJobDefinition:
    """Every check by itself, over everything, without touching an asset."""
    return define_asset_job(
        INTEGRITY,
        selection=AssetSelection.all_asset_checks(),
        executor_def=in_process_executor,
        description="Judge every check over the whole evidence root.",
    )


def roll_up_job() -> UnresolvedAssetJobDefinition:
    """What went wrong and how everything stands, once a day."""
    return define_asset_job(
        ROLL_UP,
        selection=AssetSelection.assets(*operations()).without_checks(),
        executor_def=in_process_executor,
        description="Findings and the operations report.",
    )


def retention_job() -> UnresolvedAssetJobDefinition:
    """Keep what is over, and see that everything kept is still there."""
    return define_asset_job(
        RETENTION,
        selection=AssetSelection.assets(*retention_assets()),
        executor_def=in_process_executor,
        description="Keep finished days elsewhere, and check that nothing of them left early.",
    )


def op_jobs() -> list[JobDefinition]:
    """The jobs without assets of their own."""

    @job(name=ADVANCE, executor_def=in_process_executor, description="Work scattered over days, in one run.")
    def advance() -> None:
        advance_days()

    @job(name=RECORD_SIGN_OFF, executor_def=in_process_executor, description="Sign a run off from the launchpad.")
    def record_sign_off() -> None:
        sign()

    @job(name=WATCH, executor_def=in_process_executor, description="Look at the clocks that are due; record and send.")
    def watch() -> None:
        watch_clocks()

    @job(name=SEAL, executor_def=in_process_executor, description="Sign what the whole evidence root is now.")
    def seal() -> None:
        seal_root()

    return [advance, record_sign_off, seal, watch]


def schedules(time_zone: str, seal_key: str) -> list[ScheduleDefinition]:
    """A seal where there is a key and the integrity of everything every night; the roll-up of clocks every morning."""

    def sealing(_: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        return RunRequest() if seal_key else SkipReason(NO_SEAL_KEY)

    return [
        ScheduleDefinition(
            name="nightly_seal",
            job_name=SEAL,
            cron_schedule="0 2 * * *",
            execution_timezone=time_zone,
            execution_fn=sealing,
            default_status=DefaultScheduleStatus.RUNNING if seal_key else DefaultScheduleStatus.STOPPED,
        ),
        ScheduleDefinition(
            name="nightly_integrity",
            job_name=INTEGRITY,
            cron_schedule="30 2 * * *",
            execution_timezone=time_zone,
            default_status=DefaultScheduleStatus.RUNNING,
        ),
        ScheduleDefinition(
            name="daily_retention",
            job_name=RETENTION,
            cron_schedule="0 4 * * *",
            execution_timezone=time_zone,
            default_status=DefaultScheduleStatus.RUNNING,
        ),
        ScheduleDefinition(
            name="daily_sla_roll_up",
            job_name=ROLL_UP,
            cron_schedule="0 7 * * *",
            execution_timezone=time_zone,
            default_status=DefaultScheduleStatus.RUNNING,
        ),
    ]
