"""Seals: made, gone on with, finished after a crash, and every way in which one does not hold."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.clocks.instant import parse_instant
from countersign.errors import EvidenceError, SealRefused, SignatureError, TamperedError
from countersign.evidence import durable
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import ZERO, parse_line
from countersign.evidence.merkle import leaf_hash, root_of
from countersign.evidence.seal import Seal, parse_seal, read_seal, seal_numbers, seal_path, signature_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.seals import Sealed, check_seals
from countersign.evidence.signature import sign
from countersign.evidence.signers import PIPELINE, SEAL, WITNESS, PublicKey, Signer, allowed_signers, ssh_time
from countersign.evidence.witnessing import Witnessed, countersign
from tests.conftest import StepClock
from tests.domain.evidence.conftest import Stage, opening
from tests.evidence_script import script_faults
from tests.keys import make_key

POLICY = "c" * 64


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys `seal`, `other` and `third`, and one of another kind, `ecdsa`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("seal", "other", "third"):
        make_key(folder / name)
    make_key(folder / "ecdsa", "ecdsa")
    return folder


def outside(root: Path, signers: Path | None = None) -> list[str]:
    """What the script finds wrong, but for the logs: nobody has written one here."""
    return [
        name for name, where, _ in script_faults(root, signers) if name != "log_missing" and "/runs/" not in str(where)
    ]


@dataclass
class Sealing:
    """A root on a stage with whoever seals it."""

    stage: Stage
    keys: Path
    clock: StepClock

    def seal(self, key: str = "seal", **more: Any) -> Seal:
        for line in map(parse_line, self.lines() if self.stage.root.register.exists() else ()):
            if line is not None and line["event"] == "run_opened":  # its log was begun, so it is not abandoned
                log = self.stage.root.log(date.fromisoformat(line["day"]), line["run_id"])
                log.parent.mkdir(parents=True, exist_ok=True)
                log.touch()
        return Sealer(self.stage.root, self.keys / key, clock=self.clock, **more).seal(POLICY)

    def files(self) -> dict[str, bytes]:
        """Every file of the root with its content."""
        paths = sorted(self.stage.root.path.rglob("*"))
        return {
            str(path): path.read_bytes()
            for path in paths
            if path.is_file() and path.name not in (".lock", "audit.jsonl")
        }

    def grow(self, runs: int = 1) -> None:
        first = len(self.lines())
        drafts = [opening(f"change-{number:016x}") for number in range(first, first + runs)]
        self.stage.register.append_many(drafts)

    def find(self, text: str) -> None:
        ChainFile(self.stage.root.findings, clock=self.clock).append("opened", "countersign", what=text)

    def lines(self) -> list[bytes]:
        return self.stage.root.register.read_bytes().splitlines(keepends=True)

    def check(self, **more: Any) -> Sealed:
        return check_seals(self.stage.root, **more)

    def kinds(self, **more: Any) -> list[str]:
        return [fault.kind for fault in self.check(**more).faults]

    def paths(self, number: int) -> tuple[Path, Path]:
        return seal_path(self.stage.root, number), signature_path(self.stage.root, number)

    def forge(self, number: int, key: str = "seal", **changes: Any) -> Seal:
        """Write another statement under a number, signed with a key."""
        forged = replace(read_seal(self.stage.root, number), **changes)
        statement, signature = self.paths(number)
        statement.write_bytes(forged.statement)
        signature.write_bytes(sign(forged.statement, key=self.keys / key, namespace=SEAL))
        return forged


@pytest.fixture
def sealing(stage: Stage, keys: Path, clock: StepClock) -> Sealing:
    return Sealing(stage, keys, clock)


def test_a_seal_says_what_the_root_is(sealing: Sealing) -> None:
    sealing.grow(4)
    lines = sealing.lines()
    first = sealing.seal()
    assert (first.number, first.previous, first.policy, first.lines) == (1, ZERO, POLICY, 5)
    assert (first.findings.size, first.findings.head) == (0, ZERO)
    assert first.root == root_of(map(leaf_hash, lines)).hex()
    assert first.register.size == sum(map(len, lines))
    assert sealing.stage.register.records().__next__().head == first.environment
    sealing.grow(3)
    sealing.find("overdue")
    second = sealing.seal()
    assert (second.number, second.previous, second.environment) == (2, first.digest, first.environment)
    assert second.lines == 5 + 1 + 3
    assert second.root == root_of(map(leaf_hash, sealing.lines()[:-1])).hex()
    assert second.findings.head == ChainFile(sealing.stage.root.findings).head
    checked = sealing.check(now=sealing.clock.now)
    assert (checked.faults, checked.newest, checked.lines) == ([], second, 9)


def test_a_register_that_was_changed_before_the_last_seal_is_not_sealed_again(sealing: Sealing) -> None:
    for _ in range(3):
        sealing.grow(5)
        sealing.seal()
    content = sealing.stage.root.register.read_bytes()
    sealing.stage.root.register.write_bytes(content.replace(b'"CHG-1"', b'"CHG-2"', 1))
    sealing.grow()
    with pytest.raises(TamperedError, match="not what seal 1 says of it"):
        sealing.seal()
    assert {"seal_register"} <= set(sealing.kinds())


def test_every_seal_is_checked_and_who_signed_is_asked_of_the_file_given(sealing: Sealing, tmp_path: Path) -> None:
    for _ in range(3):
        sealing.grow()
        sealing.seal()
    lines = {name: PublicKey.parse((sealing.keys / f"{name}.pub").read_text()) for name in ("seal", "other")}
    signers = tmp_path / "allowed_signers"
    signers.write_bytes(allowed_signers([Signer(PIPELINE, SEAL, lines["seal"])]))
    assert sealing.kinds(allowed_signers=signers) == []
    signers.write_bytes(allowed_signers([Signer(PIPELINE, SEAL, lines["other"])]))
    assert sealing.kinds(allowed_signers=signers) == ["seal_signature"] * 3


def test_a_change_of_key_needs_somebody_who_knows_both(sealing: Sealing, tmp_path: Path) -> None:
    sealing.seal()
    before = sealing.files()
    with pytest.raises(SealRefused, match=r"is not that of seal 1, SHA256:.*countersign seal --new-key"):
        sealing.seal("other")
    assert sealing.files() == before
    second = sealing.seal("other", new_key=True)
    with pytest.raises(SealRefused, match="is not that of seal 2"):
        sealing.seal("seal")
    assert sealing.kinds() == ["seal_key"]
    assert sealing.check().lines < second.lines
    signers = tmp_path / "allowed_signers"
    both = [PublicKey.parse((sealing.keys / f"{name}.pub").read_text()) for name in ("seal", "other")]
    signers.write_bytes(allowed_signers(Signer(PIPELINE, SEAL, key) for key in both))
    assert sealing.kinds(allowed_signers=signers) == []


def test_a_seal_is_finished_by_the_key_of_the_one_before(sealing: Sealing) -> None:
    """Nor does a crash let another key in; and a first seal has none before it."""
    first = sealing.seal()
    sealing.paths(1)[1].unlink()
    register = sealing.stage.root.register
    register.write_bytes(b"".join(sealing.lines()[:-1]))
    assert sealing.seal("other").previous == first.digest
    assert sealing.kinds() == []
    third = sealing.seal("other")
    sealing.paths(3)[1].unlink()
    register.write_bytes(b"".join(sealing.lines()[:-1]))
    with pytest.raises(SealRefused, match="is not that of seal 2"):
        sealing.seal("seal")
    assert sealing.seal("other").previous == third.digest
    assert sealing.kinds() == []


def test_only_an_ed25519_key_that_signs_for_nobody_seals(sealing: Sealing) -> None:
    before = sealing.files()
    with pytest.raises(SealRefused, match=r"of kind ecdsa-sha2-nistp256 does not seal.*ssh-keygen -t ed25519"):
        sealing.seal("ecdsa")
    reviewers = PublicKey.parse((sealing.keys / "seal.pub").read_text())
    with pytest.raises(SealRefused, match="signs for reviewer by the roster in force"):
        sealing.seal(people={reviewers: "reviewer"}, new_key=True)
    assert sealing.files() == before
    assert sealing.seal("other", people={reviewers: "reviewer"}).number == 1


def test_a_root_whose_newest_signature_is_none_is_not_sealed_on(sealing: Sealing) -> None:
    sealing.seal()
    sealing.paths(1)[1].write_bytes(b"none")
    with pytest.raises(TamperedError, match="not the signature of seal 1"):
        sealing.seal()


def test_what_no_seal_covers_for_25_hours_is_a_fault_in_a_root_that_was_never_sealed_too(sealing: Sealing) -> None:
    sealing.grow()
    late = timedelta(hours=26)
    assert sealing.kinds(now=sealing.clock.now) == []
    assert sealing.kinds(now=sealing.clock.now + late) == ["seal_late"]
    sealing.seal()
    assert sealing.kinds(now=sealing.clock.now + late) == []
    sealing.grow()
    assert sealing.kinds(now=sealing.clock.now) == []
    assert sealing.kinds(now=sealing.clock.now + late) == ["seal_late"]


@pytest.mark.parametrize(
    ("field", "other"), [(b'"event":"run_opened",', b""), (b'"ts":"2026', b'"ts":"soon'), (b'"ts":"', b'"ts":5,"s":"')]
)
def test_a_line_after_the_seals_that_is_no_event_is_named(sealing: Sealing, field: bytes, other: bytes) -> None:
    sealing.seal()
    sealing.grow()
    *before, last = sealing.lines()
    register = sealing.stage.root.register
    register.write_bytes(b"".join([*before, last.replace(field, other, 1)]))
    (fault,) = sealing.check(now=sealing.clock.now + timedelta(hours=26)).faults
    assert (fault.kind, fault.where) == ("bad_event", f"{register}: byte {sum(map(len, before))}")


def test_a_register_whose_last_write_was_torn_is_healed_and_sealed(sealing: Sealing) -> None:
    sealing.seal()
    for path in (sealing.stage.root.register, sealing.stage.root.findings):
        with path.open("ab") as file:
            file.write(b'{"prev":"half')
    sealing.seal()
    assert sealing.kinds() == []
    assert b"recovered" in sealing.stage.root.findings.read_bytes()


# what a crash leaves


def test_a_seal_that_was_only_stated_is_signed_by_the_next_sealing(sealing: Sealing) -> None:
    sealing.grow()
    sealing.seal()
    statement, signature = sealing.paths(1)
    said = statement.read_bytes()
    sealing.stage.root.register.write_bytes(b"".join(sealing.lines()[:-1]))
    signature.unlink()
    assert sealing.kinds() == ["seal_unfinished", "seal_unfinished"]
    sealing.grow()
    assert sealing.seal().number == 2
    assert statement.read_bytes() == said
    assert sealing.kinds() == []


def test_a_seal_that_the_register_never_heard_of_gets_its_line(sealing: Sealing) -> None:
    sealing.grow()
    sealing.seal()
    before = [path.read_bytes() for path in sealing.paths(1)]
    sealing.stage.root.register.write_bytes(b"".join(sealing.lines()[:-1]))
    assert sealing.kinds() == ["seal_unfinished"]
    sealing.grow()
    sealing.seal()
    assert [path.read_bytes() for path in sealing.paths(1)] == before
    assert sealing.kinds() == []
    assert seal_numbers(sealing.stage.root) == [1, 2]


@pytest.mark.parametrize("change", [{"lines": 1, "subtrees": ("a" * 64,)}, {"environment": "e" * 64}])
def test_a_statement_that_somebody_laid_there_is_not_signed(sealing: Sealing, change: dict[str, Any]) -> None:
    sealing.grow(2)
    sealing.seal()
    sealing.stage.root.register.write_bytes(b"".join(sealing.lines()[:-1]))
    sealing.forge(1, **change)
    sealing.paths(1)[1].unlink()
    with pytest.raises(TamperedError, match="unsigned statement"):
        sealing.seal()
    assert not sealing.paths(1)[1].exists()


@pytest.mark.parametrize("key", ["nothing", "no_key"])
def test_a_key_that_cannot_sign_leaves_nothing_behind(sealing: Sealing, key: str) -> None:
    """A mistyped --key is no crash: there is no statement that a later sealing would have to finish."""
    (sealing.keys / "no_key").write_bytes(b"no key at all")
    (sealing.keys / "no_key").chmod(0o600)
    before = sealing.stage.root.register.read_bytes()
    with pytest.raises(SignatureError, match=rf"{key}: (the key cannot be read|it cannot sign .*; name a private key)"):
        sealing.seal(key)
    assert sealing.stage.root.register.read_bytes() == before
    assert seal_numbers(sealing.stage.root) == []
    assert sealing.seal().number == 1
    assert sealing.kinds() == []


def test_there_is_nothing_to_seal_without_a_register(sealing: Sealing) -> None:
    sealing.stage.root.register.write_bytes(b"")
    with pytest.raises(EvidenceError, match="nothing to seal"):
        sealing.seal()
    sealing.stage.root.register.unlink()
    with pytest.raises(EvidenceError, match="no evidence root"):
        sealing.seal()


# what does not hold


def _cut_register(sealing: Sealing) -> None:
    sealing.stage.root.register.write_bytes(b"".join(sealing.lines()[:2]))


def _other_line(sealing: Sealing) -> None:
    path = sealing.stage.root.register
    path.write_bytes(path.read_bytes().replace(b"CHG-1", b"CHG-9", 1))


def _note_of(number: int, text: bytes, other: bytes) -> Callable[[Sealing], None]:
    def change(sealing: Sealing) -> None:
        lines = [
            line.replace(text, other, 1) if b'"sealed"' in line and b'"number":%d' % number in line else line
            for line in sealing.lines()
        ]
        sealing.stage.root.register.write_bytes(b"".join(lines))

    return change


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        (lambda sealing: sealing.paths(1)[0].unlink(), {"seal_missing", "seal_continuity"}),
        (lambda sealing: [path.unlink() for path in sealing.paths(2)], {"seal_missing"}),
        (lambda sealing: sealing.paths(2)[1].unlink(), {"seal_unfinished", "seal_changed"}),
        (lambda sealing: sealing.paths(1)[0].write_bytes(b"{}"), {"seal_unreadable", "seal_continuity"}),
        (
            lambda sealing: sealing.forge(1, at="2026-11-23T13:00:00.000000Z"),
            {"seal_changed", "seal_continuity", "seal_time"},
        ),
        (lambda sealing: sealing.forge(2, at="2026-11-23T13:00:00.000000Z"), {"seal_changed", "seal_time"}),
        (lambda sealing: sealing.forge(2, policy="d" * 64), {"seal_changed"}),
        (lambda sealing: sealing.forge(2, key="other"), {"seal_changed", "seal_key"}),
        (lambda sealing: sealing.forge(2, environment="d" * 64), {"seal_changed", "seal_environment"}),
        (lambda sealing: shutil.copy(sealing.paths(1)[1], sealing.paths(2)[1]), {"seal_changed", "seal_signature"}),
        (lambda sealing: shutil.copy(sealing.paths(1)[0], sealing.paths(2)[0]), {"seal_unreadable"}),
        (lambda sealing: sealing.stage.root.findings.unlink(), {"seal_findings"}),
        (lambda sealing: sealing.stage.root.findings.write_bytes(b""), {"seal_findings"}),
        (lambda sealing: sealing.forge(2, segment="d" * 64), {"seal_changed"}),
        (_cut_register, {"seal_register", "seal_unfinished"}),
        (_other_line, {"seal_register", "seal_environment"}),
        (_note_of(2, b'"ts":"2026', b'"ts":"2027'), {"seal_changed"}),
        (_note_of(2, b'"actor":"c', b'"actor":"C'), {"seal_changed"}),
        (_note_of(2, b'"sealed"', b'"sEaled"'), {"seal_unfinished"}),
        (_note_of(2, b'"number":2', b'"number":7'), {"seal_unfinished", "seal_missing"}),
        (_note_of(2, b'"number":2', b'"number":1'), {"seal_unfinished", "seal_changed"}),
    ],
)
def test_whatever_is_done_to_a_seal_is_found(
    sealing: Sealing, damage: Callable[[Sealing], object], kinds: set[str]
) -> None:
    sealing.grow()
    sealing.find("overdue")
    sealing.seal()
    sealing.grow()
    sealing.seal()
    assert sealing.kinds() == []
    damage(sealing)
    assert set(sealing.kinds()) == kinds


def test_a_register_or_findings_that_do_not_go_on_from_the_seal_are_not_sealed(sealing: Sealing) -> None:
    sealing.find("overdue")
    sealing.grow(2)
    sealing.seal()
    whole, found = sealing.stage.root.register.read_bytes(), sealing.stage.root.findings.read_bytes()
    _cut_register(sealing)
    with pytest.raises(TamperedError, match="not what seal 1 says"):
        sealing.seal()
    sealing.stage.root.register.write_bytes(whole)
    sealing.stage.root.findings.unlink()
    with pytest.raises(TamperedError, match="gone, though it was sealed"):
        sealing.seal()
    sealing.stage.root.findings.write_bytes(found + found)
    with pytest.raises(TamperedError, match="broken_chain"):
        sealing.seal()
    assert seal_numbers(sealing.stage.root) == [1]


def test_a_witness_shows_what_somebody_else_holds(sealing: Sealing, tmp_path: Path) -> None:
    opened = sealing.check().since
    for _ in range(2):
        sealing.grow()
        sealing.seal()
    held = tmp_path / "held.json"
    shutil.copy(sealing.paths(1)[0], held)
    checked = sealing.check(witness=held)
    first = read_seal(sealing.stage.root, 1)
    assert (checked.faults, checked.witnessed, checked.since) == ([], first.lines, first.at)
    assert sealing.check().since == opened
    with pytest.raises(EvidenceError, match="no such file"):
        sealing.check(witness=tmp_path / "nothing")
    held.write_bytes(b"{}")
    assert sealing.kinds(witness=held) == ["witness_unreadable"]


def test_a_root_cut_back_to_an_older_seal_or_made_anew_with_the_key_is_found_with_a_witness(
    sealing: Sealing, tmp_path: Path
) -> None:
    sealing.grow()
    sealing.seal()
    shutil.copytree(sealing.stage.root.path, tmp_path / "then")
    sealing.grow()
    second = sealing.seal()
    held = tmp_path / "held.json"
    held.write_bytes(second.statement)
    shutil.rmtree(sealing.stage.root.path)
    shutil.copytree(tmp_path / "then", sealing.stage.root.path)
    assert sealing.kinds() == []
    assert sealing.kinds(witness=held) == ["witness_differs"]
    sealing.grow(2)
    sealing.seal()
    assert sealing.kinds() == []
    assert sealing.kinds(witness=held) == ["witness_differs"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"number":1', b'"number":true'),
        (b'"number":1', b'"number": 1'),
        (b'"lines":2', b'"lines":3'),
        (b'"lines":2', b'"lines":-2'),
        (b'"schema":"countersign-seal/1"', b'"schema":"countersign-seal/2"'),
        (b'"policy":"c', b'"policy":"C'),
        (b'"policy":', b'"extra":"","policy":'),
        (b'"at":"2026', b'"at":"next year'),
        (b"}", b""),
    ],
)
def test_a_statement_that_could_be_written_otherwise_is_none(sealing: Sealing, old: bytes, new: bytes) -> None:
    sealing.grow()
    statement = sealing.seal().statement
    assert parse_seal(statement, Path("good")) == read_seal(sealing.stage.root, 1)
    assert old in statement
    with pytest.raises(TamperedError, match="not a seal as it is written"):
        parse_seal(statement.replace(old, new), Path("bad"))


# counter-signatures


def witnessing(
    sealing: Sealing, number: int, held: Path | None = None, *, key: str = "other", known: Path | None = None
) -> Witnessed:
    return countersign(
        sealing.stage.root,
        number,
        witness="observer",
        key=sealing.keys / key,
        held=held,
        allowed_signers=known,
        clock=sealing.clock,
    )


def witnessed(*arguments: Any, **more: Any) -> Path:
    return witnessing(*arguments, **more).path


@pytest.fixture
def signers(keys: Path, tmp_path: Path) -> Path:
    """Who may seal and who may witness, as somebody outside has it."""
    path = tmp_path / "signers"
    lines = [(PIPELINE, SEAL, "seal"), ("observer", WITNESS, "other")]
    path.write_bytes(
        allowed_signers(
            Signer(principal, namespace, PublicKey.parse((keys / f"{name}.pub").read_text()))
            for principal, namespace, name in lines
        )
    )
    return path


def test_an_observer_counter_signs_what_goes_on_from_the_seal_they_hold(sealing: Sealing, signers: Path) -> None:
    opened = sealing.check().since
    first = sealing.seal()
    path = witnessed(sealing, 1)
    before = sealing.stage.root.register.read_bytes()
    assert witnessing(sealing, 1) == Witnessed(path, repeated=True)
    assert sealing.stage.root.register.read_bytes() == before
    sealing.grow()
    sealing.seal()
    witnessed(sealing, 2, held=sealing.paths(1)[0])
    second = read_seal(sealing.stage.root, 2)
    assert sealing.check().since == opened  # whose key it was, only the file of signers tells
    checked = sealing.check(allowed_signers=signers)
    assert (checked.faults, checked.since) == ([], second.at)
    assert second.at > first.at


def test_nothing_is_counter_signed_that_does_not_hold(sealing: Sealing, tmp_path: Path) -> None:
    sealing.seal()
    held = tmp_path / "held.json"
    held.write_bytes(replace(read_seal(sealing.stage.root, 1), policy="d" * 64).statement)
    with pytest.raises(TamperedError, match="witness_differs"):
        witnessed(sealing, 1, held)
    sealing.paths(1)[1].unlink()
    with pytest.raises(TamperedError, match="seal_unfinished"):
        witnessed(sealing, 1)
    assert list(sealing.stage.root.seals.glob("*.observer.sig")) == []


def test_a_key_that_is_not_the_witness_s_signs_nothing(sealing: Sealing, signers: Path) -> None:
    sealing.seal()
    before = sealing.stage.root.register.read_bytes()
    with pytest.raises(SignatureError, match="no counter-signature of 'observer'"):
        witnessed(sealing, 1, key="third", known=signers)
    assert list(sealing.stage.root.seals.glob("*.observer.sig")) == []
    assert sealing.stage.root.register.read_bytes() == before
    assert witnessed(sealing, 1, known=signers).is_file()


@pytest.mark.parametrize("content", ["nothing", "of_the_seal", "by_another_key"])
def test_what_somebody_put_there_is_not_registered(sealing: Sealing, signers: Path, content: str) -> None:
    sealing.seal()
    path = sealing.paths(1)[0].with_name("000001.json.observer.sig")
    statement = read_seal(sealing.stage.root, 1).statement
    path.write_bytes(
        {
            "nothing": b"nothing",
            "of_the_seal": sealing.paths(1)[1].read_bytes(),
            "by_another_key": sign(statement, key=sealing.keys / "third", namespace=WITNESS),
        }[content]
    )
    before = sealing.stage.root.register.read_bytes()
    for known in (signers, None):
        with pytest.raises((SignatureError, SealRefused), match=r"no counter-signature of 'observer'|by another key"):
            witnessed(sealing, 1, known=known)
    assert sealing.stage.root.register.read_bytes() == before


def test_a_key_that_made_a_seal_witnesses_none(sealing: Sealing) -> None:
    """Nor does it after another has taken its place."""
    sealing.seal()
    sealing.seal("third", new_key=True)
    before = sealing.files()
    with pytest.raises(TamperedError, match="seal_key"):
        witnessed(sealing, 1, key="third")
    known = sealing.keys.parent / "both-seal"
    keys = [PublicKey.parse((sealing.keys / f"{name}.pub").read_text()) for name in ("seal", "third")]
    known.write_bytes(allowed_signers(Signer(PIPELINE, SEAL, key) for key in keys))
    for number, key in ((1, "seal"), (2, "third")):
        with pytest.raises(SealRefused, match=f"made seal {number}, so it shows nothing"):
            witnessed(sealing, 1, key=key, known=known)
    assert sealing.files() == before


def test_a_seal_that_was_counter_signed_by_another_key_says_by_which(sealing: Sealing, signers: Path) -> None:
    sealing.seal()
    witnessed(sealing, 1, key="third")
    third = PublicKey.parse((sealing.keys / "third.pub").read_text())
    with pytest.raises(SealRefused, match=f"by another key than SHA256:.*: {re.escape(third.fingerprint)}; what to do"):
        witnessed(sealing, 1)
    with pytest.raises(SignatureError, match="the key cannot be read"):
        witnessed(sealing, 1, key="nowhere")


def test_the_way_out_after_a_counter_signature_by_the_key_that_seals(sealing: Sealing, signers: Path) -> None:
    """As earlier releases took it: a line for that one signature, once a later seal is properly counter-signed."""
    root, statement = sealing.stage.root, sealing.seal().statement
    path = sealing.paths(1)[0].with_name("000001.json.observer.sig")
    path.write_bytes(signature := sign(statement, key=sealing.keys / "seal", namespace=WITNESS))
    data = {"number": 1, "by": "observer", "file": path.name, "sha256": durable.digest_of(signature)}
    sealing.stage.register.append("witnessed", "countersign", **data)
    with pytest.raises(SealRefused, match=r"by another key.*which made seal 1"):
        witnessed(sealing, 1)
    assert sealing.kinds(allowed_signers=signers) == ["witness_signature"]
    second = sealing.seal()
    witnessed(sealing, 2)
    at = parse_instant(json.loads(sealing.lines()[2])["ts"])
    begin, end = ssh_time(at), ssh_time(at + timedelta(seconds=1))
    options = f'namespaces="witness@countersign",valid-after="{begin}",valid-before="{end}"'
    with signers.open("a") as file:
        file.write(f"observer {options} {(sealing.keys / 'seal.pub').read_text()}")
    checked = sealing.check(allowed_signers=signers)
    assert (checked.faults, checked.since) == ([], second.at)
    assert outside(root.path, signers) == []


def test_a_seal_that_is_not_there_is_not_counter_signed(sealing: Sealing) -> None:
    with pytest.raises(EvidenceError, match="no seal 1; there is none yet"):
        witnessed(sealing, 1)
    sealing.seal()
    for number in (0, 2):
        with pytest.raises(EvidenceError, match=f"no seal {number}; the newest is 1"):
            witnessed(sealing, number)


def test_a_counter_signature_that_a_crash_left_is_registered(sealing: Sealing, signers: Path) -> None:
    sealing.seal()
    path = witnessed(sealing, 1)
    register = sealing.stage.root.register
    register.write_bytes(b"".join(register.read_bytes().splitlines(keepends=True)[:-1]))
    content = path.read_bytes()
    assert witnessed(sealing, 1, known=signers).read_bytes() == content
    assert b'"event":"witnessed"' in register.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes() + b"\n"),
        lambda path: path.write_bytes(path.with_name("000001.json.sig").read_bytes()),
    ],
    ids=["deleted", "changed", "another"],
)
def test_a_counter_signature_that_is_not_the_registered_one_is_found(
    sealing: Sealing, signers: Path, damage: Callable[[Path], object]
) -> None:
    sealing.seal()
    damage(witnessed(sealing, 1))
    for known in (None, signers):
        assert sealing.kinds(allowed_signers=known) == ["witness_signature"]
        assert "content_differs" in {name for name, _, _ in script_faults(sealing.stage.root.path, known)}


def test_a_counter_signature_by_a_key_that_is_nobodys_counts_for_nothing(sealing: Sealing, signers: Path) -> None:
    sealing.seal()
    path, root = witnessed(sealing, 1), sealing.stage.root.path
    assert sealing.kinds(allowed_signers=signers) == []
    assert outside(root, signers) == []
    lines = [line for line in signers.read_text().splitlines() if line.startswith(PIPELINE)]
    without = signers.with_name("signers-without-the-witness")
    without.write_text("\n".join([*lines, ""]))
    assert sealing.kinds(allowed_signers=without) == ["witness_signature"]
    assert outside(root, without) == ["witness_signature"]
    assert sealing.kinds() == []
    assert outside(root) == []
    assert path.is_file()
