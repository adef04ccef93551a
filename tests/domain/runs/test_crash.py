"""What a power cut leaves between any two writes, and how executing again goes on from it."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from countersign import Status
from countersign.errors import SignOffRefused, TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft
from countersign.evidence.log import AuditLog
from countersign.runs.run import RunResult
from tests.conftest import payload_with
from tests.domain.runs.conftest import SIGNERS, Bench, Forger, events, log_of, read_lines

_DATASETS = ("workpaper", "handoff_report")


def finish(bench: Bench) -> RunResult:
    """Go on as an operator would after a restart, to the end, and expect everything in order."""
    bench.fresh()
    done = bench.complete()
    assert done.status is Status.COMPLETED
    assert bench.faults() == []
    assert rows_of(bench) == {name: [done.run_id] for name in _DATASETS}
    counted = [name for name in events(done) if name not in ("recovered", "failed")]
    assert len([name for name in counted if name == "assessed"]) == 1
    assert [line["run_id"] for line in bench.registered("run_closed")] == [done.run_id]
    return done


def dataset(bench: Bench, asset: str) -> Path:
    (path,) = (bench.root / "datasets" / asset).glob("*.parquet")
    return path


def rows_of(bench: Bench) -> dict[str, list[str]]:
    return {name: pq.read_table(dataset(bench, name)).column("run_id").to_pylist() for name in _DATASETS}


@pytest.mark.parametrize("left", ["nothing", "folder", "empty log"])
def test_a_run_that_was_opened_but_has_no_log_is_begun(bench: Bench, left: str) -> None:
    result = bench.execute()
    bench.cut_register("run_head")
    log_of(result).unlink()
    if left == "nothing":
        result.rundir.rmdir()
    elif left == "empty log":
        log_of(result).touch(mode=0o600)
    assert bench.kinds() == ([] if left != "empty log" else ["empty"])
    done = finish(bench)
    assert done.run_id == result.run_id
    assert len(bench.registered("run_opened")) == 1


def test_advance_leaves_an_opened_run_without_a_log_for_its_payload_to_come_again(bench: Bench) -> None:
    result = bench.execute()
    bench.cut_register("run_head")
    log_of(result).unlink()
    bench.fresh()
    assert bench.advance() == []
    assert not log_of(result).exists()
    finish(bench)


@pytest.mark.parametrize("pauses", [0, 1, 2])
def test_a_log_that_is_ahead_of_the_register_is_taken_up_at_the_next_touch(bench: Bench, pauses: int) -> None:
    """The register's head line of the latest pause never reached the disk."""
    result = bench.execute()
    for key, signer in SIGNERS[:pauses]:
        bench.sign(result, key, signer)
        result = bench.execute()
    bench.cut_register("run_closed" if result.status is Status.COMPLETED else "run_head")
    before = log_of(result).read_bytes()
    assert [kind for kind in bench.kinds() if kind != "dataset_unregistered"] == ["unregistered_tail"]
    again = bench.fresh().execute(payload_with())
    assert (again.status, again.pending) == (result.status, result.pending)
    assert log_of(result).read_bytes() == before
    assert finish(bench).run_id == result.run_id


def test_a_log_that_nobody_waited_for_is_on_disk_before_the_register_hears_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer was killed before one of its fsyncs: what reads well may still be in memory alone, its folder too."""
    result = bench.execute()
    bench.cut_register("run_head")
    bench.fresh()
    synced: list[int] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    bench.execute()
    told = synced.index(bench.register.stat().st_ino)
    for path in (log_of(result), result.rundir.parent):
        assert path.stat().st_ino in synced[:told]


@pytest.mark.parametrize("signed", [1, 2])
def test_a_sign_off_that_the_register_never_heard_of_counts_and_can_be_given_again(bench: Bench, signed: int) -> None:
    result = bench.execute()
    for key, signer in SIGNERS[: signed - 1]:
        bench.sign(result, key, signer)
        result = bench.execute()
    key, signer = SIGNERS[signed - 1]
    bench.sign(result, key, signer)
    bench.cut_register("signed_off")
    bench.fresh()
    with pytest.raises(SignOffRefused, match="does not verify"):
        bench.sign(result, key, signer)
    bench.fresh()
    assert bench.execute().pending != key
    finish(bench)


def test_an_event_appended_behind_the_registers_back_is_found_before_anybody_signs(bench: Bench) -> None:
    result = bench.execute()
    chain = ChainFile(log_of(result), clock=bench.clock)
    chain.append_many([Draft("failed", "countersign", {"step": "gate", "error": "E"})])
    assert bench.kinds() == ["unregistered_tail"]
    with pytest.raises(SignOffRefused, match="does not verify"):
        bench.sign(result, *SIGNERS[0])
    refused = bench.registered("sign_off_refused")[-1]
    assert (refused["run_id"], refused["by"], refused["key"]) == (result.run_id, "reviewer", "independent_review")


@pytest.mark.parametrize(
    "forged",
    [
        Draft("approved_by_nobody", "countersign"),
        Draft("gated", "countersign", {"decision": "passed", "assertions": []}),
        Draft("handed_off", "countersign", {"to": []}),
        Draft("blocked", "countersign"),
        Draft("signed_off", "reviewer", {"key": "independent_review"}),
        Draft("signed_off", "reviewer", {"key": "nobody's"}),
    ],
    ids=["unknown", "gate-twice", "handoff-too-soon", "block-for-nothing", "half-a-sign-off", "unknown-key"],
)
def test_an_event_that_cannot_stand_there_holds_the_run(bench: Bench, forged: Draft) -> None:
    result = bench.execute()
    ChainFile(log_of(result), clock=bench.clock).append_many([forged])
    before = log_of(result).read_bytes()
    held = bench.fresh().execute(payload_with())
    assert (held.status, held.state) == (Status.FAILED, None)
    assert forged.event in (held.reason or "")
    assert log_of(result).read_bytes() == before
    assert bench.registered("run_head")[-1]["head"] == bench.registered("run_head")[-2]["head"]


_TEARS = {
    "first byte": 1,
    "mid event": 200,
    "newline of an event": lambda tail: tail.index(b"\n"),
    "event without its texts": lambda tail: tail.index(b"\n") + 1,
    "mid text": lambda tail: tail.index(b'"salt"'),
    "last newline": lambda tail: len(tail) - 1,
}


def _writes_and_tears() -> Iterator[Any]:
    """Every write of a run's life, torn in every way that it can be; only some writes have texts."""
    with_texts = {"first pause", "sign-off"}
    for write in ("first pause", "sign-off", "second pause", "completion"):
        for tear in _TEARS:
            if write in with_texts or tear not in ("event without its texts", "mid text"):
                yield pytest.param(write, tear, id=f"{write}-{tear}")


@pytest.mark.parametrize(("write", "tear"), list(_writes_and_tears()))
def test_a_torn_write_is_recovered_and_the_run_goes_on(bench: Bench, write: str, tear: str) -> None:
    """Whatever part of a write reached the disk: nothing is lost or judged twice, and no byte is cut off."""
    result = bench.execute()
    earlier, last = b"", "run_head"
    if write != "first pause":
        earlier = log_of(result).read_bytes()
        bench.sign(result, *SIGNERS[0], reason="read in full")
        last = "signed_off"
    if write in ("second pause", "completion"):
        earlier = log_of(result).read_bytes()
        result, last = bench.execute(), "run_head"
    if write == "completion":
        bench.sign(result, *SIGNERS[1])
        earlier = log_of(result).read_bytes()
        result, last = bench.execute(), "run_closed"
    bench.cut_register(last)
    tail = log_of(result).read_bytes()[len(earlier) :]
    where: Any = _TEARS[tear]
    torn = earlier + tail[: where if isinstance(where, int) else where(tail)]
    log_of(result).write_bytes(torn)
    done = finish(bench)
    assert log_of(done).read_bytes().startswith(torn)
    assert "recovered" in events(done) or torn.endswith(b"\n")


def test_a_register_that_knows_a_later_head_than_the_log_holds_the_run(bench: Bench) -> None:
    result = bench.execute()
    whole = log_of(result).read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (b"".join(lines[:-1]), whole[:-2], whole[:-40], b""):
        log_of(result).write_bytes(cut)
        for _ in range(3):
            held = bench.fresh().execute(payload_with())
            assert (held.status, held.pending, held.state) == (Status.FAILED, None, None)
            assert "SEV-1" in (held.reason or "")
            assert log_of(result).read_bytes() == cut
        assert len(bench.kinds()) == 1
    before = bench.register.read_bytes()
    assert bench.fresh().execute(payload_with()).status is Status.FAILED
    assert bench.register.read_bytes() == before
    log_of(result).write_bytes(whole)  # restored from a copy
    finish(bench)


def test_a_lost_log_is_not_begun_again(bench: Bench) -> None:
    """The payload is there to begin with, but the register knows that there was more."""
    result = bench.execute()
    bench.sign(result, *SIGNERS[0])
    log_of(result).unlink()
    result.rundir.rmdir()
    assert bench.kinds() == ["log_missing"]
    held = bench.fresh().execute(payload_with())
    assert held.status is Status.FAILED
    assert "which the log has lost" in (held.reason or "")
    assert not log_of(result).exists() or log_of(result).read_bytes() == b""


def test_a_held_run_does_not_stop_the_others(bench: Bench) -> None:
    held = bench.execute()
    other = bench.execute(payload_with(id="CHG-2"))
    for result in (held, other):
        bench.sign(result, *SIGNERS[0])
    log_of(held).write_bytes(log_of(held).read_bytes()[:-2])
    bench.fresh()
    assert {outcome.run_id: outcome.status for outcome in bench.advance()} == {
        held.run_id: Status.FAILED,
        other.run_id: Status.AWAITING_APPROVAL,
    }


def _failing_fsync_of(patch: pytest.MonkeyPatch, path: Path) -> None:
    number, real = path.stat().st_ino, os.fsync

    def fsync(handle: int) -> None:
        if os.fstat(handle).st_ino == number:
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    patch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("writer", ["engine", "signer"])
def test_after_a_failed_fsync_the_run_is_held_for_every_process_to_come(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    """What the log seems to say may not be on disk: nobody goes on from it, signs it or writes it again."""
    result, other = bench.execute(), bench.execute(payload_with(id="CHG-2"))
    if writer == "engine":
        bench.sign(result, *SIGNERS[0])
    with monkeypatch.context() as patch:
        _failing_fsync_of(patch, log_of(result))
        if writer == "engine":
            assert bench.execute().status is Status.FAILED
        else:
            with pytest.raises(OSError, match="Input/output error"):
                bench.sign(result, *SIGNERS[0])
    left = log_of(result).read_bytes()
    bench.sign(other, *SIGNERS[0])
    for _ in range(2):
        bench.fresh()
        bench.forget_index()
        bench.fresh()
        assert result.run_id not in [outcome.run_id for outcome in bench.advance()]
        held = bench.execute()
        assert (held.status, held.state) == (Status.FAILED, None)
        assert "held: its log could not be made durable" in (held.reason or "")
        for key, signer in SIGNERS:
            with pytest.raises(SignOffRefused):
                bench.sign(result, key, signer)
    assert log_of(result).read_bytes() == left
    assert bench.execute(payload_with(id="CHG-2")).pending == "maker_checker"
    assert len(bench.registered("run_held")) == 1


def test_a_held_run_whose_log_reads_well_is_not_signed_either(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel dropped what it could not write, so the log is again the one that the register knows."""
    result = bench.execute()
    known = log_of(result).read_bytes()
    with monkeypatch.context() as patch:
        _failing_fsync_of(patch, log_of(result))
        with pytest.raises(OSError, match="Input/output error"):
            bench.sign(result, *SIGNERS[0])
    log_of(result).write_bytes(known)
    bench.fresh()
    with pytest.raises(SignOffRefused, match="is held"):
        bench.sign(result, *SIGNERS[0])
    assert log_of(result).read_bytes() == known


def test_a_register_that_is_gone_is_not_begun_again_over_what_was_taken_in(bench: Bench) -> None:
    bench.execute()
    bench.register.unlink()
    with pytest.raises(TamperedError):
        bench.fresh()


# Views


def _drop_rows(path: Path, run_id: str) -> None:
    table = pq.read_table(path)
    pq.write_table(table.filter(pa.compute.not_equal(table.column("run_id"), run_id)), path)


@pytest.mark.parametrize("damage", ["file deleted", "row deleted", "register line lost too"])
def test_a_completed_run_that_its_file_lacks_is_published_at_the_next_touch(bench: Bench, damage: str) -> None:
    first = bench.complete(payload_with(id="CHG-1"))
    second = bench.complete(payload_with(id="CHG-2"))
    before = {name: pq.read_table(dataset(bench, name)).to_pylist() for name in _DATASETS}
    for name in _DATASETS:
        path = dataset(bench, name)
        if damage == "row deleted":
            _drop_rows(path, second.run_id)
        else:
            path.unlink()
    if damage == "register line lost too":
        bench.cut_register("dataset")
    logs = log_of(first).read_bytes() + log_of(second).read_bytes()
    assert bench.fresh().execute(payload_with(id="CHG-1")).status is Status.COMPLETED
    for name in _DATASETS:
        rows = pq.read_table(dataset(bench, name)).to_pylist()
        assert sorted(rows, key=lambda row: row["run_id"]) == sorted(before[name], key=lambda row: row["run_id"])
    assert log_of(first).read_bytes() + log_of(second).read_bytes() == logs


def test_what_a_writer_chains_is_what_the_forger_chains(bench: Bench) -> None:
    """A forger who changes nothing changes no byte, so that the forgeries of these tests are only what they say."""
    result = bench.complete()
    before = bench.contents()
    forger = Forger(bench, result)
    forger.write()
    assert bench.contents() == before
    assert [line.name for line in read_lines(log_of(result))] == events(result)
    assert AuditLog(log_of(result)).verify()


@pytest.mark.parametrize("torn", [1, 60, 200])
def test_a_root_whose_very_first_line_was_torn_is_opened_all_the_same(bench: Bench, torn: int) -> None:
    bench.forget_index()
    bench.register.write_bytes(bench.register.read_bytes()[:torn])
    assert bench.fresh().engine.genesis
    assert bench.complete().status is Status.COMPLETED
    assert bench.faults() == []
    assert not bench.fresh().engine.genesis
    opened = [entry.event for entry in bench.run.engine.register.records()]
    assert opened[:2] == ["recovered", "root_opened"]


def test_a_register_line_that_was_torn_after_the_runs_name_does_not_make_the_run_unreadable(bench: Bench) -> None:
    result = bench.execute()
    content = bench.register.read_bytes()
    bench.register.write_bytes(content[: content.rindex(b'"head"')])
    bench.forget_index()
    bench.fresh()
    assert bench.kinds() == ["unregistered_tail"]
    assert bench.complete().run_id == result.run_id
    assert bench.faults() == []
    recovered = bench.register.read_bytes()
    bench.register.write_bytes(recovered.replace(b'"damaged":"', b'"damaged":"0', 1))
    assert bench.kinds() != []
