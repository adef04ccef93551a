"""What `verify_evidence.py` finds beyond the attack table, by the rule that is broken.

The attacker may write to all of the root, and has the seal's key or an owner's where the name of an attack says so;
every chain fits. An attack that `verify` finds too is asked of both.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of, keep_by_digest
from countersign.evidence.lines import ZERO, Draft, encode
from countersign.evidence.log import AuditLog
from countersign.evidence.seal import seal_path, signature_path
from countersign.evidence.signature import sign
from countersign.evidence.signers import SEAL
from countersign.policy import complete
from countersign.runs.consent import NAMESPACE
from countersign.runs.run import RunResult
from tests.conftest import POLICY, StepClock, payload_with
from tests.domain.runs.attacked import Target
from tests.domain.runs.attacks.forging import (
    OWNERS,
    consented,
    erased,
    execute,
    in_force,
    kept,
    new_head,
    people_with,
    read_lines,
    rechained,
    register,
    registered,
    rewritten,
    signed_off,
)
from tests.domain.runs.conftest import Line, chain, log_of, policy_with
from tests.domain.runs.test_verification import UNGROUNDED
from tests.evidence_script import script_faults
from tests.keys import SIGNS, key_entry, make_key

# --- 1. the heads that were ever registered


def deleted_and_registered_with_zeros(target: Target) -> None:
    rundir = execute(target, payload_with(system="gone")).rundir
    log = rundir / "audit.jsonl"
    log.unlink()
    new_head(target, rundir, ZERO, "FAILED")


def tail_cut_and_the_older_head_registered(target: Target) -> None:
    rundir = target.reviewed()
    lines = read_lines(rundir / "audit.jsonl")
    asked = next(at for at, line in enumerate(lines) if line.name == "sign_off_requested")
    (rundir / "audit.jsonl").write_bytes(chain(lines[: asked + 1], {}))
    new_head(target, rundir, str(lines[asked].head))


def rewritten_and_the_new_head_registered(target: Target) -> None:
    rundir = execute(target, payload_with(system="other-words")).rundir
    lines = read_lines(rundir / "audit.jsonl")
    next(line for line in lines if line.name == "assessed").texts[0]["value"] = "approved by the board"
    rewritten(target, rundir, lines)


def closed_run_gone_on_with(target: Target) -> None:
    new_head(target, target.done, str(read_lines(target.log)[-2].head), "AWAITING_APPROVAL", clean=True)


def opened_twice(target: Target) -> None:
    register(target, "run_opened", **registered(target, "run_opened", target.blocked.name))


def opened_under_an_id_of_its_own(target: Target) -> None:
    said = registered(target, "run_opened", target.blocked.name)
    register(target, "run_opened", **said | {"run_id": "change-0123456789abcdef"})


def open_run_said_to_be_completed(target: Target) -> None:
    rundir = execute(target, payload_with(system="open")).rundir
    new_head(target, rundir, str(read_lines(rundir / "audit.jsonl")[-1].head), "COMPLETED")


def failed_run_said_to_be_completed(target: Target) -> None:
    rundir = execute(target, payload_with(system="failing")).rundir
    log = AuditLog(rundir / "audit.jsonl", clock=target.clock)
    said: dict[str, Any] = {"run_id": rundir.name, "status": "COMPLETED", "pending": None, "reason": None, "stages": []}
    register(target, "run_closed", **said, head=log.append("failed", "countersign", step="gate", error="Error"))


# --- 2. the configuration in force


def by_a_roster_that_nobody_adopted(target: Target) -> None:
    key = make_key(target.path.parent / "rogue")
    rogue = kept(target, people_with(target, second_reviewer={"keys": [key_entry(key, SIGNS["reviewer"])]}))
    signed_off(target, execute(target, payload_with(system="rogue")), key, configuration=rogue)


def by_a_roster_that_was_given_up(target: Target) -> None:
    old = complete(target.policy, POLICY)
    in_force(target, people_with(target, second_reviewer={"roles": []}))
    result = execute(target, payload_with(system="left"))
    signed_off(target, result, target.keys / "second-reviewer", configuration=old)


def run_under_a_configuration_that_was_given_up(target: Target) -> None:
    old = complete(target.policy, POLICY)
    in_force(target, policy_with(target.policy, version="newer"))
    forger = target.forger(execute(target, payload_with(system="old")).rundir)
    forger.line("ingested").event["configuration"] = dict(old.named)
    for line in forger.of_run("run_opened"):
        line.event["configuration"] = old.digest
    forger.write()


def adopted_by(*owners: str, namespace: str = NAMESPACE, key: str | None = None) -> Callable[[Target], None]:
    """An adoption that these people consented to, as far as they could."""

    def attack(target: Target) -> None:
        optional = {**target.policy.model_dump(mode="json")["sign_off"], "signature": "optional"}
        new, old = kept(target, policy_with(target.policy, sign_off=optional)), complete(target.policy, POLICY)
        for by in owners:
            consented(target, new, by, target.keys / (key or by), namespace)
        said = {"configuration": new.digest, "manifest": new.manifest, "previous": old.digest}
        register(target, "configuration_adopted", **said)

    return attack


def second_genesis(target: Target) -> None:
    new = kept(target, policy_with(target.policy, version="another"))
    register(target, "root_opened", configuration=new.digest, manifest=new.manifest)


# --- 3. time


def backdated(target: Target, path: Path, event: str, **said: Any) -> str:
    """A line of three days ago at the end of a chain, which no writer of ours would write; returns its head."""
    tail, at = ChainFile(path).tail(), target.clock.now - timedelta(days=3)
    line = encode(Draft(event, "countersign", said), prev=tail.head, seq=tail.seq + 1, at=at, entropy=bytes)
    with path.open("ab") as file:
        file.write(line.content)
    return line.head


def register_gone_back(target: Target) -> None:
    said = {"source": "x", "where": "y", "change_id": None, "reason": "r", "record": "0" * 64}
    backdated(target, target.path / "register.jsonl", "refused", **said)


def log_gone_back(target: Target) -> None:
    result = execute(target, payload_with(system="back"))
    new_head(target, result.rundir, backdated(target, log_of(result), "noticed", to=[]))


def findings_gone_back(target: Target) -> None:
    findings = ChainFile(target.path / "findings.jsonl", clock=target.clock)
    findings.append("opened", "countersign", what="one")
    register(target, "findings_head", size=0, head=backdated(target, findings.path, "opened", what="two"))


def an_instant_of_another_form(target: Target) -> None:
    forger = target.forger(execute(target, payload_with(system="form")).rundir)
    forger.line("gated").event["ts"] = "2026-11-23 14:00"
    forger.write()


# --- 4. a person's place on the roster, as of when the register saw it


def signed_late(**entry: Any) -> Callable[[Target], None]:
    """By somebody whose time is up when the register sees it; the log says that it was days before."""

    def attack(target: Target) -> None:
        in_force(target, people_with(target, **entry))
        result = execute(target, payload_with(system="late"))
        before = StepClock(target.clock.now + timedelta(seconds=1))
        signed_off(target, result, target.keys / "second-reviewer", later=timedelta(days=2), at=before)

    return attack


# --- 5. erasures


def erased_by_a_line_alone(target: Target) -> None:
    content = next((target.path / "datasets" / "workpaper").iterdir())
    register(target, "erased", run_id=target.blocked.name, text="x", by=[*OWNERS], digests=[digest_of(b"")])
    assert content.is_file()


def erased_to_hide_a_file(target: Target) -> None:
    (path,) = (target.path / "datasets" / "workpaper").glob("*.parquet")
    digest = digest_of(path.read_bytes())
    path.write_bytes(b"something else")
    register(target, "erased", run_id=target.blocked.name, text="x", by=[*OWNERS], digests=[digest])


def erased_by_one(target: Target) -> None:
    erased(target, owners=OWNERS[:1])
    said = registered(target, "retention_approved")
    register(target, "erased", **said["on"], by=[*OWNERS])


def lines_of_an_erased_run(target: Target) -> tuple[RunResult, list[Line]]:
    result = erased(target)
    return result, read_lines(log_of(result))


def erased_then_signed_by_the_maker(target: Target) -> None:
    """All of the run's own events are written anew, and the register's too: only what the log says is against it."""
    result, lines = lines_of_an_erased_run(target)
    for line in lines:
        if line.name == "signed_off":
            line.event["actor"] = "maker"
    forge_all(target, result, lines)


def erased_then_taken_off_its_signatures(target: Target) -> None:
    result, lines = lines_of_an_erased_run(target)
    for line in lines:
        if line.name == "signed_off":
            line.event.pop("signed")
            line.texts = [text for text in line.texts if not text["text"].startswith(("statement", "signature"))]
    forge_all(target, result, lines)


def erased_then_words_in_its_mark(target: Target) -> None:
    result, lines = lines_of_an_erased_run(target)
    for text in next(line for line in lines if line.name == "ingested").texts:
        if "erased" in text:
            text["value"] = "Whatever one likes"
    forge_all(target, result, lines)


def erased_then_another_conclusion(target: Target) -> None:
    result, lines = lines_of_an_erased_run(target)
    next(line for line in lines if line.name == "workpaper").event["clean"] = False
    forge_all(target, result, lines)


def forge_all(target: Target, result: RunResult, lines: list[Line]) -> None:
    """Write a log with marks anew, and the register so that every head that it names is one of it, in order."""
    content = rechained(lines)
    log_of(result).write_bytes(content)
    new = [digest_of(line) for line in content.splitlines(keepends=True) if line.startswith(b'{"prev"')]
    heads = {str(line.head): head for line, head in zip(lines, new, strict=True)}
    path = target.path / "register.jsonl"
    path.write_bytes(chain(read_lines(path), heads))


# --- 6. order, and what was signed


def assessed_again(target: Target) -> None:
    rundir = execute(target, payload_with(system="again")).rundir
    forger = target.forger(rundir)
    (assessed,) = (line for line in forger.log if line.name == "assessed")
    forger.log.insert(forger.log.index(forger.line("gated")), Line(dict(assessed.event), list(assessed.texts)))
    forger.write()


def step_in_another_words(target: Target) -> None:
    """An event of a name that reads like several steps."""
    rundir = execute(target, payload_with(system="several")).rundir
    log = AuditLog(rundir / "audit.jsonl", clock=target.clock)
    new_head(target, rundir, log.append("signed_off/approved", "countersign"))


def asked_again(target: Target) -> None:
    forger = target.forger(execute(target, payload_with(system="asked")).rundir)
    asked = forger.line("sign_off_requested")
    forger.log.append(Line(dict(asked.event), [], "f" * 64))
    next(forger.of_run("run_head")).event["head"] = "f" * 64
    forger.write()


def signed_about(**changes: Any) -> Callable[[Target], None]:
    """By somebody who may, with their own key, about a run that is not quite this one."""

    def attack(target: Target) -> None:
        result = execute(target, payload_with(system="about"))
        signed_off(target, result, target.keys / "second-reviewer", **changes)

    return attack


# --- 7. makers


def deployed_by_who_signs(target: Target) -> None:
    payload = payload_with(system="deployed", deployed_by="pipeline:billing")
    payload["evidence"]["deployment"]["by"] = "second-reviewer"
    signed_off(target, execute(target, payload), target.keys / "second-reviewer")


# --- 8. files


def month_file_changed(target: Target) -> None:
    path = target.path / "datasets/clean_population_sample/month=2026-10/population.txt"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(b"other")
    path.chmod(0o600)
    files = {str(path.relative_to(target.path)): digest_of(b"what it was")}
    register(target, "population_frozen", month="2026-10", files=files)


def extract_deleted(target: Target) -> None:
    digest = keep_by_digest(target.root.extracts, b"raw")
    data = {"source": "x", "extractor": "y", "query": "z", "digest": digest, "bytes": 3, "rows": 1}
    register(target, "extract", **data)
    (target.root.extracts / digest).unlink()


def part_deleted(name: str) -> Callable[[Target], None]:
    def attack(target: Target) -> None:
        manifest = complete(target.policy, POLICY).manifest
        (target.path / "policies" / f"{manifest[name]}.json").unlink()

    return attack


def findings_cut_and_registered(target: Target) -> None:
    findings = ChainFile(target.path / "findings.jsonl", clock=target.clock)
    first = findings.append("opened", "countersign", what="one")
    second = findings.append("opened", "countersign", what="two")
    for head in (first, second, first):
        register(target, "findings_head", size=0, head=head)
    lines = findings.path.read_bytes().splitlines(keepends=True)
    findings.path.write_bytes(lines[0])


def findings_deleted_and_zeros_registered(target: Target) -> None:
    findings = ChainFile(target.path / "findings.jsonl", clock=target.clock)
    register(target, "findings_head", size=0, head=findings.append("opened", "countersign", what="one"))
    register(target, "findings_head", size=0, head=ZERO)
    findings.path.unlink()


def link_to(name: str) -> Callable[[Target], None]:
    """A file, or a folder, of the root lies elsewhere."""

    def attack(target: Target) -> None:
        path, elsewhere = target.path / name, target.path.parent / "elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)

    return attack


def blocked_run_out_of_scope(target: Target) -> None:
    rundir = execute(target, UNGROUNDED | {"system": "scope"}).rundir
    forger = target.forger(rundir)
    first, last = forger.log[0], forger.log[-1]
    own = {name: last.event[name] for name in ("prev", "seq", "ts")}
    forger.log = [first, Line({**own, "event": "out_of_scope", "actor": "countersign"}, [], last.head)]
    for line in forger.of_run("run_closed"):
        line.event["status"] = "OUT_OF_SCOPE"
    forger.write()


# --- 9. seals, by whoever has their key


def forged_seal(number: int = 3, **changes: Any) -> Callable[[Target], None]:
    """A third seal, signed with the genuine key and known to the register, that says something else."""

    def attack(target: Target) -> None:
        execute(target, payload_with(system="sealed"))
        path = target.seal()
        said = json.loads(path.read_bytes())
        said |= {name: value for name, value in changes.items() if name in said} | {"number": number}
        said["register"] |= {name: value for name, value in changes.items() if name in said["register"]}
        content = rfc8785.dumps(said)
        for old in (path, signature_path(target.root, 3)):
            old.unlink()
        seal_path(target.root, number).write_bytes(content)
        signature = sign(content, key=target.key, namespace=SEAL)
        signature_path(target.root, number).write_bytes(signature)
        for new in (seal_path(target.root, number), signature_path(target.root, number)):
            new.chmod(0o600)
        lines = read_lines(target.path / "register.jsonl")
        lines[-1].event |= {"number": number, "seal": digest_of(content), "signature": digest_of(signature)}
        lines[-1].event |= {name: value for name, value in changes.items() if name == "finished"}
        (target.path / "register.jsonl").write_bytes(chain(lines, {}))

    return attack


ATTACKS: dict[str, tuple[Callable[[Target], Any], str]] = {
    "log deleted, zeros registered": (deleted_and_registered_with_zeros, "log_missing"),
    "tail cut, older head registered": (tail_cut_and_the_older_head_registered, "head_differs"),
    "log rewritten, new head registered": (rewritten_and_the_new_head_registered, "head_differs"),
    "closed run gone on with": (closed_run_gone_on_with, "register_order"),
    "run opened twice": (opened_twice, "register_order"),
    "id of another digest": (opened_under_an_id_of_its_own, "digest_differs"),
    "open run said to be completed": (open_run_said_to_be_completed, "status_differs"),
    "failed run said to be completed": (failed_run_said_to_be_completed, "status_differs"),
    "sign-off by a roster that nobody adopted": (by_a_roster_that_nobody_adopted, "sign_off_void"),
    "sign-off by a roster that was given up": (by_a_roster_that_was_given_up, "sign_off_void"),
    "run under what was given up": (run_under_a_configuration_that_was_given_up, "configuration_not_in_force"),
    "adopted by nobody": (adopted_by(), "adoption_void"),
    "adopted by one owner": (adopted_by("control-owner"), "adoption_void"),
    "adopted by one owner twice": (adopted_by("control-owner", "control-owner"), "adoption_void"),
    "adopted by one who is no owner": (adopted_by("control-owner", "reviewer"), "adoption_void"),
    "adopted in another namespace": (adopted_by(*OWNERS, namespace="retention@countersign"), "adoption_void"),
    "adopted with another key": (adopted_by(*OWNERS, key="reviewer"), "adoption_void"),
    "second genesis": (second_genesis, "adoption_void"),
    "register gone back in time": (register_gone_back, "time_back"),
    "log gone back in time": (log_gone_back, "time_back"),
    "findings gone back in time": (findings_gone_back, "time_back"),
    "instant of another form": (an_instant_of_another_form, "time_back"),
    "seal of an earlier day": (forged_seal(at="2026-03-01T12:00:00.000000Z", finished=True), "seal_time"),
    "signed after leaving": (signed_late(second_reviewer={"valid_until": "2026-11-24"}), "sign_off_void"),
    "signed after a delegation": (
        signed_late(
            second_reviewer={"roles": []},
            reviewer={"delegates": [{"to": "second-reviewer", "from": "2026-11-01", "until": "2026-11-24"}]},
        ),
        "sign_off_void",
    ),
    "erased by a line alone": (erased_by_a_line_alone, "erasure_void"),
    "file hidden by an erasure": (erased_to_hide_a_file, "content_differs"),
    "erased by one owner": (erased_by_one, "erasure_void"),
    "erased, then signed by the maker": (erased_then_signed_by_the_maker, "sign_off_void"),
    "erased, then without signatures": (erased_then_taken_off_its_signatures, "sign_off_unsigned"),
    "erased, then words in its mark": (erased_then_words_in_its_mark, "unreadable"),
    "erased, then another conclusion": (erased_then_another_conclusion, "workpaper_differs"),
    "assessed again": (assessed_again, "inconsistent"),
    "asked again": (asked_again, "inconsistent"),
    "step in another's words": (step_in_another_words, "inconsistent"),
    "signed about other assertions": (signed_about(assertions="0" * 64), "sign_off_statement"),
    "signed about another gate": (signed_about(gate="0" * 64), "sign_off_statement"),
    "signed about another request": (signed_about(requested_at="2026-11-23T14:00:00.000000Z"), "sign_off_statement"),
    "signed by who deployed it": (deployed_by_who_signs, "sign_off_void"),
    "month's file changed": (month_file_changed, "content_differs"),
    "registered extract deleted": (extract_deleted, "content_differs"),
    "calendar deleted": (part_deleted("calendar"), "content_differs"),
    "catalogue deleted": (part_deleted("catalogue"), "content_differs"),
    "findings cut, older head registered": (findings_cut_and_registered, "findings_cut"),
    "findings deleted, zeros registered": (findings_deleted_and_zeros_registered, "findings_cut"),
    "register is a link": (link_to("register.jsonl"), "symlink"),
    "folder is a link": (link_to("extracts"), "symlink"),
    "blocked run said to be out of scope": (blocked_run_out_of_scope, "inconsistent"),
    "seal left out": (forged_seal(number=4), "seal_missing"),
    "seal of another root": (forged_seal(environment="e" * 64), "seal_environment"),
    "seal with another Merkle root": (forged_seal(root="0" * 64), "seal_root"),
    "seal of fewer lines": (forged_seal(lines=20), "seal_root"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_found_by_name(target: Target, attack: str) -> None:
    change, name = ATTACKS[attack]
    change(target)
    verified, script = target.found()
    assert name in script
    assert verified


@pytest.mark.parametrize("attack", ["adopted with another key", "sign-off by a roster that nobody adopted"])
def test_without_a_list_of_signers_the_roster_in_force_is_asked(target: Target, attack: str) -> None:
    change, name = ATTACKS[attack]
    change(target)
    assert name in {found for found, _, _ in script_faults(target.path)}
