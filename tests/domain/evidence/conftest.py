"""What the evidence tests share: a root with one registered run, and chains as bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from countersign.evidence.lines import ZERO, Draft, encode
from countersign.evidence.log import AuditLog
from countersign.evidence.register import Opening, Pause, Register
from countersign.evidence.root import EvidenceRoot
from tests.conftest import Counted, StepClock

settings.register_profile("evidence", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("evidence")

AT = datetime(2026, 11, 23, 14, tzinfo=UTC)
DAY = date(2026, 11, 23)
RUN = "change-00000000000000aa"


def chained(drafts: Iterable[Draft], *, prev: str = ZERO, seq: int = 0, at: datetime = AT) -> bytes:
    """The bytes of a chain, as a writer would leave them."""
    content, entropy = b"", Counted()
    for number, draft in enumerate(drafts, start=seq):
        line = encode(draft, prev=prev, seq=number, at=at, entropy=entropy)
        content, prev = content + line.content, line.head
    return content


def opening(run_id: str = RUN, *, change_id: str = "CHG-1", day: date = DAY, supersedes: str | None = None) -> Draft:
    digest = run_id[-16:] * 4
    return Opening(
        run_id, digest, change_id, "billing", "standard", day, "inbox", "submitted", supersedes, "c" * 64
    ).draft()


def pause(
    run_id: str = RUN,
    head: str = "1" * 64,
    status: str = "AWAITING_APPROVAL",
    pending: str | None = "independent_review",
    *,
    reason: str | None = None,
    closed: bool = False,
) -> Draft:
    return Pause(run_id, head, status, pending, reason, closed, ("audit_log",)).draft()


@dataclass
class Stage:
    """An evidence root in which one run is opened, with its log still empty."""

    root: EvidenceRoot
    register: Register
    log: AuditLog

    def note_head(self) -> None:
        """The register learns the log's head, as at a pause."""
        self.register.append_many([pause(head=self.log.head)])


@pytest.fixture
def stage(root: Path, clock: StepClock) -> Stage:
    evidence = EvidenceRoot(root)
    evidence.create()
    entropy = Counted()
    register = Register(evidence, clock=clock, entropy=entropy)
    register.append_many([opening()])
    path = evidence.log(DAY, RUN)
    path.parent.mkdir(parents=True)
    return Stage(evidence, register, AuditLog(path, clock=clock, entropy=entropy))


@pytest.fixture
def lone(tmp_path: Path, clock: StepClock) -> AuditLog:
    """A log outside of any evidence root."""
    return AuditLog(tmp_path / "audit.jsonl", clock=clock, entropy=Counted())
