"""What every part of the policy is built on. What belongs here: strictness, patterns, and kept documents."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated

import re2
import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


class Section(BaseModel):
    """A part of a controlled document: unknown fields are refused, nothing is converted, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Kept(Section):
    """A document whose every version is kept in the evidence root."""

    @cached_property
    def canonical(self) -> bytes:
        """RFC 8785 bytes: what `digest` is taken over and what is kept in the evidence root."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()

    def digest_of(self, part: str) -> str:
        """SHA-256 of the RFC 8785 bytes of one field."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json", include={part})[part])).hexdigest()


def first_fault(error: ValidationError, document: object) -> str:
    """What a document has wrong first: its field, why, and whose entry it is where that has an id, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    entry = _entry(document, first["loc"])
    whose = f" (in the entry {entry!r})" if entry and not said.startswith(f"{entry}: ") else ""
    return f"{where + ': ' if where else ''}{said}{whose}"


def _entry(document: object, path: Iterable[int | str]) -> str | None:
    """The id of the innermost list entry on the way to a field: people count a roster by names, not from 0."""
    found = None
    for part in path:
        if isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
            named = document.get("id") if isinstance(document, dict) else None
            found = named if isinstance(named, str) else found
        elif isinstance(document, dict):
            document = document.get(part)
    return found


def _compilable(pattern: str) -> str:
    try:
        re2.compile(pattern)
    except re2.error as error:
        raise ValueError(f"not an RE2 pattern: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compilable)]
