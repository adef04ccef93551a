"""The inventory of systems and the register of templates: scope and type are the policy's, not the payload's.

What belongs here: what the policy says of a system or a template. What does not: judging a change by it.
"""

from datetime import date
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, model_validator

from countersign.policy.roster import Day
from countersign.policy.section import Pattern, Section
from countersign.policy.words import Role

Association = Literal["OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR"]


class Authority(Section):
    """Who may authorise a change of a system: anybody who fits one of these, or `anyone` by name.

    `associations` are what GitHub calls an approver's relation to the repository.
    """

    anyone: bool = False
    roles: list[Role] = Field(default=[])
    teams: list[str] = Field(default=[])
    associations: list[Association] = Field(default=[])

    @model_validator(mode="after")
    def _said(self) -> "Authority":
        if self.anyone == bool(self.roles or self.teams or self.associations):
            raise ValueError("name roles, teams or associations, or else say `anyone: true`; an empty list is nobody")
        return self


class System(Section):
    """One system; `id` may be a shell pattern, and the first entry that matches counts.

    `in_scope_since` is a day in the policy's zone, null for a system that is not in scope. `pipelines` are those that
    may deploy it; the policy's own `pipelines` are for systems that the inventory does not know.
    """

    id: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    in_scope_since: Day | None
    authority: Authority
    pipelines: list[Pattern] = Field(default=[])

    def covers(self, system: str) -> bool:
        """Whether this entry is about a system."""
        return fnmatchcase(system, self.id)

    def in_scope_on(self, day: date) -> bool:
        """Whether the system is in scope on a day."""
        return self.in_scope_since is not None and self.in_scope_since <= day


class Template(Section):
    """A pre-approved way of changing something: `systems` are shell patterns, the days are in the policy's zone."""

    id: str = Field(min_length=1)
    systems: list[str] = Field(min_length=1)
    approved_by: str = Field(min_length=1)
    approved_on: Day
    expires_on: Day

    def objection(self, system: str, day: date) -> str | None:
        """Why it does not cover a change of a system on a day, or None."""
        if not any(fnmatchcase(system, pattern) for pattern in self.systems):
            return f"the template {self.id} is not for the system {system}"
        if day < self.approved_on:
            return f"the template {self.id} was approved only on {self.approved_on.isoformat()}"
        if day > self.expires_on:
            return f"the template {self.id} expired on {self.expires_on.isoformat()}"
        return None
