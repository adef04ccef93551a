"""People, compared as people: a login, an e-mail or a name that points to one person is that person.

What belongs here: reading an identity from text, and the one question `compare`. What does not: what follows from
the answer. Two identities that share nothing comparable are neither the same nor different, and absence is not
consent: whoever asks must treat that as a no.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from countersign.changes.invisible import without_invisible
from countersign.patterns import Patterns
from countersign.policy import Person, Policy

_ADDRESS = re.compile(r"\s*(?P<name>[^<>]*?)\s*<\s*(?P<email>[^<>\s]*)\s*>\s*")
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_NOREPLY = re.compile(r"(?:\d+\+)?(?P<login>[^@+]+)@users\.noreply\.github\.com")


class Likeness(Enum):
    """What can be said of two identities."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of somebody, folded for comparison; `text` is how they were written."""

    text: str
    names: frozenset[str]
    logins: frozenset[str]
    emails: frozenset[str]
    person: str | None = None

    @property
    def resolvable(self) -> bool:
        """Whether a login or an e-mail stands behind it: a bare name could be anybody's."""
        return bool(self.logins or self.emails)


def fold(text: str) -> str:
    """A name, login or e-mail as it is compared: NFKC, case-folded, white space collapsed, nothing invisible."""
    folded = unicodedata.normalize("NFKC", without_invisible(text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def parse_identity(text: str) -> Identity:
    """`Name <mail>`, a mail, a login (one word, with or without @), or a bare name."""
    name = login = email = ""
    if match := _ADDRESS.fullmatch(text):
        name, email = match["name"].strip('"'), match["email"]
    elif _EMAIL.fullmatch(text.strip()):
        email = text
    elif len(text.split()) == 1 and any(character.isalnum() for character in text):
        login = text.strip().removeprefix("@")
    else:
        name = text
    if email and (match := _NOREPLY.fullmatch(fold(email))):
        login, email = match["login"], ""
    return Identity(text, _set(name), _set(login), _set(email))


def _set(text: str) -> frozenset[str]:
    folded = fold(text)
    return frozenset([folded] if folded else [])


class People:
    """The roster, the bots and the pipelines of a policy."""

    def __init__(self, policy: Policy) -> None:
        self._identities = {person.id: _roster_identity(person) for person in policy.people}
        self._by_handle: dict[str, str] = {}
        self._by_name: dict[str, set[str]] = {}
        for person_id, identity in self._identities.items():
            for handle in identity.logins | identity.emails:
                self._by_handle[handle] = person_id
            for name in identity.names:
                self._by_name.setdefault(name, set()).add(person_id)
        self._bots = Patterns(policy.bots)
        self._pipelines = Patterns(policy.pipelines)
        self.identify = lru_cache(maxsize=4096)(self._identify)

    def _identify(self, text: str) -> Identity:
        """The identity in a text, with everything that the roster knows of the person.

        A login or an e-mail of the roster names a person for certain; a name only where one entry has it and no other
        login or e-mail contradicts.
        """
        seen = parse_identity(text)
        handle = next(iter(seen.logins | seen.emails), None)
        person_id = self._by_handle.get(handle) if handle is not None else None
        if person_id is not None:
            known = self._identities[person_id]
            return Identity(
                text, seen.names | known.names, seen.logins | known.logins, seen.emails | known.emails, person_id
            )
        named = {person_id for name in seen.names for person_id in self._by_name.get(name, ())}
        if len(named) == 1 and not seen.resolvable:
            known = self._identities[next(iter(named))]
            return Identity(text, seen.names | known.names, known.logins, known.emails, next(iter(named)))
        return seen

    def compare(self, one: Identity, other: Identity) -> Likeness:
        """Whether two identities are one person.

        Two different roster entries are two people. Otherwise any shared login, e-mail or name makes them one, and
        only a differing login against a login, or e-mail against an e-mail, makes them two. A name that is the
        other's login (`maker <new@example.com>`) leaves it open.
        """
        if one.person is not None and other.person is not None:
            return Likeness.SAME if one.person == other.person else Likeness.DIFFERENT
        if one.logins & other.logins or one.emails & other.emails or one.names & other.names:
            return Likeness.SAME
        if one.names & other.logins or one.logins & other.names:
            return Likeness.UNKNOWN
        if (one.logins and other.logins) or (one.emails and other.emails):
            return Likeness.DIFFERENT
        return Likeness.UNKNOWN

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

    def is_bot(self, text: str) -> bool:
        """Whether the policy says that this identity is nobody's checker."""
        identity = parse_identity(text)
        # the text as it is written and each of its parts, so that an anchor may name an address
        return any(self._bots.match(part) for part in (text, *identity.names, *identity.logins, *identity.emails))

    def is_pipeline(self, text: str) -> bool:
        """Whether the policy lets this automation deploy in place of a person.

        Beside a login or an e-mail a name says nothing: anybody can call themself like a pipeline.
        """
        identity = parse_identity(text)
        parts = (identity.logins | identity.emails) or identity.names
        return any(self._pipelines.match(part) for part in parts)


def _roster_identity(person: Person) -> Identity:
    addresses = [parse_identity(email) for email in person.emails]
    return Identity(
        person.id,
        frozenset(fold(name) for name in (person.name, *person.other_names)),
        frozenset(fold(login) for login in (person.id, *person.logins)).union(*(one.logins for one in addresses)),
        frozenset().union(*(one.emails for one in addresses)),
        person.id,
    )
