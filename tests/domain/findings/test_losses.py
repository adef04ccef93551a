"""Losses are recorded once, and again only after people have disposed of them."""

from countersign.findings.disposal import Answer
from countersign.findings.losses import record_losses
from countersign.runs.versions import Versions
from tests.conftest import StepClock
from tests.domain.findings.conftest import OpenLog

LOST = "2026-11-23 chain: missing"
BOTH = ("control-owner", "process-owner")


def test_a_loss_is_one_finding_however_often_it_is_seen(
    open_log: OpenLog, clock: StepClock, in_force: Versions
) -> None:
    log = open_log()
    assert len(record_losses(log, [LOST, LOST, "2026-11-24 root: local_missing"], clock.now, in_force.policy)) == 2
    log.dispose(log.read().open()[0].what.id, BOTH[0], Answer("A disk broke."), in_force, ())  # one of the two it takes
    clock.move(days=1)
    assert record_losses(open_log(), [LOST], clock.now, in_force.policy) == []


def test_what_comes_again_after_it_was_disposed_of_is_another_finding(
    open_log: OpenLog, clock: StepClock, in_force: Versions
) -> None:
    subjects = []
    for _ in range(3):
        (fresh,) = record_losses(open_log(), [LOST], clock.now, in_force.policy)
        assert record_losses(open_log(), [LOST], clock.now, in_force.policy) == []
        (finding,) = open_log().read().open()
        subjects.append(finding.what.subject)
        for person in BOTH:
            open_log().dispose(fresh, person, Answer("A disk broke."), in_force, ())
        clock.move(days=1)
    assert subjects == [LOST, f"{LOST}, again after 1 dispositions", f"{LOST}, again after 2 dispositions"]


def test_where_nothing_was_lost_nothing_is_written(open_log: OpenLog, clock: StepClock, in_force: Versions) -> None:
    log = open_log()
    assert record_losses(log, [], clock.now, in_force.policy) == []
    assert not log.path.exists()
