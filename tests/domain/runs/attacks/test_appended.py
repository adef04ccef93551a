"""What whoever may only append cannot do: make a sealed past untrue by further lines that follow the chain.

Every attack leaves each chain whole and every seal as it was; both verifiers find each, without a seal held elsewhere.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from countersign.clocks.instant import stamp
from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import ZERO, Draft, encode
from countersign.evidence.log import AuditLog
from countersign.policy import complete
from tests.conftest import POLICY, payload_with
from tests.domain.runs.attacked import Target, signers_of
from tests.domain.runs.attacks.forging import (
    execute,
    kept,
    new_head,
    people_with,
    register,
    registered,
    signed_off,
)
from tests.domain.runs.conftest import chain, log_of, policy_with, read_lines
from tests.domain.runs.test_signed_sign_offs import with_key
from tests.keys import SIGNS, key_entry, make_key

NEW = payload_with(id="CHG-9", system="new")


def told(target: Target, rundir: Path, head: str, status: str, event: str = "run_head") -> None:
    register(
        target, event, run_id=rundir.name, head=head, status=status, pending=None, reason=None, stages=[], clean=None
    )


def deleted(target: Target) -> None:
    shutil.rmtree(target.blocked)
    told(target, target.blocked, ZERO, "FAILED")


def opened_again(target: Target) -> None:
    shutil.rmtree(target.blocked)
    register(target, "run_opened", **registered(target, "run_opened", target.blocked.name))


def rewritten(target: Target) -> None:
    lines = read_lines(target.blocked / "audit.jsonl")
    next(line for line in lines if line.name == "assessed").texts[0]["value"] = "forged"
    (target.blocked / "audit.jsonl").write_bytes(chain(lines, {}))
    told(target, target.blocked, AuditLog(target.blocked / "audit.jsonl").head, "BLOCKED", "run_closed")


def cut_back(target: Target) -> None:
    """The log is that of an older pause, which the register knew once and knows again."""
    before = read_lines(target.log)[:-1]
    target.log.write_bytes(chain(before, {}))
    told(target, target.done, AuditLog(target.log).head, "AWAITING_APPROVAL")


def other_id(target: Target) -> None:
    register(
        target,
        "run_opened",
        **registered(target, "run_opened", target.blocked.name) | {"run_id": "change-ffffffffffffffff"},
    )


def log_gone_that_was_there_at_the_seal(target: Target) -> None:
    """No head of it was registered yet, and it was not abandoned either."""
    ghost = {"run_id": f"change-{'e' * 16}", "digest": "e" * 64, "supersedes": target.blocked.name}
    register(target, "run_opened", **registered(target, "run_opened", target.blocked.name) | ghost)
    log = target.blocked.with_name(ghost["run_id"]) / "audit.jsonl"
    log.parent.mkdir()
    log.touch()
    target.seal()
    shutil.rmtree(log.parent)


def concluded_by_the_register_alone(target: Target) -> None:
    result = target.bench().execute(NEW)
    log = AuditLog(result.rundir / "audit.jsonl", clock=target.clock)
    head = log.append("failed", "countersign", step="gate", error="E")
    told(target, result.rundir, head, "COMPLETED", "run_closed")


def findings_forgotten(target: Target) -> None:
    findings = ChainFile(target.path / "findings.jsonl", clock=target.clock)
    findings.append("opened", "countersign")
    register(target, "findings_head", head=findings.head)
    findings.path.unlink()
    register(target, "findings_head", head=ZERO)


def extract_deleted(target: Target) -> None:
    (extract,) = (target.path / "extracts").iterdir()
    register(target, "extract", source="x", digest=extract.name, query="", name="x", rows=1, extractor="x")
    extract.unlink()


def asked_again(target: Target, **other: object) -> None:
    """The register hears of a head that it knows, and otherwise than the log has it: clocks go by what it says."""
    result = execute(target, NEW)
    target.seal()
    said = registered(target, "run_head", result.run_id)
    register(target, "run_head", **said | other)
    register(target, "run_head", **said)


def approval_pending(target: Target) -> None:
    asked_again(target, pending="maker_checker")


def asked_later(target: Target) -> None:
    asked_again(target, asked_at=stamp(target.clock.now + timedelta(days=2000)))


def noticed_never(target: Target) -> None:
    said = registered(target, "run_closed", target.blocked.name)
    assert said.pop("noticed")
    register(target, "run_closed", **said)


def signed_in_the_register_alone(target: Target) -> None:
    result = execute(target, NEW)
    head = registered(target, "run_head", result.run_id)["head"]
    register(target, "signed_off", run_id=result.run_id, key="independent_review", decision="approved", head=head)


def rejection_voided(target: Target) -> None:
    """The words of a rejection that was registered and sealed are cut off, and the event is declared void."""
    bench = target.bench()
    result = bench.execute(NEW)
    bench.sign(result, "independent_review", "reviewer", "rejected", "Not tested at all.")
    bench.forget_index()
    target.seal()
    log = log_of(result)
    (*_, last), content = read_lines(log), log.read_bytes()
    seq = last.event["seq"]
    ends = Draft("recovered", "countersign", {"damaged": None, "voids": [seq]})
    void = encode(ends, prev=str(last.head), seq=seq + 1, at=target.clock(), entropy=bytes)
    log.write_bytes(content[: content.index(b"\n", content.rindex(b'{"prev"')) + 1] + void.content)
    new_head(target, result.rundir, void.head, status="FAILED")


def rows_of_a_day_without_runs(target: Target) -> None:
    (genuine,) = (target.path / "datasets" / "workpaper").glob("*.parquet")
    forged = genuine.with_name("day=2026-11-21.parquet")
    shutil.copy(genuine, forged)
    register(target, "dataset", asset="workpaper", day="2026-11-21", digest=digest_of(forged.read_bytes()))


def row_deleted_that_was_published(target: Target) -> None:
    """The run's closing is said again after the forged file, as if the file could not have had its row."""
    (path,) = (target.path / "datasets" / "workpaper").glob("*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.filter(pc.not_equal(table["run_id"], target.done.name)), path)
    said = {"asset": "workpaper", "day": path.stem.removeprefix("day="), "digest": digest_of(path.read_bytes())}
    register(target, "dataset", **said)
    register(target, "run_closed", **registered(target, "run_closed", target.done.name))


APPENDED: dict[str, tuple[Callable[[Target], None], set[str]]] = {
    "run deleted, its head 64 zeros": (deleted, {"log_missing", "register_order"}),
    "run opened a second time": (opened_again, {"log_missing", "register_order"}),
    "log rewritten, closed again": (rewritten, {"head_differs", "register_order"}),
    "log cut back, its head registered again": (cut_back, {"head_differs", "register_order"}),
    "run under an id of no digest": (other_id, {"register_order"}),
    "log gone that was there at the seal": (log_gone_that_was_there_at_the_seal, {"log_missing"}),
    "failed run concluded": (concluded_by_the_register_alone, {"status_differs"}),
    "findings forgotten": (findings_forgotten, {"findings_missing"}),
    "extract deleted": (extract_deleted, {"file_missing"}),
    "another sign-off pending": (approval_pending, {"status_differs"}),
    "asked for later": (asked_later, {"status_differs"}),
    "block never noticed": (noticed_never, {"status_differs"}),
    "signed in the register alone": (signed_in_the_register_alone, {"status_differs"}),
    "registered rejection voided": (rejection_voided, {"head_differs"}),
    "rows of a day without runs": (rows_of_a_day_without_runs, {"row_stranger"}),
    "published row deleted": (row_deleted_that_was_published, {"row_missing"}),
}
# rows follow from what the script does not make again; `verify` makes them again
OURS_ALONE = {"rows of a day without runs", "published row deleted"}


@pytest.mark.parametrize("attack", APPENDED)
def test_a_line_more_makes_no_sealed_past_untrue(target: Target, attack: str) -> None:
    change, kinds = APPENDED[attack]
    change(target)
    ours, script = target.found()
    assert kinds <= ours
    assert script or attack in OURS_ALONE


def test_a_sign_off_under_a_roster_that_nobody_adopted_is_void(target: Target) -> None:
    key = make_key(target.path.parent / "rogue")
    entry = {"keys": [key_entry(key, SIGNS["reviewer"])]}
    configuration = kept(target, people_with(target, second_reviewer=entry))
    result = target.bench().execute(NEW)
    signed_off(target, result, key, configuration=configuration)
    ours, script = target.found()
    assert "sign_off_void" in ours
    assert script


def test_no_run_is_concluded_on_a_roster_that_nobody_adopted(target: Target) -> None:
    key = make_key(target.path.parent / "rogue")
    entry = {"keys": [key_entry(key, SIGNS["reviewer"])]}
    configuration = kept(target, people_with(target, second_reviewer=entry))
    bench = target.bench()
    signed_off(target, bench.execute(NEW), key, configuration=configuration)
    bench = target.bench()
    result = bench.execute(NEW)
    bench.sign(result, "maker_checker", "checker")
    done = bench.execute(NEW)
    assert (done.status, "configuration in force" in (done.reason or "")) == ("FAILED", True)


def test_who_was_taken_off_the_roster_signs_under_no_older_one(target: Target) -> None:
    older = complete(target.policy, POLICY)
    people = [one for one in target.policy.model_dump(mode="json")["people"] if one["id"] != "second-reviewer"]
    newer = policy_with(target.policy, people=people)
    target.bench().adopt(newer)
    target.policy = newer
    target.clock.move(hours=30)
    result = target.bench().execute(NEW)
    signed_off(target, result, target.keys / "second-reviewer", configuration=older)
    ours, script = target.found()
    assert "sign_off_void" in ours
    assert script


def test_a_revoked_key_signs_nothing_by_going_back_in_time(target: Target) -> None:
    """The writer does not go back, and a line that was made to is found, whatever was sealed after it."""
    stolen = target.clock()
    target.clock.move(hours=1)
    entry = key_entry(target.keys / "reviewer", SIGNS["reviewer"], valid_before=stolen.isoformat())
    newer = with_key(target.policy, "reviewer", entry)
    target.bench().adopt(newer)
    target.signers.write_bytes(signers_of(target.key, newer))
    target.policy = newer
    target.seal()
    register = target.path / "register.jsonl"
    sealed_at, lines = read_lines(register)[-1].event["ts"], len(read_lines(register))
    target.clock.now = stolen - timedelta(minutes=30)
    target.bench().execute(NEW)
    assert {line.event["ts"] for line in read_lines(register)[lines:]} == {sealed_at}
    assert target.found() == (set(), set())
    forged = read_lines(register)
    forged[-1].event["ts"] = "2026-01-01T00:00:00.000000Z"
    register.write_bytes(chain(forged, {}))
    ours, script = target.found()
    assert "register" in ours
    assert script


def test_two_processes_that_end_a_run_together_both_say_so_and_that_is_no_fault(target: Target) -> None:
    register(target, "run_closed", **registered(target, "run_closed", target.done.name))
    assert target.found() == (set(), set())
