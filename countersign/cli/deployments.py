"""Deployments against changes, as a document and as tables. What belongs here: printing; nothing is looked up."""

from collections.abc import Sequence

from countersign.cli.output import print_table
from countersign.evidence.indexed import IndexedRun
from countersign.runs.deployments import Reconciliation


def deployments_document(found: Reconciliation) -> dict[str, list[str]]:
    """What was read by whether a change is theirs (deployment ids), and the changes beside it (change ids)."""
    return {
        "matched": [deployment.id for deployment in found.matched],
        "without_change": [deployment.id for deployment in found.without_change],
        "never_deployed": [run.change_id for run in found.never_deployed],
        "deployed_again": [run.change_id for run in found.deployed_again],
    }


def print_deployments(found: Reconciliation) -> None:
    """Everything that is not one deployment of one change, by name."""
    if found.without_change:
        rows = [(one.id, one.system, one.revision, one.deployed_by, one.deployed_at) for one in found.without_change]
        print_table(("deployment", "system", "revision", "by", "at"), rows, title="Without a change")
    _print_changes("Never deployed", found.never_deployed)
    _print_changes("Deployed more than once", found.deployed_again)


def _print_changes(title: str, runs: Sequence[IndexedRun]) -> None:
    if runs:
        print_table(("change", "system", "run"), [(run.change_id, run.system, run.run_id) for run in runs], title=title)
