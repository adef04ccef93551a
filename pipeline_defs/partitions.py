"""Intake days as Dagster partitions."""

from dagster import DailyPartitionsDefinition

from countersign.policy import Policy


def intake_days(policy: Policy) -> DailyPartitionsDefinition:
    """A partition a day in the policy's zone; `end_offset=1` makes the day that has begun one of them."""
    return DailyPartitionsDefinition(
        start_date=policy.intake_since.isoformat(), timezone=policy.time_zone, end_offset=1
    )
