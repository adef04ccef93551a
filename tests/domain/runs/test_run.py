"""A payload's way through a run, and what executing it again does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from countersign import AuditLog, Run, Status, record_approval
from countersign.controls.assessment import Assessment, Case, Mapper, Result
from countersign.controls.rules import Rules
from countersign.errors import EvidenceError, PayloadError, SignOffRefused, UnknownRunError
from countersign.policy import Key, Policy
from tests.conftest import POLICY, payload_with
from tests.domain.runs.conftest import SIGNERS, Bench, changed_results, events, log_of, policy_with

_CLAIM = {"control": "ITGC-CM-01", "text": "It was authorised.", "evidence": "approval"}
_COMPLETED = [
    "ingested",
    "assessed",
    "gated",
    "sign_off_requested",
    "signed_off",
    "sign_off_requested",
    "signed_off",
    "workpaper",
    "handed_off",
]


def claiming(**claim: str) -> dict[str, Any]:
    """The clean payload with one brought assertion."""
    return payload_with(assertions=[{**_CLAIM, **claim}])


def test_the_runbook_works_word_for_word(root: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Execute, approve twice, execute: COMPLETED, with the real clock and only what `countersign` exports."""
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    monkeypatch.setenv("COUNTERSIGN_ROOT", str(root))
    payload = payload_with()
    for key, signer in SIGNERS:
        waiting = Run(policy=policy).execute(payload)
        assert (waiting.status, waiting.pending) == (Status.AWAITING_APPROVAL, key)
        assert waiting.reason == f"{key} is due from the role {policy.sign_off.role(Key(key))}"
        record_approval(waiting.rundir, key, signer, policy=policy)
    done = Run(policy=policy).execute(payload)
    assert (done.status, done.pending, done.reason) == (Status.COMPLETED, None, None)
    assert (done.run_id, done.change_id, done.rundir.name) == (waiting.run_id, "CHG-1001", waiting.run_id)
    assert events(done) == _COMPLETED
    assert AuditLog(done.rundir / "audit.jsonl").verify()
    assert sorted(path.name for path in done.rundir.iterdir()) == ["audit.jsonl"]


@pytest.mark.parametrize(
    ("payload", "status", "reason", "last"),
    [
        (payload_with(), Status.AWAITING_APPROVAL, "independent_review is due", "sign_off_requested"),
        (payload_with(author="deployer"), Status.AWAITING_APPROVAL, "is due", "sign_off_requested"),
        (payload_with(system="intranet"), Status.OUT_OF_SCOPE, "out of scope", "out_of_scope"),
        (payload_with(evidence={}), Status.BLOCKED, "no assertion", "blocked"),
        (claiming(quote="Approved by the whole board."), Status.BLOCKED, "ITGC-CM-01 by payload", "blocked"),
        (claiming(quote="CHG-1001"), Status.BLOCKED, "at least 12", "blocked"),
        (
            claiming(quote=payload_with()["evidence"]["tests"]["text"], evidence="tests"),
            "BLOCKED",
            "of kind",
            "blocked",
        ),
        (claiming(quote="approved for deployment", evidence="mail"), Status.BLOCKED, "no evidence named", "blocked"),
        (claiming(quote="approved for deployment", control="ITGC-XX-09"), "BLOCKED", "no such control", "blocked"),
        (claiming(quote="APPROVED  for\ndeployment"), Status.AWAITING_APPROVAL, "is due", "sign_off_requested"),
    ],
    ids=[
        "clean",
        "exception",
        "out-of-scope",
        "empty-evidence",
        "quote-nowhere",
        "quote-too-short",
        "wrong-kind",
        "evidence-unknown",
        "control-unknown",
        "quote-folded",
    ],
)
def test_a_payload_goes_to_its_first_pause_or_its_end(
    bench: Bench, payload: dict[str, Any], status: str, reason: str, last: str
) -> None:
    result = bench.execute(payload)
    assert (result.status, events(result)[-1]) == (status, last)
    assert reason in (result.reason or "")
    assert result.state is not None
    assert (result.state.status, result.state.reason) == (result.status, result.reason)
    assert bench.faults() == []
    before = bench.contents()
    bench.fresh()
    assert bench.execute(dict(reversed(payload.items()))).status == status
    assert bench.contents() == before


def test_a_block_names_every_ungrounded_assertion_and_tells_the_observer_at_once(bench: Bench) -> None:
    claims = [{**_CLAIM, "quote": quote} for quote in ("the board agreed", "the board agreed twice")]
    result = bench.execute(payload_with(assertions=claims))
    assert result.status is Status.BLOCKED
    assert "(and 1 more)" in (result.reason or "")
    assert events(result)[-3:] == ["gated", "noticed", "blocked"]
    assert result.state is not None
    assert sum(1 for row in result.state.verdicts if row["why"]) == 2
    assert [row["made_by"] for row in result.state.verdicts if row["why"]] == ["payload", "payload"]


def test_the_same_payload_again_writes_nothing_at_any_pause_or_end(bench: Bench) -> None:
    """Register and logs stay byte-identical, in this process and in the next."""
    payload = payload_with()
    for key, signer in (*SIGNERS, (None, "")):
        result = bench.execute(payload)
        before = bench.contents()
        assert bench.execute(payload) == replace(result, state=bench.execute(payload).state)
        bench.fresh()
        assert bench.execute(payload).status is result.status
        assert bench.advance() == []
        assert bench.contents() == before
        if key is not None:
            bench.sign(result, key, signer)
    assert result.status is Status.COMPLETED


def test_a_policy_changed_on_the_way_changes_nothing_for_a_run_that_was_assessed(bench: Bench) -> None:
    result = bench.execute()
    bench.fresh(policy=policy_with(bench.policy, version="later"))
    done = bench.complete()
    assert (done.run_id, done.status) == (result.run_id, Status.COMPLETED)
    assert done.state is not None
    assert done.state.configuration["policy"] == bench.policy.digest != bench.run.engine.current.policy.digest
    in_force = bench.run.engine.current.configuration.digest
    assert {signed.configuration for signed in done.state.sign_offs.values()} == {in_force}
    assert bench.faults() == []


# A step that raises


class _Flaky:
    """A mapper that raises while `broken` and counts how often it was asked."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.calls = 0

    def factory(self, *versions: Any) -> Mapper:
        rules = Rules(*versions)

        def judge(case: Case) -> Assessment:
            self.calls += 1
            if self.error is not None:
                raise self.error
            return rules(case)

        return judge


def test_a_step_that_raises_leaves_the_error_in_the_log_and_is_the_only_one_tried_again(bench: Bench) -> None:
    flaky = _Flaky(ZeroDivisionError("the model divided by nothing"))
    bench.fresh(mapper=flaky.factory)
    failed = bench.execute()
    assert (failed.status, failed.pending) == (Status.FAILED, None)
    assert failed.reason == "assess: ZeroDivisionError: the model divided by nothing"
    assert b"the model divided by nothing" in log_of(failed).read_bytes()
    assert bench.faults() == []
    bench.execute()
    assert events(bench.execute()) == ["ingested", "failed", "failed", "failed"]
    flaky.error = None
    assert bench.execute().status is Status.AWAITING_APPROVAL
    done = bench.complete()
    assert done.status is Status.COMPLETED
    assert events(done) == ["ingested", "failed", "failed", "failed", *_COMPLETED[1:]]
    assert flaky.calls == 4
    assert bench.faults() == []


def test_a_later_step_that_fails_does_not_judge_the_change_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = _Flaky(ValueError())
    flaky.error = None
    bench.fresh(mapper=flaky.factory)
    result = bench.execute()
    for key, signer in SIGNERS:
        bench.sign(result, key, signer)
        with monkeypatch.context() as broken:
            broken.setattr("countersign.runs.steps.gate.decide", None)
            result = bench.execute()
    assert result.status is Status.FAILED
    assert (result.reason or "").startswith("workpaper: TypeError")
    assert bench.execute().status is Status.COMPLETED
    assert flaky.calls == 1


class _EndlessError(BaseException):
    """Ends what would never end."""


def test_a_mapper_that_says_nothing_fails_or_blocks_the_run(bench: Bench) -> None:
    calls: list[Assessment] = []

    def nothing(assessment: Assessment) -> Assessment:
        calls.append(assessment)
        if len(calls) > 3:
            raise _EndlessError
        return replace(assessment, results=())

    bench.fresh(mapper=changed_results(nothing))
    assert bench.execute().status in (Status.BLOCKED, Status.FAILED)


def test_a_control_that_the_mapper_leaves_out_is_not_clean(bench: Bench) -> None:
    """Absence is not consent: the change is its author's own deployment, and the mapper does not say so."""

    def without_exceptions(assessment: Assessment) -> Assessment:
        kept = (result for result in assessment.results if result.result is not Result.EXCEPTION)
        return replace(assessment, results=tuple(kept))

    bench.fresh(mapper=changed_results(without_exceptions))
    result = bench.complete(payload_with(author="deployer"))
    assert result.state is not None
    assert result.status is not Status.COMPLETED or (result.state.workpaper or {})["clean"] is False


def test_an_error_with_half_a_surrogate_pair_in_its_message_is_logged_too(bench: Bench) -> None:
    bench.fresh(mapper=_Flaky(ValueError("file \udcff")).factory)
    assert events(bench.execute())[-1:] == ["failed"]


# Rejections


@pytest.mark.parametrize("reason", [None, "", " \n"], ids=["none", "empty", "blank"])
def test_a_rejection_needs_a_reason(bench: Bench, reason: str | None) -> None:
    result = bench.execute()
    with pytest.raises(SignOffRefused, match="needs a reason"):
        bench.sign(result, "independent_review", "reviewer", "rejected", reason)
    assert bench.execute().pending == "independent_review"


@pytest.mark.parametrize("rejected", ["independent_review", "maker_checker"])
def test_a_rejection_ends_blocked_with_its_reason_kept(bench: Bench, rejected: str) -> None:
    result = bench.execute()
    for key, signer in SIGNERS:
        if result.pending == key:
            decision = ("rejected", "No rollback plan.") if key == rejected else ("approved", None)
            bench.sign(result, key, signer, *decision)
            result = bench.execute()
    assert (result.status, result.pending) == (Status.BLOCKED, None)
    assert rejected in (result.reason or "")
    assert events(result)[-3:] == ["signed_off", "noticed", "blocked"]
    assert b"No rollback plan." in log_of(result).read_bytes()
    assert bench.faults() == []


# A corrected input


def test_a_corrected_payload_is_a_new_run_that_supersedes_the_old_one(bench: Bench) -> None:
    old = bench.execute(payload_with(evidence={}))
    bench.execute(payload_with(system="shipping"))
    new = bench.execute(payload_with())
    assert [line["supersedes"] for line in bench.registered("run_opened")] == [None, None, old.run_id]
    assert new.state is not None
    assert new.state.supersedes == old.run_id
    third = bench.execute(payload_with(summary="Corrected again"))
    assert third.state is not None
    assert third.state.supersedes == new.run_id
    assert bench.faults() == []


def test_a_superseded_run_cannot_be_signed_and_is_not_advanced(bench: Bench) -> None:
    old = bench.execute()
    new = bench.execute(payload_with(summary="Corrected"))
    with pytest.raises(SignOffRefused, match=f"superseded by {new.run_id}"):
        bench.sign(old, "independent_review", "reviewer")
    assert events(old)[-1] == "sign_off_requested"
    assert bench.sign(new, "independent_review", "reviewer").repeated is False


def test_a_sign_off_recorded_before_the_correction_is_not_taken_up(bench: Bench) -> None:
    old = bench.execute()
    bench.sign(old, "independent_review", "reviewer")
    bench.execute(payload_with(summary="Corrected"))
    assert bench.advance() == []
    assert events(old)[-1] == "signed_off"


# Refusals


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {"id": "X"},
        payload_with(change_type="standard"),
        payload_with(id="../x"),
        payload_with(extra=1),
        payload_with(summary="\udcff"),
    ],
    ids=["list", "null", "fields-missing", "standard", "path", "unknown-field", "surrogate"],
)
def test_a_refused_payload_is_on_record_once_and_opens_nothing(bench: Bench, value: Any) -> None:
    for _ in range(2):
        with pytest.raises(PayloadError) as refused:
            bench.run.execute(value)
    (line,) = bench.registered("refused")
    assert (line["reason"], line["where"]) == (str(refused.value), "Run.execute")
    assert bench.registered("run_opened") == []
    assert bench.execute().status is Status.AWAITING_APPROVAL


def _nested(depth: int) -> dict[str, Any]:
    value: Any = "bottom"
    for _ in range(depth):
        value = [value]
    return payload_with(contributors=value)


@pytest.mark.parametrize(
    "depth",
    [
        50,
        400,
        800,
        pytest.param(
            5000,
        ),
    ],
)
def test_deep_nesting_is_refused_however_deep(bench: Bench, depth: int) -> None:
    with pytest.raises(PayloadError):
        bench.execute(_nested(depth))
    assert len(bench.registered("refused")) == 1


def test_the_same_run_id_with_another_digest_is_refused_as_an_incident(bench: Bench) -> None:
    """Provoked by opening the id of the payload under a digest that differs after its first 16 digits."""
    result = bench.execute()
    opening = dict(bench.registered("run_opened")[0])
    log_of(result).unlink()
    bench.cut_register("run_opened")
    data = {name: opening[name] for name in opening if name not in ("prev", "seq", "ts", "event", "actor")}
    data["digest"] = opening["digest"][:16] + "0" * 48
    bench.fresh().engine.register.append("run_opened", "countersign", **data)
    for _ in range(2):
        with pytest.raises(PayloadError, match="SEV-1"):
            bench.execute()
    (line,) = bench.registered("refused")
    assert (line["change_id"], line["record"]) == ("CHG-1001", opening["digest"])
    assert not log_of(result).exists()


def test_a_rundir_outside_of_any_root_is_no_run(tmp_path: Path, policy: Policy) -> None:
    with pytest.raises(UnknownRunError, match="not inside an evidence root"):
        record_approval(tmp_path, "independent_review", "reviewer", policy=policy)


def test_a_version_that_is_gone_or_changed_stops_only_the_runs_that_stand_on_it(bench: Bench) -> None:
    old = bench.execute()
    bench.fresh(policy=policy_with(bench.policy, version="later"))
    kept = bench.root / "policies" / f"{bench.policy.digest}.json"
    content = kept.read_bytes()
    for damage in (lambda: kept.write_bytes(b"{}"), kept.unlink):
        kept.write_bytes(content)
        damage()
        with pytest.raises(EvidenceError, match=r"version|content"):
            bench.sign(old, "independent_review", "reviewer")
        assert {fault.run_id for fault in bench.faults() if fault.run_id} == {old.run_id}
    assert bench.execute(payload_with(id="CHG-2")).status is Status.AWAITING_APPROVAL


def test_attachments_are_kept_before_the_log_names_them_and_are_never_quoted(bench: Bench) -> None:
    payload = payload_with()
    payload["evidence"]["tests"]["attachments"] = [
        {
            "name": "report.txt",
            "sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
            "bytes": "aGVsbG8gd29ybGQ=",
        }
    ]
    done = bench.complete(payload)
    assert done.status is Status.COMPLETED
    blob = bench.root / "blobs" / payload["evidence"]["tests"]["attachments"][0]["sha256"]
    assert blob.read_bytes() == b"hello world"
    assert b"aGVsbG8gd29ybGQ" not in log_of(done).read_bytes()
    assert bench.faults() == []
    blob.unlink()
    assert bench.kinds() == ["inconsistent"]


def test_a_long_text_lies_among_the_blobs_and_losing_it_is_found(bench: Bench) -> None:
    payload = payload_with()
    payload["evidence"]["chat"] = "A long talk. " * 10_000
    done = bench.complete(payload)
    assert done.status is Status.COMPLETED
    (blob,) = (bench.root / "blobs").iterdir()
    assert bench.faults() == []
    blob.unlink()
    assert bench.kinds() == ["text_missing"]
