import multiprocessing
import sqlite3
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from datetime import date
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.clocks.instant import parse_instant
from countersign.errors import EvidenceError, TamperedError
from countersign.evidence.index import Index
from countersign.evidence.indexed import IndexedRun
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.register import IntakeTotals, Refusal, Register
from countersign.evidence.root import EvidenceRoot
from tests.conftest import Counted, StepClock
from tests.domain.evidence.conftest import AT, DAY, RUN, Stage, chained, opening, pause

_NEXT_DAY = date(2026, 11, 24)


def run_id(number: int) -> str:
    return f"change-{number:016x}"


def signed(run: str = RUN, head: str = "2" * 64) -> Draft:
    data = {"run_id": run, "key": "independent_review", "decision": "approved", "head": head}
    return Draft("signed_off", "countersign", data)


def refused(record: str, source: str = "inbox") -> Draft:
    return Refusal(source, f"{record}.json", None, "no id", record * 64).draft()


def intake(source: str, fingerprint: str, declared: int | None = None) -> Draft:
    totals = IntakeTotals(4, 1, 1, 1, 1).as_dict()
    return Draft(
        "intake", "countersign", {"source": source, "fingerprint": fingerprint, "declared": declared, **totals}
    )


def dataset(asset: str, digest: str, day: date = DAY) -> Draft:
    data = {"asset": asset, "day": day.isoformat(), "digest": digest * 64, "rows": 1}
    return Draft("dataset", "countersign", data)


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    rows = {table: sorted(connection.execute(f"select * from {table}"), key=repr) for table in tables}
    connection.close()
    return rows


@pytest.fixture
def index(stage: Stage) -> Index:
    made = Index(stage.root, stage.register)
    made.sync()
    return made


Note = Callable[..., None]


@pytest.fixture
def note(stage: Stage, index: Index) -> Note:
    """Append register lines and take them in."""

    def take(*drafts: Draft) -> None:
        stage.register.append_many(drafts)
        index.sync()

    return take


def test_an_opened_run_is_known_with_everything_its_opening_says(stage: Stage, index: Index) -> None:
    at = next(stage.register.records()).ts
    expected = IndexedRun(
        run_id=RUN, digest=RUN[-16:] * 4, change_id="CHG-1", system="billing", tier="standard", day=DAY,
        source="inbox", origin="submitted", opened_at=at, supersedes=None, superseded_by=None, head=ZERO, heads=(ZERO,),
        status="OPENED", pending=None, reason=None, since=at, closed=False, signed=False,
        configuration="c" * 64, deployed_at=None, clean=None, abandoned=False,
    )  # fmt: skip
    assert index.run(RUN) == expected
    assert index.runs([RUN, run_id(1)]) == {RUN: expected}
    assert index.run(run_id(1)) is None


def test_a_run_goes_from_opened_over_pause_and_sign_off_to_closed(index: Index, note: Note) -> None:
    def now() -> tuple[str, str | None, str, bool, bool, list[str], list[str]]:
        run = index.run(RUN)
        assert run is not None
        waiting = [run.run_id for run in index.signed()]
        return (
            run.status,
            run.pending,
            run.head[0],
            run.closed,
            run.signed,
            index.with_work_left(),
            waiting,
        )

    assert now() == ("OPENED", None, "0", False, False, [RUN], [])
    note(pause())
    assert now() == ("AWAITING_APPROVAL", "independent_review", "1", False, False, [], [])
    note(signed())
    assert now() == ("AWAITING_APPROVAL", "independent_review", "2", False, True, [RUN], [RUN])
    note(pause(head="3" * 64, status="FAILED", pending=None, reason="boom"))
    assert now() == ("FAILED", None, "3", False, False, [RUN], [])
    note(pause(head="4" * 64, status="COMPLETED", pending=None, closed=True))
    assert now() == ("COMPLETED", None, "4", True, False, [], [])
    assert (index.completed(DAY), index.completed(_NEXT_DAY)) == ([RUN], [])


def test_a_superseded_run_has_no_work_left(index: Index, note: Note) -> None:
    """Also when the one that supersedes it, and the one after that, are opened in the same breath."""
    second, third = run_id(1), run_id(2)
    note(opening(second, supersedes=RUN, day=_NEXT_DAY), opening(third, supersedes=second, day=_NEXT_DAY))
    assert [(run.run_id, run.superseded_by) for run in index.all_runs()] == [
        (RUN, second),
        (second, third),
        (third, None),
    ]
    assert index.with_work_left() == [third]
    note(signed(), pause(second, status="FAILED"))
    assert index.with_work_left() == [third]
    newest = index.newest_of_changes(["CHG-1", "CHG-9"])
    assert {key: run.run_id for key, run in newest.items()} == {("billing", "CHG-1"): third}


def test_questions_are_asked_of_one_day_or_of_all(index: Index, note: Note) -> None:
    later = [opening(run_id(n), change_id=f"CHG-{n}", day=_NEXT_DAY) for n in (3, 2)]
    note(*later, pause(run_id(2)))
    assert index.with_work_left() == [RUN, run_id(3)]  # as they were opened
    assert index.with_work_left(_NEXT_DAY) == [run_id(3)]
    assert [run.run_id for run in index.all_runs()] == [RUN, run_id(3), run_id(2)]
    assert [run.run_id for run in index.all_runs(DAY)] == [RUN]
    assert [run.run_id for run in index.standing_at(["OPENED", "BLOCKED"])] == [
        run.run_id for run in index.all_runs() if run.status in ("OPENED", "BLOCKED")
    ]
    assert index.standing_at(["OPENED"], DAY) == [run for run in index.all_runs(DAY) if run.status == "OPENED"]
    assert index.standing_at([]) == []
    assert index.counts_by_day() == {DAY: {"OPENED": 1}, _NEXT_DAY: {"OPENED": 1, "AWAITING_APPROVAL": 1}}
    assert index.counts_by_day([DAY]) == {DAY: {"OPENED": 1}}


def test_refusals_readings_and_datasets_are_found_again(index: Index, note: Note) -> None:
    note(
        refused("a"),
        refused("b"),
        refused("a", "git"),
        intake("inbox", "old"),
        intake("git", "g", 4),
        intake("inbox", "new"),
    )
    assert index.known_refusals("inbox", ["a" * 64, "c" * 64]) == {"a" * 64}
    assert index.known_refusals("git", ["a" * 64, "b" * 64]) == {"a" * 64}
    latest = index.latest_intakes()
    assert {name: (found.fingerprint, found.declared) for name, found in latest.items()} == {
        "git": ("g", 4),
        "inbox": ("new", None),
    }
    assert latest["inbox"].totals == IntakeTotals(4, 1, 1, 1, 1)
    note(dataset("workpaper", "1"), dataset("workpaper", "2"), dataset("workpaper", "3", _NEXT_DAY))
    assert [index.dataset_digest("workpaper", day) for day in (DAY, _NEXT_DAY)] == ["2" * 64, "3" * 64]
    assert index.dataset_digest("handoff_report", DAY) is None
    assert [(found.source, found.record[0], found.where) for found in index.refusals()] == [
        ("inbox", "a", "a.json"),
        ("inbox", "b", "b.json"),
        ("git", "a", "a.json"),
    ]


def test_a_sync_with_nothing_new_changes_nothing(stage: Stage, index: Index, note: Note) -> None:
    note(pause(), refused("a"), Draft("policy_note", "countersign", {"of": "no interest"}))
    before = dump(stage.root.index)
    index.sync()
    Index(stage.root, stage.register).sync()
    assert dump(stage.root.index) == before


def test_a_root_without_register_has_nothing_to_take_in(tmp_path: Path) -> None:
    root = EvidenceRoot(tmp_path)
    index = Index(root, Register(root))
    index.sync()
    assert index.all_runs() == []


def test_the_writer_of_the_register_takes_in_what_it_just_wrote(stage: Stage, index: Index) -> None:
    with stage.register.writing() as writer:
        writer.append([pause()])
        index.sync(writer)
    run = index.run(RUN)
    assert run is not None
    assert run.status == "AWAITING_APPROVAL"


def test_half_a_line_is_left_for_the_next_time(stage: Stage, index: Index) -> None:
    at = parse_instant(next(stage.register.records()).ts)
    whole = stage.root.register.read_bytes() + chained([pause()], prev=stage.register.head, seq=1, at=at)
    for size in range(stage.root.register.stat().st_size, len(whole)):
        stage.root.register.write_bytes(whole[:size])
        index.sync()
        run = index.run(RUN)
        assert run is not None
        assert run.head == ZERO
    stage.register.append_many([pause(status="FAILED")])
    index.sync()
    assert index.counts_by_day() == {DAY: {"FAILED": 1}}
    rebuilt = dump(stage.root.index)
    index.rebuild()
    assert dump(stage.root.index) == rebuilt


def _cut(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:1])


@pytest.mark.parametrize("by_writer", [False, True], ids=["reader", "writer"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_cut, id="shortened"),
        pytest.param(lambda _: b"", id="emptied"),
        pytest.param(lambda c: c.replace(b"AWAITING", b"DONE_YES"), id="last-line-changed"),
        pytest.param(lambda _: chained([opening(), pause(head="9" * 64)] * 4), id="rewritten-longer"),
    ],
)
def test_a_register_that_no_longer_continues_what_was_taken_in_is_tampering(
    stage: Stage, index: Index, note: Note, change: Callable[[bytes], bytes], by_writer: bool
) -> None:
    note(pause())
    before = dump(stage.root.index)
    stage.root.register.write_bytes(change(stage.root.register.read_bytes()))
    with (
        stage.register.writing() if by_writer else nullcontext() as writer,
        pytest.raises(TamperedError, match="SEV-1"),
    ):
        index.sync(writer)
    assert dump(stage.root.index) == before


def test_a_register_that_is_gone_is_tampering(stage: Stage, index: Index) -> None:
    stage.root.register.unlink()
    with pytest.raises(TamperedError, match="gone"):
        index.sync()


@pytest.mark.parametrize(
    "drafts",
    [[opening()], [Draft("run_head", "countersign", {"run_id": RUN})], [refused("a"), refused("a")]],
    ids=["opened-twice", "head-without-status", "refused-twice"],
)
def test_a_good_chain_of_lines_that_cannot_be_is_tampering_and_takes_nothing_in(
    stage: Stage, index: Index, drafts: Sequence[Draft]
) -> None:
    before = dump(stage.root.index)
    stage.register.append_many([pause(), *drafts])
    with pytest.raises(TamperedError, match="not of its form or comes twice"):
        index.sync()
    assert dump(stage.root.index) == before


_SYNC = Draft("sync", "")
_lines = st.one_of(
    st.just(_SYNC),
    st.builds(pause, st.integers(0, 3).map(run_id), st.sampled_from(["1" * 64, "2" * 64]), closed=st.booleans()),
    st.builds(signed, st.integers(0, 3).map(run_id)),
    st.builds(intake, st.sampled_from(["inbox", "git"]), st.sampled_from("xy")),
    st.builds(dataset, st.sampled_from(["workpaper", "handoff_report"]), st.sampled_from("12")),
    st.just(Draft("root_opened", "countersign", {"configuration": "c" * 64})),
)


@given(st.lists(_lines, max_size=14), st.permutations(range(4)), st.permutations("abc"))
@settings(max_examples=30)
def test_syncing_bit_by_bit_gives_the_same_rows_as_a_rebuild(
    drafts: list[Draft], runs: list[int], records: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        root = EvidenceRoot(Path(folder))
        register = Register(root, clock=StepClock(AT), entropy=Counted())
        index = Index(root, register)
        once = [opening(run_id(n), supersedes=run_id(runs[0]) if n == runs[1] else None) for n in runs]
        once += [refused(record) for record in records]
        for draft in (
            [line for pair in zip(once, drafts[:7], strict=False) for line in pair] + once[len(drafts) :] + drafts[7:]
        ):
            if draft is _SYNC:
                index.sync()
            else:
                register.append_many([draft])
        index.sync()
        bit_by_bit = dump(root.index)
        index.rebuild()
        assert dump(root.index) == bit_by_bit
        Index(root, register, f"sqlite:///{folder}/other.sqlite").sync()
        assert dump(Path(folder) / "other.sqlite") == bit_by_bit


def _open_and_sync(path: Path, together: Barrier) -> None:
    root = EvidenceRoot(path)
    together.wait()
    Index(root, Register(root)).sync()


def test_processes_that_open_a_new_index_at_once_apply_every_line_once(stage: Stage) -> None:
    stage.register.append_many([opening(run_id(n)) for n in range(100)])
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(3)
    processes = [context.Process(target=_open_and_sync, args=(stage.root.path, together)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3
    assert len(Index(stage.root, stage.register).all_runs()) == 101


def test_a_new_index_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """SQLite refuses a change to WAL mode at once where another connection looks: half of such openings failed."""
    together = threading.Barrier(6)

    def open_index(root: EvidenceRoot) -> None:
        together.wait()
        Index(root, Register(root))

    with ThreadPoolExecutor(6) as threads:
        for number in range(60):
            root = EvidenceRoot(tmp_path / str(number))
            root.path.mkdir()
            list(threads.map(open_index, [root] * 6))
            assert stat.S_IMODE(root.index.stat().st_mode) == 0o600
            assert not list(root.path.glob(".*"))


def test_connections_that_sync_at_once_never_apply_a_line_twice(stage: Stage) -> None:
    indexes = [Index(stage.root, stage.register) for _ in range(4)]
    raised: list[Exception] = []

    def sync(index: Index) -> None:
        try:
            index.sync()
        except Exception as error:
            raised.append(error)

    for number in range(10):
        stage.register.append_many([opening(run_id(number)), refused(f"{number}")])
        threads = [threading.Thread(target=sync, args=(index,)) for index in indexes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert raised == []
    assert len(indexes[0].all_runs()) == 11


def test_a_reader_who_syncs_while_the_register_is_being_written_blocks_nobody(stage: Stage, index: Index) -> None:
    """Both take the register's lock before the index's; the other order is a deadlock."""
    reader = threading.Thread(target=Index(stage.root, stage.register).sync)
    with stage.register.writing() as writer:
        writer.append([pause()])
        reader.start()
        reader.join(0.2)
        index.sync(writer)
    reader.join(5)
    assert not reader.is_alive()


def test_an_index_in_the_form_of_another_version_is_filled_anew(stage: Stage, index: Index) -> None:
    """It says another form, or none, as before a form was said, when a column was missing."""
    expected = dump(stage.root.index)
    for damage in ("update form set digest = 'other'", "drop table form; alter table runs drop column configuration"):
        with closing(sqlite3.connect(stage.root.index)) as connection:
            connection.executescript(f"{damage}; update position set size = 1")
        again = Index(stage.root, Register(stage.root))
        again.sync()
        assert dump(stage.root.index) == expected
        assert again.run(RUN) == index.run(RUN)


def test_a_file_that_is_no_database_is_named_with_what_to_do(stage: Stage) -> None:
    stage.root.index.write_bytes(b"spoiled" * 999)
    with pytest.raises(
        EvidenceError, match=r"index\.sqlite: the index cannot be used \(file is not a database\); .* delete"
    ):
        Index(stage.root, stage.register)
