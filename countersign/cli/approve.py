"""`approve`: a sign-off by a named person."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root, open_engine, open_index
from countersign.cli.output import print_json, say
from countersign.errors import SourceError, UnknownRunError
from countersign.runs.sign_offs import Determination, SignOffDesk

_RESULTS = ("met", "exception")


def approve(
    run_id: Annotated[str, typer.Argument(help="The run, as `countersign status` lists it.")],
    key: Annotated[str, typer.Argument(help="independent_review or maker_checker.")],
    signer: Annotated[str, typer.Option("--as", help="Who signs: an id of the roster.")],
    decision: Annotated[str, typer.Option(help="approved or rejected.")] = "approved",
    reason: Annotated[str | None, typer.Option(help="Why; a rejection needs one.")] = None,
    determinations: Annotated[
        Path | None,
        typer.Option(
            help="JSON list of {control, result, evidence, quote, reason} for abstained controls (review only)."
        ),
    ] = None,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Sign a run off. It attests the assessment, not the change. The same sign-off again is harmless."""
    evidence, index = open_index(root)
    run = index.run(run_id)
    if run is None:
        raise UnknownRunError(f"{run_id}: no such run in {root}; `countersign status` lists them")
    desk = SignOffDesk(open_engine(root, policy))
    receipt = desk.record(
        evidence.rundir(run.day, run_id), key, signer, decision, reason, _read(determinations) if determinations else ()
    )
    if as_json:
        print_json(
            {
                "run_id": receipt.run_id,
                "key": str(receipt.key),
                "by": receipt.by,
                "decision": receipt.decision,
                "log_head": receipt.log_head,
                "repeated": receipt.repeated,
            }
        )
        return
    was = "was recorded before" if receipt.repeated else "is recorded"
    say(f"{receipt.key} of {receipt.run_id} {was}: {receipt.decision} by {receipt.by}, log head {receipt.log_head}")
    say("the sensor takes it up; without Dagster running, `countersign advance` does")


def _read(path: Path) -> list[Determination]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError("not a list")
        return [_determination(row) for row in rows]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SourceError(f"{path}: not a JSON list of determinations: {error}") from error


def _determination(row: Any) -> Determination:
    """One row. Raises TypeError for a field that is missing, unknown or no text, ValueError for another result."""
    determination = Determination(**row)
    if not all(isinstance(value, str) for value in row.values()):
        raise TypeError("every field is a text")
    if determination.result not in _RESULTS:
        raise ValueError(f"{row['result']!r} is no result of a determination; it is {' or '.join(_RESULTS)}")
    return determination
