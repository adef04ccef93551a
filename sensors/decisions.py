"""Pure decisions behind the sensors: a fact, what was tried for it, the time; a launch or a reason to wait."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sensors.facts import Fact

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class Attempts:
    """Runs that were asked for: how many for this fact, when the last one ended, and whether any still runs."""

    made: int = 0
    last_ended: datetime | None = None
    in_progress: str = ""


@dataclass(frozen=True)
class Launch:
    fact: Fact
    attempt: int

    @property
    def run_key(self) -> str:
        """Never used twice: a fact that is still pending after a run gets another attempt."""
        return f"{self.fact.key}:{self.attempt}"


@dataclass(frozen=True)
class Wait:
    reason: str


def decide(fact: Fact | None, attempts: Attempts, now: datetime) -> Launch | Wait:
    """Launch the next attempt for a pending fact, unless one runs or the pause after the last has not passed.

    The first attempt waits for nothing; before attempt n+1 the pause is 10 s times 2^(n-1), at most an hour.
    """
    if fact is None:
        return Wait("nothing is pending")
    if attempts.in_progress:
        return Wait(f"{fact.says}; run {attempts.in_progress} is in progress")
    if attempts.last_ended is not None and now < (due := attempts.last_ended + pause_after(attempts.made)):
        return Wait(f"{fact.says}; attempt {attempts.made + 1} is due at {due.isoformat(timespec='seconds')}")
    return Launch(fact, attempts.made + 1)


def pause_after(made: int) -> timedelta:
    """Exponential back-off, capped before the power overflows."""
    doublings = min(max(made - 1, 0), 20)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
