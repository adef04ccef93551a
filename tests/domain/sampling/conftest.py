"""What the sampling tests share: scipy, and an evidence root in which a month of changes was worked."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import scipy.special
import scipy.stats

from countersign.changes.sources.build import source_of
from countersign.changes.sources.interface import Source
from countersign.findings.log import FindingsLog
from countersign.findings.watch import Watch
from countersign.policy import Policy, SourceSpec
from countersign.runs.engine import Engine
from countersign.runs.intake import Intake, take_in
from countersign.sampling.freeze import Freeze, Preview, freeze, preview
from countersign.sampling.month import Month
from tests.conftest import POLICY, Counted, StepClock, payload_with
from tests.domain.runs.conftest import Bench, policy_with

# loaded before the first test: the room loads it at its first question, which would be some test's time
__all__ = ["scipy"]

NOVEMBER = Month.parse("2026-11")
AFTER = datetime(2026, 12, 2, 15, tzinfo=UTC)


def a_change(number: int, **changes: Any) -> dict[str, Any]:
    """A change that meets every control, deployed in November unless it says otherwise."""
    name = f"CHG-{number}"
    payload = payload_with(id=name, **changes)
    if "evidence" not in changes:
        payload["evidence"]["approval"]["text"] = f"{name} approved for deployment."
    return payload


class MonthEnd:
    """A bench with two sources, one of payloads and one of deployments, and what becomes of the month."""

    def __init__(self, bench: Bench, folder: Path, specs: list[dict[str, Any]]) -> None:
        self.bench, self.folder, self.specs = bench, folder, specs

    @property
    def engine(self) -> Engine:
        return self.bench.run.engine

    @property
    def sources(self) -> list[Source]:
        policy = self.engine.current.policy
        return [source_of(policy, SourceSpec.model_validate(spec), self.folder) for spec in self.specs]

    def read(self, name: str, content: Any) -> Intake:
        """Put an export where its source reads it, and read it."""
        (spec,) = (spec for spec in self.specs if spec["name"] == name)
        (self.folder / spec["path"]).write_text(json.dumps(content) if not isinstance(content, str) else content)
        (source,) = (source for source in self.sources if source.name == name)
        return take_in(self.engine, source)

    def completed(self, *payloads: dict[str, Any]) -> None:
        for payload in payloads:
            assert self.bench.complete(payload).status == "COMPLETED"

    def over(self) -> None:
        """The month is over, and somebody has looked at every clock."""
        self.bench.clock.now = AFTER
        self.watch()

    def watch(self) -> None:
        log = FindingsLog(self.engine.root, clock=self.bench.clock, entropy=Counted())
        while Watch(self.engine, log, None).look().did_something:
            pass  # a breach starts a clock of its own

    def freeze(self, month: Month = NOVEMBER) -> Freeze:
        return freeze(self.engine, month, self.sources)

    def preview(self, month: Month = NOVEMBER) -> Preview:
        return preview(self.engine, month, self.sources)

    def failing(self, month: Month = NOVEMBER) -> dict[str, tuple[str, ...]]:
        """The tests that fail, each with its offenders."""
        return {test.name: test.offenders for test in self.preview(month).tests if test.passed is False}


@pytest.fixture
def month_end(root: Path, policy: Policy, clock: StepClock, tmp_path: Path) -> Callable[..., MonthEnd]:
    """A root whose policy names these sources, and nothing else."""

    def make(*specs: dict[str, Any], **changes: Any) -> MonthEnd:
        named = policy_with(policy, sources=list(specs), **changes)
        return MonthEnd(Bench(root, named, clock), tmp_path, list(specs))

    return make


@pytest.fixture(autouse=True)
def _same_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
