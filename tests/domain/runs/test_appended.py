"""What whoever may only append cannot do: make a sealed past untrue by further lines that follow the chain.

Every attack leaves each chain whole and every seal as it was; both verifiers find each, without a seal held elsewhere.
"""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.log import AuditLog
from countersign.evidence.signature import Signature, sign
from countersign.policy import Configuration, Policy, complete
from countersign.runs.run import RunResult
from tests.conftest import POLICY, payload_with
from tests.domain.runs.attacked import Target, copy_of, genuine_root, signers_of
from tests.domain.runs.conftest import chain, policy_with, read_lines
from tests.domain.runs.test_signed_sign_offs import with_key
from tests.keys import SIGNS, key_entry, make_key

NEW = payload_with(id="CHG-9", system="new")


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Target:
    return genuine_root(tmp_path_factory.mktemp("genuine"), policy)


@pytest.fixture
def target(genuine: Target, tmp_path: Path) -> Target:
    return copy_of(genuine, tmp_path)


def append(target: Target, event: str, **data: Any) -> None:
    """One more line of the register, as a writer would chain it."""
    ChainFile(target.path / "register.jsonl", clock=target.clock).append(event, "countersign", **data)


def told(target: Target, rundir: Path, head: str, status: str, event: str = "run_head") -> None:
    append(
        target, event, run_id=rundir.name, head=head, status=status, pending=None, reason=None, stages=[], clean=None
    )


def opened(target: Target, rundir: Path, **other: Any) -> dict[str, Any]:
    """What the register's line says that opened a run."""
    for line in read_lines(target.path / "register.jsonl"):
        if line.name == "run_opened" and line.event["run_id"] == rundir.name:
            own = ("prev", "seq", "ts", "event", "actor")
            return {name: value for name, value in line.event.items() if name not in own} | other
    raise AssertionError(rundir)


def deleted(target: Target) -> None:
    shutil.rmtree(target.blocked)
    told(target, target.blocked, ZERO, "FAILED")


def opened_again(target: Target) -> None:
    shutil.rmtree(target.blocked)
    append(target, "run_opened", **opened(target, target.blocked))


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
    append(target, "run_opened", **opened(target, target.blocked, run_id="change-ffffffffffffffff"))


def log_gone_that_was_there_at_the_seal(target: Target) -> None:
    """No head of it was registered yet, and it was not abandoned either."""
    ghost = {"run_id": f"change-{'e' * 16}", "digest": "e" * 64, "supersedes": target.blocked.name}
    append(target, "run_opened", **opened(target, target.blocked, **ghost))
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
    append(target, "findings_head", head=findings.head)
    findings.path.unlink()
    append(target, "findings_head", head=ZERO)


def extract_deleted(target: Target) -> None:
    (extract,) = (target.path / "extracts").iterdir()
    append(target, "extract", source="x", digest=extract.name, query="", name="x", rows=1, extractor="x")
    extract.unlink()


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
}


@pytest.mark.parametrize("attack", APPENDED)
def test_a_line_more_makes_no_sealed_past_untrue(target: Target, attack: str) -> None:
    change, kinds = APPENDED[attack]
    change(target)
    ours, script = target.found()
    assert kinds <= ours
    assert script


def rogue(target: Target) -> tuple[Configuration, Path]:
    """A roster that nobody adopted, in which a reviewer has the attacker's key, kept among the versions."""
    key = make_key(target.path.parent / "rogue")
    people = target.policy.model_dump(mode="json")["people"]
    for person in people:
        if person["id"] == "second-reviewer":
            person["keys"] = [key_entry(key, SIGNS["reviewer"])]
    configuration = complete(policy_with(target.policy, people=people), POLICY)
    for content in (*(one.canonical for one in configuration.documents.values()), configuration.canonical):
        target.root.keep_version(content)
    return configuration, key


def sign_off(target: Target, result: RunResult, key: Path, configuration: Configuration, by: str) -> None:
    """A review signed with any key under any configuration, written into log and register."""
    said = json.loads(target.bench().statement(result).content)
    said |= {"configuration": dict(configuration.named), "checker": by}
    content = rfc8785.dumps(said)
    signature = sign(content, key=key, namespace=SIGNS["reviewer"])
    run, register = said["runs"][0], said["register"]
    data = {
        "key": "independent_review",
        "role": said["role"],
        "decision": "approved",
        "request": run["request"],
        "log_head": run["log_head"],
        "register": register,
        "configuration": configuration.digest,
        "determinations": [],
        "signed": {
            "statement": digest_of(content),
            "by_key": Signature.parse(signature).key.fingerprint,
            "demo": False,
        },
    }
    words = {"statement/independent_review": content.decode(), "signature/independent_review": signature.decode()}
    head = AuditLog(result.rundir / "audit.jsonl", clock=target.clock).append_many(
        [Draft("signed_off", by, data, words)]
    )
    append(target, "signed_off", run_id=result.run_id, key="independent_review", decision="approved", head=head)
    for path in target.path.glob("index.sqlite*"):
        path.unlink()


def test_a_sign_off_under_a_roster_that_nobody_adopted_is_void(target: Target) -> None:
    configuration, key = rogue(target)
    result = target.bench().execute(NEW)
    sign_off(target, result, key, configuration, "second-reviewer")
    ours, script = target.found()
    assert "sign_off_void" in ours
    assert script


def test_no_run_is_concluded_on_a_roster_that_nobody_adopted(target: Target) -> None:
    configuration, key = rogue(target)
    bench = target.bench()
    sign_off(target, bench.execute(NEW), key, configuration, "second-reviewer")
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
    sign_off(target, result, target.keys / "second-reviewer", older, "second-reviewer")
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
    closed = [line for line in read_lines(target.path / "register.jsonl") if line.name == "run_closed"]
    said = next(line.event for line in closed if line.event["run_id"] == target.done.name)
    append(
        target,
        "run_closed",
        **{name: value for name, value in said.items() if name not in ("prev", "seq", "ts", "event", "actor")},
    )
    assert target.found() == (set(), set())
