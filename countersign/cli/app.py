"""The application: its commands, and the one place where errors become a line and an exit code.

Exit 0: done. 1: the answer is no (blocked, failed, refused, not verified). 2: wrong usage or unreadable input.
"""

import os
import sys
from typing import NoReturn

import typer

from countersign.cli import advance, approve, intake, payload, policy, prove, seal, show, status, verify, witness
from countersign.cli.output import say
from countersign.errors import CountersignError, PayloadError, SignOffRefused, TamperedError

NO = 1
UNUSABLE = 2
INTERRUPTED = 130

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
app.command("seal")(seal.seal)
app.command("prove")(prove.prove_run)
app.command("witness")(witness.witness)
app.add_typer(intake.app, name="intake", help="Read changes from a source; each becomes a run.")
app.add_typer(payload.app, name="payload", help="The form of a change payload.")
app.add_typer(policy.app, name="policy", help="The policy of an evidence root.")


def main() -> NoReturn:
    """Run the command line; no traceback reaches a user unless COUNTERSIGN_DEBUG is set."""
    try:
        app()
    except (PayloadError, SignOffRefused, TamperedError) as error:
        _end(error, NO)
    except CountersignError as error:
        _end(error, UNUSABLE)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer takes KeyboardInterrupt, and a broken pipe, before they get here
            say("stopped; what was acknowledged is on disk, and the same command goes on from there")
        raise
    except Exception as error:  # the last line of defence for people who cannot read tracebacks
        _end(error, UNUSABLE, f"unexpected {type(error).__name__}: ")
    sys.exit(0)


def _end(error: Exception, code: int, prefix: str = "") -> NoReturn:
    if os.environ.get("COUNTERSIGN_DEBUG"):
        raise error
    say(f"countersign: {prefix}{error}")
    sys.exit(code)
