"""Whether `findings.jsonl` is what it was: whole, in order, and all that the register knows of it.

What belongs here: faults by name. What does not: logs of runs and seals, which `runs.verification` judges.
"""

from collections.abc import Iterator

from countersign.errors import EvidenceError, TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import ZERO
from countersign.evidence.log import first_lost
from countersign.evidence.register import Register, events_of
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault
from countersign.findings.finding import Findings, apply
from countersign.runs.fold import without_voided


def _heads_by_now(root: EvidenceRoot) -> Iterator[str]:
    """The heads of the findings that the register knows now: it learns each after it was written."""
    return (str(line["head"]) for line in events_of(root.register, "findings_head"))


def check_findings(root: EvidenceRoot) -> Iterator[RootFault]:
    """Everything wrong with the findings of a root, the chain first, since nothing else counts without it."""
    where = str(root.findings)
    known, breaches = [ZERO], {}
    for entry in Register(root).records():
        if entry.event == "findings_head":
            known.append(str(entry.data["head"]))
        elif entry.event == "breached":
            breaches[str(entry.data["finding"])] = str(entry.data["run_id"])
    if not root.findings.exists():
        if len(known) > 1:
            yield RootFault("findings_missing", where, f"a file with the head {known[-1]}, as the register knows it")
        return
    findings, order = Findings(), {ZERO: -1}
    try:
        for entry in without_voided(ChainFile(root.findings, blobs=root.blobs).records()):
            apply(findings, entry)
            order[entry.head] = entry.seq
    except (TamperedError, EvidenceError) as error:
        yield RootFault("findings", where, str(error))
        return
    if (lost := first_lost(known, order)) is not None:
        yield RootFault("findings_cut", where, f"the head that the register knows, {lost}")
    elif (last := next(reversed(order))) not in known and last not in _heads_by_now(root):
        yield RootFault("findings_unregistered", where, f"nothing after the head that the register knows, {known[-1]}")
    for finding_id, run_id in breaches.items():
        if finding_id not in findings.by_id:
            yield RootFault(
                "finding_missing", where, f"the finding {finding_id} of {run_id}, which the register has late"
            )
