"""`verify`: whether the evidence still says what it said."""

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines, print_table, progress
from countersign.runs.verification import Verifier


def verify(
    run_id: Annotated[str | None, typer.Argument(help="One run; all of them without it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run, the register and the folders.")] = False,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Verify logs against their chain, the register, and everything that can be decided again. Exit 1 on any fault."""
    if run_id is not None and everything:
        raise typer.BadParameter("name one run or --all, not both")
    with progress("verifying") as advance:
        verified = Verifier(Path(root)).verify([run_id] if run_id else None, advance)
    if as_json:
        faults = [
            {"run_id": fault.run_id, "kind": fault.kind, "where": fault.where, "detail": fault.detail}
            for fault in verified.faults
        ]
        print_json({"ok": verified.ok, "checked": verified.checked, "faults": faults})
    elif verified.ok:
        print_lines([f"{verified.checked} runs verified: each log is whole and is the one that the register knows"])
    else:
        rows = [(fault.run_id, fault.kind, fault.where, f"expected: {fault.detail}") for fault in verified.faults]
        print_table(("run", "fault", "where", "detail"), rows)
        print_lines(
            [f"NOT VERIFIED: {len(verified.faults)} faults in {verified.checked} runs. SEV-1: see ESCALATION.md"]
        )
    if not verified.ok:
        raise typer.Exit(1)
