"""The crash matrix: for every call that changes a file, an error or a kill before and after it; then going on.

Whatever was acknowledged is there afterwards, nothing is there twice, what was left is named until it is recovered, and
the same thing done again ends as if nothing had happened. `make crash-test` runs every point; `make test` some of them.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.errors import CountersignError
from countersign.evidence.chain import ChainFile
from countersign.evidence.log import AuditLog
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import read_seal, seal_numbers, seal_path, signature_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.seals import check_seals
from countersign.evidence.signature import sign
from countersign.policy import Policy
from tests.conftest import FULL, POLICY, StepClock, payload_with
from tests.crash.faults import Acknowledge, Ended, points, run
from tests.domain.runs.conftest import SIGNERS, Bench, SignedBench, events
from tests.evidence_script import script_faults
from tests.keys import SIGNS, make_key, signed_policy

START = datetime(2026, 11, 23, 14, tzinfo=UTC)
# what may be found before anybody went on: each names what a crash leaves, none says that something is lost
LEFT = {
    "torn_tail",
    "empty",
    "unregistered_tail",
    "dataset_unregistered",
    "dataset_differs",
    "row_missing",
    "seal_unfinished",
}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key") / "seal")


def every_point(
    work: Callable[[Acknowledge], None], folder: Path, acknowledged: int, share: int
) -> Iterator[tuple[int, str]]:
    """The points of a matrix, counted on a run without a fault, which acknowledges everything."""
    whole = run(work, folder)
    assert (len(whole.acknowledged), whole.killed) == (acknowledged, False)
    yield from points(whole.calls, 1 if FULL else share)


def test_append(tmp_path: Path) -> None:
    log, clock = tmp_path / "audit.jsonl", StepClock(START)

    def work(acknowledge: Acknowledge) -> None:
        for number in range(3):
            acknowledge(AuditLog(log, clock=clock).append("noticed", "countersign", number=number))

    for at, mode in every_point(work, tmp_path, 3, 1):
        log.unlink(missing_ok=True)
        ended = run(work, tmp_path, at=at, mode=mode)
        chain = ChainFile(log, clock=clock)
        before = log.read_bytes() if log.exists() else b""
        chain.append("noticed", "countersign", number=9)
        entries = list(chain.records())
        assert log.read_bytes().startswith(before), (at, mode)
        assert set(ended.acknowledged) <= {entry.head for entry in entries}, (at, mode)
        times = Counter(entry.data["number"] for entry in entries if entry.event == "noticed")
        assert set(times.values()) == {1}, (at, mode)
        assert AuditLog(log).verify(), (at, mode)


def test_seal(tmp_path: Path, key: Path) -> None:
    clock = StepClock(START)
    root = EvidenceRoot(tmp_path / "evidence")

    def begin() -> None:
        shutil.rmtree(root.path, ignore_errors=True)
        root.create()
        for path in (root.register, root.findings):
            ChainFile(path, clock=clock).append("root_opened", "countersign")
        Sealer(root, key, clock=clock).seal("c" * 64)

    def work(acknowledge: Acknowledge) -> None:
        ChainFile(root.register, clock=clock).append("noticed", "countersign")
        acknowledge(Sealer(root, key, clock=clock).seal("c" * 64).digest)

    begin()
    for at, mode in every_point(work, tmp_path, 1, 4):
        begin()
        ended = run(work, tmp_path, at=at, mode=mode)
        assert {fault.kind for fault in check_seals(root).faults} <= LEFT, (at, mode)
        stated = {number: seal_path(root, number).read_bytes() for number in seal_numbers(root)}
        signed = {path: path.read_bytes() for path in root.seals.glob("*.sig")}
        newest = Sealer(root, key, clock=clock).seal("c" * 64)
        assert check_seals(root).faults == [], (at, mode)
        assert {number: seal_path(root, number).read_bytes() for number in stated} == stated, (at, mode)
        assert {path: path.read_bytes() for path in signed} == signed, (at, mode)
        kept = {read_seal(root, number).digest for number in seal_numbers(root)}
        assert set(ended.acknowledged) <= kept, (at, mode)
        assert newest.number == len(kept), (at, mode)
        assert all(signature_path(root, number).is_file() for number in seal_numbers(root)), (at, mode)


def test_a_run_from_payload_to_seal(tmp_path: Path, key: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    clock = StepClock(START)
    root = EvidenceRoot(tmp_path / "evidence")

    def work(acknowledge: Acknowledge) -> None:
        bench = Bench(root.path, policy, clock)
        result = bench.execute()
        for name, signer in SIGNERS:
            if result.pending == name:
                with suppress(CountersignError):
                    acknowledge(bench.sign(result, name, signer).log_head)
            result = bench.execute()
        if result.status == "COMPLETED":
            acknowledge(result.state.head if result.state else "")
        acknowledge(Sealer(root, key, clock=clock).seal("c" * 64).digest)

    shutil.rmtree(root.path, ignore_errors=True)
    for at, mode in every_point(work, tmp_path, 4, 41):
        shutil.rmtree(root.path, ignore_errors=True)
        ended = run(work, tmp_path, at=at, mode=mode)
        go_on(root, key, policy, clock, ended, f"{mode} at {at}")


def test_one_signed_statement_about_two_runs(
    tmp_path: Path, key: Path, keys: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part of it was taken, handing it in again completes it, and each run has it once."""
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    clock, required = StepClock(START), signed_policy(policy, keys)
    payloads = [payload_with(system=f"system-{number}") for number in range(2)]
    begun, place = tmp_path / "begun", tmp_path / "evidence"
    bench = SignedBench(begun, required, clock, keys)
    shutil.copytree(begun, place)  # a statement is for one root, wherever it lies
    bench = SignedBench(place, required, clock, keys)
    results = [bench.execute(payload) for payload in payloads]
    content = bench.statement(*results).content
    signature = sign(content, key=keys / "reviewer", namespace=SIGNS["reviewer"])
    bench.forget_index()
    shutil.rmtree(begun)
    shutil.copytree(place, begun)

    def work(acknowledge: Acknowledge) -> None:
        desk = SignedBench(place, required, clock, keys).desk
        acknowledge(" ".join(receipt.log_head for receipt in desk.submit(content, signature).taken))

    for at, mode in every_point(work, tmp_path, 1, 61):
        shutil.rmtree(place)
        shutil.copytree(begun, place)
        ended = run(work, tmp_path, at=at, mode=mode)
        bench = SignedBench(place, required, clock, keys)
        assert set(bench.kinds()) <= LEFT, (at, mode)
        after = [bench.execute(payload) for payload in payloads]
        again = bench.desk.submit(content, signature)
        refused = {refusal.run_id: refusal.reason for refusal in again.refused}
        acknowledged = set(" ".join(ended.acknowledged).split())
        assert acknowledged <= {receipt.log_head for receipt in again.taken}, (at, mode)
        if held := {result.run_id for result in after if (result.reason or "").startswith("held: ")}:
            assert mode.startswith("EIO"), (at, mode)
            assert held == {line["run_id"] for line in bench.registered("run_held")} == refused.keys(), (at, mode)
            continue
        # a torn sign-off was recovered, which is a new head: what was signed on the old one is signed again
        assert refused.keys() == {result.run_id for result in after if "recovered" in events(result)}, (at, mode)
        assert all("has gone on since it was asked for" in reason for reason in refused.values()), (at, mode)
        if refused:
            due = [result for result in map(bench.execute, payloads) if result.pending == "independent_review"]
            bench.submit(bench.statement(*due).content)
        for payload in payloads:
            result = bench.execute(payload)
            assert result.state is not None
            assert (result.pending, [*result.state.sign_offs]) == ("maker_checker", ["independent_review"]), (at, mode)
        assert bench.faults() == [], (at, mode)


def go_on(root: EvidenceRoot, key: Path, policy: Policy, clock: StepClock, ended: Ended, where: str) -> None:
    """What an operator does after a restart, and what has to be true before and after it."""
    if root.register.is_file() and root.register.read_bytes():
        bench = Bench(root.path, policy, clock)
        assert set(bench.kinds()) <= LEFT, where
    bench = Bench(root.path, policy, clock)
    done = bench.complete(payload_with())
    if (done.reason or "").startswith("held: "):
        stays_held(bench, done.rundir / "audit.jsonl", where)
    else:
        assert done.status == "COMPLETED", (where, done.reason)
        bench.execute(payload_with())
        Sealer(root, key, clock=clock).seal("c" * 64)
        assert bench.faults() == [], where
        assert script_faults(root.path) == [], where
    heads = set[str]()
    with suppress(CountersignError):  # only a held run's log may still have the torn tail that it is held for
        heads.update(entry.head for entry in AuditLog(done.rundir / "audit.jsonl").records())
    seals = {read_seal(root, number).digest for number in seal_numbers(root)}
    assert set(ended.acknowledged) <= heads | seals, where
    register = bench.run.engine.register.records()
    opened = [entry.data["run_id"] for entry in register if entry.event == "run_opened"]
    assert opened == [done.run_id], where


def stays_held(bench: Bench, log: Path, where: str) -> None:
    """What a failed fsync does to a run: nobody writes to its log again, and whoever looks is told why."""
    assert where.startswith("EIO"), where
    assert set(bench.kinds()) <= LEFT, where
    before = log.read_bytes()
    bench.fresh()
    again = bench.execute(payload_with())
    assert (again.status, (again.reason or "")[:5]) == ("FAILED", "held:"), where
    assert log.read_bytes() == before, where
