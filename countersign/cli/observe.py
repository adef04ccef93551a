"""`observe`: an observer has looked at what was noticed of a run, or at a month's sample."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_existing
from countersign.cli.output import print_json, say
from countersign.cli.review import observe_sample, observe_sample_request, observe_sample_submit
from countersign.findings import observation
from countersign.findings.finding import Observed


class _RunByDefault(TyperGroup):
    """`observe RUN_ID …` is `observe run RUN_ID …`: no run id is the name of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {*self.commands, "--help"}
        return super().parse_args(ctx, args if not args or args[0] in known else ["run", *args])


app = typer.Typer(cls=_RunByDefault, no_args_is_help=True)
app.command("sample")(observe_sample)
app.command("sample-request")(observe_sample_request)
app.command("sample-submit")(observe_sample_submit)


@app.command("run")
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
