"""`sign-off`: signing on a machine that has none of this software: what to sign, and what was signed."""

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.approve import Decision, Determinations, print_receipts, read_determinations
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_existing, read_file
from countersign.cli.output import print_json, say
from countersign.policy import Key
from countersign.runs.engine import Engine
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.statement import namespace_of

app = typer.Typer(no_args_is_help=True)


@app.command("request")
def request(
    run_id: Annotated[str, typer.Argument(help="The run, as `countersign status` lists it.")],
    key: Annotated[Key, typer.Argument(help="Which sign-off.")],
    signer: Annotated[str, typer.Option("--as", help="Who is going to sign: an id of the roster.")],
    also: Annotated[
        list[str] | None, typer.Option(help="A further run for the same signature; only clean ones; repeat it.")
    ] = None,
    decision: Annotated[Decision, typer.Option(help="What is signed.")] = Decision.APPROVED,
    reason: Annotated[str | None, typer.Option(help="Why; a rejection needs one.")] = None,
    determinations: Determinations = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Print what somebody would sign, byte for byte; sign the file with `ssh-keygen -Y sign` and `submit` both."""
    engine = open_existing(root, policy)
    rundirs = [_rundir(engine, each) for each in (run_id, *(also or ()))]
    found = read_determinations(determinations) if determinations else ()
    statement = SignOffDesk(engine).request(rundirs, key, signer, decision, reason, found)
    typer.echo(statement.content.decode(), nl=False)  # already one JSON document: --json changes nothing
    say("")
    say(f"sign it: ssh-keygen -Y sign -f KEY -n {namespace_of(statement.key)} FILE")
    say("hand it in: countersign sign-off submit FILE FILE.sig")


@app.command("submit")
def submit(
    statement: Annotated[Path, typer.Argument(help="What `request` printed.")],
    signature: Annotated[Path, typer.Argument(help="What `ssh-keygen -Y sign` made of it.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Take a signed statement for every run that it names and can be taken for; exit 1 where one refused it.

    The same again is harmless.
    """
    desk = SignOffDesk(open_existing(root, policy))
    submission = desk.submit(read_file(statement), read_file(signature))
    if as_json:
        print_json(
            {
                "sign_offs": [receipt.document() for receipt in submission.taken],
                "refused": [refusal.document() for refusal in submission.refused],
            }
        )
    else:
        print_receipts(submission.taken)
        for refusal in submission.refused:
            say(f"refused: {refusal.run_id}: {refusal.reason}")
    if submission.refused:
        raise typer.Exit(1)


def _rundir(engine: Engine, run_id: str) -> Path:
    return engine.root.rundir(engine.index.known(run_id).day, run_id)
