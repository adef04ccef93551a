"""The SLA sensor, the job that it asks for, and the assets that show what went wrong."""

import base64
import re

import pytest
from dagster import DagsterEventType, DagsterInstance

from countersign.clocks.instant import stamp
from countersign.findings.finding import FindingKind, Findings
from sensors.sensors import sla_sensor
from tests.pipeline.deployment import Deployment, evaluations, materialised, verdicts
from tests.pipeline.test_sensors import LATER, asked, reason, tick

MONDAY, THREE_DAYS_ON = "2026-11-23T14:00:00Z", "2026-11-26T14:00:00Z"


@pytest.fixture
def unsigned(deployment: Deployment, instance: DagsterInstance) -> Deployment:
    """Ten changes that wait for their review since Monday morning."""
    deployment.drop(*(f"CHG-{number}" for number in range(10)))
    deployment.daily(instance, at=MONDAY)
    return deployment


def findings(deployment: Deployment) -> Findings:
    return deployment.evidence.findings(deployment.engine()).read()


def test_a_tick_before_anything_is_due_says_so(unsigned: Deployment, instance: DagsterInstance) -> None:
    assert reason(tick(sla_sensor, unsigned, instance, MONDAY)) == "nothing is pending"


def test_after_three_days_without_a_daemon_the_first_tick_records_every_breach_as_of_when_it_was(
    unsigned: Deployment, instance: DagsterInstance
) -> None:
    request = asked(tick(sla_sensor, unsigned, instance, THREE_DAYS_ON))
    result = unsigned.execute(instance, "watch", at=THREE_DAYS_ON, tags=request.tags)
    assert result.success
    assert materialised(result) == [("finding", None)]
    breached = {(one.what.subject, stamp(one.what.breached_at)[:16]) for one in findings(unsigned).by_id.values()}
    assert breached == {
        ("independent_review", "2026-11-23T18:00"),
        ("exception_observation of breach of independent_review", "2026-11-24T18:00"),
        ("no seal by 2026-11-24T15:00:00.000000Z", "2026-11-24T15:00"),
    }
    assert len(findings(unsigned).by_id) == 21
    check = evaluations(result)["no_clock_overdue"]
    assert (check.passed, check.description) == (False, "20 clocks are overdue")
    assert verdicts(result)["every_log_verifies"]
    assert reason(tick(sla_sensor, unsigned, instance, LATER)) == "nothing is pending"


def test_daily_records_what_is_late_before_it_writes_a_workpaper(
    unsigned: Deployment, instance: DagsterInstance
) -> None:
    for key in ("independent_review", "maker_checker"):
        unsigned.sign_all(key, at=THREE_DAYS_ON)
        unsigned.advance(instance, MONDAY[:10], at=THREE_DAYS_ON)
    found = findings(unsigned)
    late = [one for one in found.by_id.values() if one.what.kind is FindingKind.SLA_BREACH]
    assert (len(late), found.addenda) == (20, {})


def test_a_log_that_does_not_verify_is_an_incident(unsigned: Deployment, instance: DagsterInstance) -> None:
    log = unsigned.log("CHG-3")
    log.write_bytes(log.read_bytes().replace(b'"maker"', b'"faker"'))
    for _ in range(2):
        assert not verdicts(unsigned.execute(instance, "integrity", at=MONDAY))["every_log_verifies"]
    (incident,) = findings(unsigned).open()
    assert (incident.what.kind, incident.what.severity, incident.what.run_id) == (
        "integrity_incident", "SEV-1", unsigned.runs()["CHG-3"].run_id
    )  # fmt: skip


def test_the_roll_up_shows_findings_and_how_everything_stands(unsigned: Deployment, instance: DagsterInstance) -> None:
    result = unsigned.execute(instance, "sla_roll_up", at=THREE_DAYS_ON)
    assert [asset for asset, _ in materialised(result)] == ["finding", "ops_report"]
    found, report = (
        event.step_materialization_data.materialization.metadata
        for event in result.all_events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION
    )
    assert found["open_findings"].value == 20
    assert "independent\\_review" in str(found["findings"].value)
    assert [report[name].value for name in ("clean", "issues", "overdue")] == [0, 10, 20]
    assert "reviewer, second-reviewer, second-checker | 10 | 10 |" in str(report["queue"].value)
    assert "| 2026-11 | independent\\_review | standard | 0 | 10 | 0 % |" in str(report["attainment"].value)
    (picture,) = re.findall(r"base64,(\S+)\)", str(report["chart"].value))
    assert base64.b64decode(picture).startswith(b"<svg")
