"""The policy and the catalogue as typed documents: who may sign, what counts as what, how long things may take.

What belongs here: the whole documents and the parts that are only theirs. What does not: reading files (`load`), the
roster and the inventory, and any judgement made with them.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from countersign.clocks.allowance import Allowance, ClockKind, Tier, Unit
from countersign.clocks.zones import zone_names, zone_of
from countersign.policy.escalation import Escalation
from countersign.policy.model import ModelSpec
from countersign.policy.population import Population
from countersign.policy.references import wrong_references
from countersign.policy.retention import Retention, Span, StoreSpec
from countersign.policy.roster import Day, Person, one_owner_each
from countersign.policy.sample import Sample
from countersign.policy.section import Kept, Pattern, Section
from countersign.policy.systems import Authority, System, Template
from countersign.policy.timestamp import TimestampSpec
from countersign.policy.words import UNASSIGNED, Key, Kind, Role


class Target(Section):
    """A limit that its owner sets; `assigned_by: ▶` says that nobody has yet."""

    value: int = Field(gt=0, le=1_000_000)
    unit: Literal["hours", "business_hours", "business_days"]
    owner: Role
    assigned_by: str = Field(min_length=1)

    @property
    def assigned(self) -> bool:
        return UNASSIGNED not in self.assigned_by


class TieredTarget(Section):
    """One target per runbook tier."""

    standard: Target
    emergency: Target


class SignOffs(Section):
    """Which role gives each sign-off, and whether it has to be signed with a key of the roster.

    `optional` takes unsigned ones too, and every workpaper that stands on one says so. A signed statement is taken
    until `expires_after_hours` after it was decided.
    """

    independent_review: Role
    maker_checker: Role
    signature: Literal["required", "optional"] = "required"
    expires_after_hours: int = Field(default=72, gt=0, le=24 * 366)

    def role(self, key: Key) -> Role:
        """The role that gives this sign-off."""
        match key:
            case Key.INDEPENDENT_REVIEW:
                return self.independent_review
            case Key.MAKER_CHECKER:
                return self.maker_checker


class Limits(Section):
    """Sizes in bytes above which a payload is refused."""

    evidence_bytes: int = Field(default=1 << 20, gt=0)
    payload_bytes: int = Field(default=10 << 20, gt=0)


class Wording(Section):
    """What texts say: RE2 patterns, tried in any case on single lines; a line that matches none says nothing."""

    approves: list[Pattern] = Field(min_length=1)
    withholds: list[Pattern] = Field(min_length=1)
    passed: list[Pattern] = Field(min_length=1)
    failed: list[Pattern] = Field(min_length=1)
    bypassed: list[Pattern] = Field(min_length=1)
    inconclusive: list[Pattern] = Field(min_length=1)
    harmless: list[Pattern] = Field(min_length=1)


class Trailer(Section):
    """What one git trailer means: evidence of a kind, or a further contributor."""

    means: Literal["approval", "test", "ticket", "contributor"]


class SourceSpec(Section):
    """A source that the daily graph reads.

    `zone` and `approvals` belong to ServiceNow, whose times name no zone; `tags` (a pattern of git) and `environment`
    to tags that deploy a system.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    adapter: Literal["files", "git", "github", "servicenow", "deployments", "git_tags"]
    path: str
    system: str | None = None
    since: str | None = None
    approvals: str | None = None
    zone: str | None = None
    tags: str | None = None
    environment: str = "production"

    @model_validator(mode="after")
    def _zoned(self) -> "SourceSpec":
        if self.adapter == "servicenow" and self.zone not in zone_names():
            raise ValueError("zone: name the IANA zone of the exported times, such as America/New_York, or UTC")
        return self

    @model_validator(mode="after")
    def _tagged(self) -> "SourceSpec":
        if self.adapter == "git_tags" and not (self.system and self.tags):
            raise ValueError("tags: name the `tags` that deploy, such as release-*, and the `system` that they deploy")
        return self


class Policy(Kept):
    """The whole policy. `digest` names this version wherever a decision was taken with it."""

    version: str
    time_zone: str
    intake_since: Day
    catalogue: str = "catalogue.yaml"
    calendar: str = "calendar.yaml"
    demo_signers: str | None = None
    people: list[Person] = Field(min_length=1)
    bots: list[Pattern]
    pipelines: list[Pattern]
    systems: list[System] = Field(default=[])
    unknown_systems: Authority
    templates: list[Template] = Field(default=[])
    trusted_submitters: list[str] = Field(default=[])
    sign_off: SignOffs
    review_clock: TieredTarget
    approval_clock: TieredTarget
    observation_clock: TieredTarget
    population_review: Target
    population: Population = Population()
    sample: Sample = Sample()
    emergency_approval: Target
    retention: Retention
    retention_store: StoreSpec | None = None
    timestamp: TimestampSpec | None = None
    escalation: Escalation = Escalation()
    limits: Limits = Limits()
    wording: Wording
    trailers: dict[str, Trailer]
    change_ids: list[Pattern]
    emergency_labels: list[str]
    merge_deploys: list[str]
    deployment_environments: list[str] = Field(default=["production", "prod"], min_length=1)
    extractors: list[Literal["git", "github", "servicenow", "deployments", "git_tags"]]
    model: ModelSpec | None = None
    sources: list[SourceSpec]

    @model_validator(mode="after")
    def _coherent(self) -> "Policy":
        if self.time_zone not in zone_names():
            raise ValueError(f"time_zone: {self.time_zone!r} is not an IANA zone such as America/New_York")
        if self.emergency_approval.unit != "hours":
            raise ValueError("emergency_approval: the unit must be hours; it is measured 24 by 7 from the deployment")
        if readers := [key for key in Key if self.sign_off.role(key) == "auditor"]:
            raise ValueError(f"sign_off: an auditor only reads, and cannot give {', '.join(readers)}")
        one_owner_each(self.people)
        if len({system.id for system in self.systems}) != len(self.systems):
            raise ValueError("systems: two entries share one id")
        if len({template.id for template in self.templates}) != len(self.templates):
            raise ValueError("templates: two entries share one id")
        if len({source.name for source in self.sources}) != len(self.sources):
            raise ValueError("sources: two entries share one name")
        if wrong := list(wrong_references(self.people, self.systems, self.templates, self.unknown_systems)):
            raise ValueError("; ".join(wrong))
        return self

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone of intake days."""
        return zone_of(self.time_zone)

    def person(self, person_id: str) -> Person | None:
        """The roster entry of that id, or None."""
        return next((person for person in self.people if person.id == person_id), None)

    def system(self, name: str) -> System | None:
        """The inventory's entry for a system, or None for one that it does not know, which is in scope."""
        return next((system for system in self.systems if system.covers(name)), None)

    def template(self, name: str) -> Template | None:
        """The template of that id, or None."""
        return next((template for template in self.templates if template.id == name), None)

    def authority(self, system: str) -> Authority:
        """Who may authorise changes of a system."""
        known = self.system(system)
        return known.authority if known else self.unknown_systems

    def target(self, kind: ClockKind, tier: Tier) -> Target:
        """The target of a clock in a tier; that of the population is the same in both."""
        match kind:
            case ClockKind.INDEPENDENT_REVIEW:
                tiers = self.review_clock
            case ClockKind.MAKER_CHECKER:
                tiers = self.approval_clock
            case ClockKind.EXCEPTION_OBSERVATION:
                tiers = self.observation_clock
            case ClockKind.POPULATION_OBSERVATION:
                return self.population_review
        return tiers.emergency if tier is Tier.EMERGENCY else tiers.standard

    def allowance(self, kind: ClockKind, tier: Tier) -> Allowance:
        """How much time a clock of this kind gives in a tier."""
        target = self.target(kind, tier)
        return Allowance(target.value, Unit(target.unit))

    def due_role(self, kind: ClockKind) -> Role:
        """The role that a clock waits for."""
        if kind in (ClockKind.EXCEPTION_OBSERVATION, ClockKind.POPULATION_OBSERVATION):
            return "observer"
        return self.sign_off.role(Key(kind.value))

    def targets(self) -> Iterator[tuple[str, Target | Span]]:
        """Every target with its dotted name, in the order of the policy."""
        for name in ("review_clock", "approval_clock", "observation_clock"):
            tiers: TieredTarget = getattr(self, name)
            yield f"{name}.standard", tiers.standard
            yield f"{name}.emergency", tiers.emergency
        yield "population_review", self.population_review
        yield "emergency_approval", self.emergency_approval
        yield "retention.audit_ends_after", self.retention.audit_ends_after
        yield "retention.period", self.retention.period


class Control(Section):
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


class Catalogue(Kept):
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
