"""The application: its commands, and the one place where errors become a line and an exit code.

Exit 0: done. 1: the answer is no (blocked, failed, refused, not verified). 2: wrong usage or unreadable input.
"""

import os
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from countersign.cli import (
    INTERRUPTED,
    advance,
    approve,
    calendar,
    drawing,
    erase,
    evaluate,
    finding,
    index,
    intake,
    observe,
    payload,
    people,
    policy,
    prove,
    reperform,
    retention,
    sample,
    seal,
    show,
    sign_off,
    sla,
    status,
    verify,
    witness,
)
from countersign.cli.output import print_lines, say
from countersign.errors import CountersignError, Refused

NO = 1
UNUSABLE = 2

app = typer.Typer(
    name="countersign",
    help="Evidence that every change was authorised, reviewed, tested, and approved by somebody else.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(intake.run)
app.command("advance")(advance.advance)
app.command("approve")(approve.approve)
app.command("status")(status.status)
app.command("show")(show.show)
app.command("verify")(verify.verify)
app.command("reperform")(reperform.reperform)
app.command("evaluate")(evaluate.evaluate)
app.command("seal")(seal.seal)
app.add_typer(sign_off.app, name="sign-off", help="Sign on another machine: what to sign, and what was signed.")
app.command("prove")(prove.prove_run)
app.command("witness")(witness.witness)
app.command("restore")(retention.restore)
app.command("erase")(erase.erase)
app.add_typer(intake.app, name="intake", help="Read changes from a source; each becomes a run.")
app.add_typer(payload.app, name="payload", help="The form of a change payload.")
app.add_typer(calendar.app, name="calendar", help="The business calendar.")
app.add_typer(finding.app, name="finding", help="What went wrong, and who answers for it.")
app.add_typer(sla.app, name="sla", help="How long people have, and whose turn it is.")
app.add_typer(
    observe.app, name="observe", help="What an observer makes of a run (`observe RUN_ID`), or of a month's sample."
)
app.add_typer(drawing.bundle_app, name="bundle", help="What an observer gets of a month.")
app.add_typer(index.app, name="index", help="What is derived from the register, and can be made anew.")
app.add_typer(people.app, name="people", help="Who is who, by the roster of the policy.")
app.add_typer(policy.app, name="policy", help="The policy of an evidence root.")
app.add_typer(retention.app, name="retention", help="Evidence kept elsewhere, write-once, for years.")
app.add_typer(sample.app, name="sample", help="The monthly sample: how many items, and what a result supports.")


def _print_version(asked: bool) -> None:
    if asked:
        print_lines([f"countersign {version('countersign')}"])
        raise typer.Exit


@app.callback()
def _options(
    asked: Annotated[
        bool, typer.Option("--version", help="Print the release and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before any command."""


def main() -> NoReturn:
    """Run the command line; no traceback reaches a user unless COUNTERSIGN_DEBUG is set."""
    try:
        app()
    except Refused as error:
        _end(error, NO)
    except CountersignError as error:
        _end(error, UNUSABLE)
    except KeyboardInterrupt:  # while typer was still putting the commands together
        _stopped()
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer takes KeyboardInterrupt, and a broken pipe, before they get here
            _stopped()
        raise
    except Exception as error:  # the last line of defence for people who cannot read tracebacks
        _end(error, UNUSABLE, f"unexpected {type(error).__name__}: ")
    sys.exit(0)


def _stopped() -> None:
    say("stopped; what was acknowledged is on disk, and the same command goes on from there")


def _end(error: Exception, code: int, prefix: str = "") -> NoReturn:
    if os.environ.get("COUNTERSIGN_DEBUG"):
        raise error
    say(f"countersign: {prefix}{error}")
    sys.exit(code)
