"""Sealing and verifying from the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from countersign.evidence import durable
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.signers import PIPELINE, SEAL, PublicKey, Signer, allowed_signers
from tests.conftest import payload_with
from tests.domain.cli.conftest import Answer, Cli, Write
from tests.domain.evidence.authority import authority, make_authority
from tests.evidence_script import SCRIPT
from tests.keys import key_entry, make_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "seal")


@pytest.fixture
def sealed(cli: Cli, write: Write, key: Path) -> dict[str, Any]:
    """The answer of `seal` on a root with one run."""
    cli("run", write("change.json", payload_with()))
    answer = cli("seal", "--key", key, "--json")
    assert answer.code == 0
    document: dict[str, Any] = answer.document
    return document


def test_a_root_is_sealed_and_verified_up_to_the_seal(cli: Cli, sealed: dict[str, Any]) -> None:
    assert (sealed["number"], sealed["lines"]) == (1, 4)
    verified = cli("verify", "--json").document
    assert (verified["ok"], verified["trust"]) == (True, "seal")
    witness = cli("verify", "--witness", sealed["path"], "--json").document
    assert (witness["ok"], witness["trust"]) == (True, "witness")
    assert witness["self_attested_since"] > verified["self_attested_since"]
    assert "self-attested since" in cli("verify").out


def test_a_blob_that_no_log_names_is_said_and_is_no_fault(cli: Cli, sealed: dict[str, Any], root: Path) -> None:
    durable.keep_by_digest(EvidenceRoot(root).blobs, b"what a crash left")
    assert "orphaned: 1 blobs are named by no log" in cli("verify").out
    assert cli("verify", "--json").document["orphaned_blobs"] == 1


def test_the_key_may_be_named_by_the_environment(
    cli: Cli, sealed: dict[str, Any], key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_SEAL_KEY", str(key))
    assert f"seal 2 of {sealed['lines'] + 1} register lines" in cli("seal").err


def test_another_key_seals_only_where_that_is_meant_and_verifies_where_both_are_known(
    cli: Cli, sealed: dict[str, Any], key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_key(tmp_path / "other")
    refused = cli("seal", "--key", other)
    assert (refused.code, "countersign seal --new-key" in refused.err) == (1, True)
    assert cli("verify").code == 0
    assert cli("seal", "--key", other, "--new-key", "--json").document["number"] == 2
    assert cli("seal", "--key", other, "--json").document["number"] == 3
    assert "seal_key" in (unknown := cli("verify")).out
    assert "on record as" in unknown.out
    signers = tmp_path / "signers"
    keys = [PublicKey.parse(path.with_suffix(".pub").read_text("ascii")) for path in (key, other)]
    signers.write_bytes(allowed_signers(Signer(PIPELINE, SEAL, one) for one in keys))
    monkeypatch.setenv("COUNTERSIGN_ALLOWED_SIGNERS", str(signers))
    assert cli("verify").code == 0
    signers.write_bytes(allowed_signers([Signer(PIPELINE, SEAL, keys[0])]))
    assert "on record as" in (revoked := cli("verify")).out  # the deployment's own file: what it finds wrong is wrong
    assert "seal_signature" in revoked.out


def test_a_key_of_the_roster_seals_nothing(cli: Cli, write: Write, key: Path, tmp_path: Path) -> None:
    path = tmp_path / "configuration" / "policy.yaml"
    policy = yaml.safe_load(path.read_text())
    person = next(person for person in policy["people"] if person["id"] == "reviewer")
    person["keys"] = [key_entry(key, "independent-review@countersign")]
    path.write_text(yaml.safe_dump(policy))
    cli("run", write("change.json", payload_with()))
    refused = cli("seal", "--key", key)
    assert (refused.code, "signs for reviewer by the roster in force" in refused.err) == (1, True)


@pytest.mark.parametrize("command", [("seal",), ("witness", 1, "--as", "observer")], ids=lambda command: command[0])
def test_a_key_inside_the_evidence_root_signs_nothing(
    cli: Cli, sealed: dict[str, Any], root: Path, command: tuple[object, ...]
) -> None:
    refused = cli(*command, "--key", make_key(root / "key"))
    assert (refused.code, "inside the evidence root" in refused.err) == (2, True)


def test_a_seal_is_timestamped_where_the_policy_says_so_and_made_where_the_authority_fails(
    cli: Cli, write: Write, key: Path, tmp_path: Path
) -> None:
    cli("run", write("change.json", payload_with()))  # which writes the policy that is in force
    policy = tmp_path / "configuration" / "policy.yaml"
    with authority(make_authority(tmp_path / "authority")) as running:
        policy.write_text(f"{policy.read_text()}\ntimestamp: {json.dumps(running.spec.model_dump())}\n")
        assert cli("policy", "adopt", "--as", "process-owner", "--reason", "Seals are timestamped.").code == 0
        assert cli("seal", "--key", key, "--json").document["timestamped"] == [1]
        running.answers = 503
        failed = cli("seal", "--key", key)
        assert (failed.code, "seal 2 is not timestamped yet" in failed.err, "HTTP 503" in failed.err) == (0, True, True)
        running.answers = None
        assert "seal 2 is timestamped\nseal 3 is timestamped" in cli("seal", "--key", key).err
    assert cli("verify").code == 0
    assert cli("status").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("seal",), "no key to seal with"),
        (("seal", "--key", "nowhere"), "the key cannot be read"),
        (("verify", "--witness", "nowhere"), "no such file"),
        (("verify", "--allowed-signers", "nowhere"), "nowhere: no such file"),
        (("seal", "--root", "nowhere", "--key", "nowhere"), "no evidence root"),
    ],
)
def test_what_is_missing_is_said(cli: Cli, sealed: dict[str, Any], arguments: tuple[str, ...], words: str) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert words in answer.err


def unwrapped(answer: Answer) -> str:
    """What a command said, out of the box that usage errors stand in."""
    return " ".join(answer.err.replace("\u2502", " ").split())


@pytest.mark.parametrize(
    ("command", "option", "words"),
    [
        (("verify", "--all"), "--genesis", "is not a digest"),
        (("verify", "--all"), "--witness", "not the statement of a seal"),
        (("verify", "--all"), "--allowed-signers", "line 1 does not say who may sign"),
        (("witness", 1, "--as", "observer"), "--held", "not the statement of a seal"),
        (("witness", 1, "--as", "observer"), "--allowed-signers", "line 1 does not say who may sign"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_what_is_not_what_it_is_given_as_is_wrong_usage_and_no_incident(
    cli: Cli, sealed: dict[str, Any], write: Write, key: Path, command: tuple[object, ...], option: str, words: str
) -> None:
    more = ("--key", key) if command[0] == "witness" else ()
    answer = cli(*command, option, write("policy.yaml", b"version: 1\npeople: []\n"), *more)
    assert (answer.code, answer.out) == (2, "")
    assert words in unwrapped(answer)
    assert "SEV-1" not in answer.err
    assert cli("finding", "list", "--json").document["findings"] == []


def test_a_file_of_signers_that_names_nobody_is_wrong_usage(cli: Cli, sealed: dict[str, Any], write: Write) -> None:
    answer = cli("verify", "--allowed-signers", write("signers", b"\n# nobody yet\n"))
    assert (answer.code, "names nobody who may sign" in unwrapped(answer)) == (2, True)


def test_an_observer_of_the_roster_witnesses_a_seal(cli: Cli, sealed: dict[str, Any], tmp_path: Path) -> None:
    key = make_key(tmp_path / "observer")
    answer = cli("witness", 1, "--as", "observer", "--key", key, "--held", sealed["path"], "--json")
    assert Path(answer.document["path"]).name == "000001.json.observer.sig"
    assert answer.document["repeated"] is False
    again = cli("witness", 1, "--as", "observer", "--key", key)
    assert "seal 1 was counter-signed before by observer" in again.err
    other = cli("witness", 1, "--as", "observer", "--key", make_key(tmp_path / "another"))
    assert (other.code, "counter-signed before by another key" in other.err) == (1, True)
    missing = cli("witness", 9, "--as", "observer", "--key", key)
    assert (missing.code, "no seal 9; the newest is 1" in missing.err) == (2, True)
    seals = cli("witness", 1, "--as", "observer", "--key", tmp_path / "seal")
    assert (seals.code, "made seal 1" in seals.err) == (1, True)
    assert cli("verify").code == 0
    refused = cli("witness", 1, "--as", "checker", "--key", key)
    assert (refused.code, "no observer of the roster" in refused.err) == (2, True)


def test_a_root_without_a_run_is_no_yes(cli: Cli, write: Write, key: Path, root: Path, tmp_path: Path) -> None:
    """Neither `verify` nor the script calls it verified, sealed or not; and what is wrong with it is still named."""
    assert cli("verify").code == 2
    cli("run", write("nothing.json", {}))
    for _ in range(2):
        empty = cli("verify", "--json")
        assert (empty.code, empty.document["ok"], empty.document["checked"]) == (2, False, 0)
        assert "nothing to verify" in empty.err
        assert cli("verify", "--all").out == ""
        script = subprocess.run([sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, check=False)
        assert (script.returncode, script.stdout[:9]) == (1, "no runs, ")
        cli("seal", "--key", key)
    (root / "seals" / "000001.json").unlink()
    assert cli("verify").code == 1


def test_a_seal_that_was_changed_is_a_fault_of_verify(cli: Cli, sealed: dict[str, Any]) -> None:
    path = Path(sealed["path"])
    path.write_bytes(path.read_bytes().replace(b'"lines":4', b'"lines":5'))
    answer = cli("verify", "--json")
    assert answer.code == 1
    assert {fault["kind"] for fault in answer.document["faults"]} == {"seal_unreadable"}
