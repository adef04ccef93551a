"""`approve`: a sign-off by a named person."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, SigningKeyFile, open_existing, open_index
from countersign.cli.output import print_json, say
from countersign.errors import SourceError
from countersign.policy import Key
from countersign.runs.determination import Determination
from countersign.runs.receipts import Receipt
from countersign.runs.run import key_ring
from countersign.runs.sign_offs import SignOffDesk

_RESULTS = ("met", "exception")


class Decision(StrEnum):
    """What a sign-off says."""

    APPROVED = "approved"
    REJECTED = "rejected"


Determinations = Annotated[
    Path | None,
    typer.Option(help="JSON list of {control, result, evidence, quote, reason} for abstained controls (review only)."),
]


def approve(
    run_id: Annotated[str, typer.Argument(help="The run, as `countersign status` lists it.")],
    key: Annotated[Key, typer.Argument(help="Which sign-off.")],
    signer: Annotated[str, typer.Option("--as", help="Who signs: an id of the roster.")],
    decision: Annotated[Decision, typer.Option(help="What is signed.")] = Decision.APPROVED,
    reason: Annotated[str | None, typer.Option(help="Why; a rejection needs one.")] = None,
    determinations: Determinations = None,
    signing_key: SigningKeyFile = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Sign a run off with a key of your own. It attests the assessment, not the change. Again is harmless."""
    evidence, index = open_index(root)
    run = index.known(run_id)
    desk = SignOffDesk(open_existing(root, policy), key_ring(signing_key))
    found = read_determinations(determinations) if determinations else ()
    receipt = desk.record(evidence.rundir(run.day, run_id), key, signer, decision, reason, found)
    if as_json:
        print_json(receipt.document())
        return
    print_receipts([receipt])


def print_receipts(receipts: Sequence[Receipt]) -> None:
    """What is on disk, for people."""
    for receipt in receipts:
        was = "was recorded before" if receipt.repeated else "is recorded"
        said = f"{receipt.key} of {receipt.run_id} {was}: {receipt.decision} by {receipt.by}"
        say(f"{said}, log head {receipt.log_head}")
    if any(receipt.waits for receipt in receipts):
        say("the sensor takes it up; without Dagster running, `countersign advance` does")


def read_determinations(path: Path) -> list[Determination]:
    """A file of determinations. Raises SourceError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        rows = json.loads(content)
        if not isinstance(rows, list):
            raise TypeError("not a list")
        return [_determination(row) for row in rows]
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceError(f"{path}: not a JSON list of determinations: {error}") from error


def _determination(row: Any) -> Determination:
    """One row. Raises TypeError for a field that is missing, unknown or no text, ValueError for another result."""
    determination = Determination(**row)
    if not all(isinstance(value, str) for value in row.values()):
        raise TypeError("every field is a text")
    if determination.result not in _RESULTS:
        raise ValueError(f"{row['result']!r} is no result of a determination; it is {' or '.join(_RESULTS)}")
    return determination
