"""`index`: what the evidence root knows by heart, which follows from its register."""

import typer

from countersign.cli.options import ROOT, Json, Root
from countersign.cli.output import print_json, say
from countersign.errors import EvidenceError
from countersign.evidence.index import Index
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot

app = typer.Typer(no_args_is_help=True)


@app.callback()
def index() -> None:
    """What the evidence root knows by heart, which follows from its register."""


@app.command("rebuild")
def rebuild(root: Root = ROOT, as_json: Json = False) -> None:
    """Forget the index and take the whole register in again; nothing is lost, and no evidence is touched.

    Refused where the register is no longer what the index has of it: that is an incident, which the index remembers.
    """
    evidence = EvidenceRoot(root).existing()
    if not evidence.writable:
        raise EvidenceError(f"{evidence.path}: cannot be written, so its index stays what it is")
    found = Index(evidence, Register(evidence))
    found.sync()
    found.rebuild()
    runs = sum(sum(by_status.values()) for by_status in found.counts_by_day().values())
    if as_json:
        print_json({"index": str(evidence.index), "runs": runs})
        return
    say(f"{evidence.index}: made anew from the register, {runs} runs")
