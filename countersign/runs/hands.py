"""Who had a hand in a change or signed its run, as the log of the run says it.

What belongs here: reading that. What does not: who made a change (`changes.hands`), and what follows from it.
"""

from collections.abc import Iterator

from countersign.changes.hands import Hands, hands_in
from countersign.errors import CountersignError
from countersign.evidence.log import AuditLog
from countersign.evidence.root import LOG, EvidenceRoot
from countersign.runs.fold import apply, without_voided
from countersign.runs.state import RunState


def hands_in_run(state: RunState) -> Iterator[tuple[str, str]]:
    """Everybody who had a hand in the change, once it is ingested, or signed it, or had it signed in their place."""
    if state.ingested:
        yield from hands_in(state.change)
        for key, signed in state.sign_offs.items():
            yield f"signer of {key}", signed.by
            if signed.acting_for:
                yield f"principal of the signer of {key}", signed.acting_for


def hands_of(root: EvidenceRoot, run_id: str) -> Hands | None:
    """The same of a run, read now: as far as its log can be read, and None where that does not reach the change."""
    found: list[tuple[str, str]] = []
    for path in sorted(root.path.glob(f"runs/*/*/*/{run_id}/{LOG}")):
        state = RunState(run_id)
        try:
            for entry in without_voided(AuditLog(path, root=root).records()):
                apply(state, entry, root.blobs)
        except (CountersignError, OSError):
            pass  # what stands before the fault was said all the same
        try:
            found += hands_in_run(state)
        except CountersignError:
            continue
    return found or None
