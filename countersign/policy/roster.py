"""The roster: who is who, with which roles. What belongs here: entries; comparing people is `changes.people`."""

from datetime import date
from typing import Annotated

from pydantic import Field

from countersign.policy.section import Section
from countersign.policy.words import Role

Day = Annotated[date, Field(strict=False)]


class Person(Section):
    """One entry of the roster; `id` is how a signer names themself and counts as a login."""

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    other_names: list[str] = Field(default=[])
    logins: list[str] = Field(default=[])
    emails: list[str] = Field(default=[])
    roles: list[Role] = Field(default=[])
    teams: list[str] = Field(default=[])


def one_owner_each(people: list[Person]) -> None:
    """Raise ValueError where an id, login or e-mail belongs to two entries."""
    seen: dict[str, str] = {}
    for person in people:
        for handle in {person.id.casefold(), *(text.casefold() for text in person.logins + person.emails)}:
            if seen.setdefault(handle, person.id) != person.id:
                raise ValueError(f"people: {handle!r} belongs to both {seen[handle]!r} and {person.id!r}")
    if len({person.id.casefold() for person in people}) != len(people):
        raise ValueError("people: two entries share one id")
