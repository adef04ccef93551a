"""Who a text names, and what can be said of two of them: the same person, two people, or neither.

What belongs here: reading an identity from text, and comparing two. What does not: the roster, which `people` adds.
Two identities that share nothing comparable are neither the same nor different, and absence is not consent: whoever
asks must treat that as a no.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from countersign.changes.spelling import abbreviates, bare, fold, looks, shown, words
from countersign.policy import noreply_login

_ADDRESS = re.compile(r"\s*(?P<name>[^<>]*?)\s*<\s*(?P<email>[^<>\s]*)\s*>\s*")
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_TAG = re.compile(r"\+[^@]*@")


class Likeness(Enum):
    """What can be said of two identities."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Marks(NamedTuple):
    """What identities are compared by, worked out once.

    `same`: shared, they make one person. `looks`: what names, logins and e-mails look like; `strange` are those that
    hold other letters than a to z. `doubts`: shared, they leave it open. `names`: the words of each name.
    """

    same: frozenset[str] = frozenset()
    looks: frozenset[str] = frozenset()
    strange: frozenset[str] = frozenset()
    doubts: frozenset[str] = frozenset()
    names: frozenset[tuple[str, ...]] = frozenset()


def _together(marks: Sequence[Marks]) -> Marks:
    """The marks of one person under several names, logins and e-mails."""
    return marks[0] if len(marks) == 1 else Marks(*(frozenset().union(*each) for each in zip(*marks, strict=True)))


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of somebody, folded for comparison; `text` is how they were written.

    `person` is the roster's id for them. `acts_for` is whom they act for as a delegate: they are compared as both.
    """

    text: str
    names: frozenset[str]
    logins: frozenset[str]
    emails: frozenset[str]
    marks: Marks
    person: str | None = None
    acts_for: "Identity | None" = None

    @property
    def resolvable(self) -> bool:
        """Whether a login or an e-mail stands behind it: a bare name could be anybody's."""
        return bool(self.logins or self.emails)

    def known_as(self, known: "Identity") -> "Identity":
        """The same text, with everything that is known of that person."""
        return replace(
            known,
            text=self.text,
            names=self.names | known.names,
            logins=self.logins | known.logins,
            emails=self.emails | known.emails,
            marks=_together([self.marks, known.marks]),
        )


@lru_cache(maxsize=4096)
def parse_identity(text: str) -> Identity:
    """`Name <mail>`, a mail, a login (one word, with or without @), or a bare name."""
    seen = shown(text)
    if match := _ADDRESS.fullmatch(seen):
        return identity_of(text, [match["name"].strip('"')], [], [match["email"]])
    if _EMAIL.fullmatch(seen.strip()):
        return identity_of(text, [], [], [seen])
    if len(seen.split()) == 1 and any(character.isalnum() for character in seen):
        return identity_of(text, [], [seen.strip().removeprefix("@")], [])
    return identity_of(text, [seen], [], [])


def identity_of(text: str, names: list[str], logins: list[str], emails: list[str]) -> Identity:
    """The identity that has these names, logins and e-mails; empty ones say nothing, and a noreply mail is a login."""
    named = {email: noreply_login(fold(email)) for email in emails}
    logins = [login for login in (*logins, *named.values()) if login and fold(login)]
    emails = [email for email, login in named.items() if login is None and fold(email)]
    names = [name for name in names if fold(name)]
    marks = [_name_marks(name) for name in names]
    marks += [_marks("login", login) for login in logins] + [_marks("mail", email) for email in emails]
    folded_names, folded_logins, folded_emails = (frozenset(map(fold, texts)) for texts in (names, logins, emails))
    return Identity(text, folded_names, folded_logins, folded_emails, _together(marks or [Marks()]))


def _marks(kind: str, text: str) -> Marks:
    """A login's or an e-mail's. What it looks like is also what a name may look like; a tag leaves a mailbox open."""
    alike = looks(text)
    typed = frozenset(f"{kind} {look}" for look in alike)
    strange = frozenset() if bare(text).isascii() else typed
    untagged = frozenset(_TAG.sub("@", look, count=1) for look in alike)
    return Marks(frozenset([f"{kind} {fold(text)}"]), typed, strange, alike | untagged)


def _name_marks(name: str) -> Marks:
    """A name's: its words, whichever comes first."""
    parts = words(name)
    if not parts:  # nothing but signs
        return Marks()
    alike = frozenset(" ".join(words(look)) for look in looks(name))
    typed = frozenset(f"name {look}" for look in alike)
    strange = frozenset() if bare(name).isascii() else typed
    return Marks(frozenset([f"name {' '.join(parts)}"]), typed, strange, alike, frozenset([parts]))


def likeness(one: Identity, other: Identity) -> Likeness:
    """Whether two identities are one person.

    Two different roster entries are two people. Otherwise a shared login, e-mail or name makes them one, also where it
    only looks the same because of letters from another script. A name that is the other's login, texts that look alike
    in plain letters (`l` and `1`), an address that differs by its `+tag`, and a name that may be the other's with
    initials leave it open. Only then does a differing login, or a differing e-mail, make them two.
    """
    if one.acts_for is None and other.acts_for is None:
        return _as_written(one, other)
    answers = {
        _as_written(left, right)
        for left in (one, one.acts_for)
        for right in (other, other.acts_for)
        if left is not None and right is not None
    }
    return next(answer for answer in (Likeness.SAME, Likeness.UNKNOWN, Likeness.DIFFERENT) if answer in answers)


def _as_written(one: Identity, other: Identity) -> Likeness:
    if one.person is not None and other.person is not None:
        return Likeness.SAME if one.person == other.person else Likeness.DIFFERENT
    left, right = one.marks, other.marks
    if left.same & right.same or left.strange & right.looks or left.looks & right.strange:
        return Likeness.SAME
    if left.doubts & right.doubts or any(abbreviates(name, like) for name in left.names for like in right.names):
        return Likeness.UNKNOWN
    if (one.logins and other.logins) or (one.emails and other.emails):
        return Likeness.DIFFERENT
    return Likeness.UNKNOWN
