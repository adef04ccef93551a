"""Whether the seals of a root hold and are recent, as checks ask it.

What belongs here: that judgement. What does not: what a seal is and what can be wrong with one (`evidence.seals`).
"""

from countersign.errors import EvidenceError
from countersign.evidence.seals import check_seals, latest_is_late
from countersign.runs.daywork import Judgement
from countersign.runs.engine import Engine


def seals_hold(engine: Engine) -> Judgement:
    """Every seal is what it was, and nothing has waited for one for too long. A root that was never sealed has none."""
    try:
        sealed = check_seals(engine.root, now=engine.clock())
    except EvidenceError as error:
        return Judgement(False, f"the seals cannot be judged: SEV-1, see ESCALATION.md: {error}")
    rows = tuple((fault.where, f"{fault.kind}: expected {fault.detail}") for fault in sealed.faults)
    if rows:
        return Judgement(False, f"{len(rows)} faults of seals: SEV-1, see ESCALATION.md, or RUNBOOK.md, Sealing", rows)
    if sealed.newest is None:
        return Judgement(True, "nothing was ever sealed")
    return Judgement(True, f"{sealed.newest.number} seals hold, the newest of {sealed.newest.at}")


def seals_are_recent(engine: Engine) -> Judgement:
    """Nothing has waited for a seal for too long; the seals themselves are judged every night."""
    try:
        late = latest_is_late(engine.root, engine.clock())
    except EvidenceError as error:
        return Judgement(False, f"the newest seal cannot be read: SEV-1, see ESCALATION.md: {error}")
    if late is None:
        return Judgement(True, "nothing waits for a seal for longer than it may")
    return Judgement(False, f"expected {late.detail}", ((late.where, late.kind),))
