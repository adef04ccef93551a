"""Acts that two people answer for: a legal hold, its release, a purge.

What belongs here: what is approved, in bytes, and that two owners approve it. How an approval is shown to be somebody's
own is `Standing`'s business: whoever can check signatures passes that check in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import rfc8785

from countersign.changes.standing import said_on
from countersign.errors import RetentionRefused
from countersign.policy import Policy, Role

OWNERS: tuple[Role, ...] = ("control_owner", "process_owner")
_PEOPLE = 2


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval: a roster id."""

    by: str


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done, to what, and why."""

    what: str
    on: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def statement(self) -> bytes:
        """The bytes that an approval is of (RFC 8785)."""
        return rfc8785.dumps({"act": self.what, "on": dict(self.on), "reason": self.reason})


Standing = Callable[[Approval, Act], str | None]
"""Why an approval does not count, or None."""


def owners_on(policy: Policy, day: date) -> Standing:
    """Approvals by owners, as the roster has them on a day; names are taken as they are given.

    A delegate does not count: two people who stand on one owner's word would be one owner.
    """

    def why_not(approval: Approval, _: Act) -> str | None:
        person = policy.person(approval.by)
        if person is None:
            return f"{approval.by!r} is not on the roster; approve with a roster id"
        if not person.valid_on(day) or not set(person.roles) & set(OWNERS):
            return f"{said_on(person, day)}; {' or '.join(OWNERS)} is needed"
        return None

    return why_not


def require_two(act: Act, approvals: Sequence[Approval], standing: Standing) -> list[str]:
    """The ids of those who approve. Raises RetentionRefused unless they are two people whose approval counts."""
    if not act.reason.strip():
        raise RetentionRefused(f"{act.what}: needs a reason")
    for approval in approvals:
        why = standing(approval, act)
        if why is not None:
            raise RetentionRefused(f"{act.what}: {why}")
    by = sorted({approval.by for approval in approvals})
    if len(by) < _PEOPLE:
        raise RetentionRefused(f"{act.what}: needs two people; {', '.join(by) or 'nobody'} approved (--as, twice)")
    return by
