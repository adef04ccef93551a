"""What the roster lets somebody do on a day, by themself or for another.

What belongs here: roles, teams, validity and delegation. What does not: whose text something is, which is `people`, and
how close a person is to a change: a delegate is compared as both, by whoever asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from countersign.policy import Person, Role


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether somebody may do something: yes, no, or None where it cannot be told; and why.

    `acting_for` are the roster ids of those for whom they may, where they may not by themselves: whoever relies on that
    compares `People.acting(giver, one_of_them)`, and nobody acts for a maker on the maker's own change.
    """

    holds: bool | None
    why: str
    acting_for: tuple[str, ...] = ()


class Standings:
    """The standing of everybody on a roster."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._people = tuple(people)
        self._principals: dict[str, list[Person]] = {}
        for person in people:
            for delegation in person.delegates:
                others = self._principals.setdefault(delegation.to, [])
                if person not in others:
                    others.append(person)
        self.holding = lru_cache(maxsize=64)(self._holding)

    def _holding(self, role: Role, day: date) -> tuple[str, ...]:
        """The ids of everybody who has a role on a day, by themself or as a delegate, in the order of the roster."""
        return tuple(person.id for person in self._people if self.of(person, [role], [], day).holds)

    def principals(self, person: Person, day: date) -> list[Person]:
        """Everybody for whom a person may act on a day; an auditor acts for nobody."""
        if "auditor" in person.roles or not person.valid_on(day):
            return []
        return [other for other in self._principals.get(person.id, ()) if other.may_act_on(day, person.id)]

    def of(self, person: Person, roles: Sequence[Role], teams: Sequence[str], day: date) -> Standing:
        """Whether a person has one of these on a day, by themself first."""
        if not person.valid_on(day):
            return Standing(False, said_on(person, day))
        if held := _held(person, roles, teams):
            return Standing(True, f"{person.id!r} has {held}")
        acting_for = tuple(other.id for other in self.principals(person, day) if _held(other, roles, teams))
        if acting_for:
            return Standing(True, f"{person.id!r} may act for {' and '.join(acting_for)}", acting_for)
        wanted = [f"the role {role!r}" for role in roles] + [f"the team {team!r}" for team in teams]
        return Standing(False, f"{person.id!r} does not have {' or '.join(wanted)}")


def may_act(person: Person, day: date) -> Standing:
    """Whether an entry counts on a day and does more than read, whatever its roles."""
    if not person.valid_on(day):
        return Standing(False, said_on(person, day))
    if "auditor" in person.roles:
        return Standing(False, f"{person.id!r} is an auditor, and an auditor only reads")
    return Standing(True, f"{person.id!r} is on the roster")


def _held(person: Person, roles: Sequence[Role], teams: Sequence[str]) -> str | None:
    """The first role or team that a person has of these."""
    if role := next((role for role in roles if role in person.roles), None):
        return f"the role {role!r}"
    team = next((team for team in teams if team in person.teams), None)
    return f"the team {team!r}" if team else None


def said_on(person: Person, day: date) -> str:
    """What the roster says of a person on a day."""
    if person.valid_on(day):
        return f"roles on {day.isoformat()}: {', '.join(person.roles) or 'none'}"
    return f"{person.id!r} is on the roster {validity(person)}, and holds no role on {day.isoformat()}"


def validity(person: Person) -> str:
    """From when until when an entry holds, in words."""
    since = f"from {person.valid_from.isoformat()}" if person.valid_from else ""
    until = f"until {person.valid_until.isoformat()}" if person.valid_until else ""
    return " ".join(filter(None, (since, until))) or "always"
