"""`countersign.Run`, as the runbook has it: whoever was late is late in the workpaper, whoever finishes the run."""

from datetime import timedelta
from pathlib import Path

import pytest

from countersign import Run, record_approval
from countersign.findings.log import FindingsLog
from countersign.policy import Policy
from tests.conftest import Counted, StepClock, payload_with
from tests.domain.findings.test_watch import MONDAY
from tests.domain.runs.conftest import Bench, events

SIGNERS = (("independent_review", "reviewer"), ("maker_checker", "checker"))


@pytest.mark.parametrize(("hours", "clean"), [(3, True), (5, False)])
def test_a_late_review_is_late_in_the_workpaper_without_anybody_else_looking(
    root: Path, policy: Policy, clock: StepClock, hours: int, clean: bool
) -> None:
    clock.now = MONDAY
    run = Run(root, policy=policy, clock=clock, entropy=Counted())
    result = run.execute(payload_with())
    clock.now = MONDAY + timedelta(hours=hours)
    for key, signer in SIGNERS:
        record_approval(result.rundir, key, signer, policy=policy, clock=clock)
        result = run.execute(payload_with())
    state = result.state
    assert state is not None
    assert state.workpaper is not None
    assert state.handoff is not None
    assert (result.status, state.workpaper["clean"], state.handoff["clean"]) == ("COMPLETED", clean, clean)
    findings = FindingsLog(run.engine.root, clock=clock).read()
    assert (len(findings.by_id), findings.addenda) == (0 if clean else 1, {})
    assert events(result).count("breached") == (0 if clean else 1)
    assert Bench(root, policy, clock).faults() == []
