"""Incidents of a root beside its runs: recorded once each, graver for what was changed than for what is late."""

from datetime import timedelta
from pathlib import Path

import pytest

from countersign.clocks.instant import parse_instant
from countersign.errors import TamperedError
from countersign.evidence.seals import RootFault
from countersign.findings.finding import Finding
from countersign.findings.incidents import record_root_faults, record_root_incidents
from countersign.policy import Policy
from countersign.runs.root_checks import files_hold, seals_hold
from tests.conftest import StepClock
from tests.domain.findings.test_watch import Office
from tests.domain.runs.conftest import Bench


@pytest.fixture
def office(root: Path, policy: Policy, clock: StepClock) -> Office:
    bench = Bench(root, policy, clock)
    bench.complete()
    return Office(bench)


def workpapers(office: Office) -> Path:
    (path,) = (office.bench.root / "datasets" / "workpaper").glob("*.parquet")
    return path


def judged(office: Office) -> list[Finding]:
    """What the nightly checks put on record."""
    for judgement in (seals_hold(office.engine), files_hold(office.engine.root)):
        record_root_incidents(office.engine, judgement.faults)
    return list(office.findings.by_id.values())


def test_a_root_that_holds_has_no_incident(office: Office) -> None:
    assert judged(office) == []


def test_a_file_that_was_changed_is_an_incident_once_and_another_when_it_is_changed_again(office: Office) -> None:
    workpapers(office).write_bytes(b"PAR1")
    first = judged(office)
    assert judged(office) == first
    (finding,) = first
    assert (finding.what.kind, finding.what.severity, finding.what.run_id) == ("integrity_incident", "SEV-1", None)
    assert finding.what.subject.startswith("dataset_differs at datasets/workpaper/day=")
    workpapers(office).write_bytes(b"PAR2")
    assert len(judged(office)) == 2


def test_a_late_seal_is_one_incident_of_when_it_became_late_whoever_looks(office: Office) -> None:
    due = parse_instant(office.bench.registered()[0]["ts"]) + timedelta(hours=25)
    office.bench.clock.now = due + timedelta(hours=30)
    (finding,) = judged(office)
    office.bench.clock.now += timedelta(days=2)
    assert judged(office) == [finding]
    assert (finding.what.severity, finding.what.breached_at) == ("SEV-2", due)


@pytest.mark.parametrize("kind", ["seal_unfinished", "dataset_unregistered", "permissions"])
def test_what_a_crash_leaves_is_no_incident(office: Office, kind: str) -> None:
    assert record_root_incidents(office.engine, [RootFault(kind, "x", "y")]) == []
    assert not office.engine.root.findings.exists()


def test_a_name_that_somebody_chose_stays_on_its_line(office: Office) -> None:
    hostile = office.bench.root / "policies" / "a\nSEV-4 \udcff"
    hostile.touch(0o600)
    (finding,) = judged(office)
    assert finding.what.subject.isprintable()
    assert "stranger at 'policies/a\\nSEV-4" in finding.what.subject


def test_nothing_is_written_into_findings_or_a_register_that_are_at_fault(office: Office) -> None:
    workpapers(office).write_bytes(b"PAR1")
    judged(office)
    findings = office.engine.root.findings
    findings.write_bytes(findings.read_bytes().replace(b"SEV-1", b"SEV-4"))
    before = findings.read_bytes()
    workpapers(office).write_bytes(b"PAR2")
    faults = files_hold(office.engine.root).faults
    assert record_root_incidents(office.engine, faults) == []
    with pytest.raises(TamperedError, match="itself at fault"):
        record_root_faults(office.engine.root, office.engine.current, faults, clock=office.bench.clock)
    office.bench.register.write_bytes(b"")
    assert record_root_incidents(office.engine, faults) == []
    assert findings.read_bytes() == before
