"""Findings are recorded once, stay until people dispose of them, and cannot be edited unseen."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from countersign.errors import FindingRefused, TamperedError, UnknownFindingError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot
from countersign.findings.disposal import Answer
from countersign.findings.finding import Deficiency, FindingKind, Severity
from countersign.findings.log import FindingsLog
from countersign.runs.versions import Versions
from tests.conftest import StepClock
from tests.domain.findings.conftest import BREACHED, RUN, OpenLog, occurrence

WHY = Answer("the reviewer was on leave, and nobody stood in")


def test_there_are_no_findings_where_nothing_was_recorded(log: FindingsLog) -> None:
    assert log.read().open() == []


def test_what_happened_is_recorded_once_whoever_sees_it_and_whenever(open_log: OpenLog, clock: StepClock) -> None:
    seen_at = clock.now
    (finding_id,) = open_log().open([occurrence(), occurrence()])
    clock.move(days=3)
    later = open_log()
    assert later.open([occurrence(), occurrence(severity=Severity.SEV_1)]) == []
    (finding,) = later.read().open()
    assert (finding.what, finding.what.id) == (occurrence(), finding_id)
    assert finding.what.breached_at == BREACHED
    assert timedelta(0) < finding.detected_at - seen_at < timedelta(seconds=1)


def test_ids_follow_from_run_kind_and_subject_alone() -> None:
    same = {
        occurrence().id,
        occurrence(severity=Severity.SEV_1, owner="observer", breached_at=BREACHED - timedelta(days=1)).id,
    }
    assert same == {"finding-" + occurrence().id[-16:]}
    others = [
        occurrence(),
        occurrence(subject="maker_checker"),
        occurrence(run_id="change-00000000000000bb"),
        occurrence(run_id=None),
        occurrence(kind=FindingKind.BLOCK),
    ]
    assert len({other.id for other in others}) == len(others)


def test_the_gravest_and_oldest_come_first(log: FindingsLog) -> None:
    minor, late, early = (
        occurrence(subject="a", severity=Severity.SEV_4, breached_at=BREACHED - timedelta(days=9)),
        occurrence(subject="b", severity=Severity.SEV_2),
        occurrence(subject="c", severity=Severity.SEV_2, breached_at=BREACHED - timedelta(days=1)),
    )
    log.open([minor, late, early])
    assert [finding.what for finding in log.read().open()] == [early, late, minor]


@pytest.mark.parametrize("severity", [Severity.SEV_3, Severity.SEV_4])
def test_one_person_disposes_of_what_is_minor(log: FindingsLog, in_force: Versions, severity: Severity) -> None:
    (finding_id,) = log.open([occurrence(severity=severity)])
    assert log.dispose(finding_id, "control-owner", WHY, in_force, ()).disposed
    assert log.read().open() == []


@pytest.mark.parametrize("severity", [Severity.SEV_1, Severity.SEV_2])
def test_two_people_dispose_of_what_is_grave(open_log: OpenLog, in_force: Versions, severity: Severity) -> None:
    (finding_id,) = open_log().open([occurrence(severity=severity)])
    assert not open_log().dispose(finding_id, "control-owner", WHY, in_force, ()).disposed
    with pytest.raises(FindingRefused, match=f"{severity} needs a second person"):
        open_log().dispose(finding_id, "control-owner", WHY, in_force, ())
    assert len(open_log().read().open()) == 1
    assert open_log().dispose(finding_id, "process-owner", WHY, in_force, ()).disposed


# name: (who had a hand in the change, why not)
HANDS: dict[str, tuple[list[tuple[str, str]] | None, str]] = {
    "under_another_address": ([("author", "Control-Owner@example.com")], "the author of this change"),
    "whom_the_roster_does_not_know": ([("contributor", "C. Owner")], "cannot be told apart from, the contributor"),
    "for_whom_they_act": ([("deployer", "late-owner")], "the deployer of this change"),
    "as_the_log_cannot_say": (None, "does not say who made the change; restore it first"),
}


@pytest.mark.parametrize("case", HANDS)
def test_nobody_disposes_of_what_was_found_in_a_change_unless_shown_to_be_no_hand_in_it(
    log: FindingsLog, in_force: Versions, case: str
) -> None:
    hands, why = HANDS[case]
    person = "late-deputy" if case == "for_whom_they_act" else "control-owner"
    (finding_id,) = log.open([occurrence()])
    with pytest.raises(FindingRefused, match=why):
        log.dispose(finding_id, person, WHY, in_force, hands)
    if hands and person == "control-owner":
        with pytest.raises(FindingRefused, match="cannot silence it"):
            log.acknowledge(finding_id, person, "seen", in_force, hands)
    assert log.dispose(finding_id, "process-owner", WHY, in_force, [("author", "maker"), ("deployer", "ci[bot]")])


def test_an_incident_whose_log_says_nothing_any_more_is_disposed_of_by_two_owners(
    log: FindingsLog, in_force: Versions
) -> None:
    (finding_id,) = log.open([occurrence(kind=FindingKind.INTEGRITY_INCIDENT, severity=Severity.SEV_1)])
    assert not log.dispose(finding_id, "control-owner", WHY, in_force, None).disposed
    assert log.dispose(finding_id, "process-owner", WHY, in_force, None).disposed


def test_whoever_acts_for_an_owner_disposes_in_their_place(log: FindingsLog, in_force: Versions) -> None:
    (finding_id,) = log.open([occurrence()])
    assert log.dispose(finding_id, "deputy", WHY, in_force, ()).disposed


def test_a_disposition_keeps_everything_that_was_said(log: FindingsLog, in_force: Versions) -> None:
    (finding_id,) = log.open([occurrence()])
    answer = Answer(
        "late by a day",
        "no deputy",
        "name one",
        Deficiency.SIGNIFICANT_DEFICIENCY,
        "daily review",
        "report of 24 November",
    )
    log.dispose(finding_id, "control-owner", answer, in_force, ())
    (disposition,) = log.read().by_id[finding_id].dispositions.values()
    kept = {name: getattr(disposition, name) for name in answer.__slots__}
    assert (kept, disposition.by) == ({name: getattr(answer, name) for name in answer.__slots__}, "control-owner")


# name: (who, what they say, why not)
REFUSED: dict[str, tuple[str, Answer, str]] = {
    "who_was_late": ("reviewer", WHY, "reviewer was late or did it"),
    "not_on_the_roster": ("passer-by", WHY, "'passer-by' is not on the roster"),
    "who_acts_for_who_was_late": ("late-deputy", WHY, "'late-deputy' may act for late-owner, who was late"),
    "who_has_left": ("left", WHY, "holds no role on 2026-11-23"),
    "auditor": ("auditor", WHY, "only control_owner or process_owner dispose"),
    "observer": ("observer", WHY, "only control_owner or process_owner dispose"),
    "reviewer_of_other_runs": ("second-reviewer", WHY, "only control_owner or process_owner dispose"),
    "without_a_reason": ("control-owner", Answer(" "), "needs a reason"),
    "control_without_evidence": ("control-owner", replace(WHY, compensating_control="x"), "needs its evidence"),
    "evidence_without_control": ("control-owner", replace(WHY, compensating_evidence="x"), "the control that it is of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_disposition_that_is_none_is_refused_and_leaves_no_trace(
    log: FindingsLog, in_force: Versions, case: str
) -> None:
    person, answer, why = REFUSED[case]
    (finding_id,) = log.open([occurrence(barred=("reviewer", "late-owner"))])
    before = log.path.read_bytes()
    with pytest.raises(FindingRefused, match=why):
        log.dispose(finding_id, person, answer, in_force, ())
    assert log.path.read_bytes() == before


def test_what_was_disposed_of_is_neither_disposed_of_nor_acknowledged_again(
    log: FindingsLog, in_force: Versions
) -> None:
    (finding_id,) = log.open([occurrence()])
    log.dispose(finding_id, "control-owner", WHY, in_force, ())
    with pytest.raises(FindingRefused, match="it was disposed of by control-owner"):
        log.dispose(finding_id, "process-owner", WHY, in_force, ())
    with pytest.raises(FindingRefused, match="nothing left to acknowledge"):
        log.acknowledge(finding_id, "process-owner", "seen", in_force, ())


def test_an_acknowledgement_is_recorded_once_for_each_person(log: FindingsLog, in_force: Versions) -> None:
    (finding_id,) = log.open([occurrence()])
    for person in ("control-owner", "process-owner", "control-owner"):
        log.acknowledge(finding_id, person, "a deputy is being named", in_force, ())
    (finding,) = log.read().open()
    assert list(finding.acknowledged_by) == ["control-owner", "process-owner"]
    assert log.path.read_text().count('"acknowledged"') == 2


@pytest.mark.parametrize(
    ("person", "reason", "why"),
    [
        ("reviewer", "seen", "cannot silence it"),
        ("passer-by", "seen", "not on the roster"),
        ("observer", "", "a reason"),
        ("auditor", "seen", "an auditor only reads"),
        ("left", "seen", "holds no role on 2026-11-23"),
    ],
)
def test_an_acknowledgement_that_is_none_is_refused(
    log: FindingsLog, in_force: Versions, person: str, reason: str, why: str
) -> None:
    (finding_id,) = log.open([occurrence()])
    with pytest.raises(FindingRefused, match=why):
        log.acknowledge(finding_id, person, reason, in_force, ())


def test_a_finding_that_is_not_there_is_said(log: FindingsLog, in_force: Versions) -> None:
    log.open([occurrence()])
    with pytest.raises(UnknownFindingError, match="finding-0: no such finding"):
        log.dispose("finding-0", "control-owner", WHY, in_force, ())


def opened(**changes: Any) -> Draft:
    return Draft("opened", "countersign", {**occurrence().data(), **changes})


def disposed(person: str) -> Draft:
    return Draft("disposed", person, {"finding": occurrence().id, "deficiency": None}, {"reason": "fine"})


def told(event: str, step: str = "notice-1", attempt: int = 1, **outcome: str) -> Draft:
    return Draft(event, "countersign", {"step": step, "channel": "mail", "attempt": attempt, **outcome})


# name: (events that follow each other in a chain that holds, what is wrong with the last)
FORGED: dict[str, tuple[list[Draft], str]] = {
    "opened_twice": ([opened(), opened()], "it was opened before"),
    "id_of_another": ([opened(subject="maker_checker")], "its id does not follow"),
    "severity_unknown": ([opened(severity="SEV-9")], "not of its form"),
    "disposed_but_never_opened": ([disposed("control-owner")], "not of its form"),
    "disposed_by_who_was_late": ([opened(), disposed("reviewer")], "is barred from it"),
    "disposed_by_one_person_twice": ([opened(severity="SEV-2"), *[disposed("observer")] * 2], "the same person"),
    "disposed_after_it_was": ([opened(), disposed("observer"), disposed("control-owner")], "disposed of before"),
    "told_without_an_attempt": ([told("notified", outcome="sent")], "not of its form"),
    "told_twice": ([told("notifying"), *[told("notified", outcome="sent")] * 2], "no such attempt"),
    "sent_again": ([told("notifying"), told("notified", outcome="sent"), told("notifying", attempt=2)], "did not fail"),
    "attempt_left_out": ([told("notifying", attempt=2)], "it would be attempt 1"),
    "route_denied": ([told("notifying"), told("notified", outcome="no_route")], "somebody could be told"),
    "removed": ([Draft("removed", "countersign", {"finding": occurrence().id})], "there is no such event"),
}


@pytest.mark.parametrize("case", FORGED)
def test_an_event_that_cannot_stand_there_is_tampering(place: EvidenceRoot, log: FindingsLog, case: str) -> None:
    drafts, why = FORGED[case]
    ChainFile(log.path, blobs=place.blobs).append_many(drafts)
    with pytest.raises(TamperedError, match=why):
        log.read()


def test_a_finding_that_was_taken_out_or_changed_is_found(log: FindingsLog, in_force: Versions) -> None:
    log.open([occurrence(), occurrence(subject="maker_checker")])
    lines = log.path.read_bytes().splitlines(keepends=True)
    for edited in ([lines[1]], [lines[0].replace(b"SEV-3", b"SEV-4"), lines[1]]):
        log.path.write_bytes(b"".join(edited))
        with pytest.raises(TamperedError):
            log.read()
        with pytest.raises(TamperedError):
            FindingsLog(EvidenceRoot(log.path.parent)).open([occurrence(run_id=None)])


@pytest.mark.parametrize("cut", [2, 40])
def test_a_power_cut_in_the_middle_of_a_write_is_recovered(open_log: OpenLog, in_force: Versions, cut: int) -> None:
    (finding_id,) = open_log().open([occurrence()])
    open_log().dispose(finding_id, "control-owner", WHY, in_force, ())
    path = open_log().path
    path.write_bytes(path.read_bytes()[:-cut])
    assert open_log().open([occurrence(run_id=RUN[:-1] + "b")])
    assert len(open_log().read().open()) == 2
    assert open_log().dispose(finding_id, "control-owner", WHY, in_force, ()).disposed


def test_nothing_counts_that_did_not_reach_the_disk(log: FindingsLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError("the disk is gone")

    log.open([occurrence()])
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", broken)
        with pytest.raises(OSError, match="the disk is gone"):
            log.open([occurrence(subject="maker_checker")])
    assert log.open([occurrence()]) == []
