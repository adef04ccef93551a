"""The gold set: labelled changes. What belongs here: reading one strictly; no judgement of any mapper."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from countersign.changes.payload import Instant, Payload, accept, parse_record
from countersign.controls.assessment import Case, Result
from countersign.errors import EvaluationError, PayloadError
from countersign.policy import Catalogue, Limits, Policy

SHIPPED = Path(str(files("countersign.evaluation") / "gold" / "changes.jsonl"))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_T = TypeVar("_T", bound=_Part)


class Label(_Part):
    """What should be said of a control, and why."""

    result: Annotated[Result, BeforeValidator(lambda value: Result(value) if isinstance(value, str) else value)]
    why: Annotated[str, Field(min_length=1)]


class GateLabel(_Part):
    """What the gate should decide, and why."""

    decision: Literal["passed", "blocked"]
    why: Annotated[str, Field(min_length=1)]


class _Head(_Part):
    gold: str
    catalogue: str
    world: dict[str, Any]


class _Line(_Part):
    case: str
    category: str
    at: Instant
    source: str
    payload: dict[str, Any]
    labels: dict[str, Label]
    gate: GateLabel


@dataclass(frozen=True, slots=True)
class Labelled:
    """One change with what should be said of it."""

    name: str
    category: str
    case: Case
    labels: Mapping[str, Label]
    gate: GateLabel


@dataclass(frozen=True, slots=True)
class Gold:
    """A labelled set: `world` are the parts of a policy that the labels presuppose."""

    version: str
    world: Mapping[str, Any]
    cases: Sequence[Labelled]

    def policy(self, policy: Policy) -> Policy:
        """The policy under test, in this world. Raises EvaluationError where the two do not fit."""
        try:
            return Policy.model_validate_json(json.dumps(policy.model_dump(mode="json") | dict(self.world)))
        except ValidationError as error:
            raise EvaluationError(f"gold {self.version}: its world is none: {error.errors()[0]['msg']}") from error


def load_gold(path: Path, catalogue: Catalogue, limits: Limits) -> Gold:
    """A gold set from JSON lines. Raises EvaluationError naming the line, also for a control without a label."""
    try:
        first, *lines = path.read_bytes().splitlines()
    except OSError as error:
        raise EvaluationError(f"{path}: no gold set: {error.strerror}") from error
    except ValueError as error:
        raise EvaluationError(f"{path}: no gold set, which has a line that names its version") from error
    head = _parsed(path, 1, first, limits, _Head)
    cases = [_labelled(path, number, line, catalogue, limits) for number, line in enumerate(lines, start=2)]
    if not cases:
        raise EvaluationError(f"{path}: a gold set without cases shows nothing")
    return Gold(head.gold, head.world, cases)


def _labelled(path: Path, number: int, line: bytes, catalogue: Catalogue, limits: Limits) -> Labelled:
    read = _parsed(path, number, line, limits, _Line)
    name = f"{read.category}: {read.case}"
    if read.labels.keys() != catalogue.by_id.keys():
        differ = ", ".join(sorted(read.labels.keys() ^ catalogue.by_id.keys()))
        raise EvaluationError(f"{path}: line {number}: {name}: one label for each control of the catalogue; {differ}")
    try:
        payload: Payload = accept(read.payload, limits)
    except PayloadError as error:
        raise EvaluationError(f"{path}: line {number}: {name}: {error}") from error
    return Labelled(read.case, read.category, Case(payload.change, read.source, read.at), read.labels, read.gate)


def _parsed(path: Path, number: int, line: bytes, limits: Limits, form: type[_T]) -> _T:
    try:
        return form.model_validate(parse_record(line, limits))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EvaluationError(f"{path}: line {number}: {where}: {first['msg']}") from error
    except PayloadError as error:
        raise EvaluationError(f"{path}: line {number}: {error}") from error
