"""`advance`: every run that can go on, goes on."""

import typer

from countersign.cli.intake import outcome_document, print_outcomes
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_engine
from countersign.cli.output import print_json, progress, say
from countersign.findings.watch import look
from countersign.runs.state import Status


def advance(root: Root = ROOT, policy: PolicyFile = POLICY, as_json: Json = False) -> None:
    """Take up recorded sign-offs and retry failed steps, on every day; what waits for a person keeps waiting."""
    engine = open_engine(root, policy)
    look(engine)  # what is late is on record before a workpaper is written
    with progress("going on", len(engine.index.with_work_left())) as done:
        outcomes = list(engine.advance(progress=done))
    if as_json:
        print_json({"runs": [outcome_document(outcome) for outcome in outcomes]})
    elif outcomes:
        print_outcomes(outcomes)
    else:
        say("nothing to do: no sign-off waits to be taken up and no step has failed")
    if any(outcome.status in (Status.FAILED, Status.BLOCKED) for outcome in outcomes):
        raise typer.Exit(1)
