"""Intake days and months as Dagster partitions."""

from dagster import DailyPartitionsDefinition, MonthlyPartitionsDefinition

from countersign.policy import Policy


def intake_days(policy: Policy) -> DailyPartitionsDefinition:
    """A partition a day in the policy's zone; `end_offset=1` makes the day that has begun one of them."""
    return DailyPartitionsDefinition(
        start_date=policy.intake_since.isoformat(), timezone=policy.time_zone, end_offset=1
    )


def months(policy: Policy) -> MonthlyPartitionsDefinition:
    """A partition a month in the policy's zone, as `2026-10`; one that lasts is none of them yet."""
    return MonthlyPartitionsDefinition(
        start_date=f"{policy.intake_since:%Y-%m}", timezone=policy.time_zone, fmt="%Y-%m"
    )
