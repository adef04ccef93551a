"""The attack table: each is found by `verify` and by `verify_evidence.py`, and no good root is refused by either.

Every attack of the table is a case that bears its name: on files and chains (`ATTACKS`), on what people signed
(`SIGN_OFFS`), and by whoever has the genuine seal key too, against whom a seal that was held elsewhere helps
(`WITNESSED`).
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import Draft
from countersign.evidence.seal import seal_path, signature_path
from countersign.evidence.signature import Signature, sign
from tests.conftest import payload_with
from tests.domain.runs.attacked import Target, signers_of
from tests.domain.runs.conftest import Forger, Line, chain
from tests.domain.runs.test_sign_offs import determined, undecided
from tests.domain.runs.test_signed_sign_offs import with_key
from tests.domain.runs.test_verification import grounded
from tests.evidence_script import SCRIPT, verified_signatures
from tests.keys import SIGNS, key_entry, make_key


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
    target.seal_anew(make_key(target.path.parent / "forged"))


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
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


# Sign-offs. They are forged before a seal covers them, with chains that fit: only what people signed is against it


def review_of(target: Target, rundir: Path) -> tuple[Forger, Line, dict[str, Any]]:
    """The review of a run with what was signed, for a forger to change."""
    forger = target.forger(rundir)
    line = forger.line("signed_off")
    return forger, line, {text["text"].partition("/")[0]: text for text in line.texts}


def signed_by(key: Callable[[Target], Path], role: str = "reviewer", **changes: Any) -> Callable[[Target], None]:
    """A review that says something else, signed by that key in the namespace of that role."""

    def attack(target: Target) -> None:
        forger, line, texts = review_of(target, target.reviewed())
        statement = rfc8785.dumps(json.loads(texts["statement"]["value"]) | changes)
        signature = sign(statement, key=key(target), namespace=SIGNS[role])
        by_key = Signature.parse(signature).key.fingerprint
        line.event["actor"] = changes.get("checker", line.event["actor"])
        line.event["signed"] |= {"statement": digest_of(statement), "by_key": by_key}
        texts["statement"]["value"], texts["signature"]["value"] = statement.decode(), signature.decode()
        forger.write()

    return attack


def second(target: Target) -> Path:
    return target.keys / "second-reviewer"


def own(target: Target) -> Path:
    return target.keys / "reviewer"


def other(name: str) -> Callable[[Target], Path]:
    return lambda target: target.others / name


def moved_to_another_run(target: Target) -> None:
    """What the reviewer signed about one run stands under the review of another."""
    _, lent, words = review_of(target, target.done)
    forger, line, texts = review_of(target, target.reviewed())
    line.event["signed"] = lent.event["signed"]
    for part in ("statement", "signature"):
        texts[part]["value"] = words[part]["value"]
    forger.write()


def content_changed_after_it(target: Target) -> None:
    """Another reason in the assessment, and the sign-off that was given on the old one, its references made to fit."""
    forger, _, _ = review_of(target, target.reviewed())
    other_reason(forger)
    forger.write()


def other_determination(target: Target) -> None:
    forger, _, texts = review_of(target, target.reviewed())
    texts["determination"]["value"] = "because somebody said so"
    forger.write()


def signature_taken_off(target: Target) -> None:
    forger, line, texts = review_of(target, target.reviewed())
    del line.event["signed"]
    line.texts[:] = [text for part, text in texts.items() if part not in ("statement", "signature")]
    forger.write()


def key_revoked(target: Target) -> None:
    """The owners learn that the key was stolen before it signed, and say so: to the roster and to the observer."""
    stolen = target.clock()
    target.clock.move(hours=1)
    target.reviewed()
    entry = key_entry(target.keys / "reviewer", SIGNS["reviewer"], valid_before=stolen.isoformat())
    newest = with_key(target.policy, "reviewer", entry)
    target.bench().adopt(newest)
    target.signers.write_bytes(signers_of(target.key, newest))


def both(name: str) -> tuple[set[str], set[str]]:
    """The same name by `verify` and by the script."""
    return {name}, {name}


SIGN_OFFS: dict[str, tuple[Callable[[Target], None], tuple[set[str], set[str]]]] = {
    "sign-off moved to another run": (moved_to_another_run, both("sign_off_statement")),
    "sign-off by the author under a second key": (signed_by(other("maker"), checker="maker"), both("sign_off_void")),
    "sign-off re-used after the content changed": (content_changed_after_it, both("sign_off_statement")),
    "sign-off by an expired key": (signed_by(other("expired")), both("sign_off_signature")),
    "sign-off by a revoked key": (key_revoked, ({"sign_off_key_void"}, {"sign_off_signature"})),
    "sign-off by a key of another namespace": (signed_by(other("approving")), both("sign_off_signature")),
    "sign-off in another namespace than the key's": (signed_by(own, "checker"), both("sign_off_signature")),
    "sign-off by somebody else's key": (signed_by(second), both("sign_off_signature")),
    "sign-off that had expired": (
        signed_by(own, expires_at="2026-11-23T14:00:00.000000Z"), both("sign_off_statement")
    ),
    "sign-off for another root": (signed_by(own, environment="0" * 64), both("sign_off_statement")),
    "sign-off with another reason": (signed_by(own, reason="none"), both("sign_off_statement")),
    "sign-off with another determination": (other_determination, both("sign_off_statement")),
    "sign-off without its signature": (signature_taken_off, both("sign_off_unsigned")),
}  # fmt: skip


@pytest.mark.parametrize("attack", SIGN_OFFS)
def test_a_sign_off_that_nobody_gave_so_is_found_by_both(target: Target, attack: str) -> None:
    forge, names = SIGN_OFFS[attack]
    forge(target)
    target.seal()
    assert target.found() == names


# With the genuine key only a seal that was held elsewhere helps


def test_a_forged_step_is_found_even_where_the_forger_can_seal(target: Target) -> None:
    """Every chain, digest and seal fits; the log contradicts itself."""
    grounded_in_the_log(target)
    target.seal_anew()
    verified, script = target.found()
    assert "gate_forged" in verified & script


def cut_back(target: Target) -> None:
    """Everything after the first seal is gone, from every file."""
    shutil.rmtree(target.path)
    shutil.copytree(target.earlier, target.path)


def register_cut_and_sealed_anew(target: Target) -> None:
    """Cut with the run folder, back to where the first seal was made, and sealed again from there."""
    register_cut_with_the_folder(target)
    known = (target.path / "register.jsonl").read_bytes()
    for path in [*target.path.glob("runs/*/*/*/*"), *target.path.glob("seals/000002.*")]:
        if path.name.encode() not in known:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(target.earlier / "datasets", target.path / "datasets", dirs_exist_ok=True)
    target.seal()


def made_anew(target: Target) -> None:
    """The whole root written again without the blocked run, as only whoever has everything can."""
    shutil.rmtree(target.path)
    bench = target.bench()
    bench.complete()
    target.seal()
    bench.complete(undecided() | {"system": "shipping"}, determined())
    target.seal()


WITNESSED: dict[str, Callable[[Target], None]] = {
    "register cut together with the run folder": register_cut_and_sealed_anew,
    "everything after an older seal cut": cut_back,
    "whole root rewritten with the genuine seal key": made_anew,
}


@pytest.mark.parametrize("attack", WITNESSED)
def test_what_the_genuine_key_can_hide_is_found_with_a_witness(target: Target, tmp_path: Path, attack: str) -> None:
    witness = Path(shutil.copy(seal_path(target.root, 2), tmp_path / "held.json"))
    WITNESSED[attack](target)
    assert target.found() == (set(), set())
    assert target.found(witness) == ({"witness_differs"}, {"witness_differs"})


# The script itself


def test_one_statement_about_many_runs_is_verified_once(target: Target) -> None:
    bench = target.bench()
    results = [bench.execute(payload_with(system=f"system-{number}")) for number in range(3)]
    before = verified_signatures(target.path, target.signers)
    bench.submit(bench.statement(*results).content)
    assert verified_signatures(target.path, target.signers) == before + 1
    assert target.found() == (set(), set())


def test_the_script_says_what_it_found_and_ends_so(target: Target) -> None:
    command = [sys.executable, str(SCRIPT), str(target.path), "--allowed-signers", str(target.signers)]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, "5 runs, 2 seals: no faults\n")
    target.log.unlink()
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert f"log_missing  {target.log}  expected: the head" in bad.stdout


def test_the_script_stays_short_and_uses_nothing_but_python() -> None:
    lines = SCRIPT.read_text("utf-8").splitlines()
    code = [line for line in lines[lines.index('"""', 2) + 1 :] if line.strip() and not line.strip().startswith('"""')]
    assert len(code) <= 435
    imported = {line.split()[1] for line in code if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
