"""`erase`: take one text out of a run that is over, where law demands it."""

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, SigningKeyFile, open_index
from countersign.cli.output import print_json, print_lines
from countersign.environment import utc_now
from countersign.evidence.register import Register
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.approvals import Approver
from countersign.runs.erasure import Eraser
from countersign.runs.run import key_ring
from countersign.runs.views import Views


def erase(
    run_id: Annotated[str, typer.Argument(help="The run, as `countersign status` lists it.")],
    text: Annotated[str, typer.Argument(help="The text's id, as `countersign show RUN_ID --log --json` has it.")],
    by: Annotated[str, typer.Option("--as", help="Who approves: an owner, by the roster in force.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept, so do not repeat the words in it.")],
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Approve that one text is erased; the second owner's approval erases it. The chain never changes."""
    place, index = open_index(Path(root))
    run = index.known(run_id)
    eraser = Eraser(place, ConfigurationDesk(root).in_force(), clock=utc_now)
    answer = eraser.approve(run, text, Approver(by, reason, key_ring(signing_key)))
    if answer.done:
        Views(place, Register(place), index).make_anew(run.day)
    if as_json:
        print_json(
            {"run_id": run_id, "text": text, "by": answer.by, "done": answer.done, "waits_for": answer.waits_for}
        )
    elif answer.done:
        print_lines(
            [
                f"{run_id}: {text} is erased here, and from the Parquet files of {run.day}",
                "not from what the source gave (evidence/extracts), nor from a pack in the retention store: RUNBOOK.md",
            ]
        )
    else:
        print_lines([f"{run_id}: approved by {', '.join(answer.by)}, waits for {answer.waits_for}"])
