"""Which deployments belong to which changes, many to many. What belongs here: this pure question and nothing else.

A deployment belongs to a change of the same system if it names the change or is of its revision.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from countersign.revisions import same_revision, stem


class Deployed(Protocol):
    """A deployment: of which system and revision, and the id of the change that it names."""

    @property
    def system(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def change(self) -> str | None: ...


class Changed(Protocol):
    """A change under one of its revisions."""

    @property
    def system(self) -> str: ...
    @property
    def change_id(self) -> str: ...
    @property
    def revision(self) -> str | None: ...


_D = TypeVar("_D", bound=Deployed)
_C = TypeVar("_C", bound=Changed)


def match(deployments: Iterable[_D], changes: Iterable[_C]) -> Iterator[tuple[_D, _C]]:
    """Every deployment with every change that it belongs to, in the order of both."""
    known = list(changes)
    places: dict[tuple[str, str, str], list[int]] = {}
    for place, change in enumerate(known):
        places.setdefault((change.system, "id", change.change_id), []).append(place)
        if change.revision is not None:
            places.setdefault((change.system, "revision", stem(change.revision)), []).append(place)
    for deployment in deployments:
        named = places.get((deployment.system, "id", deployment.change), []) if deployment.change else []
        alike = places.get((deployment.system, "revision", stem(deployment.revision)), [])
        for place in sorted({*named, *(one for one in alike if _same(deployment, known[one]))}):
            yield deployment, known[place]


def _same(deployment: Deployed, change: Changed) -> bool:
    return change.revision is not None and same_revision(deployment.revision, change.revision)
