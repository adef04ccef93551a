"""Findings of a root of their own, on a clock that stands still until moved."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import FindingKind, Occurrence, Severity
from countersign.findings.ladder import Settings
from countersign.findings.log import FindingsLog
from countersign.policy import Delegation, Person, Policy, complete
from countersign.runs.versions import Versions, VersionStore
from tests.conftest import POLICY, Counted, StepClock

RUN = "change-00000000000000aa"
BREACHED = datetime(2026, 11, 23, 17, tzinfo=UTC)
SETTINGS = Settings(timedelta(hours=4), raised_after=2, above={"control_owner": "process_owner"})


def occurrence(**changes: Any) -> Occurrence:
    """The review of a run was late: of the reviewer's doing, and the control owner's to follow."""
    fields: dict[str, Any] = {
        "kind": FindingKind.SLA_BREACH,
        "subject": "independent_review",
        "severity": Severity.SEV_3,
        "owner": "control_owner",
        "run_id": RUN,
        "system": "billing",
        "barred": ("reviewer",),
        "breached_at": BREACHED,
        "due": BREACHED + timedelta(days=30),
        **changes,
    }
    return Occurrence(**fields)


@pytest.fixture
def place(root: Path) -> EvidenceRoot:
    evidence = EvidenceRoot(root)
    evidence.create()
    Register(evidence).create()
    return evidence


@pytest.fixture
def in_force(place: EvidenceRoot, policy: Policy) -> Versions:
    """The shipped roster, with an auditor, an owner who has left, and two who act for somebody this week."""

    def leave(to: str) -> Delegation:
        return Delegation.model_validate({"to": to, "from": date(2026, 11, 23), "until": date(2026, 11, 29)})

    lends = {"control-owner": [leave("deputy")], "late-owner": [leave("late-deputy")]}
    people = [
        *policy.people,
        Person(id="auditor", name="Example Auditor", roles=["auditor"]),
        Person(id="left", name="Example Former", roles=["control_owner"], valid_until=date(2026, 11, 22)),
        Person(id="late-owner", name="Example Late", roles=["control_owner"]),
        Person(id="deputy", name="Example Deputy"),
        Person(id="late-deputy", name="Example Other Deputy"),
    ]
    people = [person.model_copy(update={"delegates": lends.get(person.id, [])}) for person in people]
    return VersionStore(place).keep(complete(policy.model_copy(update={"people": people}), POLICY))


OpenLog = Callable[[], FindingsLog]


@pytest.fixture
def open_log(place: EvidenceRoot, clock: StepClock) -> OpenLog:
    """Another process's view of the same file, each time."""
    return lambda: FindingsLog(place, clock=clock, entropy=Counted())


@pytest.fixture
def log(open_log: OpenLog) -> FindingsLog:
    return open_log()
