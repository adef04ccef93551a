"""What sensors ask for: the names of the jobs, and what `advance` is told. The jobs are built above, of these words.

What belongs here: words that a sensor and a job have in common. What does not: what a job does (`pipeline_defs`), and
when it is asked for (`decisions`).
"""

from dagster import Config
from pydantic import Field

DAILY, ADVANCE, WATCH = "daily", "advance", "watch"


class AdvanceConfig(Config):
    """Which intake days to work on; a day where nothing is left to do costs nothing."""

    days: list[str] = Field(min_length=1, description="Intake days as YYYY-MM-DD.")
    attempt: int = Field(default=1, ge=1, description="Which try this is for the fact that asked for it.")
