"""Deployments as the register tells of them, and what the opening of a run says of them.

What belongs here: these values and their lines. What does not: asking about them (`deployment_index`), and which
deployment belongs to which change (`changes.matching`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from countersign.evidence.lines import Draft

Key = tuple[str, str]  # system and id


@dataclass(frozen=True, slots=True)
class RegisteredDeployment:
    """One deployment; its id is one of its system's. `change` is the id of the change that it names itself.

    `extract` is the digest of what it was read from, `origin` whether policy names the adapter it came through.
    """

    system: str
    id: str
    environment: str
    revision: str
    change: str | None
    deployed_at: str
    deployed_by: str | None
    pipeline: str | None
    source: str
    origin: str
    extract: str | None

    @property
    def key(self) -> Key:
        return self.system, self.id

    def says_the_same(self, other: "RegisteredDeployment") -> bool:
        """Whether two readings, of whatever export, are of one deployment."""
        return self == replace(other, source=self.source, origin=self.origin, extract=self.extract)

    def draft(self) -> Draft:
        return Draft("deployment", "countersign", asdict(self))


@dataclass(frozen=True, slots=True)
class Trace:
    """What the opening of a run says of deployments.

    `deployments` are the ids, within its system, of those that were joined; `given` is the digest of the payload as
    its source gave it before that, None where nothing was joined. `revisions` are those under which a deployment of it
    may go, `deployed` says whether its evidence shows one. `without_change` marks the run of a deployment that no
    change record names; `takes_over` are such runs, which this one supersedes.
    """

    given: str | None = None
    revisions: tuple[str, ...] = ()
    deployed: bool = False
    deployments: tuple[str, ...] = ()
    without_change: bool = False
    takes_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployable:
    """A run of a change that nothing supersedes, under one of its revisions."""

    run_id: str
    system: str
    change_id: str
    revision: str | None


def superseded(openings: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Each run that one of these openings supersedes, as `old`, with the `new` one."""
    return [
        {"old": old, "new": data["run_id"]}
        for data in openings
        for old in (data["supersedes"], *(data.get("trace") or {}).get("takes_over", ()))
        if old is not None
    ]
