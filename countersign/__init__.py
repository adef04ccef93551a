"""countersign: the evidence pipeline for maker-checker controls over changes. See README.md and RUNBOOK.md.

What it offers is imported when it is first asked for, and nothing before: the command line has to be there first, so
that whoever stops a command in its first second sees one line and no traceback.
"""

TYPE_CHECKING = False  # as type checkers read it; `typing` itself would be an import
if TYPE_CHECKING:
    from countersign.evidence.log import AuditLog
    from countersign.findings.executing import Run
    from countersign.findings.observation import record_observation
    from countersign.runs.determination import Determination
    from countersign.runs.run import RunResult, record_approval
    from countersign.runs.state import Status

__all__ = ["AuditLog", "Determination", "Run", "RunResult", "Status", "record_approval", "record_observation"]

_HOMES = {
    "AuditLog": "countersign.evidence.log",
    "Determination": "countersign.runs.determination",
    "Run": "countersign.findings.executing",
    "RunResult": "countersign.runs.run",
    "Status": "countersign.runs.state",
    "record_approval": "countersign.runs.run",
    "record_observation": "countersign.findings.observation",
}

if not TYPE_CHECKING:  # which would take it for a promise to have every name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415  (an import is what this module does without until asked)

        return getattr(import_module(_HOMES[name]), name)
