"""The policy: who may sign, what counts as what, and how long things may take.

What belongs here: the typed form of `policy.yaml` and `catalogue.yaml`, read strictly, and their digests. What does
not: any judgement made with them.
"""

import hashlib
import json
from collections.abc import Hashable, Iterator
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import re2
import rfc8785
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from countersign.errors import PolicyError

UNASSIGNED = "▶"


class Key(StrEnum):
    """The two sign-offs, in the order in which they are asked for."""

    INDEPENDENT_REVIEW = "independent_review"
    MAKER_CHECKER = "maker_checker"


class Kind(StrEnum):
    """What an evidence item is."""

    APPROVAL = "approval"
    REJECTION = "rejection"
    TEST = "test"
    DEPLOYMENT = "deployment"
    TICKET = "ticket"
    OTHER = "other"


Role = Literal["reviewer", "approver", "control_owner", "process_owner", "observer", "auditor"]


def _compilable(pattern: str) -> str:
    try:
        re2.compile(pattern)
    except re2.error as error:
        raise ValueError(f"not an RE2 pattern: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compilable)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Person(_Section):
    """One entry of the roster; `id` is how a signer names themself and counts as a login."""

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    other_names: list[str] = []
    logins: list[str] = []
    emails: list[str] = []
    roles: list[Role] = []


class Target(_Section):
    """A limit that its owner sets; `assigned_by: ▶` says that nobody has yet."""

    value: int = Field(gt=0)
    unit: Literal["hours", "business_hours", "business_days"]
    owner: Role
    assigned_by: str = Field(min_length=1)

    @property
    def assigned(self) -> bool:
        return UNASSIGNED not in self.assigned_by


class TieredTarget(_Section):
    """One target per runbook tier."""

    standard: Target
    emergency: Target


class Limits(_Section):
    """Sizes in bytes above which a payload is refused."""

    evidence_bytes: int = Field(default=1 << 20, gt=0)
    payload_bytes: int = Field(default=10 << 20, gt=0)


class Wording(_Section):
    """What texts say: RE2 patterns, tried in any case on single lines; a line that matches none says nothing."""

    approves: list[Pattern] = Field(min_length=1)
    withholds: list[Pattern] = Field(min_length=1)
    passed: list[Pattern] = Field(min_length=1)
    failed: list[Pattern] = Field(min_length=1)
    bypassed: list[Pattern] = Field(min_length=1)
    inconclusive: list[Pattern] = Field(min_length=1)
    harmless: list[Pattern] = Field(min_length=1)


class Trailer(_Section):
    """What one git trailer means: evidence of a kind, or a further contributor."""

    means: Literal["approval", "test", "ticket", "contributor"]


class SourceSpec(_Section):
    """A source that the daily graph reads."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    adapter: Literal["files", "git", "github"]
    path: str
    system: str | None = None
    since: str | None = None


class _Kept(_Section):
    """A document whose every version is kept in the evidence root."""

    @cached_property
    def canonical(self) -> bytes:
        """RFC 8785 bytes: what `digest` is taken over and what is kept in the evidence root."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()


class Policy(_Kept):
    """The whole policy. `digest` names this version wherever a decision was taken with it."""

    version: str
    time_zone: str
    intake_since: Annotated[date, Field(strict=False)]
    catalogue: str = "catalogue.yaml"
    people: list[Person] = Field(min_length=1)
    bots: list[Pattern]
    pipelines: list[Pattern]
    sign_off: dict[Key, Role]
    review_clock: TieredTarget
    approval_clock: TieredTarget
    observation_clock: TieredTarget
    emergency_approval: Target
    retention: Target
    limits: Limits = Limits()
    wording: Wording
    trailers: dict[str, Trailer]
    change_ids: list[Pattern]
    emergency_labels: list[str]
    merge_deploys: list[str]
    extractors: list[Literal["git", "github"]]
    sources: list[SourceSpec]

    @model_validator(mode="after")
    def _coherent(self) -> "Policy":
        if self.time_zone not in available_timezones():
            raise ValueError(f"time_zone: {self.time_zone!r} is not an IANA zone such as America/New_York")
        if self.emergency_approval.unit != "hours":
            raise ValueError("emergency_approval: the unit must be hours; it is measured 24 by 7 from the deployment")
        if set(self.sign_off) != set(Key):
            raise ValueError(f"sign_off: name a role for each of {', '.join(Key)}")
        seen: dict[str, str] = {}
        for person in self.people:
            for handle in {person.id.casefold(), *(text.casefold() for text in person.logins + person.emails)}:
                if seen.setdefault(handle, person.id) != person.id:
                    raise ValueError(f"people: {handle!r} belongs to both {seen[handle]!r} and {person.id!r}")
        if len({person.id.casefold() for person in self.people}) != len(self.people):
            raise ValueError("people: two entries share one id")
        if len({source.name for source in self.sources}) != len(self.sources):
            raise ValueError("sources: two entries share one name")
        return self

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone of intake days."""
        return ZoneInfo(self.time_zone)

    def person(self, person_id: str) -> Person | None:
        """The roster entry of that id, or None."""
        return next((person for person in self.people if person.id == person_id), None)

    def targets(self) -> Iterator[tuple[str, Target]]:
        """Every target with its dotted name, in the order of the policy."""
        for name in ("review_clock", "approval_clock", "observation_clock"):
            tiers: TieredTarget = getattr(self, name)
            yield f"{name}.standard", tiers.standard
            yield f"{name}.emergency", tiers.emergency
        yield "emergency_approval", self.emergency_approval
        yield "retention", self.retention


class Control(_Section):
    """One control of the catalogue; `met_by` and `excepted_by` are the evidence kinds that may carry a quote."""

    id: str = Field(pattern=r"^[A-Z]+(-[A-Z0-9]+)+$")
    title: str
    objective: str
    type: Literal["preventive", "detective"]
    applies_to: list[Literal["normal", "preapproved", "emergency"]] = Field(min_length=1)
    test_procedure: str
    evidence_required: str
    met_by: list[Kind] = Field(min_length=1)
    excepted_by: list[Kind] = Field(min_length=1)
    owner: Role
    deficiency_criteria: str

    def accepts(self, result: str) -> frozenset[Kind]:
        """The kinds of evidence that may carry an assertion of this result (`met` or `exception`)."""
        return frozenset(self.met_by if result == "met" else self.excepted_by)


class Catalogue(_Kept):
    """The controls that every change is assessed against."""

    version: str
    controls: list[Control] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> "Catalogue":
        if len({control.id for control in self.controls}) != len(self.controls):
            raise ValueError("controls: two entries share one id")
        return self

    @cached_property
    def by_id(self) -> dict[str, Control]:
        """The controls by their id."""
        return {control.id: control for control in self.controls}


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, since the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Document = TypeVar("_Document", bound=_Section)


def _read(path: Path, document: type[_Document]) -> _Document:
    try:
        # YAML → JSON → model: the JSON mode of strict validation is the one that reads enumerations from text
        content = _StrictLoader(path.read_text(encoding="utf-8")).get_single_data()
        return document.model_validate_json(json.dumps(content))
    except FileNotFoundError as error:
        raise PolicyError(f"{path}: not found; name it with --policy or run where it lies") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PolicyError(
            f"{path}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error
    except (OSError, ValueError, yaml.YAMLError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error


def load_policy(path: Path) -> Policy:
    """The policy in a YAML file. Raises PolicyError naming the file and the field."""
    return _read(path, Policy)


def load_catalogue(policy: Policy, policy_path: Path) -> Catalogue:
    """The catalogue that a policy names, relative to the policy's own folder. Raises PolicyError."""
    return _read(policy_path.parent / policy.catalogue, Catalogue)
