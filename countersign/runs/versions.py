"""The configurations that runs are judged with.

What belongs here: keeping, finding and building them, and refusing what is not in force. A run keeps the configuration
under which it was opened to its end, so that a later roster or catalogue changes nothing for it. Adopting another is
`adoption`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from countersign.changes.people import People
from countersign.clocks.calendar import Calendar
from countersign.controls.assessment import Mapper
from countersign.controls.model.combined import assessor
from countersign.controls.model.interface import ModelFactory
from countersign.controls.model.opening import open_model
from countersign.controls.model.questions import Questions, questions_of
from countersign.errors import EvidenceError, UnadoptedError
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Catalogue, Configuration, DemoSigners, Policy


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
        return self._built.get(digest) or self._build(self._read(digest))

    def _read(self, digest: str) -> Configuration:
        try:
            manifest = orjson.loads(self._root.version(digest))
            configuration = Configuration(
                Policy.model_validate_json(self._root.version(manifest["policy"])),
                Catalogue.model_validate_json(self._root.version(manifest["catalogue"])),
                Calendar.model_validate_json(self._root.version(manifest["calendar"])),
                DemoSigners.model_validate_json(self._root.version(manifest["demo_signers"]))
                if "demo_signers" in manifest
                else None,
            )
        except (ValidationError, orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise EvidenceError(f"the configuration {digest} is of another form: {error}") from error
        if configuration.digest != digest:
            raise EvidenceError(f"the configuration {digest} is of another form: its parts make {configuration.digest}")
        return configuration

    def _build(self, configuration: Configuration) -> Versions:
        people = People(configuration.policy)
        mapper = self._mapper(configuration.policy, configuration.catalogue, people)
        questions = questions_of(configuration.policy, configuration.catalogue, self._model)
        versions = Versions(configuration, people, mapper, questions)
        self._built[configuration.digest] = versions
        return versions
