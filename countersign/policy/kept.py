"""Configurations as evidence roots keep them, in whatever schema they were written.

The manifest names its schema. Each schema that was ever in use has a reader here, which turns its documents into
documents of today's form; what was kept stays as it is, and so do its digests. A field that is new with a default needs
no new schema as long as the default means what was done before it was there. Any other change of form does: another
number, and a reader for the one before.

What belongs here: reading what was kept. What does not: files, and which configuration is in force.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
import rfc8785
from pydantic import BaseModel, ValidationError

from countersign.clocks.calendar import Calendar
from countersign.errors import EvidenceError
from countersign.policy.configuration import SCHEMA, Configuration
from countersign.policy.demo import DemoSigners
from countersign.policy.document import Catalogue, Policy
from countersign.policy.section import first_fault

Documents = dict[str, Any]
Reader = Callable[[Documents], Documents]
_UNNUMBERED = "none"  # before manifests named their schema
_DOCUMENTS = ("policy", "catalogue", "calendar", "demo_signers")
_PARTS = {"roster": "people", "systems": "systems"}


def _as_they_are(documents: Documents) -> Documents:
    return documents


READERS: Mapping[str, Reader] = {_UNNUMBERED: _as_they_are, SCHEMA: _as_they_are}
_Document = TypeVar("_Document", bound=BaseModel)


def read_kept(digest: str, version: Callable[[str], bytes], readers: Mapping[str, Reader] = READERS) -> Configuration:
    """The configuration of a digest; `version` gives the kept bytes of each. Raises EvidenceError saying what it lacks.

    Its manifest, and so its digests, are those that were kept, whatever today's form would make of them.
    """
    try:
        manifest: dict[str, str] = orjson.loads(version(digest))
        schema = manifest.get("schema", _UNNUMBERED)
        kept = {name: orjson.loads(version(manifest[name])) for name in _DOCUMENTS if name in manifest}
        parts = {part: _digest_of(kept["policy"][field]) for part, field in _PARTS.items()}
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise EvidenceError(f"the configuration {digest} is of another form: {error!r}") from error
    if {part: manifest.get(part) for part in parts} != parts:
        raise EvidenceError(f"the configuration {digest} is of another form: its policy has other parts than it says")
    if schema not in readers:
        raise EvidenceError(
            f"the configuration {digest} is of the schema {schema}; this release of countersign reads "
            f"{', '.join(readers)}. Use the release that wrote it, or one that has a reader for it"
        )
    documents = readers[schema](kept)
    return Configuration(
        _read(digest, "policy", Policy, documents),
        _read(digest, "catalogue", Catalogue, documents),
        _read(digest, "calendar", Calendar, documents),
        _read(digest, "demo_signers", DemoSigners, documents) if "demo_signers" in documents else None,
        kept_as=manifest,
    )


def _digest_of(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def _read(digest: str, name: str, form: type[_Document], documents: Documents) -> _Document:
    where = f"the configuration {digest} is of another form, in its {name}"
    if name not in documents:
        raise EvidenceError(f"{where}: there is none")
    try:
        return form.model_validate_json(orjson.dumps(documents[name]))
    except ValidationError as error:
        raise EvidenceError(f"{where}: {first_fault(error, documents[name])}") from error
