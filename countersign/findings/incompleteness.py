"""Populations that are incomplete: a finding for each thing that one lacks, for whoever has frozen it.

What belongs here: recording them. What does not: judging a population, which knows no findings.
"""

from collections.abc import Iterable
from datetime import date, datetime

from countersign.findings.log import FindingsLog
from countersign.findings.occurrences import incomplete_population
from countersign.policy import Policy


def record_incompleteness(
    log: FindingsLog, month: date, lacks: Iterable[str], now: datetime, policy: Policy
) -> list[str]:
    """A finding for each thing that the population of a month lacks; returns the ids that were not on record."""
    found = [incomplete_population(month, missing, now, policy) for missing in lacks]
    return log.open(found) if found else []
