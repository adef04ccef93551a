"""A code location like the real one, but for its clock, which a file moves: hours pass when the test says so."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from countersign.environment import default_policy, default_root, utc_now
from pipeline_defs.build import build
from resources.evidence import Evidence, WallClock

AHEAD = "COUNTERSIGN_TEST_AHEAD"


class MovedClock(WallClock):
    """The present, moved on by the minutes in a file."""

    ahead: str

    def now(self) -> datetime:
        return utc_now() + timedelta(minutes=float(Path(self.ahead).read_text()))


defs = build(
    evidence=Evidence(root=str(default_root()), policy=str(default_policy())),
    clock=MovedClock(ahead=os.environ.get(AHEAD, os.devnull)),
)
