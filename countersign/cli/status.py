"""`status`: where the runs stand."""

from typing import Annotated, Any

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_index
from countersign.cli.output import print_json, print_table
from countersign.evidence.indexed import OPENED, IndexedRun
from countersign.evidence.root import EvidenceRoot
from countersign.runs.deployments import never_deployed
from countersign.runs.state import Status

_STATUSES = (OPENED, *Status)


def status(
    run_id: Annotated[str | None, typer.Argument(help="One run; all of them without it.")] = None,
    only: Annotated[str | None, typer.Option("--status", help="Only runs of this status, such as BLOCKED.")] = None,
    undeployed: Annotated[bool, typer.Option("--not-deployed", help="Only changes that were never deployed.")] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """List the runs and what each waits for."""
    if only is not None and only.upper() not in _STATUSES:
        raise typer.BadParameter(f"{only!r} is none of {', '.join(_STATUSES)}", param_hint="--status")
    evidence, index = open_index(root)
    if run_id is None:
        listed = never_deployed(index) if undeployed else index.all_runs()
        runs = [run for run in listed if only is None or run.status == only.upper()]
    else:
        runs = [index.known(run_id)]
    if as_json:
        print_json({"runs": [_document(evidence, run) for run in runs]})
        return
    rows = [(run.run_id, run.change_id, run.system, run.day, run.status, _because(run)) for run in runs]
    print_table(("run", "change", "system", "day", "status", "because"), rows)


def _because(run: IndexedRun) -> str | None:
    if run.superseded_by:
        return f"superseded by {run.superseded_by}"
    return f"{run.pending} is recorded and waits to be taken up" if run.signed else run.reason


def _document(evidence: EvidenceRoot, run: IndexedRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "change_id": run.change_id,
        "system": run.system,
        "tier": run.tier,
        "day": run.day.isoformat(),
        "status": run.status,
        "pending": run.pending,
        "reason": run.reason,
        "signed": run.signed,
        "since": run.since,
        "source": run.source,
        "supersedes": run.supersedes,
        "superseded_by": run.superseded_by,
        "head": run.head,
        "rundir": str(evidence.rundir(run.day, run.run_id)),
    }
