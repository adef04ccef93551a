"""References inside the policy: a name that leads nowhere would be an owner, a delegate or a team that is nobody.

What belongs here: finding them all, so that `policy check` names every one. What does not: refusing the policy.
"""

from collections.abc import Iterator, Sequence

from countersign.policy.roster import Person, overlapping_delegations
from countersign.policy.systems import Authority, System, Template


def wrong_references(
    people: list[Person], systems: Sequence[System], templates: Sequence[Template], unknown_systems: Authority
) -> Iterator[str]:
    """Everything that names a person or a team that the roster does not have, and every overlapping delegation."""
    ids = {person.id for person in people}
    teams = {team for person in people for team in person.teams}
    for person in people:
        for delegation in person.delegates:
            if delegation.to not in ids:
                yield f"people: {person.id} delegates to {delegation.to!r}, who is not on the roster"
    yield from overlapping_delegations(people)
    for system in systems:
        if system.owner not in ids:
            yield f"systems: the owner of {system.id}, {system.owner!r}, is not on the roster"
    for template in templates:
        if template.approved_by not in ids:
            yield f"templates: {template.id} was approved by {template.approved_by!r}, who is not on the roster"
    authorities = [(f"systems: {system.id}", system.authority) for system in systems]
    for where, authority in [*authorities, ("unknown_systems", unknown_systems)]:
        for team in authority.teams:
            if team not in teams:
                yield f"{where}: nobody on the roster is in the team {team!r}"
        if "auditor" in authority.roles:
            yield f"{where}: an auditor only reads, and has authority over nothing"
