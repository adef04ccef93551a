"""People, compared as people: a login, an e-mail or a name that points to one person is that person.

What belongs here: what the roster, the bots and the pipelines of a policy add to a text: who it is and why, what they
may do on a day, and for whom. What does not: reading and comparing identities as such, which is `identity`, and what
follows from the answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from countersign.changes.identity import Identity, Likeness, identity_of, likeness, parse_identity
from countersign.changes.spelling import fold
from countersign.changes.standing import Standing, Standings, may_act, said_on
from countersign.clocks.instant import local_day
from countersign.errors import PolicyError
from countersign.patterns import Patterns
from countersign.policy import Authority, Person, Policy, Role

__all__ = ["Identity", "Likeness", "People", "Resolution", "Standing", "fold", "parse_identity"]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who a text names, by the roster: each step of why, or what the roster would have to say."""

    text: str
    person: Person | None
    why: tuple[str, ...]
    missing: str | None = None


class People:
    """The roster, the bots and the pipelines of a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._persons = {person.id: person for person in policy.people}
        self._identities = {person.id: _roster_identity(person) for person in policy.people}
        self._by_handle: dict[str, str] = {}
        self._by_mark: dict[str, set[str]] = {}
        for person_id, identity in self._identities.items():
            for handle in identity.logins | identity.emails:
                owner = self._by_handle.setdefault(handle, person_id)
                if owner != person_id:  # letters that show nothing are printable to Python, and folded away here
                    raise PolicyError(f"people: {handle!r} reads the same for {owner!r} and {person_id!r}; change one")
            for mark in identity.marks.same | identity.marks.looks:
                self._by_mark.setdefault(mark, set()).add(person_id)
        self._standings = Standings(policy.people)
        self._bots = Patterns(policy.bots)
        self._pipelines = Patterns(policy.pipelines)
        self._pipelines_of = {system.id: Patterns(system.pipelines) for system in policy.systems}
        self._every_pipeline = Patterns(
            [*policy.pipelines, *(one for each in policy.systems for one in each.pipelines)]
        )
        self.identify = lru_cache(maxsize=4096)(self._identify)
        self.is_bot = lru_cache(maxsize=4096)(self._is_bot)
        self.is_pipeline = lru_cache(maxsize=4096)(self._is_pipeline)

    def _identify(self, text: str) -> Identity:
        """The identity in a text, with everything that the roster knows of the person.

        A login or an e-mail of the roster names a person for certain; a name only where one entry has it and no other
        login or e-mail contradicts. A text that only looks like the roster's names nobody.
        """
        seen = parse_identity(text)
        person_id = self._by_handle.get(_handle(seen)) or self._named(seen)
        return seen if person_id is None else seen.known_as(self._identities[person_id])

    def _named(self, seen: Identity) -> str | None:
        named = self._having(seen.marks.same) if not seen.resolvable else set()
        return next(iter(named)) if len(named) == 1 else None

    def _having(self, marks: Iterable[str]) -> set[str]:
        return {person_id for mark in marks for person_id in self._by_mark.get(mark, ())}

    def resolve(self, text: str, at: datetime | None = None) -> Resolution:
        """Who a text names on the roster, and why; or what is missing there. `at` asks for the roles of that day."""
        seen = parse_identity(text)
        person = self._persons.get(self.identify(text).person or "")
        others = sorted(self._having(seen.marks.same) - {person.id if person else None})
        if person is None:
            return self._unresolved(seen, others)
        handle = _handle(seen)
        how = f"{handle!r} is {_field(person, handle)}" if handle else "only one entry has the name:"
        why = [f"{how} {person.id}"]
        if others:
            why.append(f"the name beside it is that of {', '.join(others)}, and a login or an e-mail says more")
        if self.is_bot(text):
            why.append("the policy's bots match it, and a bot is nobody's checker")
        if at is not None:
            day = local_day(at, self._policy.zone)
            why.append(said_on(person, day))
            why += [f"may act for {other.id}" for other in self._standings.principals(person, day)]
        return Resolution(text, person, tuple(why))

    def _unresolved(self, seen: Identity, named: list[str]) -> Resolution:
        handle, whose = _handle(seen), " and ".join(named)
        why = []
        if named and handle:
            why.append(f"the name is that of {whose}: compared as them until the roster says otherwise, with no role")
        elif named:
            why.append(f"the name is that of {whose}, and none of them for certain")
        if alike := sorted(self._having(seen.marks.looks) - set(named)):
            why.append(f"it looks like {' and '.join(alike)}, in other letters")
        if self.is_bot(seen.text):
            missing = "the policy's bots match it, and a bot is nobody's checker"
        elif handle:
            field = "emails" if seen.emails else "logins"
            missing = f"no entry has {handle!r}; add it to the {field} of {whose or 'whoever it is'}"
        elif named:
            missing = "a login or an e-mail beside the name"
        else:
            missing = "no entry has this name; add it to the other_names of whoever it is, or give a login or an e-mail"
        return Resolution(seen.text, None, tuple(why), missing)

    def acting(self, giver: Identity, for_whom: str) -> Identity:
        """Somebody who acts for another, compared as both."""
        return replace(giver, acts_for=self.identify(for_whom))

    def compare(self, one: Identity, other: Identity) -> Likeness:
        """Whether two identities are one person; see `identity.likeness`."""
        return likeness(one, other)

    def compare_all(self, one: Identity, others: Iterable[Identity]) -> tuple[Likeness, Identity | None]:
        """SAME with whom, else UNKNOWN against whom, else DIFFERENT from all."""
        doubtful: Identity | None = None
        for other in others:
            match self.compare(one, other):
                case Likeness.SAME:
                    return Likeness.SAME, other
                case Likeness.UNKNOWN:
                    doubtful = doubtful or other
                case Likeness.DIFFERENT:
                    pass
        return (Likeness.UNKNOWN, doubtful) if doubtful else (Likeness.DIFFERENT, None)

    def has_authority(
        self, giver: Identity, association: str | None, authority: Authority, at: datetime | None
    ) -> Standing:
        """Whether a person may authorise, where `association` is what the source calls their relation to the system.

        None where nothing says yes and something that could is not known: whose text it is, when it was given, or the
        association that the policy asks for.
        """
        if giver.person is not None and "auditor" in self._persons[giver.person].roles:
            return Standing(False, f"{giver.person!r} is an auditor, and an auditor only reads")
        if authority.anyone:
            return Standing(True, "anyone may authorise here")
        unknown, refused = [], []
        if authority.associations:
            if association in authority.associations:
                return Standing(True, f"{association} at the source")
            wanted = " or ".join(authority.associations)
            if association is None:
                unknown.append(f"the source does not say whether they are {wanted}")
            else:
                refused.append(f"{association} at the source, and not {wanted}")
        if authority.roles or authority.teams:
            by_roster = self._on_the_roster(giver, authority.roles, authority.teams, at)
            if by_roster.holds:
                return by_roster
            (refused if by_roster.holds is False else unknown).append(by_roster.why)
        return Standing(None if unknown else False, "; ".join(unknown or refused))

    def holds_role(self, person_id: str, role: Role, at: datetime) -> Standing:
        """Whether somebody holds a role at an instant, by themself or as a delegate; `person_id` is the roster's."""
        return self._standings.of(self._persons[person_id], [role], [], local_day(at, self._policy.zone))

    def may_act(self, person_id: str, at: datetime) -> Standing:
        """Whether an entry of the roster counts at an instant and does more than read."""
        return may_act(self._persons[person_id], local_day(at, self._policy.zone))

    def holding(self, role: Role, at: datetime) -> list[str]:
        """Everybody who holds a role at an instant, by themself or as a delegate, in the order of the roster."""
        return list(self._standings.holding(role, local_day(at, self._policy.zone)))

    def _on_the_roster(self, giver: Identity, roles: list[Role], teams: list[str], at: datetime | None) -> Standing:
        person = self._persons.get(giver.person or "")
        if person is None:
            return Standing(None, f"the roster does not know {giver.text!r}")
        if at is None:
            return Standing(None, f"it is not known when {person.id} gave it")
        return self._standings.of(person, roles, teams, local_day(at, self._policy.zone))

    def _is_bot(self, text: str) -> bool:
        """Whether the policy says that this identity is nobody's checker.

        Beside a login or an e-mail of the roster a name says nothing: anybody can call themself a bot.
        """
        seen = parse_identity(text)
        # the text as it is written and each of its parts, so that an anchor may name an address
        parts: Iterable[str] = (text, *seen.names, *seen.logins, *seen.emails)
        if _handle(seen) in self._by_handle:
            parts = seen.logins | seen.emails
        return any(self._bots.match(part) for part in parts)

    def _is_pipeline(self, text: str) -> bool:
        """Whether this is automation that may deploy some system, and so is nobody; `may_deploy` asks for which."""
        return any(self._every_pipeline.match(handle) for handle in _handles(text))

    def may_deploy(self, text: str, system: str) -> bool:
        """Whether the policy lets this automation deploy that system in place of a person.

        A system of the inventory has its own pipelines and no others; the policy's are for all other systems.
        """
        known = self._policy.system(system)
        patterns = self._pipelines_of[known.id] if known else self._pipelines
        return any(patterns.match(handle) for handle in _handles(text))


def _handles(text: str) -> frozenset[str]:
    """What automation is known by: beside a login or an e-mail a name says nothing, anybody can call themself so."""
    seen = parse_identity(text)
    return (seen.logins | seen.emails) or seen.names


def _handle(identity: Identity) -> str:
    """The one login or e-mail in a text, or nothing."""
    return next(iter(identity.logins | identity.emails), "")


def _roster_identity(person: Person) -> Identity:
    names, logins = [person.name, *person.other_names], [person.id, *person.logins]
    return replace(identity_of(person.id, names, logins, person.emails), person=person.id)


def _field(person: Person, handle: str) -> str:
    """Which field of an entry holds a folded login or e-mail, in words."""
    if handle == fold(person.id):
        return "the id of"
    return "a login of" if "@" not in handle else "an e-mail of"
