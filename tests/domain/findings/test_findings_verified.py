"""A finding cannot be removed: editing the file is found, by both readings, and nothing goes on from it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from countersign.errors import TamperedError
from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import Severity
from countersign.findings.log import FindingsLog
from countersign.findings.verification import check_findings
from countersign.runs.engine import Engine
from tests.domain.findings.conftest import occurrence
from tests.domain.runs.conftest import chain, read_lines
from tests.evidence_script import script_faults

Change = Callable[[Path], object]


@pytest.fixture
def place(engine: Engine) -> EvidenceRoot:
    """A root with a finding that somebody has acknowledged."""
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    (finding_id,) = log.open([occurrence(severity=Severity.SEV_2)])
    log.acknowledge(finding_id, "control-owner", "a deputy is being named", engine.current, ())
    return engine.root


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    return lambda path: path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def forged(path: Path) -> None:
    """A milder severity, every line chained anew."""
    read = read_lines(path)
    read[0].event["severity"] = "SEV-4"
    path.write_bytes(chain(read, {}))


# name: (what somebody does to the file, the faults that `verify` names)
EDITED: dict[str, tuple[Change, list[str]]] = {
    "removed": (Path.unlink, ["findings_missing"]),
    "emptied": (lambda path: path.write_bytes(b""), ["findings_cut"]),
    "tail_cut": (lines(lambda old: old[:1]), ["findings_cut"]),
    "first_event_cut": (lines(lambda old: old[1:]), ["findings"]),
    "severity_changed": (lines(lambda old: [old[0].replace(b"SEV-2", b"SEV-4"), *old[1:]]), ["findings"]),
    "reason_changed": (lines(lambda old: [*old[:-1], old[-1].replace(b"deputy", b"friend")]), ["findings"]),
    "forged_with_a_good_chain": (forged, ["findings_cut"]),
}


@pytest.mark.parametrize("case", EDITED)
def test_editing_the_file_is_found_by_both_readings(place: EvidenceRoot, case: str) -> None:
    change, expected = EDITED[case]
    assert (list(check_findings(place)), script_faults(place.path)) == ([], [])
    change(place.findings)
    assert [fault.kind for fault in check_findings(place)] == expected
    assert script_faults(place.path)


@pytest.mark.parametrize("case", ["removed", "emptied", "tail_cut", "forged_with_a_good_chain"])
def test_nothing_goes_on_from_a_file_that_lost_something(place: EvidenceRoot, case: str) -> None:
    EDITED[case][0](place.findings)
    with pytest.raises(TamperedError, match="has lost; SEV-1"):
        FindingsLog(place).open([occurrence(subject="maker_checker")])


def test_what_a_crash_left_unregistered_is_named_and_then_registered(place: EvidenceRoot) -> None:
    register = place.register.read_bytes().splitlines(keepends=True)
    place.register.write_bytes(b"".join(register[:-1]))
    assert [fault.kind for fault in check_findings(place)] == ["findings_unregistered"]
    FindingsLog(place).register_tail()
    assert list(check_findings(place)) == []


def test_a_breach_that_the_register_has_needs_its_finding(place: EvidenceRoot, engine: Engine) -> None:
    engine.register.append("breached", "countersign", run_id="change-00000000000000aa", finding="finding-0")
    assert [fault.kind for fault in check_findings(place)] == ["finding_missing"]
