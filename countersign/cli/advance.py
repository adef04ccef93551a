"""`advance`: every run that can go on, goes on."""

from typing import Annotated

import typer

from countersign.cli.intake import outcome_document, print_outcomes
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_existing
from countersign.cli.output import print_json, progress, say
from countersign.findings.watch import look
from countersign.runs.state import Status


def advance(
    run_id: Annotated[str | None, typer.Argument(help="One run, looked at whatever is known of it.")] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Take up recorded sign-offs and retry failed steps, on every day; what waits for a person keeps waiting."""
    engine = open_existing(root, policy)
    look(engine)  # what is late is on record before a workpaper is written
    if run_id is None:
        with progress("going on", len(engine.index.with_work_left())) as done:
            outcomes = list(engine.advance(progress=done))
    else:
        outcomes = [engine.go_on(engine.index.known(run_id))]
    if as_json:
        print_json({"runs": [outcome_document(outcome) for outcome in outcomes]})
    elif outcomes:
        print_outcomes(outcomes)
    else:
        say("nothing to do: no sign-off waits to be taken up and no step has failed")
    if any(outcome.status in (Status.FAILED, Status.BLOCKED) for outcome in outcomes):
        raise typer.Exit(1)
