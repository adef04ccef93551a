"""`observe`: an observer has looked at what was noticed of a run."""

from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_existing
from countersign.cli.output import print_json, say
from countersign.findings import observation
from countersign.findings.finding import Observed


def observe(
    run_id: Annotated[str, typer.Argument(help="The run that was blocked, has an exception, or was late.")],
    observer: Annotated[str, typer.Option("--as", help="Who observes: an id of the roster.")],
    outcome: Annotated[Observed, typer.Option("--outcome", help="What they make of it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words that an auditor can follow.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Record an observation: it stops the observation clocks of the run. The same again is harmless."""
    receipt = observation.observe(open_existing(root, policy), run_id, observer, outcome, reason)
    if as_json:
        print_json(
            {
                "run_id": receipt.run_id,
                "by": receipt.by,
                "outcome": receipt.outcome,
                "stopped": list(receipt.stopped),
                "repeated": receipt.repeated,
            }
        )
        return
    was = "was recorded before" if receipt.repeated else "is recorded"
    stopped = ", ".join(receipt.stopped) or "nothing"
    say(f"the observation of {run_id} {was}: {outcome} by {observer}; stopped: {stopped}")
