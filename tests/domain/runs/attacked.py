"""A sealed evidence root with signed sign-offs for attackers to work on, and what the two verifiers find in it.

What belongs here: the root, and the means of somebody who may write to all of it. What does not: the attacks.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from countersign.evidence import durable
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import seal_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.signers import PIPELINE, SEAL, PublicKey, Signer, allowed_signers
from countersign.findings.verification import check_findings
from countersign.policy import Policy, complete
from countersign.runs.signatures import RosterKeys
from countersign.runs.verification import Verifier
from countersign.sampling.verification import check_samples
from tests.conftest import POLICY, StepClock, payload_with
from tests.domain.runs.conftest import Forger, SignedBench, chain, policy_with, read_lines
from tests.domain.runs.test_sign_offs import determined, undecided
from tests.domain.runs.test_verification import UNGROUNDED
from tests.evidence_script import script_faults
from tests.keys import SIGNS, key_entry, make_key, make_keys, signed_policy

RUNS = ("done", "other", "blocked")


@dataclass
class Target:
    """A copy of a sealed root for an attacker to work on.

    `done` and `other` completed, `blocked` did not. `keys` are those that people sign with, `others` further ones of
    theirs, `signers` is what the observer believes.
    """

    path: Path
    key: Path
    keys: Path
    others: Path
    signers: Path
    policy: Policy
    done: Path
    other: Path
    blocked: Path
    clock: StepClock

    @property
    def root(self) -> EvidenceRoot:
        return EvidenceRoot(self.path)

    @property
    def log(self) -> Path:
        return self.done / "audit.jsonl"

    @property
    def earlier(self) -> Path:
        """The root as it was when the first seal was made."""
        return self.key.with_name("earlier")

    def bench(self) -> SignedBench:
        """The root as whoever works on it has it."""
        for path in self.path.glob("index.sqlite*"):
            path.unlink()
        return SignedBench(self.path, self.policy, self.clock, self.keys)

    def reviewed(self) -> Path:
        """One more run, which no seal covers yet: the reviewer has signed, and its approval is due."""
        bench = self.bench()
        result = bench.execute(undecided() | {"system": "reviewed"})
        bench.sign(result, "independent_review", "reviewer", determinations=[determined()])
        return result.rundir

    def forger(self, rundir: Path) -> Forger:
        """One who rewrites a run's log and the register so that every chain fits."""
        bench: Any = SimpleNamespace(register=self.path / "register.jsonl", forget_index=lambda: None)
        result: Any = SimpleNamespace(rundir=rundir)
        return Forger(bench, result)

    def seal(self) -> Path:
        """Seal with the genuine key; returns the statement."""
        return seal_path(self.root, Sealer(self.root, self.key, clock=self.clock).seal("c" * 64).number)

    def seal_anew(self, key: Path | None = None) -> None:
        """Take every seal away and make one over what is there now, with the genuine key or another."""
        shutil.rmtree(self.path / "seals")
        lines = [line for line in read_lines(self.path / "register.jsonl") if line.name != "sealed"]
        (self.path / "register.jsonl").write_bytes(chain(lines, {}))
        Sealer(self.root, key or self.key, clock=self.clock).seal("c" * 64)

    def found(self, witness: Path | None = None) -> tuple[set[str], set[str]]:
        """What `verify --all` and the script find, by name."""
        verifier = Verifier(self.path, allowed_signers=self.signers, witness=witness)
        faults = {fault.kind for fault in verifier.verify().faults}
        if "register" not in faults:
            faults |= {fault.kind for fault in (*check_findings(self.root), *check_samples(self.root))}
        return faults, {name for name, _, _ in script_faults(self.path, self.signers, witness)}


def signers_of(seal_key: Path, policy: Policy) -> bytes:
    """What the observer was given: who seals, and the roster as `countersign people allowed-signers` prints it."""
    line = Signer(PIPELINE, SEAL, PublicKey.parse(seal_key.with_suffix(".pub").read_text("utf-8")))
    return allowed_signers([line]) + RosterKeys(complete(policy, POLICY)).allowed_signers


def roster(policy: Policy, keys: Path, others: Path) -> Policy:
    """A policy under which the maker reviews too, and the reviewer has a key that expired and one for approvals."""
    signed = signed_policy(policy, keys)
    old = {"valid_before": "2026-03-01T00:00:00Z"}
    more = {
        "reviewer": [
            key_entry(keys / "reviewer", SIGNS["reviewer"]),
            key_entry(make_key(others / "expired"), SIGNS["reviewer"], **old),
            key_entry(make_key(others / "approving"), SIGNS["checker"]),
        ],
        "maker": [key_entry(make_key(others / "maker"), SIGNS["reviewer"])],
    }
    people = signed.model_dump(mode="json")["people"]
    for person in people:
        person["keys"] = more.get(person["id"], person["keys"])
        person["roles"] = ["reviewer"] if person["id"] == "maker" else person["roles"]
    return policy_with(signed, people=people)


def genuine_root(folder: Path, policy: Policy) -> Target:
    """A root with every kind of run, a blob, an attachment, an extract and two seals."""
    clock = StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))
    key, keys = make_key(folder / "key"), make_keys(folder / "keys")
    others = folder / "others"
    others.mkdir()
    with_roster = roster(policy, keys, others)
    signers = folder / "allowed_signers"
    signers.write_bytes(signers_of(key, with_roster))
    bench = SignedBench(folder / "evidence", with_roster, clock, keys)
    done = bench.complete(payload_with(summary="Raise the limit. " * 5000)).rundir
    blocked = bench.execute(UNGROUNDED).rundir
    durable.keep_by_digest(EvidenceRoot(bench.root).extracts, b"what a source gave")
    target = Target(bench.root, key, keys, others, signers, with_roster, done, done, blocked, clock)
    target.seal()
    bench.forget_index()
    shutil.copytree(target.path, target.earlier)
    bench.fresh()
    target.other = bench.complete(undecided() | {"system": "shipping"}, determined()).rundir
    bench.execute(payload_with(id="CHG-3", in_scope=False))
    waiting = bench.execute(payload_with(id="CHG-4"))
    bench.sign(waiting, "independent_review", "reviewer")
    target.seal()
    bench.forget_index()
    return target


def copy_of(genuine: Target, folder: Path) -> Target:
    """A copy that may be spoiled."""
    path = folder / "evidence"
    shutil.copytree(genuine.path, path)
    runs = {name: path / getattr(genuine, name).relative_to(genuine.path) for name in RUNS}
    signers = Path(shutil.copy(genuine.signers, folder))
    return replace(genuine, path=path, signers=signers, clock=StepClock(genuine.clock.now), **runs)
