"""Who may acknowledge a finding and dispose of it. What belongs here: the rules; no writing.

A finding is closed by people who answer for it with their names and a reason, never by time, and never by whoever was
late or did it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from countersign.findings.finding import Deficiency, Finding
from countersign.runs.consent import OWNERS
from countersign.runs.versions import Versions


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says when they dispose of a finding; a compensating control comes with its evidence."""

    reason: str
    root_cause: str | None = None
    corrective_action: str | None = None
    deficiency: Deficiency | None = None
    compensating_control: str | None = None
    compensating_evidence: str | None = None

    def texts(self) -> Mapping[str, str]:
        """The words, which a log keeps as texts."""
        words = {
            "reason": self.reason,
            "root_cause": self.root_cause,
            "corrective_action": self.corrective_action,
            "compensating_control": self.compensating_control,
            "compensating_evidence": self.compensating_evidence,
        }
        return {name: text for name, text in words.items() if text is not None}


def why_not_acknowledge(finding: Finding, person: str, reason: str, in_force: Versions, at: datetime) -> str | None:
    """Why this person cannot acknowledge a finding at an instant, by the roster in force, or None."""
    if in_force.policy.person(person) is None:
        return f"{person!r} is not on the roster; sign with a roster id"
    standing = in_force.people.may_act(person, at)
    if not standing.holds:
        return f"{standing.why}; somebody else has to take it on"
    if not reason.strip():
        return "an acknowledgement needs a reason: what is being done about it"
    if person in finding.what.barred:
        return f"{person} was late or did it, and cannot silence it; somebody else has to take it on"
    if finding.disposed:
        return "it was disposed of; there is nothing left to acknowledge"
    return None


def why_not_dispose(finding: Finding, person: str, answer: Answer, in_force: Versions, at: datetime) -> str | None:
    """Why this person cannot dispose of a finding at an instant, by the roster in force, or None.

    The same person again counts once. Whoever acts for an owner stands where that owner stands.
    """
    if in_force.policy.person(person) is None:
        return f"{person!r} is not on the roster; sign with a roster id"
    if person in finding.what.barred:
        return f"{person} was late or did it, and cannot dispose of it; somebody else has to"
    standings = [in_force.people.holds_role(person, role, at) for role in OWNERS]
    held = [standing for standing in standings if standing.holds]
    if not held:
        return f"only {' or '.join(OWNERS)} dispose of findings: {'; '.join(standing.why for standing in standings)}"
    if all(standing.acting_for and set(standing.acting_for) <= set(finding.what.barred) for standing in held):
        return f"{held[0].why}, who was late or did it, and nobody disposes of it in their place"
    if finding.disposed:
        return f"it was disposed of by {' and '.join(finding.dispositions)}"
    if person in finding.dispositions:
        return f"{person} has disposed of it; {finding.what.severity} needs a second person"
    if not answer.reason.strip():
        return "a disposition needs a reason"
    if (answer.compensating_control is None) != (answer.compensating_evidence is None):
        return "a compensating control needs its evidence, and evidence the control that it is of"
    return None
