"""Everybody whose key ever counted: what a file of signers has to say for a history to verify with it, and no more."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import EvidenceError
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.sealing import Sealer
from countersign.evidence.signers import PIPELINE, SEAL, PublicKey, Signer, ssh_time
from countersign.policy import Policy
from countersign.runs.signers import adopted, signers_ever
from countersign.runs.verification import Verifier
from tests.conftest import POLICY, StepClock, payload_with
from tests.domain.runs.conftest import SignedBench, policy_with
from tests.evidence_script import SCRIPT, script_faults
from tests.keys import SIGNS, key_entry, make_key, public_of, signed_policy

REVIEW, CHECK = SIGNS["reviewer"], SIGNS["checker"]


@pytest.fixture
def bench(root: Path, policy: Policy, clock: StepClock, keys: Path, monkeypatch: pytest.MonkeyPatch) -> SignedBench:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    return SignedBench(root, signed_policy(policy, keys), clock, keys)


def with_keys(policy: Policy, **entries: list[dict[str, Any]]) -> Policy:
    """A policy where these people have these keys, the dashes of their ids written as underscores."""
    people = policy.model_dump(mode="json")["people"]
    for person in people:
        person["keys"] = entries.get(person["id"].replace("-", "_"), person["keys"])
    return policy_with(policy, people=people)


def signers(bench: SignedBench, key: Path) -> list[Signer]:
    """What is said of a key."""
    public = PublicKey.parse(public_of(key))
    return [signer for signer in signers_ever(EvidenceRoot(bench.root)) if signer.key == public]


def since(bench: SignedBench) -> datetime:
    """When the newest configuration was adopted."""
    return adopted(EvidenceRoot(bench.root))[-1][0]


def ended(at: datetime) -> datetime:
    """The first whole second after one."""
    return at.replace(microsecond=0) + timedelta(seconds=1)


def test_a_history_verifies_outside_after_every_key_of_it_has_left_the_roster(
    bench: SignedBench, tmp_path: Path
) -> None:
    """Also what was signed for the change that took the keys away, and what the next ones sign."""
    bench.complete(payload_with(system="early"))
    new = tmp_path / "new"
    new.mkdir()
    entries = {person.replace("-", "_"): [key_entry(make_key(new / person), SIGNS[person])] for person in SIGNS}
    bench.adopt(with_keys(bench.policy, **entries))
    assert len(signers_ever(EvidenceRoot(bench.root))) == 2 * len(SIGNS)
    bench.keys = new
    bench.fresh()
    bench.complete(payload_with(system="late"))
    seal = make_key(tmp_path / "seal")
    Sealer(EvidenceRoot(bench.root), seal, clock=bench.clock).seal("c" * 64)
    lines = [Signer(PIPELINE, SEAL, PublicKey.parse(public_of(seal))), *signers_ever(EvidenceRoot(bench.root))]
    path = tmp_path / "allowed_signers"
    path.write_text("".join(f"{signer.line()}\n" for signer in lines))
    assert script_faults(bench.root, path) == []
    assert Verifier(bench.root, allowed_signers=path).verify().faults == []
    script = [sys.executable, str(SCRIPT), str(bench.root), "--allowed-signers", str(path)]
    assert subprocess.run(script, capture_output=True, check=False).returncode == 0


def test_a_key_that_left_ends_when_it_left_unless_it_came_back(bench: SignedBench) -> None:
    key = bench.keys / "reviewer"
    (as_given,) = signers(bench, key)
    bench.adopt(with_keys(bench.policy, reviewer=[]))
    left = ended(since(bench))
    bench.adopt(policy_with(with_keys(bench.policy, reviewer=[]), version="later still"))
    (signer,) = signers(bench, key)
    assert (signer.valid_after, signer.valid_before) == (as_given.valid_after, left)
    bench.adopt(with_keys(bench.policy, reviewer=[key_entry(key, REVIEW)]))
    assert signers(bench, key) == [as_given]


def test_a_key_that_was_voided_keeps_its_end_when_it_leaves(bench: SignedBench) -> None:
    key, compromise = bench.keys / "reviewer", "2026-11-23T10:00:00Z"
    bench.adopt(with_keys(bench.policy, reviewer=[key_entry(key, REVIEW, valid_before=compromise)]))
    assert [ssh_time(one.valid_before) for one in signers(bench, key) if one.valid_before] == ["20261123100000Z"]
    bench.adopt(with_keys(bench.policy, reviewer=[]))
    assert [ssh_time(one.valid_before) for one in signers(bench, key) if one.valid_before] == ["20261123100000Z"]


def test_a_key_is_valid_from_the_earliest_instant_and_to_the_newest_end(bench: SignedBench) -> None:
    key = bench.keys / "reviewer"
    renewed = key_entry(key, REVIEW, valid_after="2026-06-01T00:00:00Z", valid_before="2030-01-01T00:00:00Z")
    bench.adopt(with_keys(bench.policy, reviewer=[renewed]))
    (line,) = [one.line() for one in signers(bench, key)]
    assert 'valid-after="20260101000000Z",valid-before="20300101000000Z"' in line


def test_a_key_that_changed_hands_has_a_line_for_each(bench: SignedBench) -> None:
    """What it signed before stands, and it signs nothing more in the old place."""
    key = bench.keys / "reviewer"
    end = "2027-01-01T00:00:00Z"
    bench.adopt(with_keys(bench.policy, reviewer=[], checker=[key_entry(key, CHECK, valid_before=end)]))
    old, new = signers(bench, key)
    assert (old.principal, old.namespace, old.valid_before) == ("reviewer", REVIEW, ended(since(bench)))
    assert (new.principal, new.namespace) == ("checker", CHECK)


def test_a_key_that_left_before_it_was_valid_has_no_line(bench: SignedBench, tmp_path: Path) -> None:
    """Since ssh-keygen reads no further than a line whose end comes before its begin."""
    key = make_key(tmp_path / "future")
    was = bench.policy
    bench.adopt(with_keys(was, maker=[key_entry(key, REVIEW, valid_after="2027-01-01T00:00:00Z")]))
    assert len(signers(bench, key)) == 1
    bench.adopt(was)
    assert signers(bench, key) == []


def test_a_configuration_that_is_not_kept_is_named(bench: SignedBench) -> None:
    root = EvidenceRoot(bench.root)
    (root.policies / f"{adopted(root)[0][1]}.json").unlink()
    with pytest.raises(EvidenceError, match="is not kept here"):
        signers_ever(root)
