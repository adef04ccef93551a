"""What two owners answer for together: their roles, their signed words, and whether they are two people.

What belongs here: what consents to configurations (`consent`) and approvals of acts (`approvals`) have in common. What
does not: the words of either, and who may give which.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import orjson

from countersign.changes.people import Likeness
from countersign.clocks.instant import parse_instant
from countersign.errors import CountersignError, SignatureError
from countersign.evidence.keyring import KeyRing
from countersign.policy import Role
from countersign.runs.signatures import RosterKeys
from countersign.runs.versions import Versions

OWNERS: tuple[Role, ...] = ("control_owner", "process_owner")
# what a key ring advises whoever signs off; nothing of an owner's can be asked for and handed in as a file
_OF_SIGN_OFFS = "add it to the agent, or sign on another machine with `countersign sign-off request` and `submit`"
_OF_OWNERS = "or add it to the agent"


@dataclass(frozen=True, slots=True)
class SignedWords:
    """What somebody signed, with the signature, both as they are kept."""

    statement: str
    signature: str

    def texts(self) -> dict[str, str]:
        """The texts of a register line that carries them."""
        return {"statement": self.statement, "signature": self.signature}

    @classmethod
    def among(cls, texts: Mapping[str, str]) -> "SignedWords | None":
        """Those of a register line, or None where it has not both."""
        statement, signature = texts.get("statement"), texts.get("signature")
        return None if statement is None or signature is None else cls(statement, signature)


def require_owner(by: str, versions: Versions, at: datetime, refused: type[CountersignError]) -> None:
    """Raise `refused` unless an owner by themself: a delegate and the owner they act for would be one owner."""
    if versions.policy.person(by) is None:
        raise refused(f"{by!r} is not on the roster in force; give one of its ids")
    answers = [versions.people.holds_role(by, role, at) for role in OWNERS]
    if not any(answer.holds and not answer.acting_for for answer in answers):
        why = "; ".join(answer.why for answer in answers)
        raise refused(f"{by!r} has by themself none of the roles {', '.join(OWNERS)}: {why}")


def sign(
    content: bytes, by: str, namespace: str, versions: Versions, keys: KeyRing, refused: type[CountersignError]
) -> SignedWords | None:
    """An owner's words, signed with their own key; None where there is no key and the policy asks for no signature.

    Raises `refused` where it asks for one.
    """
    try:
        signature = keys.sign(content, RosterKeys(versions.configuration).of(by, namespace), namespace)
    except SignatureError as error:
        if versions.policy.sign_off.signature == "required":
            raise refused(f"{by!r} cannot sign: {error}".replace(_OF_SIGN_OFFS, _OF_OWNERS)) from error
        return None
    return SignedWords(content.decode(), signature.decode())


def require_signed(
    words: SignedWords | None,
    by: str,
    namespace: str,
    expected: Callable[[Mapping[str, Any]], bytes],
    versions: Versions,
    at: datetime,
    refused: type[CountersignError],
) -> datetime:
    """When it was decided; raise `refused` unless these are the `expected` words, signed by that person by an instant.

    `expected` makes them again from what only they say, such as when that was. Unsigned words, which are as of the
    instant itself, stand where the configuration of then asked for no signature.
    """
    if words is None:
        if versions.policy.sign_off.signature == "required":
            raise refused(f"the word of {by!r} is not signed")
        return at
    content = words.statement.encode()
    try:
        said = orjson.loads(content)
        decided = parse_instant(said["decided_at"])
        if expected(said) != content or decided > at:
            raise refused(f"what {by!r} signed is about something else")
        RosterKeys(versions.configuration).verify(
            content, words.signature.encode(), person=by, namespace=namespace, at=at
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise refused(f"what {by!r} signed is not of its form: {error!r}") from error
    except SignatureError as error:
        raise refused(f"the signature of {by!r} does not stand: {error}") from error
    return decided


def two_of(by: Iterable[str], versions: Versions) -> list[str]:
    """Two different people among these, by their roster ids; empty where there are none."""
    people = versions.people
    for one, other in combinations(sorted(set(by)), 2):
        if people.compare(people.identify(one), people.identify(other)) is Likeness.DIFFERENT:
            return [one, other]
    return []
