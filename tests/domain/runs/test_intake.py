"""Sources read to their end: every item is counted once, whatever it is, and a broken reading is no smaller one."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.changes.payload import Payload
from countersign.changes.sources.interface import Item, Raw, Record, Skipped, Unreadable
from countersign.errors import SourceError
from countersign.evidence.register import IntakeTotals
from countersign.policy import Policy
from countersign.runs.daywork import needs_somebody, record_failed_run, sources_of, work_day, work_days
from countersign.runs.engine import CHUNK
from countersign.runs.intake import take_in
from countersign.runs.judgements import (
    every_log_verifies,
    logs_are_sound_after_work,
    nothing_blocked,
    totals_reconcile,
)
from tests.conftest import StepClock, payload_with
from tests.domain.runs.conftest import Bench, changed_results, log_of, policy_with

_GOOD, _OUTSIDE = payload_with(), payload_with(id="CHG-7", system="intranet")


class Given:
    """A source of given items; an exception among them is raised in its turn."""

    adapter = "files"
    extractor = "files/1"

    def __init__(
        self,
        items: Sequence[Item | Exception],
        *,
        declared: int | None = None,
        name: str = "given",
        raw: bytes | None = None,
    ) -> None:
        self.name, self._items, self._declared, self._raw = name, items, declared, raw

    def state(self) -> str | None:
        return None

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        if self._raw is None:
            return []
        (scratch / "export").write_bytes(self._raw)
        return [Raw(scratch / "export", "what was asked")]

    def rows(self) -> Sequence[int]:
        return [] if self._raw is None else [len(self._items)]

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        assert [path.read_bytes() for path in kept] == ([] if self._raw is None else [self._raw])
        for item in self._items:
            if isinstance(item, Exception):
                raise item
            yield item

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        return self._declared


def records(*payloads: Any) -> list[Item | Exception]:
    return [Record(f"row {number}", payload) for number, payload in enumerate(payloads)]


_numbers = st.integers(0, 5)
_items = st.one_of(
    _numbers.map(lambda n: Record("good", payload_with(id=f"CHG-{n}"))),
    _numbers.map(lambda n: Record("corrected", payload_with(id=f"CHG-{n}", summary="Corrected"))),
    _numbers.map(lambda n: Record("outside", payload_with(id=f"OUT-{n}", system="intranet"))),
    _numbers.map(lambda n: Record("refused", payload_with(id=f"BAD-{n}", change_type="standard"))),
    _numbers.map(lambda n: Record("no object", n)),
    _numbers.map(lambda n: Skipped("skipped", f"PR-{n}", "not merged")),
    _numbers.map(lambda n: Unreadable("unreadable", None, "not JSON", b"%d" % n)),
)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_items, max_size=12), min_size=1, max_size=3))
def test_totals_reconcile_for_any_mix(
    tmp_path_factory: pytest.TempPathFactory, policy: Policy, readings: list[list[Item | Exception]]
) -> None:
    """Good, known, repeated, refused and out of scope: read = opened + known + refused + out of scope, each time."""
    bench = Bench(
        tmp_path_factory.mktemp("mix") / "evidence", policy, StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))
    )
    total, seen = IntakeTotals(), set[str]()
    for items in readings:
        intake = take_in(bench.run.engine, Given(items, declared=len(items)))
        assert intake.totals.reconciled
        assert intake.totals.read == len(items)
        assert len(intake.refusals) == intake.totals.refused
        fresh = {run.run_id for run in intake.runs} - seen
        assert sum(1 for run in intake.runs if run.run_id in fresh and run.status != "OUT_OF_SCOPE") == (
            intake.totals.opened
        )
        seen |= fresh
        total += intake.totals
    assert len(bench.registered("run_opened")) == len(seen)
    assert total.reconciled
    assert totals_reconcile(bench.run.engine).passed
    assert bench.faults() == []


def test_each_item_is_counted_as_what_it_is(bench: Bench) -> None:
    items = [*records(_GOOD, _GOOD, _OUTSIDE, {"id": "CHG-9"}, 7), Skipped("pr 3", "PR-3", "not merged")]
    items.append(Unreadable("file 4", None, "not JSON", b"{"))
    first = take_in(bench.run.engine, Given(items)).totals.as_dict()
    assert first == {"read": 7, "opened": 1, "known": 1, "refused": 3, "out_of_scope": 2}
    before = bench.contents()
    again = take_in(bench.run.engine, Given(items)).totals.as_dict()
    assert again == {"read": 7, "opened": 0, "known": 3, "refused": 3, "out_of_scope": 1}
    assert len(bench.registered("refused")) == 3
    # the reading found the very same, so neither runs nor register have anything new
    assert bench.contents() == before


def test_more_than_one_chunk_is_read_and_progress_is_told(bench: Bench) -> None:
    seen: list[int] = []
    refusable = records(*({"id": f"CHG-{number}"} for number in range(CHUNK + 3)))
    assert take_in(bench.run.engine, Given(refusable), progress=seen.append).totals.refused == CHUNK + 3
    assert seen == [CHUNK, 3]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (Given([*records(_GOOD), SourceError("disk gone")]), "disk gone"),
        (Given(records(_GOOD), declared=2), "read 1 records, but the source counts 2"),
        (Given(records(_GOOD), declared=0), "read 1 records, but the source counts 0"),
    ],
    ids=["broke-off", "lost-one", "one-too-many"],
)
def test_a_broken_reading_is_on_record_and_what_was_opened_stays(bench: Bench, source: Given, why: str) -> None:
    engine = bench.run.engine
    with pytest.raises(SourceError, match=why):
        take_in(engine, source)
    assert bench.registered("intake") == []
    for _ in range(2):
        report = work_day(engine, engine.today, [source, Given(records(_OUTSIDE), name="other")])
        assert why in (report.readings[0].broken or "")
        assert report.readings[1].broken is None
    assert [line["source"] for line in bench.registered("intake") if line["broken"]] == ["given"]
    judged = totals_reconcile(engine)
    assert not judged.passed
    assert any(why in row[1] for row in judged.rows)
    whole = take_in(engine, Given(records(_GOOD)))
    assert (whole.totals.known + whole.totals.opened, len(bench.registered("run_opened"))) == (1, 2)
    assert totals_reconcile(engine).passed


def test_a_superseding_pair_in_one_reading_is_two_runs_in_order(bench: Bench) -> None:
    take_in(bench.run.engine, Given(records(_GOOD, payload_with(summary="Corrected"), payload_with(summary="Again"))))
    opened = bench.registered("run_opened")
    assert [line["supersedes"] for line in opened] == [None, opened[0]["run_id"], opened[1]["run_id"]]


def test_a_conflicting_run_id_in_a_batch_refuses_that_record_alone(bench: Bench) -> None:
    opening = dict(bench.registered()[0])
    bench.execute()
    opening = {
        key: value
        for key, value in bench.registered("run_opened")[0].items()
        if key not in opening or key == "configuration"
    }
    bench.cut_register("run_opened")
    bench.fresh().engine.register.append(
        "run_opened", "countersign", **opening | {"digest": opening["digest"][:16] + "0" * 48}
    )
    intake = take_in(bench.run.engine, Given(records(_GOOD, _OUTSIDE)))
    assert intake.totals.as_dict() == {"read": 2, "opened": 0, "known": 0, "refused": 1, "out_of_scope": 1}
    assert "SEV-1" in intake.refusals[0].reason


# A day's work


def test_a_day_reads_its_sources_only_while_it_is_today(bench: Bench) -> None:
    engine, source = bench.run.engine, Given(records(_GOOD, _OUTSIDE))
    yesterday = work_day(engine, engine.today - timedelta(days=1), [source])
    assert (yesterday.readings, yesterday.runs, yesterday.stages()) == ([], [], [])
    today = work_day(engine, engine.today, [source])
    assert [reading.totals.read for reading in today.readings] == [2]
    assert today.stages() == ["change_record", "control_assertion", "grounding_gate", "sign_off", "audit_log"]
    assert (today.touched["change_record"], today.touched["sign_off"]) == (2, 1)


def test_days_are_in_the_zone_of_the_policy(bench: Bench) -> None:
    bench.clock.now = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    assert bench.run.engine.today == date(2026, 11, 23)
    assert "2026/11/23" in str(bench.execute().rundir)


def test_work_days_takes_up_what_waits_on_each_day_once(bench: Bench) -> None:
    first = bench.execute()
    bench.clock.move(days=1)
    second = bench.execute(payload_with(system="shipping"))
    for result in (first, second):
        bench.sign(result, "independent_review", "reviewer")
    days = [bench.run.engine.today, date(2026, 11, 23), bench.run.engine.today]
    assert [(report.day.day, report.runs) for report in work_days(bench.run.engine, days)] == [
        (23, [first.run_id]),
        (24, [second.run_id]),
    ]
    assert [report.runs for report in work_days(bench.run.engine, days)] == [[], []]


def test_what_needs_somebody_is_named_with_the_reason_until_it_is_superseded(bench: Bench) -> None:
    blocked = bench.execute(payload_with(evidence={}))
    waiting = bench.execute(payload_with(system="shipping"))
    bench.execute(_OUTSIDE)
    engine = bench.run.engine
    assert {needed.run_id: needed.reason for needed in needs_somebody(engine)} == {
        blocked.run_id: blocked.reason,
        waiting.run_id: waiting.reason,
    }
    judged = nothing_blocked(engine)
    assert (judged.passed, judged.rows) == (False, (("2026-11-23", "1 blocked"),))
    bench.sign(waiting, "independent_review", "reviewer")
    bench.execute(_GOOD)
    assert nothing_blocked(engine).passed
    reasons = {needed.run_id: needed.reason for needed in needs_somebody(engine, engine.today)}
    assert blocked.run_id not in reasons
    assert "recorded and will be taken up" in reasons[waiting.run_id]
    assert needs_somebody(engine, date(2026, 1, 1)) == []


def test_logs_are_judged_by_the_register(bench: Bench) -> None:
    whole, damaged = bench.execute(_GOOD), bench.execute(_OUTSIDE)
    engine = bench.run.engine
    assert every_log_verifies(engine).passed
    assert logs_are_sound_after_work(engine, [whole.run_id, damaged.run_id]).passed
    log_of(damaged).write_bytes(log_of(damaged).read_bytes()[:-9])
    for judged in (every_log_verifies(engine), logs_are_sound_after_work(engine, [whole.run_id, damaged.run_id])):
        assert not judged.passed
        assert [row[0] for row in judged.rows] == ["2026-11-23"]
        assert judged.runs == (damaged.run_id,)
    assert logs_are_sound_after_work(engine, [whole.run_id]).passed
    log_of(damaged).unlink()
    assert not every_log_verifies(engine).passed


def test_after_work_failed_runs_are_verified_in_full_and_no_others_are_read(bench: Bench) -> None:
    failed, other = bench.execute(_GOOD), bench.execute(_OUTSIDE)
    for run in (failed, other):
        first, *more = log_of(run).read_bytes().splitlines(keepends=True)
        log_of(run).write_bytes(first.replace(b'"actor"', b'"after"') + b"".join(more))
    assert logs_are_sound_after_work(bench.run.engine, []).passed
    assert bench.execute(_GOOD).status == "FAILED"
    judged = logs_are_sound_after_work(bench.run.engine, [])
    assert (judged.passed, judged.runs) == (False, (failed.run_id,))


def test_a_failed_worker_is_on_record_once(bench: Bench) -> None:
    for worker in ("a", "a", "b"):
        record_failed_run(bench.run.engine, worker, "daily", "x" * 900)
    assert [(line["worker"], len(line["message"])) for line in bench.registered("worker_failed")] == [
        ("a", 500),
        ("b", 500),
    ]


def test_the_policys_sources_start_at_its_folder(bench: Bench, tmp_path: Path) -> None:
    inbox = {"name": "box", "adapter": "files", "path": "in"}
    bench.fresh(policy=policy_with(bench.policy, sources=[inbox]))
    (tmp_path / "in").mkdir()
    (source,) = sources_of(bench.run.engine, tmp_path)
    assert (source.name, take_in(bench.run.engine, source).totals.read) == ("box", 0)
    (tmp_path / "in").rmdir()
    assert work_day(bench.run.engine, bench.run.engine.today, [source]).readings[0].broken


def test_one_failing_change_never_stops_the_others_of_its_batch(bench: Bench) -> None:
    def odd_ones_raise(assessment: Any) -> Any:
        if any("deployed by its author" in result.reason for result in assessment.results):
            raise LookupError("not this one")
        return assessment

    bench.fresh(mapper=changed_results(odd_ones_raise))
    systems = [payload_with(system=f"s{n}", author="deployer" if n % 3 == 0 else "maker") for n in range(9)]
    intake = take_in(bench.run.engine, Given(records(*systems)))
    assert sorted(str(run.status) for run in intake.runs) == ["AWAITING_APPROVAL"] * 6 + ["FAILED"] * 3
    assert intake.totals.opened == 9


def test_what_a_source_gave_is_kept_raw_and_registered_once(bench: Bench) -> None:
    for _ in range(2):
        take_in(bench.run.engine, Given(records(payload_with()), raw=b"the export"))
    (line,) = bench.registered("extract")
    expected = ("given", "files/1", "what was asked", 10, 1)
    assert tuple(line[name] for name in ("source", "extractor", "query", "bytes", "rows")) == expected
    kept = bench.root / "extracts" / line["digest"]
    assert kept.read_bytes() == b"the export"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in kept.parent.iterdir()] == [line["digest"]]


def test_what_a_source_gave_before_it_broke_off_is_kept_without_a_row_count(bench: Bench) -> None:
    with pytest.raises(SourceError):
        take_in(bench.run.engine, Given([SourceError("cut off")], raw=b"half an exp"))
    (line,) = bench.registered("extract")
    assert line["rows"] is None
    assert (bench.root / "extracts" / line["digest"]).read_bytes() == b"half an exp"
    bench.forget_index()
    assert [one.rows for one in bench.fresh().engine.index.extracts("given")] == [None]


def test_two_payloads_of_one_chunk_under_one_id_are_an_incident_as_across_chunks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first 16 digits are few enough to be searched for: here every payload has the same."""
    monkeypatch.setattr(Payload, "run_id", property(lambda _: "change-" + "0" * 16))
    first, second = Record("1", payload_with()), Record("2", payload_with(id="CHG-2"))
    for _ in range(2):
        intake = take_in(bench.run.engine, Given([first, second, first]))
        assert (intake.totals.reconciled, intake.totals.read, intake.totals.refused) == (True, 3, 1)
        (refusal,) = intake.refusals
        assert (refusal.change_id, "is the id of another payload" in refusal.reason) == ("CHG-2", True)
        assert "SEV-1" in refusal.reason
    assert [line["change_id"] for line in bench.registered("run_opened")] == ["CHG-1001"]
    assert len(bench.registered("refused")) == 1
