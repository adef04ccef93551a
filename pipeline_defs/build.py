"""The composition root: one function, with overrides for tests."""

from pathlib import Path

from dagster import Definitions, in_process_executor

from assets.checks import asset_checks
from assets.evidence_chain import evidence_chain
from assets.findings import operations
from assets.retention import retention_assets, retention_checks
from assets.sample import sample_asset
from assets.sample_review import review_asset
from countersign.runs.run import configured
from pipeline_defs.jobs import daily_job, integrity_job, op_jobs, retention_job, roll_up_job, schedules
from pipeline_defs.monthly import monthly_job, monthly_schedule, review_job, review_schedule
from pipeline_defs.partitions import intake_days, months
from resources.evidence import Evidence, WallClock
from resources.retention import Retention
from sensors.sensors import sensors


def build(*, evidence: Evidence, clock: WallClock | None = None, retention: Retention | None = None) -> Definitions:
    """Assemble the code location on one evidence root and one clock. Raises PolicyError for a policy that is none."""
    policy = configured(evidence.policy).policy
    chain = evidence_chain(intake_days(policy), policy.sources)
    sample, review = sample_asset(months(policy)), review_asset(months(policy))
    return Definitions(
        assets=[chain, sample, review, *operations(), *retention_assets()],
        asset_checks=[*asset_checks(), *retention_checks()],
        jobs=[
            daily_job(chain),
            monthly_job(sample),
            review_job(review),
            integrity_job(),
            retention_job(),
            roll_up_job(),
            *op_jobs(),
        ],
        schedules=[
            *schedules(policy.time_zone, evidence.seal_key),
            monthly_schedule(policy.time_zone),
            review_schedule(policy.time_zone),
        ],
        sensors=sensors(),
        resources={
            "evidence": evidence,
            "clock": clock or WallClock(),
            "retention": retention or Retention(base=str(Path(evidence.policy).parent)),
        },
        executor=in_process_executor,
    )
