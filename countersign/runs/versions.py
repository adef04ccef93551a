"""The configurations that runs are judged with.

What belongs here: keeping, finding and building them, and refusing what is not in force. A run keeps the configuration
under which it was opened to its end, so that a later roster or catalogue changes nothing for it. Adopting another is
`adoption`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from countersign.changes.people import People
from countersign.controls.assessment import Mapper
from countersign.controls.model.combined import assessor
from countersign.controls.model.interface import ModelFactory
from countersign.controls.model.opening import open_model
from countersign.controls.model.questions import Questions, questions_of
from countersign.errors import UnadoptedError
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Catalogue, Configuration, Policy, read_kept


@dataclass(frozen=True)
class Versions:
    """One configuration, and what follows from it; `questions` are there where its policy names a model."""

    configuration: Configuration
    people: People
    mapper: Mapper
    questions: Questions | None

    @property
    def policy(self) -> Policy:
        return self.configuration.policy

    @property
    def catalogue(self) -> Catalogue:
        return self.configuration.catalogue


def genesis(configuration: Configuration) -> Draft:
    """The register's first line: the one configuration that nobody before it could adopt."""
    data = {"configuration": configuration.digest, "manifest": configuration.manifest}
    return Draft("root_opened", "countersign", data)


def require_adopted(in_force: str | None, configuration: Configuration) -> None:
    """Raise UnadoptedError unless this is the configuration in force."""
    if in_force != configuration.digest:
        raise UnadoptedError(
            f"the configuration {configuration.digest} is not adopted; in force is {in_force}. `countersign policy "
            "diff` shows what differs; an owner adopts it with `countersign policy adopt --as PERSON --reason WHY`"
        )


MapperFactory = Callable[[Policy, Catalogue, People], Mapper]


class VersionStore:
    """The configurations that an evidence root keeps, built once each."""

    def __init__(self, root: EvidenceRoot, mapper: MapperFactory = assessor, model: ModelFactory = open_model) -> None:
        self._root = root
        self._mapper = mapper
        self._model = model
        self._built: dict[str, Versions] = {}

    def keep(self, configuration: Configuration) -> Versions:
        """Keep a configuration, for whoever performs a test again, and build it."""
        for document in configuration.documents.values():
            self._root.keep_version(document.canonical)
        self._root.keep_version(configuration.canonical)
        return self._build(configuration)

    def at(self, digest: str) -> Versions:
        """The configuration of this digest. Raises EvidenceError when a part is not kept or cannot be read."""
        return self._built.get(digest) or self._build(read_kept(digest, self._root.version))

    def _build(self, configuration: Configuration) -> Versions:
        people = People(configuration.policy)
        mapper = self._mapper(configuration.policy, configuration.catalogue, people)
        questions = questions_of(configuration.policy, configuration.catalogue, self._model)
        versions = Versions(configuration, people, mapper, questions)
        self._built[configuration.digest] = versions
        return versions
