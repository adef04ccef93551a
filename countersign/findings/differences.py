"""Runs that came out otherwise when they were performed again: a finding each, SEV-1.

What belongs here: recording them, for whoever has performed. What does not: performing, which knows no findings.
"""

import hashlib
from collections.abc import Sequence

import rfc8785

from countersign.changes.hands import roster_ids
from countersign.clocks.instant import hours_after
from countersign.environment import Clock, Entropy, random_bytes
from countersign.errors import EvidenceError
from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import FindingKind, Occurrence, Severity
from countersign.findings.log import FindingsLog
from countersign.findings.verification import check_findings
from countersign.runs.hands import hands_of
from countersign.runs.reperformance import Reperformed
from countersign.runs.versions import Versions


def record_differences(
    root: EvidenceRoot,
    differing: Sequence[Reperformed],
    in_force: Versions,
    *,
    clock: Clock,
    entropy: Entropy = random_bytes,
) -> list[str]:
    """A finding for each of these runs, by the configuration in force; returns the ids that were not on record.

    What came out is part of what it is about: the same run that differs in another way is another finding. Raises
    EvidenceError where findings.jsonl is itself at fault, since nothing is written into it then.
    """
    for fault in check_findings(root):
        raise EvidenceError(f"{fault.where}: {fault.kind}: expected {fault.detail}; no finding was recorded (SEV-1)")
    log, now = FindingsLog(root, clock=clock, entropy=entropy), clock()
    due = hours_after(now, in_force.policy.escalation.dispose_within_hours)
    occurrences = []
    for one in differing:
        hands = roster_ids(in_force.people, hands_of(root, one.run_id) or ())
        subject, kind = _subject(one), FindingKind.INTEGRITY_INCIDENT
        occurrences.append(
            Occurrence(kind, subject, Severity.SEV_1, "control_owner", one.run_id, one.system, tuple(hands), now, due)
        )
    return log.open(occurrences)


def _subject(one: Reperformed) -> str:
    whole = rfc8785.dumps([[each.what, each.was, each.again] for each in one.differences])
    whats = ", ".join(dict.fromkeys(each.what for each in one.differences))
    return f"re-performance differs in {whats}: {hashlib.sha256(whole).hexdigest()[:16]}"
