"""Who is told of what goes wrong, and how long they have: the part of the policy behind ESCALATION.md.

What belongs here: routes, the ladder's settings, when blocks repeat. What does not: sending, and what a finding is.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from countersign.policy.section import Section
from countersign.policy.words import Role

_SECRET = re.compile(r"://[^/?#@]*:([^/?#@]*)@")
_VARIABLES = re.compile(r"(\$\{[A-Z][A-Z0-9_]*\})+")


def _without_secrets(address: str) -> str:
    found = _SECRET.search(address)
    if found and not _VARIABLES.fullmatch(found[1]):
        raise ValueError("holds a password; write ${NAME} and give NAME to the process in its environment")
    if "://" not in address:
        raise ValueError("not an address as apprise takes it, such as mailto://… or json://…")
    return address


class Route(Section):
    """One way to a role. `name` is what logs call it; in `address` `${NAME}` stands for a secret of the environment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    address: Annotated[str, AfterValidator(_without_secrets)]


class RepeatedBlocks(Section):
    """So many blocks by one source within so many hours make the last one SEV-2."""

    count: int = Field(default=3, ge=2, le=1000)
    within_hours: int = Field(default=168, ge=1, le=8784)


class Escalation(Section):
    """Routes by role, and the ladder: again after some hours, after some of these one level up."""

    routes: dict[Role, list[Route]] = Field(default={})
    again_after_hours: int = Field(default=4, ge=1, le=720)
    raised_after: int = Field(default=2, ge=1, le=100)
    above: dict[Role, Role] = Field(default={})
    repeated_blocks: RepeatedBlocks = RepeatedBlocks()
    dispose_within_hours: int = Field(default=720, ge=1, le=8784)

    @property
    def reached(self) -> dict[Role, list[Route]]:
        """The routes to each role that has any."""
        return {role: routes for role, routes in self.routes.items() if routes}

    @model_validator(mode="after")
    def _coherent(self) -> "Escalation":
        addresses: dict[str, str] = {}
        for role, routes in self.routes.items():
            if len({route.name for route in routes}) != len(routes):
                raise ValueError(f"routes: {role} has two routes of one name")
            for route in routes:
                if addresses.setdefault(route.name, route.address) != route.address:
                    raise ValueError(f"routes: the name {route.name!r} stands for two addresses")
        if selfish := [role for role, above in self.above.items() if role == above]:
            raise ValueError(f"above: {selfish[0]} is not above themself")
        return self
