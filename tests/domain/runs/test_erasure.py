"""One text leaves a run by two owners who sign; everything else stands as it did, and says so."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from countersign.errors import RetentionRefused, TamperedError
from countersign.evidence.durable import digest_of
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import ERASED, erased_line
from countersign.evidence.log import AuditLog
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Policy, SigningKey
from countersign.runs.approvals import NAMESPACE, Approver
from countersign.runs.erasure import Eraser, Erasure, read_erasures
from countersign.runs.fold import read_state
from countersign.runs.handoff import handoff_document
from countersign.runs.reperformance import Reperformer
from countersign.runs.run import Run, RunResult
from countersign.runs.verification import Verifier
from countersign.runs.views import Views
from countersign.runs.workpaper import workpaper_document
from tests.conftest import Counted, StepClock, payload_with
from tests.domain.controls.model.conftest import answer
from tests.domain.controls.model.scripted import Text, serving
from tests.domain.runs.conftest import Bench, log_of
from tests.domain.runs.test_model import AGREES, ModelBench
from tests.evidence_script import script_faults
from tests.keys import key_entry, make_key, signed_policy

BOTH = ("control-owner", "process-owner")
SUMMARY = "Raise the invoice limit"


def approve(bench: Bench, result: RunResult, text: str, by: str, keys: KeyRing | None = None) -> Erasure:
    engine = bench.run.engine
    eraser = Eraser(engine.root, engine.current, clock=bench.clock, entropy=Counted())
    engine.index.sync()
    return eraser.approve(known(bench.run, result), text, Approver(by, "A court has ordered it.", keys or KeyRing()))


def known(run: Run, result: RunResult) -> IndexedRun:
    found = run.engine.index.run(result.run_id)
    assert found is not None
    return found


def erase(bench: Bench, result: RunResult, text: str = "summary") -> None:
    assert not approve(bench, result, text, BOTH[0]).done
    assert approve(bench, result, text, BOTH[1]).done
    bench.run.engine.views.make_anew(known(bench.run, result).day)


def words_in(root: Path, words: str) -> list[str]:
    """The files that hold words, Parquet read as what it says."""
    found = [path for path in root.rglob("*") if path.is_file() and words.encode() in path.read_bytes()]
    tables = [path for path in root.rglob("*.parquet") if words in str(pq.read_table(path).to_pylist())]
    return sorted({path.name for path in (*found, *tables)})


def test_a_text_is_gone_by_two_owners_and_everything_verifies_and_says_so(bench: Bench) -> None:
    result, other = bench.complete(), bench.complete(payload_with(id="CHG-2", summary="Another change"))
    assert words_in(bench.root, SUMMARY) == ["audit.jsonl", "day=2026-11-23.parquet"]
    heads = [entry.head for entry in AuditLog(log_of(result)).records()]
    erase(bench, result)
    assert words_in(bench.root, SUMMARY) == []
    assert [entry.head for entry in AuditLog(log_of(result)).records()] == heads
    assert AuditLog(log_of(result)).verify()
    assert bench.faults() == []
    verified = Verifier(bench.root).verify()
    (done,) = verified.erased
    assert (done.act.on["run_id"], done.act.on["text"], done.by) == (result.run_id, "summary", BOTH)
    assert Verifier(bench.root).verify([other.run_id]).erased == []


def test_what_is_left_can_be_read_and_shown(bench: Bench) -> None:
    result = bench.complete()
    erase(bench, result)
    state = read_state(result.run_id, AuditLog(log_of(result)).records(), bench.run.engine.root.blobs)
    assert (state.erased, state.change.summary, state.change.author) == ({"summary"}, ERASED, "maker")
    assert workpaper_document(state)["change"]["summary"] == ERASED
    assert handoff_document(state)["workpaper_digest"] == state.handoff["workpaper"]  # type: ignore[index]


@pytest.mark.parametrize(
    "text", ["evidence/approval", "where", "reason/ITGC-CM-01", "reason/maker_checker", "assertion/0/quote"]
)
def test_any_text_can_go(bench: Bench, text: str) -> None:
    claim = {"control": "ITGC-CM-03", "text": "Tested.", "evidence": "tests", "quote": "48 passed, 0 failed"}
    payload = payload_with(assertions=[claim])
    result = bench.execute(payload)
    bench.sign(result, "independent_review", "reviewer")
    result = bench.execute(payload)
    bench.sign(result, "maker_checker", "checker", reason="As ever.")
    result = bench.execute(payload)
    erase(bench, result, text)
    assert bench.faults() == []


def test_a_text_among_the_blobs_can_go(bench: Bench) -> None:
    payload = payload_with(summary="x" * 70_000)
    result = bench.complete(payload)
    erase(bench, result)
    assert words_in(bench.root, "x" * 1000) == []
    assert bench.faults() == []


def test_what_a_model_read_can_go(bench: Bench) -> None:
    forged = payload_with(
        assertions=[{"control": "ITGC-CM-01", "text": "x", "evidence": "approval", "quote": "never said at all"}]
    )
    with serving(Text(answer(AGREES))) as script:
        at = ModelBench(bench, script)
        run = at.run()
        result = run.execute(forged)
    assert result.status == "BLOCKED"
    for text in ("model/evidence", "model/redactions"):
        for by in BOTH:
            eraser = Eraser(run.engine.root, run.engine.current, clock=bench.clock)
            eraser.approve(known(run, result), text, Approver(by, "A court has ordered it.", KeyRing()))
    assert Verifier(at.root).verify().faults == []
    assert script_faults(at.root) == []


# --- what is not allowed


@pytest.mark.parametrize("where", ["log", "blob"])
def test_a_text_that_nobody_erased_is_a_fault_however_it_looks(bench: Bench, where: str) -> None:
    result = bench.complete(payload_with(summary="x" * (70_000 if where == "blob" else 20)))
    path = log_of(result)
    if where == "blob":
        (path,) = (bench.root / "blobs").iterdir()
        path.write_bytes(erased_line("summary", path.name))
    else:
        path.write_bytes(b"".join(_marked(line) for line in path.read_bytes().splitlines(keepends=True)))
    assert "text_erased" in bench.kinds()
    assert script_faults(bench.root) != []
    with pytest.raises(TamperedError, match="summary is gone, and no register line erased it"):
        list(AuditLog(log_of(result)).records())


def _marked(line: bytes) -> bytes:
    return erased_line("summary", digest_of(line)) if line.startswith(b'{"text":"summary"') else line


def test_an_open_run_does_not_go_on_from_a_mark(bench: Bench) -> None:
    result = bench.execute()
    bench.sign(result, "independent_review", "reviewer")
    path = log_of(result)
    path.write_bytes(b"".join(_marked(line) for line in path.read_bytes().splitlines(keepends=True)))
    (outcome,) = bench.advance()
    assert outcome.status == "FAILED"
    assert "no register line erased it" in str(outcome.reason)


def test_an_erasure_that_two_people_did_not_approve_is_a_fault(bench: Bench) -> None:
    result = bench.complete()
    approve(bench, result, "summary", BOTH[0])
    (waiting,) = bench.registered("retention_approved")
    bench.run.engine.register.append("erased", "countersign", **waiting["on"], by=["control-owner"])
    assert "erasure_void" in bench.kinds()


def test_a_text_that_is_still_there_is_a_fault_until_the_command_is_given_again(bench: Bench) -> None:
    result = bench.complete()
    before = log_of(result).read_bytes()
    erase(bench, result)
    log_of(result).write_bytes(before)
    assert "erasure_unfinished" in bench.kinds()
    # any owner finishes what a crash left: it is on record that two have approved it
    assert approve(bench, result, "summary", BOTH[0]).done
    assert bench.faults() == []
    assert len(bench.registered("erased")) == 1
    with pytest.raises(RetentionRefused, match="reviewer"):
        approve(bench, result, "summary", "reviewer")


REFUSED: dict[str, tuple[str, str, str]] = {
    "no_such_text": ("nothing", BOTH[0], "has no text 'nothing'; it has deployment"),
    "no_owner": ("summary", "reviewer", "reviewer"),
    "a_stranger": ("summary", "ghost", "'ghost' is not on the roster"),
}


@pytest.mark.parametrize(("text", "by", "why"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused_leaves_nothing(bench: Bench, text: str, by: str, why: str) -> None:
    result = bench.complete()
    before = bench.contents()
    with pytest.raises(RetentionRefused, match=why.replace("deployment", "evidence/approval")):
        approve(bench, result, text, by)
    assert bench.contents() == before


def test_an_open_run_keeps_its_words(bench: Bench) -> None:
    with pytest.raises(RetentionRefused, match="is not over yet"):
        approve(bench, bench.execute(), "summary", BOTH[0])


def test_a_run_that_another_one_supersedes_can_lose_its_words_too(bench: Bench) -> None:
    result = bench.execute()
    bench.execute(payload_with(summary="Raise the limit of invoices"))
    erase(bench, result)
    assert bench.faults() == []


def test_nothing_is_erased_from_a_log_that_does_not_verify(bench: Bench) -> None:
    result = bench.complete()
    log_of(result).write_bytes(log_of(result).read_bytes().replace(b"invoice", b"INVOICE"))
    with pytest.raises(RetentionRefused, match="does not verify: text_changed"):
        approve(bench, result, "summary", BOTH[0])


def test_the_same_owner_twice_is_one(bench: Bench) -> None:
    result = bench.complete()
    for _ in range(2):
        answer = approve(bench, result, "summary", BOTH[0])
        assert (answer.done, answer.by) == (False, ["control-owner"])
        assert answer.waits_for == "another of the roles control_owner, process_owner than control-owner"
    assert len(bench.registered("retention_approved")) == 1


def test_where_signatures_are_asked_for_both_sign(
    root: Path, policy: Policy, keys: Path, tmp_path: Path, clock: StepClock
) -> None:
    signed = signed_policy(policy, keys)
    folder = tmp_path / "owners"
    folder.mkdir()
    people = [
        person.model_copy(
            update={"keys": [SigningKey.model_validate(key_entry(make_key(folder / person.id), NAMESPACE))]}
        )
        if person.id in BOTH
        else person
        for person in signed.people
    ]
    bench = Bench(root, signed.model_copy(update={"people": people}), clock)
    result = bench.execute(payload_with(system="intranet"))
    with pytest.raises(RetentionRefused, match="'control-owner' cannot sign"):
        approve(bench, result, "summary", BOTH[0])
    for by, done in zip(BOTH, (False, True), strict=True):
        assert approve(bench, result, "summary", by, KeyRing(folder / by)).done is done
    (done_act,) = read_erasures(bench.run.engine.register).done
    assert all(approval.words is not None for approval, _ in done_act.approvals)
    assert bench.faults() == []


def test_a_run_without_all_its_words_is_not_performed_again(bench: Bench) -> None:
    result = bench.complete()
    erase(bench, result)
    performer = Reperformer(bench.root)
    (one,) = performer.perform(performer.run(result.run_id))
    assert one.why == "summary: erased by two people; the register says who and why"


def test_files_of_a_day_without_any_stay_without(bench: Bench) -> None:
    result = bench.execute(payload_with(system="intranet"))
    engine = bench.run.engine
    Views(EvidenceRoot(bench.root), engine.register, engine.index).make_anew(known(bench.run, result).day)
    assert not list(bench.root.glob("datasets/*/*.parquet"))
