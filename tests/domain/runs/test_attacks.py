"""The attack table: each is found by `verify` and by `verify_evidence.py`, and no good root is refused by either."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.evidence import durable
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import seal_path, signature_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.signers import PIPELINE, SEAL, PublicKey, Signer, allowed_signers
from countersign.policy import Policy
from countersign.runs.verification import Verifier
from tests.conftest import StepClock, payload_with
from tests.domain.runs.conftest import Bench, Forger, Line, chain, read_lines
from tests.domain.runs.test_sign_offs import determined, undecided
from tests.domain.runs.test_verification import UNGROUNDED, grounded
from tests.evidence_script import SCRIPT, script_faults
from tests.keys import make_key


@dataclass
class Target:
    """A copy of a sealed root for an attacker to work on: `done` and `other` completed, `blocked` did not."""

    path: Path
    key: Path
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

    @property
    def signers(self) -> Path:
        return self.key.with_name("allowed_signers")

    def forger(self, rundir: Path) -> Forger:
        """One who rewrites a run's log and the register so that every chain fits."""
        bench: Any = SimpleNamespace(register=self.path / "register.jsonl", forget_index=lambda: None)
        result: Any = SimpleNamespace(rundir=rundir)
        return Forger(bench, result)

    def seal(self) -> Path:
        """Seal with the genuine key; returns the statement."""
        return seal_path(self.root, Sealer(self.root, self.key, clock=self.clock).seal("c" * 64).number)

    def found(self, witness: Path | None = None) -> tuple[set[str], set[str]]:
        """What `verify --all` and the script find, by name."""
        verifier = Verifier(self.path, allowed_signers=self.signers, witness=witness)
        faults = {fault.kind for fault in verifier.verify().faults}
        return faults, {name for name, _, _ in script_faults(self.path, self.signers, witness)}


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Target:
    """A root with every kind of run, a blob, an attachment, an extract and two seals."""
    folder = tmp_path_factory.mktemp("genuine")
    clock = StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))
    bench = Bench(folder / "evidence", policy, clock)
    key = make_key(folder / "key")
    line = Signer(PIPELINE, SEAL, PublicKey.parse(key.with_suffix(".pub").read_text("utf-8")))
    (folder / "allowed_signers").write_bytes(allowed_signers([line]))
    done = bench.complete(payload_with(summary="Raise the limit. " * 5000))
    blocked = bench.execute(UNGROUNDED)
    durable.keep_by_digest(EvidenceRoot(bench.root).extracts, b"what a source gave")
    target = Target(bench.root, key, done.rundir, done.rundir, blocked.rundir, clock)
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


@pytest.fixture
def target(genuine: Target, tmp_path: Path) -> Target:
    """A copy that a test may spoil."""
    shutil.copytree(genuine.path, tmp_path / "evidence")

    def there(path: Path) -> Path:
        return tmp_path / "evidence" / path.relative_to(genuine.path)

    clock = StepClock(genuine.clock.now)
    return Target(
        tmp_path / "evidence", genuine.key, there(genuine.done), there(genuine.other), there(genuine.blocked), clock
    )


def test_a_genuine_root_is_accepted_by_both(target: Target) -> None:
    assert target.found() == (set(), set())
    for number in (1, 2):
        assert target.found(witness=seal_path(target.root, number)) == (set(), set())


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the raw lines of a file."""
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def in_last_event(change: Callable[[bytes], bytes]) -> Callable[[Target], None]:
    return lambda target: rewrite(target.log, lambda lines: [*lines[:-1], change(lines[-1])])


def swapped(target: Target) -> None:
    rewrite(target.log, lambda lines: [*lines[:-2], lines[-1], lines[-2]])


def lost_newline_then_append(target: Target) -> None:
    content = target.log.read_bytes()
    target.log.write_bytes(content[:-1] + content.splitlines(keepends=True)[-1])


def append_after_closing(target: Target) -> None:
    ChainFile(target.log, clock=target.clock).append("noticed", "countersign", to=[])


def append_after_closing_with_a_good_register(target: Target) -> None:
    """The register is told too; only the order of events is wrong, and the seal does not cover it."""
    head = ChainFile(target.log, clock=target.clock).append("noticed", "countersign", to=[])
    data = {"run_id": target.done.name, "head": head, "status": "COMPLETED", "pending": None, "reason": None}
    ChainFile(target.path / "register.jsonl", clock=target.clock).append_many([Draft("run_head", "countersign", data)])


def other_reason(forger: Forger) -> None:
    forger.line("assessed").texts[0]["value"] = "approved by the board"


def whole_log_with_a_good_chain(target: Target) -> None:
    forger = target.forger(target.done)
    other_reason(forger)
    forger.path.write_bytes(chain(forger.log, {}))


def log_and_register_with_good_chains(target: Target) -> None:
    forger = target.forger(target.done)
    other_reason(forger)
    forger.write()


def log_register_and_an_edited_seal(target: Target) -> None:
    """All chains and the seal's digests fit; its signature is all that the forger could not make."""
    log_and_register_with_good_chains(target)
    for number in (1, 2):
        signature_path(target.root, number).rename(target.path / f"{number}.kept")
        seal_path(target.root, number).unlink()
    rewrite(target.path / "register.jsonl", lambda lines: [line for line in lines if b'"event":"sealed"' not in line])
    lines = read_lines(target.path / "register.jsonl")
    (target.path / "register.jsonl").write_bytes(chain(lines, {}))
    Sealer(target.root, make_key(target.path.parent / "forged"), clock=target.clock).seal("c" * 64)


def run_under_another_id(target: Target) -> None:
    shutil.copytree(target.done, target.done.with_name("change-0123456789abcdef"))


def edited_row(target: Target) -> None:
    (path,) = (target.path / "datasets" / "workpaper").glob("*.parquet")
    table = pq.read_table(path)
    position = table.column_names.index("conclusion")
    clean = pa.array(["Clean: every applicable control was met"] * table.num_rows)
    pq.write_table(table.set_column(position, table.schema.field(position), clean), path)


def sign_off_moved(target: Target) -> None:
    forger = target.forger(target.blocked)
    moved = target.forger(target.done).line("signed_off")
    forger.log.insert(-1, Line(moved.event, moved.texts))
    forger.path.write_bytes(chain(forger.log, {}))


def grounded_in_the_log(target: Target) -> None:
    forger = target.forger(target.blocked)
    grounded(forger)
    forger.write()


def register_cut_with_the_folder(target: Target) -> None:
    def without(lines: list[bytes]) -> list[bytes]:
        first = next(number for number, line in enumerate(lines) if target.other.name.encode() in line)
        return lines[:first]

    rewrite(target.path / "register.jsonl", without)
    shutil.rmtree(target.other)


def flip(path: str) -> Callable[[Target], None]:
    """Change one byte in the middle of the first file of that pattern."""

    def change(target: Target) -> None:
        file = min(path for path in target.path.glob(path) if path.is_file())
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))

    return change


ATTACKS: dict[str, Callable[[Target], Any]] = {
    "tail cut": lambda target: rewrite(target.log, lambda lines: lines[:-1]),
    "emptied": lambda target: target.log.write_bytes(b""),
    "deleted log": lambda target: target.log.unlink(),
    "deleted run folder": lambda target: shutil.rmtree(target.done),
    "whole log rewritten with a good chain": whole_log_with_a_good_chain,
    "log and register rewritten with good chains": log_and_register_with_good_chains,
    "log, register and seal rewritten without the key": log_register_and_an_edited_seal,
    "duplicate key": in_last_event(lambda line: line.replace(b'"actor":', b'"actor":"nobody","actor":', 1)),
    "white space": in_last_event(lambda line: line.replace(b'"actor":', b'"actor": ', 1)),
    "blank line": in_last_event(lambda line: b"\n" + line),
    "blank last line": in_last_event(lambda line: line + b"\n"),
    "torn last line": in_last_event(lambda line: line[:-20]),
    "lost newline": in_last_event(lambda line: line[:-1]),
    "lost newline then append": lost_newline_then_append,
    "swapped lines": swapped,
    "append after closing": append_after_closing,
    "append after closing with a good register": append_after_closing_with_a_good_register,
    "run folder copied under another id": run_under_another_id,
    "sign-off moved to another run": sign_off_moved,
    "Parquet row edited": edited_row,
    "forged grounded step": grounded_in_the_log,
    "register cut with the run folder": register_cut_with_the_folder,
    "seal deleted": lambda target: seal_path(target.root, 1).unlink(),
    "signature deleted": lambda target: signature_path(target.root, 2).unlink(),
    "signature of another seal": lambda target: shutil.copy(
        signature_path(target.root, 1), signature_path(target.root, 2)
    ),
    "byte of a policy": flip("policies/*.json"),
    "byte of a blob": flip("blobs/*"),
    "byte of an extract": flip("extracts/*"),
    "byte of the register": flip("register.jsonl"),
    "byte of a dataset": flip("datasets/*/day=*.parquet"),
    "register deleted": lambda target: (target.path / "register.jsonl").write_bytes(b""),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_found_by_both(target: Target, attack: str) -> None:
    ATTACKS[attack](target)
    verified, script = target.found()
    assert verified
    assert script


@given(st.data())
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_of_a_sealed_root_is_found_by_both(genuine: Target, data: st.DataObject) -> None:
    files = sorted(path for path in genuine.path.rglob("*") if path.is_file() and not path.name.startswith("."))
    assert {path.suffix for path in files} == {".jsonl", ".json", ".sig", ".parquet", ""}
    path = data.draw(st.sampled_from(files))
    whole = path.read_bytes()
    offset = data.draw(st.integers(0, len(whole) - 1))
    changed = bytes([whole[offset] ^ data.draw(st.integers(1, 255))])
    try:
        path.write_bytes(whole[:offset] + changed + whole[offset + 1 :])
        verified, script = genuine.found()
    finally:
        path.write_bytes(whole)
    assert verified
    assert script


# with the genuine key only a seal that was held elsewhere helps


def test_a_forged_step_is_found_even_where_the_forger_can_seal(target: Target) -> None:
    """Every chain, digest and seal fits; the log contradicts itself."""
    grounded_in_the_log(target)
    shutil.rmtree(target.path / "seals")
    lines = [line for line in read_lines(target.path / "register.jsonl") if line.name != "sealed"]
    (target.path / "register.jsonl").write_bytes(chain(lines, {}))
    target.seal()
    verified, script = target.found()
    assert "gate_forged" in verified & script


def cut_back(target: Target, policy: Policy) -> None:
    """Everything after the first seal is gone, from every file."""
    shutil.rmtree(target.path)
    shutil.copytree(target.earlier, target.path)


def made_anew(target: Target, policy: Policy) -> None:
    """The whole root written again without the blocked run, as only whoever has everything can."""
    shutil.rmtree(target.path)
    bench = Bench(target.path, policy, target.clock)
    bench.complete()
    target.seal()
    bench.complete(undecided() | {"system": "shipping"}, determined())
    target.seal()


@pytest.mark.parametrize("attack", [cut_back, made_anew])
def test_what_the_genuine_key_can_hide_is_found_with_a_witness(
    target: Target, policy: Policy, tmp_path: Path, attack: Callable[[Target, Policy], None]
) -> None:
    witness = Path(shutil.copy(seal_path(target.root, 2), tmp_path / "held.json"))
    attack(target, policy)
    assert target.found() == (set(), set())
    assert target.found(witness) == ({"witness_differs"}, {"witness_differs"})


def test_the_script_says_what_it_found_and_ends_so(target: Target) -> None:
    command = [sys.executable, str(SCRIPT), str(target.path), "--allowed-signers", str(target.signers)]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, "5 runs, 2 seals, 0 erased texts: no faults\n")
    target.log.unlink()
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert f"log_missing  {target.log}  expected: the head" in bad.stdout


def test_the_script_stays_short_and_uses_nothing_but_python() -> None:
    lines = SCRIPT.read_text("utf-8").splitlines()
    code = [line for line in lines[lines.index('"""', 2) + 1 :] if line.strip() and not line.strip().startswith('"""')]
    assert len(code) <= 255
    imported = {line.split()[1] for line in code if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
