"""Who may sign what, what is refused, and what the reviewer's determinations do."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from countersign import Determination, Status, record_approval
from countersign.errors import SignOffRefused, UnknownRunError
from countersign.evidence.log import AuditLog
from countersign.policy import Policy
from countersign.runs.fold import read_state
from countersign.runs.pages import workpaper_page
from countersign.runs.run import RunResult
from countersign.runs.workpaper import workpaper_document
from tests.conftest import payload_with
from tests.domain.runs.conftest import SIGNERS, Bench, events, log_of, policy_with

REVIEW, APPROVAL = "independent_review", "maker_checker"


def with_people(policy: Policy, *people: dict[str, Any]) -> Policy:
    roster = [person.model_dump(mode="json") for person in policy.people]
    added = {str(person["id"]): person for person in people}
    return policy_with(policy, people=[*(entry for entry in roster if entry["id"] not in added), *added.values()])


def by(name: str, who: str | None) -> dict[str, Any]:
    """The clean payload with somebody else behind one evidence item."""
    payload = payload_with()
    payload["evidence"][name]["by"] = who
    return payload


def refused(bench: Bench, result: RunResult, key: str, signer: str, *args: Any, **more: Any) -> str:
    """Try a sign-off that is refused: the run is untouched and the register says who, what and why."""
    before = log_of(result).read_bytes()
    with pytest.raises(SignOffRefused) as refusal:
        bench.sign(result, key, signer, *args, **more)
    assert log_of(result).read_bytes() == before
    line = bench.registered()[-1]
    assert line["event"] == "sign_off_refused"
    told = {"run_id": result.rundir.name, "key": key, "by": signer, "why": str(refusal.value)}
    assert {name: line[name] for name in told} == told
    return str(refusal.value)


@pytest.mark.parametrize(
    ("key", "signer", "why"),
    [
        ("approval", "reviewer", "unknown key 'approval'; it is one of independent_review, maker_checker"),
        ("", "reviewer", "unknown key ''"),
        ("INDEPENDENT_REVIEW", "reviewer", "unknown key"),
        (APPROVAL, "checker", "maker_checker is not pending"),
        (REVIEW, "stranger", "not on the roster"),
        (REVIEW, "", "not on the roster"),
        (REVIEW, "Example Reviewer", "not on the roster"),
        (REVIEW, "reviewer@example.com", "not on the roster"),
        (REVIEW, "example-reviewer", "not on the roster"),
        (REVIEW, "checker", "does not have the role 'reviewer'"),
        (REVIEW, "observer", "does not have the role 'reviewer'"),
        (REVIEW, "maker", "does not have the role 'reviewer'"),
    ],
)
def test_a_sign_off_by_nobody_who_may_is_refused(bench: Bench, key: str, signer: str, why: str) -> None:
    assert why in refused(bench, bench.execute(), key, signer)
    assert bench.execute().pending == REVIEW


def test_an_unknown_decision_is_refused(bench: Bench) -> None:
    result = bench.execute()
    for decision in ("", "APPROVED", "maybe"):
        assert "unknown decision" in refused(bench, result, REVIEW, "reviewer", decision)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (payload_with(author="reviewer"), "is the author"),
        (payload_with(author="@Example-Reviewer"), "is the author"),
        (payload_with(author="REVIEWER@example.com"), "is the author"),
        (payload_with(author="Example Reviewer <reviewer@example.com>"), "is the author"),
        (payload_with(author="Example  Reviewer"), "is the author"),
        (payload_with(author="Example Reviewer <private@example.net>"), "is the author"),
        (payload_with(author="reviewer <new@example.net>"), "cannot be told apart"),
        (payload_with(author="Somebody Else"), "cannot be told apart"),
        (payload_with(contributors=["example-maker", "example-reviewer"]), "is the contributor"),
        (payload_with(contributors=["A. Helper"]), "cannot be told apart"),
        (payload_with(deployed_by="reviewer@example.com"), "is the deployer"),
        (payload_with(deployed_by="Night Shift"), "cannot be told apart"),
        (by("deployment", "example-reviewer"), "is the deployer"),
        (by("approval", "reviewer"), "who gave the cited evidence 'approval'"),
        (by("approval", "Example Reviewer <reviewer@example.com>"), "who gave the cited evidence"),
        (by("tests", "reviewer"), "who gave the cited evidence 'tests'"),
        (by("tests", "QA Team"), "cannot be told apart"),
    ],
    ids=[
        "author",
        "author-login",
        "author-e-mail",
        "author-name-and-mail",
        "author-name",
        "author-name-under-another-mail",
        "author-with-the-login-as-name",
        "author-unresolved",
        "contributor",
        "contributor-unresolved",
        "deployer",
        "deployer-unresolved",
        "deployer-in-evidence",
        "approved-at-the-source",
        "approved-at-the-source-by-alias",
        "tested",
        "tested-by-a-bare-name",
    ],
)
def test_a_reviewer_who_is_or_may_be_too_close_is_refused(bench: Bench, payload: dict[str, Any], why: str) -> None:
    result = bench.execute(payload)
    said = refused(bench, result, REVIEW, "reviewer")
    assert why in said
    assert bench.execute(payload).pending == REVIEW


@pytest.mark.parametrize(
    "payload",
    [
        payload_with(contributors=["dependabot[bot]"]),
        payload_with(deployed_by="pipeline:billing"),
        payload_with(author="Jane Doe <jane@example.net>"),
        by("tests", "github-actions"),
        by("tests", None),
    ],
    ids=["a-bot-helped", "a-pipeline-deployed", "author-off-the-roster", "a-bot-tested", "nobody-tested"],
)
def test_automation_and_strangers_with_an_address_stand_in_nobodys_way(bench: Bench, payload: dict[str, Any]) -> None:
    assert bench.sign(bench.execute(payload), REVIEW, "reviewer").repeated is False


def test_whoever_gave_cited_evidence_may_still_approve(bench: Bench) -> None:
    """Only the review asks for distance from the evidence; the approver reads it all the same."""
    payload = by("approval", "checker")
    bench.sign(bench.execute(payload), REVIEW, "reviewer")
    assert bench.sign(bench.execute(payload), APPROVAL, "checker").decision == "approved"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (payload_with(author="second-checker"), "is the author"),
        (payload_with(contributors=["reviewer-2@example.com", "Example Second Checker"]), "is the contributor"),
    ],
)
def test_an_approver_who_made_the_change_is_refused(bench: Bench, payload: dict[str, Any], why: str) -> None:
    bench.sign(bench.execute(payload), REVIEW, "reviewer")
    assert why in refused(bench, bench.execute(payload), APPROVAL, "second-checker")


def test_two_sign_offs_need_two_people(bench: Bench) -> None:
    bench.sign(bench.execute(), REVIEW, "second-checker")
    said = refused(bench, bench.execute(), APPROVAL, "second-checker")
    assert "gave independent_review already" in said
    assert bench.sign(bench.execute(), APPROVAL, "checker").key == APPROVAL


def test_two_roster_entries_with_one_name_are_two_people_because_the_roster_says_so(bench: Bench) -> None:
    twin = {"id": "twin", "name": "Example Reviewer", "logins": ["twin-1"], "roles": ["approver"]}
    bench.fresh(policy=with_people(bench.policy, twin))
    bench.sign(bench.execute(), REVIEW, "reviewer")
    assert bench.sign(bench.execute(), APPROVAL, "twin").by == "twin"


def test_a_bot_on_the_roster_is_nobodys_checker(bench: Bench) -> None:
    bot = {"id": "review-bot", "name": "Review Bot", "roles": ["reviewer"]}
    bench.fresh(policy=with_people(bench.policy, bot))
    assert "is a bot" in refused(bench, bench.execute(), REVIEW, "review-bot")


def test_nobody_becomes_independent_by_a_later_roster(bench: Bench) -> None:
    """The roster that the change was assessed with still knows that the reviewer is its author."""
    payload = payload_with(author="old-name@example.com")
    reviewer = {"id": "reviewer", "name": "R", "roles": ["reviewer"]}
    bench.fresh(policy=with_people(bench.policy, {**reviewer, "emails": ["old-name@example.com"]}))
    result = bench.execute(payload)
    bench.fresh(policy=with_people(bench.policy, {**reviewer, "emails": ["new@example.com"]}))
    assert "is the author" in refused(bench, result, REVIEW, "reviewer")


def test_what_a_later_roster_learns_counts_too(bench: Bench) -> None:
    payload = payload_with(author="nickname@example.net")
    result = bench.execute(payload)
    reviewer = bench.policy.person("reviewer")
    assert reviewer is not None
    more = {**reviewer.model_dump(mode="json"), "emails": ["nickname@example.net"]}
    bench.fresh(policy=with_people(bench.policy, more))
    assert "is the author" in refused(bench, result, REVIEW, "reviewer")


def test_a_role_that_was_taken_away_no_longer_signs(bench: Bench) -> None:
    result = bench.execute()
    bench.fresh(policy=with_people(bench.policy, {"id": "reviewer", "name": "Example Reviewer", "roles": []}))
    assert "does not have the role" in refused(bench, result, REVIEW, "reviewer")


@pytest.mark.parametrize(
    ("days", "why"),
    [
        ({"valid_until": "2026-11-22"}, "until 2026-11-22, and holds no role on 2026-11-23"),
        ({"valid_from": "2026-11-24"}, "from 2026-11-24, and holds no role on 2026-11-23"),
    ],
    ids=["left", "to_come"],
)
def test_a_role_is_held_only_while_the_entry_is_valid(bench: Bench, days: dict[str, str], why: str) -> None:
    checker = {"id": "checker", "name": "Example Checker", "roles": ["approver"], **days}
    bench.fresh(policy=with_people(bench.policy, checker))
    bench.sign(bench.execute(), REVIEW, "reviewer")
    assert why in refused(bench, bench.execute(), APPROVAL, "checker")


def test_whoever_left_is_not_asked_and_what_they_signed_before_stands(bench: Bench) -> None:
    entry = {"name": "Example Second Checker", "roles": ["approver", "reviewer"], "valid_until": "2026-11-23"}
    bench.fresh(policy=with_people(bench.policy, {"id": "second-checker", **entry}))
    bench.sign(bench.execute(), REVIEW, "second-checker")
    bench.clock.move(days=1)
    result = bench.execute()
    assert asked(result) == [["reviewer", "second-reviewer", "second-checker"], ["checker"]]
    bench.sign(result, APPROVAL, "checker")
    assert bench.execute().status is Status.COMPLETED
    assert bench.faults() == []


def test_an_auditor_signs_nothing(bench: Bench) -> None:
    auditor = {"id": "auditor", "name": "Example Auditor", "roles": ["auditor"]}
    reviewer = {"id": "reviewer", "name": "R", "roles": ["reviewer"], "delegates": [until("auditor", "2026-11-30")]}
    bench.fresh(policy=with_people(bench.policy, auditor, reviewer))
    assert "does not have the role" in refused(bench, bench.execute(), REVIEW, "auditor")


def until(to: str, last: str) -> dict[str, str]:
    """Leave to act for somebody from the beginning of November."""
    return {"to": to, "from": "2026-11-01", "until": last}


def asked(result: RunResult) -> list[list[str]]:
    """Whom each sign-off was asked of."""
    return [entry.data["to"] for entry in AuditLog(log_of(result)).records() if entry.event == "sign_off_requested"]


def delegating(bench: Bench, *principals: str, last: str = "2026-11-30", **deputy: Any) -> Bench:
    """The bench with a `deputy` without a role, for whom these signers have left leave to act."""
    people: list[dict[str, Any]] = [{"id": "deputy", "name": "Example Deputy", "emails": ["d@example.com"], **deputy}]
    for principal in principals:
        entry = bench.policy.person(principal)
        assert entry is not None
        people.append({**entry.model_dump(mode="json"), "delegates": [until("deputy", last)]})
    bench.fresh(policy=with_people(bench.policy, *people))
    return bench


def test_a_delegate_signs_for_somebody_and_the_workpaper_says_for_whom(bench: Bench) -> None:
    delegating(bench, "reviewer")
    result = bench.execute()
    assert asked(result) == [["second-reviewer", "second-checker", "deputy", "reviewer"]]
    bench.sign(result, REVIEW, "deputy")
    bench.sign(bench.execute(), APPROVAL, "checker")
    result = bench.execute()
    assert result.status is Status.COMPLETED
    document = workpaper_document(read_state(result.run_id, AuditLog(log_of(result)).records(), None))
    assert [(signed["by"], signed["acting_for"]) for signed in document["sign_offs"]] == [
        ("deputy", "reviewer"),
        ("checker", None),
    ]
    assert "approved by deputy for reviewer (reviewer)" in "\n".join(workpaper_page(document))
    assert bench.faults() == []


@pytest.mark.parametrize(
    ("principals", "payload", "why"),
    [
        ((), payload_with(), "'deputy' does not have the role 'reviewer'"),
        (("checker",), payload_with(), "'deputy' does not have the role 'reviewer'"),
        (("reviewer",), payload_with(author="reviewer"), "'deputy', who acts for 'reviewer', is the author"),
        (("reviewer",), payload_with(author="deputy"), "'deputy', who acts for 'reviewer', is the author"),
        (("reviewer",), by("approval", "example-reviewer"), "is who gave the cited evidence"),
        (("reviewer",), payload_with(contributors=["A. Helper"]), "cannot be told apart"),
    ],
    ids=["nobody", "another-role", "author", "themself", "gave-evidence", "unresolved"],
)
def test_a_delegate_is_refused_where_either_of_the_two_is(
    bench: Bench, principals: tuple[str, ...], payload: dict[str, Any], why: str
) -> None:
    delegating(bench, *principals)
    assert why in refused(bench, bench.execute(payload), REVIEW, "deputy")


def test_a_delegation_ends_with_its_last_day(bench: Bench) -> None:
    delegating(bench, "reviewer", last="2026-11-23")
    result = bench.execute()
    bench.clock.move(days=1)
    assert "does not have the role" in refused(bench, result, REVIEW, "deputy")


def test_a_delegate_of_two_acts_for_the_one_who_had_no_hand_in_the_change(bench: Bench) -> None:
    delegating(bench, "reviewer", "second-reviewer")
    payload = payload_with(author="reviewer")
    bench.sign(bench.execute(payload), REVIEW, "deputy")
    result = bench.execute(payload)
    signed = next(entry for entry in AuditLog(log_of(result)).records() if entry.event == "signed_off")
    assert signed.data["acting_for"] == "second-reviewer"


def test_whoever_signs_by_their_own_role_acts_for_nobody(bench: Bench) -> None:
    delegating(bench, "reviewer", roles=["reviewer"])
    bench.sign(bench.execute(payload_with(author="reviewer")), REVIEW, "deputy")
    assert bench.faults() == []


def test_nobody_signs_after_their_own_delegate(bench: Bench) -> None:
    delegating(bench, "second-checker")
    bench.sign(bench.execute(), REVIEW, "deputy")
    assert "gave independent_review already" in refused(bench, bench.execute(), APPROVAL, "second-checker")


@pytest.mark.parametrize("damage", ["changed", "torn", "empty"])
def test_a_log_that_does_not_verify_is_not_signed(bench: Bench, damage: str) -> None:
    result = bench.execute()
    content = log_of(result).read_bytes()
    damaged = {"changed": content.replace(b"48 passed", b"49 passed"), "torn": content[:-3], "empty": b""}[damage]
    log_of(result).write_bytes(damaged)
    assert "does not verify" in refused(bench, result, REVIEW, "reviewer")


def test_a_copied_run_folder_is_not_signed(bench: Bench) -> None:
    result = bench.execute()
    copy = result.rundir.with_name("change-0000000000000000")
    copy.mkdir()
    (copy / "audit.jsonl").write_bytes(log_of(result).read_bytes())
    assert "unregistered" in refused(bench, replace(result, rundir=copy), REVIEW, "reviewer")


def test_a_folder_without_a_log_is_no_run(bench: Bench) -> None:
    with pytest.raises(UnknownRunError, match="no such run"):
        bench.desk.record(bench.root / "runs" / "2026" / "x", REVIEW, "reviewer")


@pytest.mark.parametrize(
    "payload", [payload_with(system="intranet"), payload_with(evidence={})], ids=["out", "blocked"]
)
def test_an_ended_run_is_not_signed(bench: Bench, payload: dict[str, Any]) -> None:
    assert "no sign-off is (status" in refused(bench, bench.execute(payload), REVIEW, "reviewer")


def test_the_same_sign_off_again_is_a_success_that_writes_nothing(bench: Bench) -> None:
    """Before it is taken up, after it, and after the run closed."""
    result = bench.execute()
    for key, signer in SIGNERS:
        first = bench.sign(result, key, signer, "approved", "looked at it")
        for again in (False, True):
            before = bench.contents()
            receipt = bench.sign(result, key, signer, "approved", "looked at it")
            assert (receipt.repeated, receipt.by, receipt.decision) == (True, signer, "approved")
            assert bench.contents() == before
            if not again:
                assert receipt == replace(first, repeated=True)
                bench.execute()
    assert bench.execute().status is Status.COMPLETED
    assert "not pending" in refused(bench, result, REVIEW, "reviewer", "rejected", "second thoughts")
    assert "not pending" in refused(bench, result, REVIEW, "second-reviewer", "approved", "looked at it")


def test_a_sign_off_says_what_it_was_given_on(bench: Bench) -> None:
    result = bench.execute()
    assert result.state is not None
    size, head = bench.run.engine.register.size_and_head()
    receipt = bench.sign(result, REVIEW, "reviewer", "approved", "read in full")
    state = bench.execute().state
    assert state is not None
    signed = next(iter(state.sign_offs.values()))
    assert (signed.log_head, signed.register_size, signed.register_head) == (result.state.head, size, head)
    assert (signed.by, signed.role, signed.decision, signed.reason) == (
        "reviewer",
        "reviewer",
        "approved",
        "read in full",
    )
    assert bench.registered("signed_off")[-1]["head"] == receipt.log_head == state.sign_off_head


def test_record_approval_refuses_as_the_desk_does_and_leaves_it_on_record(bench: Bench) -> None:
    result = bench.execute()
    with pytest.raises(SignOffRefused, match="not on the roster"):
        record_approval(str(result.rundir), REVIEW, "stranger", policy=bench.policy)
    assert bench.registered()[-1]["event"] == "sign_off_refused"
    receipt = record_approval(result.rundir, REVIEW, "reviewer", "rejected", "No.", policy=bench.policy)
    assert (receipt.decision, bench.execute().status) == ("rejected", Status.BLOCKED)


# Determinations

_TESTS = "Regression suite ran for the tax number; see the report."
_TEST_CONTROL = "ITGC-CM-03"


def undecided() -> dict[str, Any]:
    """A change whose only doubt is its test result, in words that no pattern reads."""
    payload = payload_with()
    payload["evidence"]["tests"]["text"] = _TESTS
    return payload


def determined(
    result: Literal["met", "exception"] = "met", control: str = _TEST_CONTROL, quote: str = _TESTS, **more: str
) -> Determination:
    given = {"evidence": "tests", "reason": "The report says that all is well.", **more}
    return Determination(control, result, quote=quote, **given)


def test_an_abstention_left_open_is_not_tested_and_not_clean(bench: Bench) -> None:
    done = bench.complete(undecided())
    assert done.status is Status.COMPLETED
    assert done.state is not None
    assert done.state.workpaper is not None
    assert done.state.workpaper["clean"] is False
    assert done.state.workpaper["conclusion"].casefold() == "not tested: itgc-cm-03"


def test_a_conclusion_names_controls_as_the_catalogue_does(bench: Bench) -> None:
    done = bench.complete(undecided())
    assert done.state is not None
    assert (done.state.workpaper or {})["conclusion"] == "Not tested: ITGC-CM-03"


@pytest.mark.parametrize(
    ("given", "conclusion", "clean"),
    [("met", "clean: every applicable control was met", True), ("exception", "exception in itgc-cm-03", False)],
)
def test_the_reviewer_determines_an_abstention_either_way(
    bench: Bench, given: Literal["met", "exception"], conclusion: str, clean: bool
) -> None:
    done = bench.complete(undecided(), determined(given))
    assert done.state is not None
    assert done.state.workpaper is not None
    assert (done.state.workpaper["conclusion"].casefold(), done.state.workpaper["clean"]) == (conclusion, clean)
    (judged,) = (judged for judged in done.state.results if judged.control == _TEST_CONTROL)
    assert (judged.result, judged.quote, judged.judged_by) == (given, _TESTS, "reviewer:reviewer")
    assert judged.reason == "The report says that all is well."
    assert bench.faults() == []


def test_a_clean_change_is_clean_and_an_excepted_one_is_not(bench: Bench) -> None:
    clean = bench.complete(payload_with())
    excepted = bench.complete(payload_with(system="shipping", author="deployer"))
    assert clean.state is not None
    assert excepted.state is not None
    assert (clean.state.workpaper or {})["conclusion"] == "Clean: every applicable control was met"
    assert (excepted.state.workpaper or {})["clean"] is False
    assert "xception in" in (excepted.state.workpaper or {})["conclusion"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([determined(quote="all 300 tests passed")], "do not stand in 'tests'"),
        ([determined(quote="Regression")], "at least 12"),
        ([determined(evidence="deployment", quote="Deployed 4f2a9c1d7e")], "of kind deployment"),
        ([determined(evidence="nothing")], "no evidence named"),
        ([determined(reason=" ")], "needs a reason"),
        ([determined(control="ITGC-CM-01", evidence="approval", quote="approved for deployment")], "only an abstained"),
        ([determined(control="ITGC-CM-04")], "only an abstained"),
        ([determined(control="ITGC-CM-99")], "only an abstained"),
        ([determined(), determined("exception")], "and once"),
    ],
    ids=[
        "quote-nowhere",
        "quote-short",
        "wrong-kind",
        "no-evidence",
        "no-reason",
        "already-met",
        "not-applicable",
        "unknown",
        "twice",
    ],
)
def test_a_determination_that_the_gate_would_not_pass_is_refused(
    bench: Bench, given: list[Determination], why: str
) -> None:
    assert why in refused(bench, bench.execute(undecided()), REVIEW, "reviewer", determinations=given)


@pytest.mark.parametrize("result", ["abstained", "not_applicable"])
def test_a_determination_is_met_or_exception_and_nothing_else(bench: Bench, result: Any) -> None:
    waiting = bench.execute(undecided())
    given = [determined(result)]
    with pytest.raises(SignOffRefused):
        bench.sign(waiting, REVIEW, "reviewer", determinations=given)


def test_a_determination_of_no_known_result_is_a_refusal(bench: Bench) -> None:
    with pytest.raises(SignOffRefused):
        bench.sign(bench.execute(undecided()), REVIEW, "reviewer", determinations=[determined("perhaps")])  # type: ignore[arg-type]


def test_only_the_review_determines(bench: Bench) -> None:
    bench.sign(bench.execute(undecided()), REVIEW, "reviewer")
    result = bench.execute(undecided())
    assert "independent review only" in refused(bench, result, APPROVAL, "checker", determinations=[determined()])


def test_a_rejected_review_with_determinations_ends_blocked(bench: Bench) -> None:
    result = bench.execute(undecided())
    bench.sign(result, REVIEW, "reviewer", "rejected", "Not tested at all.", [determined("exception")])
    result = bench.execute(undecided())
    assert (result.status, events(result)[-1]) == (Status.BLOCKED, "blocked")
    assert bench.faults() == []


def test_the_same_sign_off_with_other_determinations_is_not_a_repetition(bench: Bench) -> None:
    """Acknowledging it would tell the reviewer that a determination is on record which is not."""
    result = bench.execute(undecided())
    bench.sign(result, REVIEW, "reviewer")
    with pytest.raises(SignOffRefused):
        bench.sign(result, REVIEW, "reviewer", determinations=[determined("exception")])


def test_a_reviewer_does_not_determine_on_evidence_they_gave(bench: Bench) -> None:
    payload = undecided()
    payload["evidence"]["tests"]["by"] = "reviewer"
    result = bench.execute(payload)
    with pytest.raises(SignOffRefused, match="who gave the cited evidence"):
        bench.sign(result, REVIEW, "reviewer", determinations=[determined()])
