"""`prove`: that the register knew a run when a seal was made, without showing any other run."""

from typing import Annotated

import typer

from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, say
from countersign.errors import EvidenceError, TamperedError, UnknownRunError
from countersign.evidence.proof import Inclusion, prove
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal, read_seal, seal_numbers, signature_path


def prove_run(
    run_id: Annotated[str, typer.Argument(help="The run, as `countersign status` lists it.")],
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Print, as JSON, every register line of a run with its proof in the newest seal, and that seal's statement."""
    evidence = EvidenceRoot(root).existing()
    seal, signature = _newest(evidence)
    events = {
        entry.line - 1: entry.event for entry in Register(evidence).records() if entry.data.get("run_id") == run_id
    }
    if not events:
        raise UnknownRunError(f"{run_id}: no such run in {root}; `countersign status` lists them")
    found = prove(evidence, seal, events)
    if not found:
        raise EvidenceError(f"{run_id}: opened after seal {seal.number}; `countersign seal` makes one that covers it")
    if not all(inclusion.holds(seal) for inclusion in found):
        raise TamperedError(
            f"{evidence.register}: not what seal {seal.number} says; run `countersign verify --all` (SEV-1)"
        )
    final = any(events[inclusion.index] == "run_closed" for inclusion in found)
    print_json(_document(run_id, seal, signature, found, final=final))
    if not final:
        say(f"not final: the register's line that closes {run_id} is not under seal {seal.number}")


def _newest(evidence: EvidenceRoot) -> tuple[Seal, str]:
    """The newest seal that is signed, and its signature."""
    for number in reversed(seal_numbers(evidence)):
        path = signature_path(evidence, number)
        if path.is_file():
            return read_seal(evidence, number), path.read_text("ascii")
    raise EvidenceError(f"{evidence.path}: no seal to prove anything by; `countersign seal` makes one")


def _document(run_id: str, seal: Seal, signature: str, found: list[Inclusion], *, final: bool) -> dict[str, object]:
    return {
        "run_id": run_id,
        "final": final,
        "seal": {"statement": seal.statement.decode("utf-8"), "signature": signature, "sha256": seal.digest},
        "lines": [{"index": one.index, "line": one.line, "path": list(one.path)} for one in found],
        "check": "RFC 9162, 2.1.3.2: each line, its newline included, is the leaf at `index` under register.root",
    }
