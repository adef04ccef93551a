"""Who may acknowledge a finding and dispose of it. What belongs here: the rules; no writing.

A finding is closed by people who answer for it with their names and a reason, never by time, and never by whoever was
late or did it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from countersign.changes.hands import Hands, not_shown_apart
from countersign.changes.people import People
from countersign.findings.finding import Deficiency, Finding, FindingKind
from countersign.runs.owners import OWNERS
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


def why_not_acknowledge(
    finding: Finding, person: str, reason: str, in_force: Versions, hands: Hands | None, at: datetime
) -> str | None:
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
    if hand := not_shown_apart(in_force.people, in_force.people.identify(person), hands or ()):
        return f"{_is_or_may_be(person, hand)}, and cannot silence it; somebody else has to take it on"
    if finding.disposed:
        return "it was disposed of; there is nothing left to acknowledge"
    return None


def why_not_dispose(
    finding: Finding, person: str, answer: Answer, in_force: Versions, hands: Hands | None, at: datetime
) -> str | None:
    """Why this person cannot dispose of a finding at an instant, by the roster in force, or None.

    The same person again counts once. `hands` are in the change that it is about, None where nobody can tell.
    """
    if in_force.policy.person(person) is None:
        return f"{person!r} is not on the roster; sign with a roster id"
    if why := _why_not_independent(finding, person, in_force.people, hands, at):
        return why
    if finding.disposed:
        return f"it was disposed of by {' and '.join(finding.dispositions)}"
    if person in finding.dispositions:
        return f"{person} has disposed of it; {finding.what.severity} needs a second person"
    if not answer.reason.strip():
        return "a disposition needs a reason"
    if (answer.compensating_control is None) != (answer.compensating_evidence is None):
        return "a compensating control needs its evidence, and evidence the control that it is of"
    return None


def _why_not_independent(
    finding: Finding, person: str, people: People, hands: Hands | None, at: datetime
) -> str | None:
    """Whoever acts for an owner stands where that owner stands: both are compared."""
    barred = finding.what.barred
    if person in barred:
        return f"{person} was late or did it, and cannot dispose of it; somebody else has to"
    standings = [people.holds_role(person, role, at) for role in OWNERS]
    held = [standing for standing in standings if standing.holds]
    if not held:
        return f"only {' or '.join(OWNERS)} dispose of findings: {'; '.join(standing.why for standing in standings)}"
    if hands is None and finding.what.kind is not FindingKind.INTEGRITY_INCIDENT:
        return f"the log of {finding.what.run_id} does not say who made the change; restore it first, see ESCALATION.md"
    alone = people.identify(person)
    stands_as = [alone] if any(not standing.acting_for for standing in held) else []
    others = dict.fromkeys(one for standing in held for one in standing.acting_for if one not in barred)
    stands_as += [people.acting(alone, one) for one in others]
    if not stands_as:
        return f"{held[0].why}, who was late or did it, and nobody disposes of it in their place"
    clashes = [not_shown_apart(people, identity, hands or ()) for identity in stands_as]
    clash = clashes[0]
    if clash is None or None in clashes:
        return None
    return f"{_is_or_may_be(person, clash)}; somebody else has to dispose of it"


def _is_or_may_be(person: str, hand: tuple[str, str]) -> str:
    part, text = hand
    return f"{person!r} is, acts for, or cannot be told apart from, the {part} of this change, {text!r}"
