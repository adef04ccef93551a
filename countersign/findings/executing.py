"""`Run` as Python gets it: it looks at the clocks before it goes on, as every command and every job does.

What belongs here: that order, so that a workpaper says who was late, whoever finishes the run. What does not: executing
(`runs.run`), which knows no clocks.
"""

from collections.abc import Mapping
from typing import Any

from countersign.runs import run


class Run(run.Run):
    """Executes payloads in an evidence root (`./evidence`, environment `COUNTERSIGN_ROOT`, by default).

    The same payload again goes on from the checkpoint, which is its log; a completed run is only looked at.
    """

    def execute(self, payload: Mapping[str, Any]) -> run.RunResult:
        """Take a change to its next pause. Raises PayloadError for one that is refused, which is then on record.

        What is late anywhere in the root is on record before.
        """
        from countersign.findings.watch import look  # noqa: PLC0415  (brings numpy; definitions load without)

        look(self.engine)
        return super().execute(payload)
