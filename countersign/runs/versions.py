"""The versions that a run is judged with. What belongs here: finding and building them; not adopting new ones.

A run keeps the versions it was assessed with to its end, so that a later roster or catalogue changes nothing for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from countersign.changes.people import People
from countersign.controls.assessment import Mapper
from countersign.controls.rules import Rules
from countersign.errors import EvidenceError
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Catalogue, Policy


@dataclass(frozen=True)
class Versions:
    """One version of policy and catalogue, and what follows from them."""

    policy: Policy
    catalogue: Catalogue
    people: People
    mapper: Mapper


MapperFactory = Callable[[Policy, Catalogue, People], Mapper]


class VersionStore:
    """The versions of policy and catalogue that an evidence root keeps, built once each."""

    def __init__(self, root: EvidenceRoot, mapper: MapperFactory = Rules) -> None:
        self._root = root
        self._mapper = mapper
        self._built: dict[tuple[str, str], Versions] = {}

    def keep(self, policy: Policy, catalogue: Catalogue) -> Versions:
        """Keep these versions, for whoever performs a test again, and build them."""
        self._root.keep_version(policy.canonical)
        self._root.keep_version(catalogue.canonical)
        return self._build(policy, catalogue)

    def at(self, policy: str, catalogue: str) -> Versions:
        """The versions of these digests. Raises EvidenceError when one is not kept or cannot be read."""
        if (policy, catalogue) not in self._built:
            try:
                self._build(
                    Policy.model_validate_json(self._root.version(policy)),
                    Catalogue.model_validate_json(self._root.version(catalogue)),
                )
            except ValidationError as error:
                raise EvidenceError(f"version {policy} or {catalogue} is of another form: {error}") from error
        return self._built[policy, catalogue]

    def _build(self, policy: Policy, catalogue: Catalogue) -> Versions:
        people = People(policy)
        versions = Versions(policy, catalogue, people, self._mapper(policy, catalogue, people))
        self._built[policy.digest, catalogue.digest] = versions
        return versions
