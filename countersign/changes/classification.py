"""What the policy makes of a change: its type and its scope, whatever the payload claims.

What belongs here: the policy's last word, and each claim that it contradicts. What does not: what follows for any
control, which is for the rules to say.
"""

from dataclasses import dataclass
from datetime import date, datetime

from countersign.changes.payload import Change, ChangeType
from countersign.clocks.instant import local_day
from countersign.policy import Policy


@dataclass(frozen=True, slots=True)
class Classification:
    """The type whose rules apply, whether the change is in scope, and the claims that do not hold.

    A change whose claims do not hold is in scope, so that somebody looks at it.
    """

    change_type: ChangeType
    in_scope: bool
    objections: tuple[str, ...]

    @property
    def tier(self) -> str:
        """The runbook tier: `emergency`, or `standard` for normal and preapproved changes."""
        return "emergency" if self.change_type is ChangeType.EMERGENCY else "standard"


def classify(change: Change, policy: Policy, at: datetime) -> Classification:
    """Judge the claims of a change as of its deployment, else its request, else `at`; days are in the policy's zone.

    A preapproved change without a template that stands, and an emergency without an incident, are normal changes.
    """
    day = local_day(change.first_deployed_at or change.requested_at or at, policy.zone)
    change_type, of_type = _type(change, policy, day)
    in_scope, of_scope = _scope(change, policy, day)
    objections = (*of_type, *of_scope)
    return Classification(change_type, in_scope or bool(objections), objections)


def _type(change: Change, policy: Policy, day: date) -> tuple[ChangeType, list[str]]:
    match change.change_type:
        case ChangeType.PREAPPROVED:
            objection = _template_objection(change, policy, day)
        case ChangeType.EMERGENCY:
            objection = None if change.incident else "it names no incident"
        case ChangeType.NORMAL:
            objection = None
    if objection is None:
        return change.change_type, []
    return ChangeType.NORMAL, [f"claimed to be {change.change_type}, but {objection}; the normal rules apply"]


def _template_objection(change: Change, policy: Policy, day: date) -> str | None:
    if change.template is None:
        return "it names no template"
    template = policy.template(change.template)
    if template is None:
        return f"the register of templates has no {change.template}"
    return template.objection(change.system, day)


def _scope(change: Change, policy: Policy, day: date) -> tuple[bool, list[str]]:
    system = policy.system(change.system)
    in_scope = system is None or system.in_scope_on(day)
    if change.in_scope is None or change.in_scope is in_scope:
        return in_scope, []
    claim = "in scope" if change.in_scope else "not in scope"
    says = "does not know the system, which is therefore in scope" if system is None else _says(in_scope, day)
    return in_scope, [f"claimed to be {claim}, but the inventory {says}"]


def _says(in_scope: bool, day: date) -> str:
    return f"has the system {'in' if in_scope else 'out of'} scope on {day.isoformat()}"
