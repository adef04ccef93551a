"""What every part of the policy is built on. What belongs here: strictness, patterns, and kept documents."""

import hashlib
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


def first_fault(error: ValidationError) -> str:
    """What a document has wrong first: its field and why, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"


def _compilable(pattern: str) -> str:
    try:
        re2.compile(pattern)
    except re2.error as error:
        raise ValueError(f"not an RE2 pattern: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compilable)]
