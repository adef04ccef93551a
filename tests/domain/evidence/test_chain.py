import errno
import hashlib
import io
import multiprocessing
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.clocks.instant import stamp
from countersign.errors import BusyError, EvidenceError, TamperedError
from countersign.evidence.chain import is_torn
from countersign.evidence.lines import BLOB_OVER, ZERO, Draft, Scan
from countersign.evidence.log import AuditLog
from tests.conftest import FULL, Counted, StepClock
from tests.domain.evidence.conftest import AT, Stage, chained

_WORDED = Draft("assessed", "countersign", {"n": 2}, {"one": "the first words", "two": "and the second"})


class Syncs:
    """Counts fsyncs, which still happen, with the size that each file had then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, failing: bool = False) -> None:
        self.files: list[int] = []
        self.folders = 0
        real = os.fsync

        def fsync(handle: int) -> None:
            found = os.fstat(handle)
            if stat.S_ISDIR(found.st_mode):
                self.folders += 1
            else:
                self.files.append(found.st_size)
                if failing:
                    raise OSError(errno.EIO, "Input/output error")
            real(handle)

        monkeypatch.setattr(os, "fsync", fsync)


def lone_log(folder: str | Path) -> AuditLog:
    return AuditLog(Path(folder) / "audit.jsonl", clock=StepClock(AT), entropy=Counted())


def test_append_returns_the_new_head_and_records_give_it_back(lone: AuditLog) -> None:
    first = lone.append("opened", "maker", reason="why")
    second = lone.append("closed", "checker")
    entries = list(lone.records())
    assert [(entry.seq, entry.event, entry.actor) for entry in entries] == [
        (0, "opened", "maker"),
        (1, "closed", "checker"),
    ]
    assert [entry.head for entry in entries] == [first, second]
    assert entries[0].data == {"reason": "why"}
    assert lone.head == second


def test_nothing_of_many_events_is_written_when_one_is_refused(lone: AuditLog) -> None:
    with pytest.raises(EvidenceError):
        lone.append_many([Draft("good", "maker"), Draft("bad", "maker", {"n": 0.5})])
    assert lone.path.read_bytes() == b""


def test_a_staged_event_reads_as_it_will_be_read_later(lone: AuditLog) -> None:
    with lone.writing() as writer:
        staged = writer.stage(_WORDED)
        assert writer.entries() == []
        assert writer.commit() == staged.head
    (read,) = lone.records()
    staged.line = read.line
    assert staged == read


def test_many_events_are_one_durable_write(lone: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    lone.append_many([_WORDED] * 50)
    assert (len(syncs.files), syncs.folders) == (1, 1)
    lone.append("one more", "maker")
    lone.append_many([])
    assert syncs.files == [syncs.files[0], lone.path.stat().st_size]
    assert syncs.folders == 1, "the file's name is durable since the first write"


def test_the_name_of_a_new_file_is_durable_before_its_first_byte(
    lone: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a crash between the two would leave a file that nobody makes durable again."""
    sizes: list[int] = []
    monkeypatch.setattr("countersign.evidence.durable.sync_folder", lambda _: sizes.append(lone.path.stat().st_size))
    lone.append("opened", "maker")
    assert sizes == [0]


def test_a_failed_fsync_is_not_retried_and_nothing_is_acknowledged(
    lone: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch, failing=True)
    with pytest.raises(OSError, match="Input/output error"):
        lone.append("opened", "maker")
    assert len(syncs.files) == 1


def test_a_new_file_is_private(lone: AuditLog) -> None:
    lone.append("opened", "maker")
    assert stat.S_IMODE(lone.path.stat().st_mode) == 0o600


def test_a_torn_tail_at_every_offset_is_healed_without_cutting_or_gluing(tmp_path: Path) -> None:
    log = lone_log(tmp_path)
    log.append("opened", "maker")
    kept = log.path.stat().st_size
    log.append_many([_WORDED, Draft("gated", "countersign", {}, {"three": "words"})])
    whole = log.path.read_bytes()
    ends = {0, kept, *(size for size in range(kept, len(whole) + 1) if _ends_whole(whole[:size]))}
    for size in range(len(whole) + 1):
        torn = whole[:size]
        assert is_torn(io.BytesIO(torn)) is (size not in ends), size
        log.path.write_bytes(torn)
        log.append("after", "maker")
        content = log.path.read_bytes()
        assert content.startswith(torn), size
        assert log.verify(), (size, log.check())
        events = [entry.event for entry in log.records()]
        assert ("recovered" in events) is (size not in ends), size
        assert events[-1] == "after"
        assert [entry.seq for entry in log.records()] == list(range(len(events)))


def _ends_whole(content: bytes) -> bool:
    scan = Scan(io.BytesIO(content))
    list(scan)
    return not (scan.torn or scan.fault or scan.incomplete)


@pytest.mark.parametrize(
    "tail",
    [
        b"\r",
        b"abc\rdef\r\x0b\x0c",
        b"\x00" * 4096,
        b"\xff" * (70 << 10),
        b'{"prev":"' * 9000,
        b'{"text":"x"}',
    ],
    ids=["return", "returns-inside", "zeros", "over-a-block", "many-beginnings", "text"],
)
def test_any_bytes_without_newline_at_the_end_are_healed(lone: AuditLog, tail: bytes) -> None:
    lone.append("opened", "maker")
    with lone.path.open("ab") as file:
        file.write(tail)
    torn = lone.path.read_bytes()
    assert lone.check().fault is not None
    lone.append("after", "maker")
    assert lone.path.read_bytes().startswith(torn + b"\n")
    assert lone.verify(), lone.check()
    recovered = list(lone.records())[1]
    assert recovered.data == {"damaged": hashlib.sha256(tail + b"\n").hexdigest(), "voids": []}


def test_a_lost_newline_loses_no_event(lone: AuditLog) -> None:
    lone.append("opened", "maker")
    head = lone.append_many([_WORDED])
    lone.path.write_bytes(lone.path.read_bytes()[:-1])
    lone.append("after", "maker")
    _, worded, recovered, _ = lone.records()
    assert (worded.head, worded.texts) == (head, dict(_WORDED.texts))
    assert recovered.data == {"damaged": None, "voids": []}


def test_a_recovery_that_a_power_cut_tears_is_recovered_itself(lone: AuditLog) -> None:
    """Anywhere but after the newline alone, which nobody can tell from a line that somebody damaged."""
    lone.append("opened", "maker")
    kept = lone.path.read_bytes() + b'{"prev":"torn'
    lone.path.write_bytes(kept)
    lone.append("after", "maker")
    recovery = lone.path.read_bytes()[len(kept) :].splitlines(keepends=True)[1]
    for size in (*range(1, len(recovery) - 1, 5), len(recovery) - 2):
        for again in (b"", b"\n" + recovery[:40]):
            torn = kept + b"\n" + recovery[:size] + again
            lone.path.write_bytes(torn)
            lone.append("after", "maker")
            assert lone.path.read_bytes().startswith(torn)
            assert lone.verify(), (size, lone.check())
            assert [entry.event for entry in lone.records()] == ["opened", "recovered", "after"]
    lone.path.write_bytes(kept + b"\n")
    with pytest.raises(TamperedError, match="unreadable"):
        lone.append("after", "maker")


def test_a_text_torn_at_a_line_boundary_voids_its_event(lone: AuditLog) -> None:
    lone.append("opened", "maker")
    lone.append_many([_WORDED])
    lone.path.write_bytes(b"".join(lone.path.read_bytes().splitlines(keepends=True)[:-1]))
    assert lone.head == hashlib.sha256(lone.path.read_bytes().splitlines(keepends=True)[1]).hexdigest()
    lone.append("after", "maker")
    _, worded, recovered, _ = lone.records()
    assert worded.missing == {"two"}
    assert recovered.data == {"damaged": None, "voids": [worded.seq]}
    assert lone.verify()


def _wrong_text(content: bytes) -> bytes:
    return content.replace(b"and the second", b"and no second!")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        pytest.param(lambda c: c + b"garbage\n", "unreadable", id="garbage"),
        pytest.param(lambda c: c + b"\n", "unreadable", id="blank-line"),
        pytest.param(lambda c: c + b'{"prev":"x","seq":2,"texts":5}\n', "broken_chain", id="event-of-no-form"),
        pytest.param(lambda c: c[:-1] + b"glued\n", "unreadable", id="glued"),
        pytest.param(_wrong_text, "text_changed", id="changed-text"),
        pytest.param(lambda c: c + b'torn\n{"prev":"half', "unreadable", id="torn-while-recovering"),
        pytest.param(lambda c: c + b"torn\ngarbage", "unreadable", id="two-lines-of-damage"),
        pytest.param(lambda c: c.replace(b"opened", b"OPENED") + b"torn", "broken_chain", id="torn-and-changed-before"),
    ],
)
def test_a_damaged_line_that_ends_is_no_torn_tail_and_nobody_appends_to_it(
    lone: AuditLog, damage: Callable[[bytes], bytes], kind: str
) -> None:
    lone.append("opened", "maker")
    lone.append_many([_WORDED])
    damaged = damage(lone.path.read_bytes())
    lone.path.write_bytes(damaged)
    with pytest.raises(TamperedError, match=kind):
        lone.append("after", "maker")
    with pytest.raises(TamperedError, match=kind):
        list(lone.records())
    assert lone.path.read_bytes() == damaged
    report = lone.check()
    assert report.fault is not None
    assert report.fault.kind == kind


def test_every_byte_before_the_last_line_of_a_recovered_log_is_vouched_for(lone: AuditLog) -> None:
    """A recovery does not cut the chain: what stood before the torn line cannot be changed either."""
    lone.append("opened", "maker")
    lone.append_many([_WORDED])
    lone.path.write_bytes(lone.path.read_bytes()[:-9])
    lone.append("after", "maker")
    lone.append("last", "maker")
    content = lone.path.read_bytes()
    for at in range(content.rindex(b'{"prev":"')):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        lone.path.write_bytes(changed)
        assert not lone.verify(), at


def test_a_damaged_line_cannot_be_taken_out_once_it_is_recovered(lone: AuditLog) -> None:
    lone.append("opened", "maker")
    with lone.path.open("ab") as file:
        file.write(b"torn")
    lone.append("after", "maker")
    lone.path.write_bytes(lone.path.read_bytes().replace(b"torn\n", b""))
    fault = lone.check().fault
    assert fault is not None
    assert (fault.kind, fault.line) == ("line_missing", 2)


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.floats(0, 1)), min_size=1, max_size=8))
@settings(max_examples=40)
def test_any_sequence_of_appends_and_torn_tails_verifies_or_is_named(steps: list[tuple[int, float | None]]) -> None:
    """Each step appends events and may lose any part of that write, as a power cut before the fsync would."""
    with tempfile.TemporaryDirectory() as folder:
        log = lone_log(folder)
        acknowledged: list[str] = []
        for count, torn in steps:
            before = log.path.read_bytes() if log.path.exists() else b""
            log.append_many([_WORDED] * count)
            content = log.path.read_bytes()
            assert content.startswith(before)
            assert log.verify()
            if torn is None:
                acknowledged.append(log.head)
            else:
                start = len(content) - sum(map(len, content.splitlines(keepends=True)[-3 * count :]))
                log.path.write_bytes(content[: start + int(torn * (len(content) - start))])
                fault = log.check().fault
                assert fault is None or fault.kind in ("torn_tail", "empty")
        log.append("last", "maker")
        assert log.verify()
        assert set(acknowledged) <= {entry.head for entry in log.records()}


def test_a_second_writer_is_busy_and_may_come_back(lone: AuditLog) -> None:
    other = AuditLog(lone.path)
    with lone.writing() as writer:
        with pytest.raises(BusyError, match="another process is writing"), other.writing(blocking=False):
            pass
        writer.append([Draft("opened", "maker")])
    with other.writing(blocking=False) as writer:
        assert writer.tail.seq == 0


def test_a_writer_follows_no_symbolic_link(lone: AuditLog, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(b"")
    lone.path.symlink_to(target)
    with pytest.raises(EvidenceError, match="cannot be written"):
        lone.append("opened", "maker")
    assert target.read_bytes() == b""


def test_a_log_that_is_not_there_cannot_be_read(lone: AuditLog) -> None:
    with pytest.raises(EvidenceError, match="cannot be read: No such file"):
        list(lone.records())
    with pytest.raises(EvidenceError, match="cannot be read"):
        _ = lone.head


def test_now_is_never_before_what_was_said_last(lone: AuditLog, clock: StepClock) -> None:
    lone.append("one", "a")
    assert lone.now() == clock.now
    last = lone.tail().ts
    clock.move(days=-3)
    assert stamp(lone.now()) > last
    lone.append("two", "a")
    assert stamp(lone.now()) > lone.tail().ts == last


def test_an_empty_log_has_the_head_of_nothing(lone: AuditLog) -> None:
    lone.path.touch()
    assert lone.head == ZERO
    assert list(lone.records()) == []


def test_a_reader_waits_for_the_end_of_a_write(lone: AuditLog) -> None:
    content = chained([Draft("opened", "maker"), _WORDED])
    lone.path.write_bytes(content[: content.index(b"\n") + 1])
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.append(len(list(AuditLog(lone.path).records()))))
    with lone.writing(), lone.path.open("ab", buffering=0) as file:
        file.write(content[file.tell() : -20])
        reader.start()
        reader.join(0.2)
        assert reader.is_alive()
        file.write(content[-20:])
    reader.join()
    assert seen == [2]


def test_a_long_text_needs_a_blob_folder_and_the_writer_goes_on_without_it(lone: AuditLog) -> None:
    long = Draft("opened", "maker", {}, {"words": "x" * BLOB_OVER})
    with lone.writing() as writer:
        with pytest.raises(EvidenceError, match="needs a blob folder"):
            writer.append([long])
        writer.append([Draft("other", "maker")])
    assert lone.verify()
    assert [entry.event for entry in lone.records()] == ["other"]


def test_a_blob_is_on_disk_before_the_line_that_names_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    stage.log.append_many([Draft("opened", "maker", {}, {"words": "x" * BLOB_OVER})])
    assert syncs.files[0] > BLOB_OVER > syncs.files[1]
    (entry,) = stage.log.records()
    assert entry.texts == {"words": "x" * BLOB_OVER}


def test_a_last_event_with_texts_over_a_block_is_found_from_the_end(lone: AuditLog) -> None:
    texts = {f"text {number}": "y" * 60_000 for number in range(4)}
    lone.append("opened", "maker")
    head = lone.append_many([Draft("long", "maker", {}, texts)])
    assert lone.head == head
    lone.append("after", "maker")
    assert lone.verify()


def _append_many_times(path: Path, name: str, count: int) -> None:
    log = AuditLog(path)
    for number in range(count):
        log.append("counted", name, number=number)


def test_many_processes_write_one_chain_with_none_lost_and_none_twice(tmp_path: Path) -> None:
    count, each = (8, 2000) if FULL else (4, 200)
    log = AuditLog(tmp_path / "audit.jsonl")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many_times, args=(log.path, f"writer {n}", each)) for n in range(count)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0] * count
    assert log.verify()
    written = [(entry.actor, entry.data["number"]) for entry in log.records()]
    assert sorted(written) == [(f"writer {n}", number) for n in range(count) for number in range(each)]
