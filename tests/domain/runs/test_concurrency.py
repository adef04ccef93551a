"""Processes that work on one root at once."""

import multiprocessing
from collections import Counter
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from countersign import AuditLog, Run, record_approval
from countersign.errors import SignOffRefused
from countersign.evidence.root import EvidenceRoot
from countersign.policy import load_policy
from countersign.runs.verification import Verifier
from tests.conftest import FULL, POLICY, payload_with, trusting
from tests.domain.runs.conftest import SIGNERS

_SPAWN = multiprocessing.get_context("spawn")
_PATIENCE = 120

UNSIGNED = trusting(load_policy(POLICY))


def at_once(count: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run `work` in so many processes that start together, and expect each to end well."""
    barrier = _SPAWN.Barrier(count)
    processes = [_SPAWN.Process(target=work, args=(barrier, number, *arguments)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(2 * _PATIENCE)
    assert [process.exitcode for process in processes] == [0] * count


def to_the_end(barrier: Barrier, number: int, root: Path) -> None:
    """One payload through everything, with everybody racing at every step."""
    run = Run(root, policy=UNSIGNED)
    for key, signer in SIGNERS:
        barrier.wait(_PATIENCE)
        result = run.execute(payload_with())
        try:
            record_approval(result.rundir, key, signer, policy=run.engine.current.policy)
        except SignOffRefused as refusal:
            assert "is not pending" in str(refusal)  # noqa: PT017  (another process has gone on with it already)
    barrier.wait(_PATIENCE)
    assert run.execute(payload_with()).status == "COMPLETED"


def all_of(barrier: Barrier, number: int, root: Path, count: int) -> None:
    """The same payloads, each process starting elsewhere among them."""
    run = Run(root, policy=UNSIGNED)
    barrier.wait(_PATIENCE)
    for turn in range(count):
        run.execute(payload_with(system=f"system-{(turn + 10 * number) % count}"))


@pytest.fixture(autouse=True)
def _policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))


def test_two_processes_with_one_payload_end_in_one_run_one_log_one_workpaper_row(root: Path) -> None:
    at_once(2, to_the_end, root)
    (log,) = root.glob("runs/*/*/*/*/audit.jsonl")
    events = [entry.event for entry in AuditLog(log).records()]
    assert [events.count(event) for event in ("ingested", "assessed", "signed_off", "workpaper", "handed_off")] == [
        1,
        1,
        2,
        1,
        1,
    ]
    for asset in ("workpaper", "handoff_report"):
        (path,) = (root / "datasets" / asset).glob("*.parquet")
        assert pq.read_table(path).column("run_id").to_pylist() == [log.parent.name]
    assert Verifier(root).verify().ok


def test_many_processes_with_the_same_payloads_lose_none_and_open_none_twice(root: Path) -> None:
    processes, count = (8, 200) if FULL else (4, 40)
    at_once(processes, all_of, root, count)
    verified = Verifier(root).verify()
    assert (verified.faults, verified.checked) == ([], count)
    register = AuditLog(EvidenceRoot(root).register)
    lines = Counter((entry.event, entry.data.get("system")) for entry in register.records())
    assert [lines["run_opened", f"system-{number}"] for number in range(count)] == [1] * count
    assert len(list(root.glob("runs/*/*/*/*/audit.jsonl"))) == count
    heads = Counter(entry.data["run_id"] for entry in register.records() if entry.event == "run_head")
    assert set(heads.values()) == {1}
