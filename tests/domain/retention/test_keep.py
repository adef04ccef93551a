"""Keeping: everything that a finished day names, once, read back before the register says so."""

import errno
import fcntl
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import BusyError, EvidenceError, StoreError, TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.deployed import Trace
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot
from countersign.retention.keep import Archive, NotKept
from countersign.retention.store import RetentionStore, Stat
from tests.conftest import StepClock, payload_with
from tests.domain.evidence.conftest import opening
from tests.domain.retention.conftest import DAY, NEXT, Keeping, loosen
from tests.domain.runs.conftest import Bench


def test_finished_days_are_kept_once_and_nothing_is_lost(keeping: Keeping) -> None:
    before = keeping.bench.contents()
    assert keeping.kept() == [DAY, NEXT]
    assert keeping.kept() == []
    assert keeping.check() == []
    assert keeping.check(read=True) == []
    assert [(kept.runs, kept.faults, kept.held) for kept in keeping.archive.ledger().standing()] == [(2, 0, False)] * 2
    after = keeping.bench.contents()
    assert {name for name in before if after[name] != before[name]} == {"register.jsonl"}
    assert keeping.bench.faults() == []


def test_a_day_is_kept_until_its_audit_and_the_period_are_over(in_folder: Keeping) -> None:
    in_folder.kept()
    assert in_folder.day().until == datetime(2034, 4, 1, 4, tzinfo=UTC)
    stat = in_folder.store.stat(*in_folder.object())
    assert stat is not None
    assert stat.until == in_folder.day().until


def test_today_is_not_kept_before_it_is_over(in_folder: Keeping) -> None:
    in_folder.bench.complete(payload_with(id="CHG-later"))
    assert in_folder.kept() == [DAY, NEXT]
    in_folder.clock.move(days=1)
    assert in_folder.kept() == [date(2026, 11, 25)]


def test_a_run_goes_with_the_day_on_which_it_concluded_or_was_superseded(in_folder: Keeping) -> None:
    bench = in_folder.bench
    begun = bench.execute(payload_with(id="CHG-long"))
    waiting = bench.execute(payload_with(id="CHG-wrong"))
    in_folder.clock.move(days=1)
    bench.complete(payload_with(id="CHG-long"))
    bench.execute(payload_with(id="CHG-wrong", summary="Put right"))
    in_folder.clock.move(days=1)
    days = {each.day: set(each.runs) for each in in_folder.archive.days(in_folder.archive.ledger())}
    assert days[date(2026, 11, 25)] == set()
    assert days[date(2026, 11, 26)] == {begun.run_id, waiting.run_id}


def test_the_run_of_a_deployment_goes_with_the_day_on_which_a_change_took_it_over(in_folder: Keeping) -> None:
    alone, change = (f"change-{number:016x}" for number in (1, 2))
    in_folder.archive.register.append_many([opening(alone)])
    in_folder.clock.move(days=1)
    taking = opening(change)
    trace = asdict(Trace(takes_over=(alone,)))
    in_folder.archive.register.append_many([Draft(taking.event, taking.actor, {**taking.data, "trace": trace})])
    in_folder.clock.move(days=1)
    days = {each.day: set(each.runs) for each in in_folder.archive.days(in_folder.archive.ledger())}
    assert (days[date(2026, 11, 25)], days[date(2026, 11, 26)]) == (set(), {alone})


def test_a_clock_that_was_set_back_moves_no_line_into_a_kept_day(in_folder: Keeping) -> None:
    in_folder.kept()
    kept = in_folder.day(NEXT)
    in_folder.clock.move(days=-1)
    in_folder.archive.register.append("noted", "countersign")
    in_folder.clock.move(days=3)
    days = list(in_folder.archive.days(in_folder.archive.ledger()))
    assert [each.day for each in days[:2]] == [DAY, NEXT]
    assert days[1].register == kept.register
    ends = [end for each in days for end in each.register]
    assert ends == sorted(ends)
    assert ends[-1] == in_folder.root.register.stat().st_size


def test_findings_go_with_their_day_or_with_the_next_that_has_a_line(in_folder: Keeping) -> None:
    findings = in_folder.root.findings
    assert [each.findings for each in in_folder.archive.days(in_folder.archive.ledger())] == [(0, 0)] * 2
    ChainFile(findings, clock=in_folder.clock).append("opened", "countersign")
    size = findings.stat().st_size
    in_folder.clock.move(days=1)
    in_folder.kept()
    in_folder.clock.move(days=1)
    days = list(in_folder.archive.days(in_folder.archive.ledger()))
    assert [each.findings for each in days] == [(0, 0), (0, 0), (0, size)]


def test_a_torn_tail_is_healed_before_it_is_kept(in_folder: Keeping) -> None:
    with in_folder.root.register.open("ab") as file:
        file.write(b'{"prev":"torn')
    assert in_folder.kept() == [DAY, NEXT]
    assert b'"event":"recovered"' in in_folder.root.register.read_bytes()
    assert in_folder.bench.faults() == []


@pytest.mark.parametrize("event", ["run_closed", "packed"])
def test_half_a_line_that_was_recovered_says_nothing_and_stops_nothing(in_folder: Keeping, event: str) -> None:
    """As a process that dies amid the write leaves it; without its recovery it is a line that nobody wrote."""
    in_folder.kept()
    register = in_folder.root.register
    line = next(line for line in reversed(register.read_bytes().splitlines()) if f'"event":"{event}"'.encode() in line)
    with register.open("ab") as file:
        file.write(line[:-20])
    in_folder.clock.move(days=1)
    in_folder.bench.fresh().execute(payload_with(id="CHG-9", system="later"))
    assert b'"event":"recovered"' in register.read_bytes()
    in_folder.clock.move(days=1)
    assert in_folder.kept() != []
    assert in_folder.check() == []
    register.write_bytes(register.read_bytes().replace(line[:-20] + b"\n", line[:-21] + b"\n"))
    with pytest.raises(TamperedError, match="not of its form"):
        in_folder.kept()


# ---- what goes wrong on the way


class Unlucky(Exception):
    """The process dies."""


@dataclass
class Failing:
    """A store whose nth call fails, before or after it has done its work."""

    inner: RetentionStore
    failing: tuple[str, int, bool]
    error: type[Exception]
    calls: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def modes(self) -> tuple[str, ...]:
        return self.inner.modes

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self.calls[name] = self.calls.get(name, 0) + 1
            method, number, after = self.failing
            if (method, number) != (name, self.calls[name]):
                return getattr(self.inner, name)(*args, **more)
            if after:
                getattr(self.inner, name)(*args, **more)
            raise self.error(f"{name} was not lucky")

        return call


_POINTS = [
    (name, number, after) for name, most in (("put", 3), ("stat", 2), ("read", 2)) for number in range(1, most + 1)
    for after in (False, True)
]  # fmt: skip


@pytest.mark.parametrize("point", _POINTS, ids=str)
def test_a_store_that_fails_at_any_point_loses_nothing_and_stops_no_other_day(
    in_folder: Keeping, point: tuple[str, int, bool]
) -> None:
    inner = in_folder.store
    in_folder.store = Failing(inner, point, StoreError)
    done = in_folder.keep()
    failed = DAY if point[1] < 3 else NEXT
    assert [each.day for each in done if isinstance(each, NotKept)] == [failed]
    in_folder.store = inner
    assert in_folder.kept() == [failed]
    assert in_folder.check() == []
    assert len(inner.find("")) == 4
    assert in_folder.bench.faults() == []


@pytest.mark.parametrize("point", _POINTS, ids=str)
def test_a_process_that_dies_at_any_point_is_gone_on_from(in_folder: Keeping, point: tuple[str, int, bool]) -> None:
    inner = in_folder.store
    in_folder.store = Failing(inner, point, Unlucky)
    with pytest.raises(Unlucky):
        in_folder.keep()
    in_folder.store = inner
    assert NEXT in in_folder.kept()
    assert in_folder.check() == []
    assert len(inner.find("")) == 4


def test_a_network_that_is_down_keeps_nothing_and_the_next_pass_everything(in_bucket: Keeping, s3: Any) -> None:
    store: Any = in_bucket.store
    store._client = type("Down", (), {"put_object": _refuse})()
    done = in_bucket.keep()
    assert [(each.day, isinstance(each, NotKept)) for each in done] == [(DAY, True), (NEXT, True)]
    assert all("nothing was lost, try again" in each.why for each in done if isinstance(each, NotKept))
    store._client = s3
    assert in_bucket.kept() == [DAY, NEXT]


def _refuse(*_: Any, **__: Any) -> None:
    raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def test_a_full_disk_is_said_and_leaves_nothing_behind(in_folder: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("countersign.retention.tar.TarWriter._write", full)
    done = in_folder.keep()
    assert [each.why.split(": ")[-1] for each in done if isinstance(each, NotKept)] == ["No space left on device"] * 2
    assert not list(in_folder.root.path.glob(".retaining-*"))
    monkeypatch.undo()
    assert in_folder.kept() == [DAY, NEXT]


def test_a_log_that_cannot_be_read_keeps_its_day_back(in_folder: Keeping) -> None:
    """Unreadable is not empty; a log that is known to be gone is another thing."""
    log = min(in_folder.root.path.glob("runs/*/*/23/*/audit.jsonl"))
    content = log.read_bytes()
    log.unlink()
    log.mkdir()
    done = {each.day: each for each in in_folder.keep()}
    failed = done[DAY]
    assert isinstance(failed, NotKept)
    assert failed.why == f"{log}: cannot be read: it is no plain file"
    assert not isinstance(done[NEXT], NotKept)
    log.rmdir()
    log.write_bytes(content)
    assert in_folder.kept() == [DAY]


def test_whoever_verifies_meanwhile_finds_nothing_open_to_others(
    in_folder: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: set[int] = set()
    put = type(in_folder.store).put

    def looking(store: Any, key: str, content: Path, *rest: Any) -> str:
        modes.update(path.stat().st_mode & 0o077 for path in content.parent.rglob("*"))
        return put(store, key, content, *rest)

    monkeypatch.setattr(type(in_folder.store), "put", looking)
    in_folder.kept()
    assert modes == {0}


def test_the_scratch_of_a_pass_that_died_is_removed(in_folder: Keeping) -> None:
    left = in_folder.root.path / ".retaining-dead"
    left.mkdir()
    (left / "chain.tar").write_bytes(b"half a pack")
    in_folder.kept()
    assert not left.exists()


def test_one_pass_at_a_time(in_folder: Keeping) -> None:
    with (in_folder.root.path / ".retention.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process"):
            in_folder.keep()


@pytest.mark.parametrize("mount_point", [True, False])
def test_nothing_is_kept_where_the_disk_is_not_mounted(in_folder: Keeping, tmp_path: Path, mount_point: bool) -> None:
    in_folder.kept()
    (tmp_path / "worm").rename(tmp_path / "unmounted")
    if mount_point:
        (tmp_path / "worm").mkdir()
    in_folder.clock.move(days=1)
    for ask in (in_folder.keep, in_folder.check):
        with pytest.raises(StoreError, match="is its disk mounted"):
            ask()
    assert not list(tmp_path.glob("worm/*"))
    loosen(tmp_path / "unmounted")


LIES: dict[str, tuple[Callable[[Stat], Stat | None], str]] = {
    "nothing_there": (lambda _: None, "was put and is not there"),
    "hidden": (lambda stat: Stat(stat.size, stat.mode, stat.until, False, None, "delete_marker"), "is not there"),
    "not_locked": (lambda stat: Stat(stat.size, "none", stat.until, False), "is not locked"),
    "too_short": (lambda stat: Stat(stat.size, stat.mode, datetime(2027, 1, 1, tzinfo=UTC), False), "locked until"),
    "no_end": (lambda stat: Stat(stat.size, stat.mode, None, False), "locked until None"),
    "too_small": (lambda stat: Stat(1, stat.mode, stat.until, False), "other bytes"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_store_that_does_not_do_what_it_was_asked_is_not_believed(
    in_folder: Keeping, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    lie, says = LIES[case]
    honest = type(in_folder.store).stat
    monkeypatch.setattr(type(in_folder.store), "stat", lambda *args: lie(honest(*args)))  # type: ignore[arg-type]
    done = in_folder.keep()
    assert all(isinstance(each, NotKept) and says in each.why for each in done)
    assert not in_folder.archive.ledger().days


def test_bytes_that_come_back_otherwise_are_not_believed(in_folder: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*_: object) -> Iterator[bytes]:
        yield b"something else"

    monkeypatch.setattr(type(in_folder.store), "read", other)
    assert all(isinstance(each, NotKept) and "other bytes" in each.why for each in in_folder.keep())


def test_a_folder_without_a_register_is_no_root(bench: Bench, tmp_path: Path, clock: StepClock) -> None:
    with pytest.raises(EvidenceError, match="no evidence root"):
        Archive(EvidenceRoot(tmp_path), bench.run.engine.current, clock=clock)


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "packed_of_no_form": ("packed", {"day": "2026-11-23"}, "packed"),
    "held_what_is_not_kept": ("retention_held", {"days": [{"day": "2026-11-23"}], "by": []}, "retention_held"),
    "restored_what_is_not_kept": ("restored", {"day": "2026-11-23"}, "restored"),
    "opened_without_a_day": ("run_opened", {"run_id": "x"}, "at byte"),
    "opened_with_a_trace_of_no_form": ("run_opened", {**opening().data, "trace": "a word"}, "at byte"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_register_line_of_no_form_is_an_incident(in_folder: Keeping, case: str) -> None:
    event, data, says = BROKEN[case]
    in_folder.archive.register.append(event, "countersign", **data)
    in_folder.clock.move(days=1)
    with pytest.raises(EvidenceError, match=f"{says}.*SEV-1"):
        in_folder.keep()


def test_a_root_of_its_own_bench(bench: Bench) -> None:
    """The root that these tests copy is sound."""
    assert bench.faults() == []
