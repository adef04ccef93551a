"""What every test may use: a clock that stands still until moved, a payload that meets every control, an engine."""

import os
import tempfile
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from countersign.changes.sources.interface import Item, Source
from countersign.policy import Catalogue, Policy, complete, load_catalogue, load_policy
from countersign.runs.engine import Engine
from tests.keys import make_keys

REPOSITORY = Path(__file__).parent.parent
FULL = os.environ.get("CRASH_TEST") == "full"  # `make crash-test`: every point, and as many as the figures ask for
POLICY = REPOSITORY / "policy.yaml"


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the end-to-end tests mostly wait for Dagster."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


class StepClock:
    """An instant that moves one millisecond at every look, so that times differ and tests repeat."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def move(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Counted:
    """Salts of 16 bytes that differ and repeat from test to test, however many are drawn at once."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self, size: int) -> bytes:
        return b"".join(number.to_bytes(16, "big") for number in islice(self._numbers, size // 16))


_CLEAN: dict[str, Any] = {
    "id": "CHG-1001",
    "system": "billing",
    "summary": "Raise the invoice limit",
    "author": "maker",
    "deployed_by": "deployer",
    "requested_at": "2026-11-19T10:00:00Z",
    "deployed_at": "2026-11-20T10:00:00Z",
    "revision": "4f2a9c1d7e",
    "evidence": {
        "approval": {
            "kind": "approval",
            "text": "CHG-1001 approved for deployment.",
            "by": "authoriser",
            "at": "2026-11-20T09:00:00Z",
            "revision": "4f2a9c1d7e",
        },
        "tests": {
            "kind": "test",
            "text": "Regression suite: 48 passed, 0 failed.",
            "by": "pipeline:ci",
            "at": "2026-11-20T08:00:00Z",
            "revision": "4f2a9c1d7e",
        },
        "deployment": {
            "kind": "deployment",
            "text": "Deployed 4f2a9c1d7e to production.",
            "by": "deployer",
            "at": "2026-11-20T10:00:00Z",
        },
    },
}


def items_of(source: Source) -> list[Item]:
    """Everything that a source gives, fetched and read without an evidence root."""
    with tempfile.TemporaryDirectory() as scratch:
        return list(source.items([raw.path for raw in source.fetch(Path(scratch))]))


PayloadFactory = Callable[..., dict[str, Any]]


def payload_with(**changes: Any) -> dict[str, Any]:
    """The clean payload with fields replaced; None removes a field."""
    payload = deepcopy(_CLEAN)
    payload.update(changes)
    return {field: value for field, value in payload.items() if value is not None}


@pytest.fixture
def clean() -> PayloadFactory:
    return payload_with


def trusting(policy: Policy) -> Policy:
    """A policy that trusts what any test submits, and asks for no signature: both have tests of their own."""
    unsigned = policy.sign_off.model_copy(update={"signature": "optional"})
    trusted = ["inbox", "python", "by hand/files", "given"]
    return policy.model_copy(update={"trusted_submitters": trusted, "sign_off": unsigned, "demo_signers": None})


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private key for everybody who signs."""
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def policy() -> Policy:
    return trusting(load_policy(POLICY))


@pytest.fixture(scope="session")
def catalogue(policy: Policy) -> Catalogue:
    return load_catalogue(policy, POLICY)


@pytest.fixture
def clock() -> StepClock:
    return StepClock(datetime(2026, 11, 23, 14, 0, tzinfo=UTC))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def engine(root: Path, policy: Policy, clock: StepClock) -> Engine:
    return Engine(root, complete(policy, POLICY), clock=clock, entropy=Counted())
