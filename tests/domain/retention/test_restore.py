"""A lost day comes back, byte by byte, and what is there is never written over."""

import errno
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import EvidenceError, StoreError, TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.keyring import KeyRing
from countersign.evidence.seals import check_seals
from countersign.retention.local import LocalStore
from countersign.retention.restore import _append, restore, restore_into, verify_restored
from countersign.runs.approvals import Approver
from countersign.runs.erasure import Eraser
from countersign.runs.reperformance import Reperformer
from tests.conftest import Counted, StepClock, payload_with
from tests.domain.retention.conftest import DAY, NEXT, Keeping, loosen


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def lose(keeping: Keeping, day: date = DAY) -> dict[str, bytes]:
    """Remove a day's runs, seal and blobs; returns the files as they were."""
    root = keeping.root.path
    before = {name: content for name, content in files_of(root).items() if not name.startswith("index")}
    shutil.rmtree(root / f"runs/{day:%Y/%m/%d}")
    for path in [*root.glob("blobs/*"), *root.glob(f"seals/00000{1 if day == DAY else 2}*")]:
        path.unlink()
    return before


def test_a_restored_day_does_not_bring_back_what_was_erased(keeping: Keeping) -> None:
    """The pack stays as it was put, whole: nobody takes a text out of what is locked."""
    keeping.kept()
    run = keeping.bench.run.engine.index.all_runs(NEXT)[0]
    log = keeping.root.log(run.day, run.run_id)
    eraser = Eraser(keeping.root, keeping.archive.versions, clock=keeping.clock, entropy=Counted())
    for owner in ("control-owner", "process-owner"):
        eraser.approve(run, "evidence/approval", Approver(owner, "A court has ordered it.", KeyRing()))
    erased = log.read_bytes()
    assert keeping.check(read=True) == []
    restored = restore(keeping.archive, keeping.store, NEXT)
    assert (restored.differing, log.read_bytes()) == ([], erased)
    lose(keeping, NEXT)
    restored = restore(keeping.archive, keeping.store, NEXT)
    assert (restored.differing, log.read_bytes()) == ([], erased)
    assert verify_restored(keeping.archive, restored) == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_restored_day_is_performed_again_with_the_versions_that_came_back_with_it(
    in_folder: Keeping, tmp_path: Path, elsewhere: bool
) -> None:
    in_folder.kept()
    lose(in_folder)
    shutil.rmtree(in_folder.root.policies)
    if elsewhere:
        folder = tmp_path / "elsewhere"
        restore_into(folder, in_folder.store, DAY)
    else:
        folder = in_folder.root.path
        restore(in_folder.archive, in_folder.store, DAY)
    performer = Reperformer(folder)
    found = [str(one.outcome) for one in performer.perform(performer.opened(DAY, DAY))]
    assert (performer.faults, found) == ([], ["identical"] * 2)


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_a_deleted_day_is_found_restored_and_verifies(keeping: Keeping, day: date) -> None:
    keeping.kept()
    before = lose(keeping, day)
    (lost,) = keeping.check()
    assert (lost.day, lost.kind) == (day, "local_missing")
    restored = restore(keeping.archive, keeping.store, day)
    assert (restored.day, len(restored.runs), restored.differing) == (day, 2, [])
    assert verify_restored(keeping.archive, restored) == []
    assert keeping.check() == []
    if day == DAY:  # the blobs of the other day come back with that day
        restore(keeping.archive, keeping.store, NEXT)
    after = files_of(keeping.root.path)
    assert {name for name in before if after.get(name) != before[name]} == {"register.jsonl"}
    assert keeping.bench.faults() == []
    assert len(keeping.bench.registered("restored")) == (2 if day == DAY else 1)


def test_what_is_there_and_differs_is_named_and_left(in_folder: Keeping) -> None:
    in_folder.kept()
    log = min(in_folder.root.path.glob("runs/*/*/23/*/audit.jsonl"))
    log.write_bytes(log.read_bytes() + b"more")
    restored = restore(in_folder.archive, in_folder.store, DAY)
    assert restored.differing == [str(log.relative_to(in_folder.root.path))]
    assert (restored.placed, log.read_bytes()[-4:]) == (0, b"more")
    assert [fault.kind for fault in verify_restored(in_folder.archive, restored)] == ["torn_tail"]


@pytest.mark.parametrize("name", ["runs/2026/11/23", "policies"])
def test_a_file_where_a_folder_was_is_named_and_left(in_folder: Keeping, name: str) -> None:
    in_folder.kept()
    shutil.rmtree(in_folder.root.path / name)
    (in_folder.root.path / name).write_bytes(b"")
    assert restore(in_folder.archive, in_folder.store, DAY).differing == [name]


def test_a_day_that_another_store_has_is_not_looked_for_in_this_one(
    in_folder: Keeping, tmp_path: Path, clock: StepClock
) -> None:
    in_folder.kept()
    with pytest.raises(EvidenceError, match=r"2026-11-23: is in local:.*worm; the policy names local:.*other"):
        restore(in_folder.archive, LocalStore(tmp_path / "other", clock=clock), DAY)


def test_a_register_that_was_rewritten_is_named(in_folder: Keeping) -> None:
    in_folder.kept()
    path = in_folder.root.register
    path.write_bytes(path.read_bytes().replace(b'"tier":"standard"', b'"tier":"STANDARD"', 1))
    assert restore(in_folder.archive, in_folder.store, DAY).differing == ["register.jsonl"]


def test_findings_that_are_gone_come_back_in_order(in_folder: Keeping) -> None:
    findings = ChainFile(in_folder.root.findings, clock=in_folder.clock)
    for _ in range(2):
        findings.append("opened", "countersign")
        in_folder.bench.execute(payload_with(id=f"CHG-{in_folder.clock.now}"))
        in_folder.clock.move(days=1)
    in_folder.kept()
    before = in_folder.root.findings.read_bytes()
    in_folder.root.findings.unlink()
    for day in (date(2026, 11, 26), date(2026, 11, 25)):
        restore(in_folder.archive, in_folder.store, day)
    assert before.startswith(in_folder.root.findings.read_bytes())
    beside = in_folder.root.path / "findings-2026-11-26.jsonl"
    assert in_folder.root.findings.read_bytes() + beside.read_bytes() == before


def test_every_day_in_an_empty_folder_is_the_whole_root(keeping: Keeping, tmp_path: Path) -> None:
    """Without the register: for whoever has lost everything but the store."""
    register = keeping.root.register.read_bytes()
    keeping.kept()
    keeping.root.path.rename(tmp_path / "lost")
    folder = tmp_path / "again"
    for day in (DAY, NEXT):
        restored = restore_into(folder, keeping.store, day)
        assert restored.differing == []
    assert (folder / "register.jsonl").read_bytes() == register
    lost = files_of(tmp_path / "lost")
    found = files_of(folder)
    evidence = ("runs/", "seals/", "policies/", "blobs/")
    assert {name for name in lost if name.startswith(evidence)} <= found.keys()
    assert all(lost[name] == found[name] for name in found if name.startswith(evidence))
    assert check_seals(keeping.root.__class__(folder)).faults == []
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}


def test_a_single_day_in_an_empty_folder_brings_its_lines_beside(in_folder: Keeping, tmp_path: Path) -> None:
    in_folder.kept()
    restored = restore_into(tmp_path / "one", in_folder.store, NEXT)
    assert len(restored.runs) == 2
    assert not (tmp_path / "one" / "register.jsonl").exists()
    part = (tmp_path / "one" / "register-2026-11-24.jsonl").read_bytes()
    assert part in in_folder.root.register.read_bytes()


def test_what_the_store_gives_otherwise_is_refused(in_folder: Keeping, tmp_path: Path) -> None:
    in_folder.kept()
    lose(in_folder)
    loosen(tmp_path / "worm")
    path = tmp_path / "worm" / in_folder.object()[0]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"CHG-230", b"CHG-999"))
    with pytest.raises(TamperedError, match="is not what was put there"):
        restore(in_folder.archive, in_folder.store, DAY)
    assert not list(in_folder.root.path.glob("runs/*/*/23"))


def test_what_is_not_in_the_store_cannot_be_restored(in_folder: Keeping, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="2026-11-23: is not in the store"):
        restore(in_folder.archive, in_folder.store, DAY)
    in_folder.kept()
    with pytest.raises(EvidenceError, match="has 0 packs of 2026-11-25"):
        restore_into(tmp_path / "empty", in_folder.store, date(2026, 11, 25))


def test_a_restoration_that_breaks_off_is_repeated(in_folder: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folder.kept()
    lose(in_folder)
    with monkeypatch.context() as broken:
        broken.setattr(type(in_folder.store), "read", _breaking)
        with pytest.raises(StoreError):
            restore(in_folder.archive, in_folder.store, DAY)
    assert not list(in_folder.root.path.glob(".retaining-*"))
    assert restore(in_folder.archive, in_folder.store, DAY).placed == 5
    assert restore(in_folder.archive, in_folder.store, DAY).placed == 0


def test_a_disk_that_is_full_is_said_and_leaves_nothing_half(
    in_folder: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder.kept()
    lose(in_folder)
    with monkeypatch.context() as full:
        full.setattr("countersign.retention.unpack._make_small", _full)
        with pytest.raises(
            EvidenceError, match=r"2026-11-23: not restored: .*No space left on device; restore it again"
        ):
            restore(in_folder.archive, in_folder.store, DAY)
    assert not list(in_folder.root.path.glob("runs/*/*/23"))
    assert restore(in_folder.archive, in_folder.store, DAY).placed == 5


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_lines_that_a_full_disk_cut_off_are_gone_on_with(
    in_folder: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day: date
) -> None:
    in_folder.kept()
    start, end = in_folder.day(day).register
    folder, register = tmp_path / "again", in_folder.root.register.read_bytes()
    if day == NEXT:
        restore_into(folder, in_folder.store, DAY)
    with monkeypatch.context() as full:
        full.setattr("countersign.retention.restore.shutil.copyfileobj", _full_after_some)
        with pytest.raises(EvidenceError, match="No space left on device; restore it again"):
            restore_into(folder, in_folder.store, day)
    assert start < (folder / "register.jsonl").stat().st_size < end
    assert restore_into(folder, in_folder.store, day).differing == []
    assert (folder / "register.jsonl").read_bytes() == register[:end]
    assert list(folder.glob("register-*")) == []


def test_lines_that_begin_otherwise_are_left_and_the_day_s_lie_beside(in_folder: Keeping, tmp_path: Path) -> None:
    in_folder.kept()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "register.jsonl").write_bytes(b"something else\n")
    restore_into(tmp_path / "again", in_folder.store, DAY)
    assert (tmp_path / "again" / "register.jsonl").read_bytes() == b"something else\n"
    beside = (tmp_path / "again" / "register-2026-11-23.jsonl").read_bytes()
    assert in_folder.root.register.read_bytes().startswith(beside)


def _full_after_some(source: Any, there: Any) -> None:
    there.write(source.read(1000))
    there.flush()
    raise OSError(errno.ENOSPC, "No space left on device")


def _full(path: Path, _: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def _breaking(*_: Any) -> Any:
    yield b"half"
    raise StoreError("the network is down")


def test_lines_are_appended_to_no_file_that_somebody_writes_to(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"ours")
    (tmp_path / "file").write_bytes(b"somebody was faster")
    with pytest.raises(EvidenceError, match="is being written to"):
        _append(tmp_path / "lines", 0, tmp_path / "file", 0)
