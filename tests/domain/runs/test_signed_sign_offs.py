"""Sign-offs signed by keys of the roster: taken, kept verbatim, judged again; and every way in which one is void."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from countersign.errors import AdoptionRefused, PolicyError, SignOffRefused
from countersign.evidence.keyring import KeyRing
from countersign.evidence.signature import sign
from countersign.policy import Policy, complete
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.consent import NAMESPACE
from countersign.runs.receipts import Submission
from countersign.runs.run import record_approval
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.state import Status
from countersign.runs.statement import parse_statement
from countersign.runs.workpaper import workpaper_document
from tests.conftest import POLICY, StepClock, payload_with
from tests.domain.runs.conftest import SIGNERS, Forger, SignedBench, log_of, policy_with
from tests.keys import SIGNS, SecurityKey, key_entry, make_key, signed_policy

REVIEW, APPROVAL = "independent_review", "maker_checker"


@pytest.fixture
def bench(root: Path, policy: Policy, clock: StepClock, keys: Path, monkeypatch: pytest.MonkeyPatch) -> SignedBench:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    return SignedBench(root, signed_policy(policy, keys), clock, keys)


def with_key(policy: Policy, person: str, *entries: dict[str, Any]) -> Policy:
    """A policy in which one person has these keys and no others."""
    people = [
        {**one, "keys": list(entries)} if one["id"] == person else one
        for one in policy.model_dump(mode="json")["people"]
    ]
    return policy_with(policy, people=people)


# Taken and kept


def test_what_was_signed_is_kept_verbatim_and_verifies(bench: SignedBench) -> None:
    done = bench.complete()
    assert done.status is Status.COMPLETED
    assert bench.faults() == []
    assert done.state is not None
    for key, signer in SIGNERS:
        signed = next(one for one in done.state.sign_offs.values() if one.key == key)
        assert signed.statement is not None
        assert signed.signature is not None
        said = json.loads(signed.statement)
        assert rfc8785.dumps(said) == signed.statement.encode()
        assert (said["checker"], said["runs"][0]["maker"], said["decision"]) == (signer, "maker", "approved")
        assert said["runs"][0]["log_head"] == signed.log_head
        assert said["configuration"]["roster"] == bench.run.engine.current.configuration.manifest["roster"]
    for row in workpaper_document(done.state)["sign_offs"]:
        assert row["signed_by_key"].startswith("SHA256:")


def test_a_statement_signed_by_stock_ssh_keygen_elsewhere_is_taken_once(bench: SignedBench) -> None:
    result = bench.execute()
    content = bench.statement(result).content
    (receipt,) = bench.submit(content)
    (again,) = bench.submit(content)
    assert (receipt.repeated, again.repeated, receipt.by) == (False, True, "reviewer")
    assert bench.execute().pending == APPROVAL


def test_one_signature_for_many_clean_changes(bench: SignedBench) -> None:
    payloads = [payload_with(system=f"system-{number}") for number in range(5)]
    results = [bench.execute(payload) for payload in payloads]
    receipts = bench.submit(bench.statement(*results).content)
    assert [receipt.run_id for receipt in receipts] == [result.run_id for result in results]
    assert {bench.execute(payload).pending for payload in payloads} == {APPROVAL}
    assert bench.faults() == []


def test_python_asks_the_configured_key_and_refuses_without(
    bench: SignedBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = bench.execute()
    for name in ("COUNTERSIGN_KEY", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COUNTERSIGN_KEYS", str(tmp_path / "nothing"))
    more: dict[str, Any] = {"policy": bench.policy, "clock": bench.clock}
    with pytest.raises(SignOffRefused, match=r"no private key for SHA256:.*COUNTERSIGN_KEY.*`countersign sign-off"):
        record_approval(result.rundir, REVIEW, "reviewer", **more)
    with pytest.raises(SignOffRefused, match="does not stand"):
        record_approval(result.rundir, REVIEW, "reviewer", signing_key=bench.keys / "checker", **more)
    monkeypatch.setenv("COUNTERSIGN_KEYS", str(bench.keys))
    assert record_approval(result.rundir, REVIEW, "reviewer", **more).repeated is False


def test_an_unsigned_sign_off_is_taken_where_the_policy_of_the_run_lets_it_and_the_workpaper_says_so(
    bench: SignedBench,
) -> None:
    optional = bench.policy.sign_off.model_dump() | {"signature": "optional"}
    bench.adopt(policy_with(bench.policy, sign_off=optional))
    bench.desk = SignOffDesk(bench.run.engine)
    done = bench.complete()
    assert done.state is not None
    document = workpaper_document(done.state)
    assert {row["signed_by_key"] for row in document["sign_offs"]} == {"unsigned sign-off"}
    assert bench.faults() == []


def test_the_level_is_that_of_the_runs_opening(bench: SignedBench) -> None:
    result = bench.execute()
    optional = bench.policy.sign_off.model_dump() | {"signature": "optional"}
    bench.adopt(policy_with(bench.policy, sign_off=optional))
    with pytest.raises(SignOffRefused, match="cannot sign"):
        SignOffDesk(bench.run.engine).record(result.rundir, REVIEW, "reviewer")


# One statement of which some runs cannot be taken


def handed_in(bench: SignedBench, content: bytes) -> Submission:
    return bench.desk.submit(content, sign(content, key=bench.keys / "reviewer", namespace=SIGNS["reviewer"]))


def test_a_run_that_cannot_be_taken_stops_none_of_the_others(bench: SignedBench) -> None:
    payloads = [payload_with(system=name) for name in ("one", "two", "three")]
    results = [bench.execute(payload) for payload in payloads]
    first, second, third = (result.run_id for result in results)
    content = bench.statement(*results).content
    bench.sign(results[1], REVIEW, "second-reviewer")
    for repeated in (False, True):  # as often as it is handed in
        said = handed_in(bench, content)
        assert [(one.run_id, one.repeated) for one in said.taken] == [(first, repeated), (third, repeated)]
        assert [one.run_id for one in said.refused] == [second]
        assert "independent_review is not pending" in said.refused[0].reason
        assert bench.registered("sign_off_refused")[-1]["run_id"] == second
    with pytest.raises(SignOffRefused, match=f"{second}: independent_review is not pending"):
        said.require_whole()
    assert {bench.execute(payload).pending for payload in payloads} == {APPROVAL}
    assert bench.faults() == []


def test_a_run_that_nobody_knows_and_one_without_its_log_are_refused_by_themselves(bench: SignedBench) -> None:
    good, lost = bench.execute(payload_with(system="one")), bench.execute(payload_with(system="two"))
    said = json.loads(bench.statement(lost, good).content)
    said["runs"].insert(0, {**said["runs"][0], "run_id": "change-0000000000000000"})
    log_of(lost).unlink()
    answer = handed_in(bench, rfc8785.dumps(said))
    assert [one.run_id for one in answer.taken] == [good.run_id]
    unknown, without = answer.refused
    assert (unknown.run_id, without.run_id) == ("change-0000000000000000", lost.run_id)
    assert "no such run" in unknown.reason
    assert "no such run" in without.reason


@pytest.mark.parametrize(("fails", "taken"), [("its log", [0, 2]), ("the register", [0])])
def test_a_disk_error_of_one_log_stops_only_that_run_and_one_of_the_register_all_that_follow(
    bench: SignedBench, monkeypatch: pytest.MonkeyPatch, fails: str, taken: list[int]
) -> None:
    results = [bench.execute(payload_with(system=name)) for name in ("one", "two", "three")]
    run_ids = [result.run_id for result in results]
    content = bench.statement(*results).content
    real, second, synced = os.fsync, log_of(results[1]).stat().st_ino, list[int]()

    def fsync(handle: int) -> None:
        inode = os.fstat(handle).st_ino
        synced.append(inode)
        if second in synced and inode == (second if fails == "its log" else bench.register.stat().st_ino):
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    said = handed_in(bench, content)
    assert [run_ids.index(one.run_id) for one in said.taken] == taken
    assert [run_ids.index(one.run_id) for one in said.refused] == [at for at in range(3) if at not in taken]
    assert all(f"{fails} cannot be written" in one.reason for one in said.refused)


def test_under_another_configuration_every_run_is_named_and_what_was_taken_stays_taken(bench: SignedBench) -> None:
    first, second = (bench.execute(payload_with(system=name)) for name in ("one", "two"))
    taken, both = bench.statement(first).content, bench.statement(first, second).content
    handed_in(bench, taken)
    bench.adopt(policy_with(bench.policy, version="changed"))
    refused = handed_in(bench, both).refused
    assert [one.run_id for one in refused] == [first.run_id, second.run_id]
    assert all("another configuration is in force" in one.reason for one in refused)
    assert [one.repeated for one in handed_in(bench, taken).taken] == [True]


def test_a_repeated_sign_off_has_its_own_head_and_says_whether_the_run_has_still_to_go_on(bench: SignedBench) -> None:
    result = bench.execute()
    content = bench.statement(result).content
    (first,) = handed_in(bench, content).taken
    assert first.waits
    (again,) = handed_in(bench, content).taken
    assert (again.log_head, again.waits) == (first.log_head, True)
    bench.complete()
    (after,) = handed_in(bench, content).taken
    assert (after.log_head, after.waits) == (first.log_head, False)
    by_hand = bench.sign(result, APPROVAL, "checker")
    assert (by_hand.repeated, by_hand.waits) == (True, False)
    assert by_hand.log_head == bench.registered("signed_off")[-1]["head"]


# Refused when it is handed in


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        said = json.loads(content)
        change(said)
        return rfc8785.dumps(said)

    return edit


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another_root": (edited(lambda said: said.update(environment="0" * 64)), "about another evidence root"),
    "another_configuration": (
        edited(lambda said: said["configuration"].update(policy="0" * 64)), "another configuration is in force",
    ),
    "another_head": (edited(lambda said: said["runs"][0].update(log_head="0" * 64)), "has gone on since it was asked"),
    "another_gate": (edited(lambda said: said["runs"][0].update(gate="0" * 64)), "has gone on since it was asked"),
    "another_nonce": (edited(lambda said: said["runs"][0].update(request="0" * 64)), "has gone on since it was asked"),
    "another_maker": (edited(lambda said: said["runs"][0].update(maker="nobody")), "has gone on since it was asked"),
    "another_register": (edited(lambda said: said["register"].update(head="0" * 64)), "never had the head"),
    "another_key": (edited(lambda said: said.update(key=APPROVAL)), "is given in the role approver"),
    "another_key_and_role": (edited(lambda said: said.update(key=APPROVAL, role="approver")), "does not stand"),
    "another_role": (edited(lambda said: said.update(role="process_owner")), "is given in the role reviewer"),
    "a_longer_life": (edited(lambda said: said.update(expires_at="2036-11-23T14:00:00.000000Z")), "for 72 hours"),
    "a_number_for_a_reason": (edited(lambda said: said.update(reason=5)), "a field is of another type"),
    "a_text_for_a_size": (edited(lambda said: said["register"].update(size="1")), "a field is of another type"),
    "not_canonical": (lambda content: content + b"\n", "canonical form .*; request it again; sign the file unchanged"),
    "no_json": (lambda _: b"approved!", "not a statement"),
    "no_runs": (edited(lambda said: said.update(runs=[])), "names at least one run"),
    "a_run_twice": (edited(lambda said: said.update(runs=said["runs"] * 2)), "each once"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_statement_that_says_something_else_is_refused(bench: SignedBench, case: str) -> None:
    edit, says = REFUSED[case]
    result = bench.execute()
    before = log_of(result).read_bytes()
    with pytest.raises(SignOffRefused, match=says):
        bench.submit(edit(bench.statement(result).content))
    assert log_of(result).read_bytes() == before


def test_a_review_by_a_security_key_is_taken_and_verifies_inside_and_outside(bench: SignedBench) -> None:
    token = SecurityKey()
    entry = {"key": token.public, "namespace": SIGNS["reviewer"], "valid_after": "2026-01-01T00:00:00Z"}
    bench.adopt(with_key(bench.policy, "reviewer", entry))
    content = bench.statement(bench.execute()).content
    (refusal,) = bench.desk.submit(content, SecurityKey().sign(content, SIGNS["reviewer"])).refused
    assert "does not stand" in refusal.reason
    (receipt,) = bench.desk.submit(content, token.sign(content, SIGNS["reviewer"])).taken
    assert (receipt.by, receipt.repeated) == ("reviewer", False)
    assert bench.faults() == []


def test_a_statement_expires(bench: SignedBench) -> None:
    content = bench.statement(bench.execute()).content
    bench.clock.move(hours=72)
    with pytest.raises(SignOffRefused, match="expired at"):
        bench.submit(content)


def test_a_statement_from_a_clock_that_is_ahead_says_so_and_is_taken_later(bench: SignedBench) -> None:
    result = bench.execute()
    bench.clock.move(minutes=10)
    content = bench.statement(result).content
    bench.clock.move(minutes=-4)
    with pytest.raises(SignOffRefused, match=r"it was decided at 2026-11-23T14:1.*, and here it is 2026-11-23T14:0"):
        bench.submit(content)
    bench.clock.move(minutes=4)
    bench.submit(content)


def test_a_statement_is_void_once_the_run_went_on(bench: SignedBench) -> None:
    """The same run, asked for again after its review was given: another head, another request."""
    result = bench.execute()
    old = bench.statement(result).content
    bench.sign(result, REVIEW, "reviewer", reason="Another word.")
    bench.execute()
    with pytest.raises(SignOffRefused, match="independent_review is not pending"):
        bench.submit(old)


def test_a_key_signs_only_for_whom_and_what_the_roster_says(bench: SignedBench, tmp_path: Path) -> None:
    content = bench.statement(bench.execute()).content
    for key_of, namespace in (
        ("second-reviewer", SIGNS["reviewer"]),
        ("checker", SIGNS["reviewer"]),
        ("reviewer", SIGNS["checker"]),
        (make_key(tmp_path / "own"), SIGNS["reviewer"]),
    ):
        with pytest.raises(SignOffRefused, match="does not stand"):
            bench.submit(content, key_of, namespace)


@pytest.mark.parametrize(
    "validity",
    [{"valid_after": "2026-12-01T00:00:00Z"}, {"valid_before": "2026-11-23T13:59:59Z"}],
    ids=["not_yet", "expired"],
)
def test_a_key_outside_its_validity_signs_nothing(bench: SignedBench, validity: dict[str, str]) -> None:
    bench.adopt(with_key(bench.policy, "reviewer", key_entry(bench.keys / "reviewer", SIGNS["reviewer"], **validity)))
    with pytest.raises(SignOffRefused, match="does not stand"):
        bench.submit(bench.statement(bench.execute()).content)


def test_the_author_under_a_second_key_is_still_the_author(bench: SignedBench) -> None:
    """The roster gives the maker the reviewer's role and a key; by the key they are nobody else."""
    people = bench.policy.model_dump(mode="json")["people"]
    own = {"keys": [key_entry(bench.keys / "second-reviewer", SIGNS["reviewer"])], "roles": ["reviewer"]}
    people = [
        {**one, **own} if one["id"] == "maker" else {**one, "keys": []} if one["id"] == "second-reviewer" else one
        for one in people
    ]
    bench.adopt(policy_with(bench.policy, people=people))
    with pytest.raises(SignOffRefused, match="'maker' is the author"):
        bench.statement(bench.execute(), signer="maker")


def test_a_run_with_an_exception_or_an_abstention_is_signed_alone(bench: SignedBench) -> None:
    clean = bench.execute(payload_with(system="one"))
    own = payload_with(system="two", deployed_by=None)
    own["evidence"]["deployment"]["by"] = "maker"
    odd = bench.execute(own)
    open_ = payload_with(system="three")
    del open_["evidence"]["tests"]
    untested = bench.execute(open_)
    for other, says in ((odd, "has exception results"), (untested, "has abstained results")):
        with pytest.raises(SignOffRefused, match=f"{other.run_id} {says}, so it is signed alone"):
            bench.statement(clean, other)
        assert bench.submit(bench.statement(other).content)
    with pytest.raises(SignOffRefused, match="is rejected, so it is signed alone"):
        bench.statement(clean, bench.execute(payload_with(system="four")), decision="rejected", reason="No.")


# Found by `verify` in a log that was rewritten with good chains


def forged(bench: SignedBench, change: Callable[[dict[str, Any], Forger], None]) -> list[str]:
    """The faults of a completed run whose review event was changed, every chain made good again."""
    done = bench.complete()
    forger = Forger(bench, done)
    line = next(line for line in forger.log if line.name == "signed_off")
    texts = {text["text"]: text for text in line.texts}
    change({"event": line.event, "texts": texts}, forger)
    line.texts[:] = list(texts.values())
    forger.write()
    return bench.kinds()


def test_a_signature_that_was_taken_off_is_found(bench: SignedBench) -> None:
    def strip(line: dict[str, Any], _: Forger) -> None:
        del line["texts"][f"statement/{REVIEW}"], line["texts"][f"signature/{REVIEW}"]

    assert "sign_off_unsigned" in forged(bench, strip)


def test_a_statement_that_was_edited_is_found(bench: SignedBench) -> None:
    def edit(line: dict[str, Any], _: Forger) -> None:
        text = line["texts"][f"statement/{REVIEW}"]
        text["value"] = text["value"].replace('"decision":"approved"', '"decision":"rejected"')

    assert "sign_off_statement" in forged(bench, edit)


def test_a_signature_of_other_words_is_found(bench: SignedBench) -> None:
    def replace(line: dict[str, Any], _: Forger) -> None:
        other = sign(b"{}", key=bench.keys / "reviewer", namespace=SIGNS["reviewer"])
        line["texts"][f"signature/{REVIEW}"]["value"] = other.decode()

    assert "sign_off_signature" in forged(bench, replace)


def test_a_sign_off_that_was_moved_to_another_run_is_found(bench: SignedBench) -> None:
    """The statement and signature of another, really reviewed run under this one's review."""
    other = bench.complete(payload_with(system="other"))
    assert other.state is not None
    lent = next(iter(other.state.sign_offs.values()))

    def move(line: dict[str, Any], _: Forger) -> None:
        line["texts"][f"statement/{REVIEW}"]["value"] = lent.statement
        line["texts"][f"signature/{REVIEW}"]["value"] = lent.signature

    assert "sign_off_statement" in forged(bench, move)


def test_an_engine_concludes_nothing_on_a_sign_off_that_does_not_stand(bench: SignedBench) -> None:
    """Both sign-offs are there, the first without its signature: no workpaper comes out of it."""
    for key, signer in SIGNERS:
        result = bench.execute()
        bench.sign(result, key, signer)
    forger = Forger(bench, result)
    line = next(line for line in forger.log if line.name == "signed_off")
    line.texts[:] = [text for text in line.texts if not text["text"].startswith(("statement/", "signature/"))]
    forger.write()
    bench.fresh()
    after = bench.execute()
    assert after.status is Status.FAILED
    assert "sign_off_unsigned" in (after.reason or "")


def test_a_key_given_up_later_voids_what_it_signed_after_its_compromise_and_nothing_before(
    bench: SignedBench,
) -> None:
    early = bench.complete(payload_with(system="early"))
    compromise = bench.clock()
    bench.clock.move(hours=1)
    late = bench.complete(payload_with(system="late"))
    entry = key_entry(bench.keys / "reviewer", SIGNS["reviewer"], valid_before=compromise.isoformat())
    bench.adopt(with_key(bench.policy, "reviewer", entry))
    found = [(fault.run_id, fault.kind) for fault in bench.faults()]
    assert found == [(late.run_id, "sign_off_key_void")]
    assert early.run_id != late.run_id


def test_a_sign_off_still_verifies_years_after_its_key_has_expired(bench: SignedBench) -> None:
    bench.complete()
    bench.clock.move(days=7 * 365)
    entry = key_entry(bench.keys / "reviewer", SIGNS["reviewer"], valid_before="2027-01-01T00:00:00Z")
    bench.adopt(with_key(bench.policy, "reviewer", entry))
    assert bench.faults() == []


# The configuration


def test_a_configuration_needs_the_signatures_of_two_owners(bench: SignedBench) -> None:
    changed = complete(policy_with(bench.policy, version="changed"), POLICY)
    desk = ConfigurationDesk(bench.root, clock=bench.clock)
    keys = KeyRing(folder=bench.keys)
    first = desk.adopt(changed, "control-owner", "The roster grew.", keys)
    assert (first.in_force, first.repeated) == (False, False)
    assert first.waits_for is not None
    assert desk.adopt(changed, "control-owner", "The roster grew.", keys).repeated
    assert desk.in_force().configuration.digest != changed.digest
    assert desk.adopt(changed, "process-owner", "Agreed.", keys).in_force
    assert bench.faults() == []


def test_a_consent_without_a_key_or_with_that_of_another_is_refused(bench: SignedBench) -> None:
    changed = complete(policy_with(bench.policy, version="changed"), POLICY)
    desk = ConfigurationDesk(bench.root, clock=bench.clock)
    with pytest.raises(AdoptionRefused, match="'control-owner' cannot sign") as refusal:
        desk.adopt(changed, "control-owner", "Why not.")
    assert str(refusal.value).endswith("name it with --key or COUNTERSIGN_KEY, or add it to the agent")
    with pytest.raises(AdoptionRefused, match="does not stand"):
        desk.adopt(changed, "control-owner", "Why not.", KeyRing(bench.keys / "process-owner"))


def test_an_adoption_that_was_forged_is_found(bench: SignedBench) -> None:
    """An attacker who writes to the root puts a policy in force that nobody signed, and opens a run under it."""
    changed = complete(policy_with(bench.policy, version="changed"), POLICY)
    engine = bench.run.engine
    engine.versions.keep(changed)
    data = {"configuration": changed.digest, "manifest": changed.manifest}
    previous = engine.current.configuration.digest
    engine.register.append("configuration_adopted", "control-owner", **data, previous=previous)
    assert bench.kinds() == ["adoption_void"]


def test_consents_to_one_change_are_none_to_another(bench: SignedBench) -> None:
    """Both owners signed, but another configuration than the one that was put in force."""
    bench.adopt(policy_with(bench.policy, version="agreed"))
    forged_one = complete(policy_with(bench.policy, version="forged"), POLICY)
    bench.run.engine.versions.keep(forged_one)
    data = {"configuration": forged_one.digest, "manifest": forged_one.manifest}
    previous = bench.run.engine.current.configuration.digest
    bench.run.engine.register.append("configuration_adopted", "control-owner", **data, previous=previous)
    assert len(bench.registered("configuration_consented")) == 2
    assert bench.kinds() == ["adoption_void"]


def test_a_run_under_a_configuration_that_was_not_in_force_is_found(bench: SignedBench) -> None:
    done = bench.complete()
    forger = Forger(bench, done)
    changed = complete(policy_with(bench.policy, version="changed"), POLICY)
    bench.run.engine.versions.keep(changed)
    (opening,) = forger.of_run("run_opened")
    opening.event["configuration"] = changed.digest
    forger.line("ingested").event["configuration"] = changed.named
    forger.write()
    assert "configuration_not_in_force" in bench.kinds()


def test_statements_name_the_namespaces_of_the_field() -> None:
    assert {*SIGNS.values()} == {"independent-review@countersign", "maker-checker@countersign", NAMESPACE}
    with pytest.raises(SignOffRefused):
        parse_statement(b"[]")


# What a second reading found


def test_a_workpaper_that_was_written_after_a_forged_sign_off_is_not_handed_off(bench: SignedBench) -> None:
    """The forger appends a sign-off without its signature and the workpaper that would follow from it."""
    done = bench.complete()
    forger = Forger(bench, done)
    forger.log = [line for line in forger.log if line.name != "handed_off"]
    line = next(line for line in forger.log if line.name == "signed_off")
    line.texts[:] = [text for text in line.texts if not text["text"].startswith(("statement/", "signature/"))]
    forger.register = [line for line in forger.register if line.name not in ("run_closed", "dataset")]
    forger.write()
    bench.fresh()
    after = bench.advance() or [bench.run.engine.go_on(bench.run.engine.index.runs([done.run_id])[done.run_id])]
    assert "sign_off_unsigned" in (after[0].reason or "")
    assert after[0].status == Status.FAILED


def test_a_role_that_the_log_makes_up_is_found(bench: SignedBench) -> None:
    def another_role(line: dict[str, Any], _: Forger) -> None:
        line["event"]["role"] = "process_owner"

    assert "sign_off_void" in forged(bench, another_role)


def test_the_key_that_a_log_names_is_the_one_that_signed(bench: SignedBench) -> None:
    def another_key(line: dict[str, Any], _: Forger) -> None:
        line["event"]["signed"]["by_key"] = "SHA256:never"

    assert "sign_off_statement" in forged(bench, another_key)


def test_a_refusal_is_on_record_for_the_run_that_it_is_about(bench: SignedBench) -> None:
    """The second of two has gone on. What a run has already stands, also once its statement has expired."""
    first, second = bench.execute(payload_with(system="one")), bench.execute(payload_with(system="two"))
    content = bench.statement(first, second).content
    bench.sign(second, REVIEW, "second-reviewer")
    with pytest.raises(SignOffRefused, match="is not pending"):
        bench.submit(content)
    assert bench.registered("sign_off_refused")[-1]["run_id"] == second.run_id
    alone = bench.statement(bench.execute(payload_with(system="three"))).content
    bench.submit(alone)
    bench.clock.move(hours=100)
    assert [receipt.repeated for receipt in bench.submit(alone)] == [True]


def test_going_back_and_forth_between_two_configurations_needs_new_consents_each_time(bench: SignedBench) -> None:
    first, second = bench.policy, policy_with(bench.policy, version="second")
    for policy in (second, first, second):
        bench.adopt(policy)
        assert bench.run.engine.current.policy.version == policy.version
    assert len(bench.registered("configuration_adopted")) == 3
    assert bench.faults() == []


def test_a_consent_whose_adoption_a_crash_took_is_enough_with_the_next_call(bench: SignedBench) -> None:
    changed = complete(policy_with(bench.policy, version="changed"), POLICY)
    desk = ConfigurationDesk(bench.root, clock=bench.clock)
    keys = KeyRing(folder=bench.keys)
    desk.adopt(changed, "control-owner", "Agreed.", keys)
    desk.adopt(changed, "process-owner", "Agreed.", keys)
    bench.cut_register("configuration_adopted")
    again = ConfigurationDesk(bench.root, clock=bench.clock).adopt(changed, "process-owner", "Agreed.", keys)
    assert (again.in_force, again.repeated) == (True, False)
    assert len(bench.registered("configuration_consented")) == 2
    assert bench.faults() == []


def test_a_roster_under_which_nobody_could_sign_is_never_in_force(bench: SignedBench) -> None:
    entry = key_entry(bench.keys / "reviewer", SIGNS["reviewer"])
    renewed = with_key(bench.policy, "reviewer", entry, {**entry, "valid_after": "2027-01-01T00:00:00Z"})
    with pytest.raises(PolicyError, match="has a line already"):
        bench.adopt(renewed)
    assert bench.registered("configuration_consented") == []


def test_whoever_observes_no_more_is_told_nothing(bench: SignedBench) -> None:
    people = [
        {**one, "valid_until": "2026-01-01"} if one["id"] == "observer" else one
        for one in bench.policy.model_dump(mode="json")["people"]
    ]
    bench.adopt(policy_with(bench.policy, people=people))
    done = bench.complete()
    assert done.state is not None
    assert done.state.handoff is not None
    assert done.state.handoff["to"] == []
    assert bench.faults() == []
