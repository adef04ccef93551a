"""What crashes, erasures, adoptions and delegations leave lawfully, and neither verifier may refuse."""

import errno
import json
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from countersign.clocks.instant import stamp
from countersign.errors import SignOffRefused, UnadoptedError
from countersign.evidence.keyring import KeyRing
from countersign.policy import complete
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.intake import take_in_one
from countersign.runs.run import RunResult
from tests.conftest import POLICY, payload_with
from tests.domain.runs.attacked import Target
from tests.domain.runs.attacks.forging import OWNERS, erased, execute, in_force, people_with, read_lines, registered
from tests.domain.runs.conftest import log_of, policy_with
from tests.evidence_script import script_faults


def cut_register_to_the_opening(target: Target, run_id: str) -> None:
    """As a crash leaves it that came before the register was told of a head."""
    lines = (target.path / "register.jsonl").read_bytes().splitlines(keepends=True)
    opened = next(at for at, line in enumerate(lines) if b'"run_opened"' in line and run_id.encode() in line)
    (target.path / "register.jsonl").write_bytes(b"".join(lines[: opened + 1]))


def texts_lost(target: Target, payload: dict[str, Any]) -> RunResult:
    """A run whose first event lost its texts in a power cut, and which was recovered."""
    result = execute(target, payload)
    log_of(result).write_bytes(log_of(result).read_bytes().splitlines(keepends=True)[0])
    cut_register_to_the_opening(target, result.run_id)
    result = execute(target, payload)
    assert [line.name for line in read_lines(log_of(result))][:3] == ["ingested", "recovered", "ingested"]
    return result


def test_sign_offs_after_an_event_that_lost_its_texts_are_good(target: Target) -> None:
    payload = payload_with(system="torn")
    result = texts_lost(target, payload)
    bench = target.bench()
    bench.sign(result, "independent_review", "reviewer")
    assert target.found() == (set(), set())
    target.clock.move(days=9)
    result = target.bench().execute(payload)
    target.bench().sign(result, "maker_checker", "checker")
    assert target.bench().execute(payload).status == "COMPLETED"
    target.seal()
    assert target.found() == (set(), set())


def test_a_recovery_that_was_torn_itself_is_good(target: Target) -> None:
    payload = payload_with(system="torn-twice")
    result = execute(target, payload)
    lines = log_of(result).read_bytes().splitlines(keepends=True)
    gated = next(at for at, line in enumerate(lines) if b'"event":"gated"' in line)
    torn = b"".join(lines[:gated]) + lines[gated][:-30]
    log_of(result).write_bytes(torn)
    cut_register_to_the_opening(target, result.run_id)
    execute(target, payload)
    recovered = log_of(result).read_bytes()[len(torn) :].splitlines(keepends=True)[1]
    log_of(result).write_bytes(torn + b"\n" + recovered[:90])
    cut_register_to_the_opening(target, result.run_id)
    assert execute(target, payload).pending == "independent_review"
    target.seal()
    assert target.found() == (set(), set())


@pytest.mark.parametrize(
    "text", ["summary", "where", "evidence/approval", "reason/ITGC-CM-01", "statement/maker_checker"]
)
def test_an_erasure_by_two_owners_who_sign_is_good(target: Target, text: str) -> None:
    erased(target, text)
    assert target.found() == (set(), set())
    assert script_faults(target.path) == []
    target.seal()
    assert target.found() == (set(), set())


def test_a_process_that_began_before_an_adoption_opens_nothing_after_it(target: Target) -> None:
    """Not under a configuration that is in force no more; what it had opened it goes on with."""
    before = target.bench()
    begun = before.execute(payload_with(system="begun"))
    target.bench().adopt(policy_with(target.policy, version="newer"))
    with pytest.raises(UnadoptedError, match="is not adopted; in force is"):
        before.execute(payload_with(system="late"))
    assert before.execute(payload_with(system="begun")).run_id == begun.run_id
    assert target.found() == (set(), set())


def test_a_run_that_a_reading_opened_and_a_hand_went_on_with_is_good(target: Target) -> None:
    """A crash came before its log, and RUNBOOK says to hand the payload in again."""
    payload = payload_with(system="elsewhere")
    result = execute(target, payload)
    cut_register_to_the_opening(target, result.run_id)
    log_of(result).unlink()
    bench = target.bench()
    take_in_one(bench.run.engine, payload, source="by hand/files", where="payload.json", origin="submitted")
    said = {read_lines(log_of(result))[0].event["source"], registered(target, "run_opened", result.run_id)["source"]}
    assert len(said) == 2
    assert target.found() == (set(), set())


def test_an_erasure_stays_good_when_one_of_its_owners_has_left(target: Target) -> None:
    erased(target)
    people = target.policy.model_dump(mode="json")["people"]
    heir = {**next(one for one in people if one["id"] == "control-owner"), "keys": []}
    heir |= {"id": "new-owner", "name": "New Owner", "emails": ["new.owner@example.com"], "logins": []}
    left = [one for one in people if one["id"] != "control-owner"]
    target.bench().adopt(policy_with(target.policy, people=[*left, heir]))
    assert target.found() == (set(), set())


def test_a_consent_that_lost_its_words_in_a_power_cut_is_given_again(target: Target) -> None:
    """Its event stands in the register for ever, void by the recovery after it."""
    newer = complete(policy_with(target.policy, version="newer"), POLICY)

    def consent(owner: str) -> bool:
        desk = ConfigurationDesk(target.path, clock=target.clock)
        return desk.adopt(newer, owner, "A test needs it.", KeyRing(folder=target.keys)).in_force

    assert not consent(OWNERS[0])
    path = target.path / "register.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    target.bench().forget_index()
    target.seal()
    assert target.found() == (set(), set())
    assert [consent(owner) for owner in OWNERS] == [False, True]
    assert target.found() == (set(), set())


@pytest.mark.parametrize("name", ["$text", "$blob"])
@pytest.mark.parametrize("whole", [True, False], ids=["text", "item"])
def test_evidence_may_be_called_as_a_log_calls_its_texts(target: Target, name: str, whole: bool) -> None:
    text = "CHG-1001 approved for deployment to production."
    item = text if whole else {"kind": "approval", "text": text, "by": "authoriser", "at": "2026-11-20T09:00:00Z"}
    result = execute(target, payload_with(system="named", evidence={name: item}))
    assert read_lines(log_of(result))[0].name == "ingested"
    assert target.found() == (set(), set())


def test_a_log_that_could_not_be_begun_is_abandoned_before_a_seal(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, mkdir = target.bench(), Path.mkdir

    def full(path: Path, *arguments: Any, **named: Any) -> None:
        if path.name.startswith("change-"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        mkdir(path, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", full)
    result = bench.execute(payload_with(system="full"))
    assert (result.status, "No space left on device" in (result.reason or "")) == ("FAILED", True)
    monkeypatch.undo()
    bench.forget_index()
    target.seal()
    assert registered(target, "abandoned", result.run_id)
    assert target.found() == (set(), set())
    assert target.bench().execute(payload_with(system="full")).status == "AWAITING_APPROVAL"
    assert target.found() == (set(), set())


def test_an_adoption_by_two_owners_is_good_with_and_without_a_list_of_signers(target: Target) -> None:
    target.bench().adopt(policy_with(target.policy, version="newer"))
    assert target.found() == (set(), set())
    assert script_faults(target.path) == []


def test_the_consent_of_one_owner_changes_nothing_yet(target: Target) -> None:
    desk = ConfigurationDesk(target.path, clock=target.clock)
    newer = complete(policy_with(target.policy, version="newer"), POLICY)
    assert not desk.adopt(newer, OWNERS[0], "A test needs it.", KeyRing(folder=target.keys)).in_force
    assert target.found() == (set(), set())


def test_a_delegate_signs_while_the_delegation_lasts(target: Target) -> None:
    lent = [{"to": "second-reviewer", "from": "2026-11-01", "until": "2026-12-24"}]
    in_force(target, people_with(target, second_reviewer={"roles": []}, reviewer={"delegates": lent}))
    bench = target.bench()
    bench.sign(bench.execute(payload_with(system="lent")), "independent_review", "second-reviewer")
    assert target.found() == (set(), set())


def test_a_statement_that_was_taken_in_its_last_moment_is_good(target: Target) -> None:
    """Whatever the clock shows between judging and writing."""
    bench = target.bench()
    said = json.loads(bench.statement(bench.execute(payload_with(system="soon"))).content)
    now = target.clock.now
    for milliseconds in range(1, 30):
        target.clock.now = now
        said["expires_at"] = stamp(now + timedelta(milliseconds=milliseconds))
        with suppress(SignOffRefused):
            bench.submit(rfc8785.dumps(said))
            break
    assert 1 < milliseconds < 29
    assert target.found() == (set(), set())
