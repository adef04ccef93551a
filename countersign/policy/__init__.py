"""The policy: who may sign, what counts as what, and how long things may take."""

from countersign.policy.configuration import Configuration, complete, load_configuration
from countersign.policy.demo import DemoKeys, DemoSigners
from countersign.policy.document import (
    Catalogue,
    Control,
    Limits,
    Policy,
    SourceSpec,
    Target,
    TieredTarget,
    Trailer,
    Wording,
)
from countersign.policy.escalation import Escalation, Route
from countersign.policy.kept import read_kept
from countersign.policy.load import load_calendar, load_catalogue, load_policy, read_calendar
from countersign.policy.retention import LocalStoreSpec, Retention, S3StoreSpec, Span, StoreSpec
from countersign.policy.roster import Delegation, Person, SigningKey, noreply_login
from countersign.policy.sample import Sample
from countersign.policy.systems import Authority, System, Template
from countersign.policy.words import UNASSIGNED, Key, Kind, Role

__all__ = [
    "UNASSIGNED",
    "Authority",
    "Catalogue",
    "Configuration",
    "Control",
    "Delegation",
    "DemoKeys",
    "DemoSigners",
    "Escalation",
    "Key",
    "Kind",
    "Limits",
    "LocalStoreSpec",
    "Person",
    "Policy",
    "Retention",
    "Role",
    "Route",
    "S3StoreSpec",
    "Sample",
    "SigningKey",
    "SourceSpec",
    "Span",
    "StoreSpec",
    "System",
    "Target",
    "Template",
    "TieredTarget",
    "Trailer",
    "Wording",
    "complete",
    "load_calendar",
    "load_catalogue",
    "load_configuration",
    "load_policy",
    "noreply_login",
    "read_calendar",
    "read_kept",
]
