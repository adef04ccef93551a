"""countersign: the evidence pipeline for maker-checker controls over changes. See README.md and RUNBOOK.md."""

from countersign.evidence.log import AuditLog
from countersign.findings.executing import Run
from countersign.findings.observation import record_observation
from countersign.runs.determination import Determination
from countersign.runs.run import RunResult, record_approval
from countersign.runs.state import Status

__all__ = ["AuditLog", "Determination", "Run", "RunResult", "Status", "record_approval", "record_observation"]
