"""The roster: who is who, with which roles, from when until when, and who may act for whom.

What belongs here: entries, and what is wrong with a roster as such. What does not: comparing people, which is
`changes.people`, and references into the rest of the policy, which is `references`.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from itertools import combinations
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from countersign.clocks.instant import parse_instant
from countersign.policy.section import Section
from countersign.policy.words import Role

Day = Annotated[date, Field(strict=False)]

_NOREPLY = re.compile(r"(?:\d+\+)?(?P<login>[^@+]+)@users\.noreply\.github\.com")
_KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
# An auditor reads and performs again, and operates nothing; an observer checks those who sign.
_ALONE: Role = "auditor"
_OBSERVED: frozenset[Role] = frozenset({"authoriser", "reviewer", "approver"})


def noreply_login(email: str) -> str | None:
    """The login that a GitHub noreply address names, or None for any other address."""
    match = _NOREPLY.fullmatch(email)
    return match["login"] if match else None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be seen; type it again")
    return text


def _public_key(text: str) -> str:
    """`TYPE BASE64` without options or comment, where the key says its type itself (RFC 4253, section 6.6)."""
    kind, _, encoded = text.partition(" ")
    if kind not in _KEY_TYPES:
        raise ValueError(f"not an SSH public key: it begins with one of {', '.join(_KEY_TYPES)}")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not an SSH public key: give its type and its base64, without a comment") from error
    said = kind.encode()
    if blob[: 4 + len(said)] != len(said).to_bytes(4, "big") + said or len(blob) <= 4 + len(said):
        raise ValueError(f"not an SSH public key: its content is not that of a {kind}")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
Instant = Annotated[datetime, BeforeValidator(lambda value: parse_instant(value) if isinstance(value, str) else value)]


class SigningKey(Section):
    """A public key that signs for a person in one namespace, from an instant on and until another."""

    key: Annotated[str, AfterValidator(_public_key)]
    namespace: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}@countersign$")
    valid_after: Instant
    valid_before: Instant | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "SigningKey":
        if self.valid_before is not None and self.valid_before <= self.valid_after:
            raise ValueError("valid_before does not lie after valid_after")
        return self


class Delegation(Section):
    """Leave to act for somebody, from a day until a day (both included), in the policy's zone."""

    model_config = ConfigDict(serialize_by_alias=True)

    to: Text
    since: Day = Field(alias="from")
    until: Day

    @model_validator(mode="after")
    def _in_order(self) -> "Delegation":
        if self.until < self.since:
            raise ValueError("until lies before from")
        return self

    def holds_on(self, day: date) -> bool:
        """Whether it holds on a day."""
        return self.since <= day <= self.until


class Person(Section):
    """One entry of the roster; `id` is how a signer names themself and counts as a login.

    Outside `valid_from` to `valid_until` (days in the policy's zone, both included) they hold no role and act for
    nobody, and are still the same person.
    """

    id: Text
    name: Text
    other_names: list[Text] = Field(default=[])
    logins: list[Text] = Field(default=[])
    emails: list[Text] = Field(default=[])
    keys: list[SigningKey] = Field(default=[])
    roles: list[Role] = Field(default=[])
    teams: list[Text] = Field(default=[])
    valid_from: Day | None = None
    valid_until: Day | None = None
    delegates: list[Delegation] = Field(default=[])

    @model_validator(mode="after")
    def _coherent(self) -> "Person":
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise ValueError(f"{self.id}: valid_until lies before valid_from")
        if _ALONE in self.roles and len(set(self.roles)) > 1:
            raise ValueError(f"{self.id}: an auditor only reads, and can hold no other role")
        if "observer" in self.roles and (both := _OBSERVED.intersection(self.roles)):
            raise ValueError(
                f"{self.id}: an observer checks those who sign, and cannot be {', '.join(sorted(both))} too"
            )
        if any(delegation.to == self.id for delegation in self.delegates):
            raise ValueError(f"{self.id}: delegates to themself")
        return self

    def valid_on(self, day: date) -> bool:
        """Whether the entry holds on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )

    def may_act_on(self, day: date, delegate: str) -> bool:
        """Whether that person may act for this one on a day."""
        return self.valid_on(day) and any(one.to == delegate and one.holds_on(day) for one in self.delegates)


def one_owner_each(people: list[Person]) -> None:
    """Raise ValueError where an id, login, e-mail or key belongs to two entries."""
    seen: dict[str, str] = {}
    for person in people:
        for handle in set(_handles(person)):
            if seen.setdefault(handle, person.id) != person.id:
                raise ValueError(f"people: {handle!r} belongs to both {seen[handle]!r} and {person.id!r}")
    if len({person.id.casefold() for person in people}) != len(people):
        raise ValueError("people: two entries share one id")


def _handles(person: Person) -> Iterator[str]:
    for text in (person.id, *person.logins, *person.emails):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        yield noreply_login(folded) or folded
    yield from (key.key for key in person.keys)


def overlapping_delegations(people: list[Person]) -> Iterator[str]:
    """Where one person delegates twice to the same one at the same time: one of the two must be meant otherwise."""
    for person in people:
        for one, other in combinations(person.delegates, 2):
            if one.to == other.to and one.since <= other.until and other.since <= one.until:
                yield f"people: {person.id} delegates twice to {one.to} at the same time"
