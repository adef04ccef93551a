"""Whether somebody may authorise changes of a system. What belongs here: that question; not what follows from it."""

from countersign.changes.people import Identity
from countersign.policy import Authority, Policy


def may_authorise(giver: Identity, association: str | None, authority: Authority, policy: Policy) -> bool | None:
    """Whether a person fits what the policy asks of an approver; None where that cannot be told.

    It cannot be told where a role or team is asked for and the roster does not know the person, or where an association
    is asked for and the evidence names none.
    """
    if authority.anyone or association in authority.associations:
        return True
    person = policy.person(giver.person) if giver.person else None
    if person and (set(person.roles) & set(authority.roles) or set(person.teams) & set(authority.teams)):
        return True
    by_roster = bool(authority.roles or authority.teams)
    if (by_roster and person is None) or (authority.associations and association is None):
        return None
    return False
