"""Results: only whole ones, about this sample, signed by an observer; and what they show."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785

from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import SampleRefused
from countersign.policy import Policy
from countersign.sampling import review
from countersign.sampling.limit import upper_limit
from countersign.sampling.month import Month
from countersign.sampling.review import NAMESPACE, ReviewDesk
from countersign.sampling.sample import Sample
from countersign.sampling.standing import review_of, reviews
from tests.conftest import StepClock, payload_with
from tests.domain.sampling.observing import MONTH, NONCE, Observing, a_finding, an_observing, as_csv, hands_or_made_up
from tests.domain.sampling.populations import a_row
from tests.keys import make_key

ROWS = [
    *(a_row(f"CHG-{number:03}") for number in range(90)),
    *(a_row(f"EMG-{number}", stratum="emergency") for number in range(3)),
    a_row("CHG-900", "exception"),
]
Row = dict[str, str]


@pytest.fixture
def bench(root: Path, policy: Policy, clock: StepClock, tmp_path: Path) -> Observing:
    return Observing(root, policy, clock, tmp_path / "keys")


@pytest.fixture
def sample(bench: Observing) -> Sample:
    """A sample that waits for its observer."""
    bench.published(ROWS)
    bench.nonces.record(MONTH, "observer", NONCE)
    return bench.draw()


@pytest.fixture(scope="module")
def untouched(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Observing:
    """The same for all who are refused, since nothing is written then."""
    bench = an_observing(policy, tmp_path_factory.mktemp("untouched"))
    bench.published(ROWS)
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.draw()
    return bench


def test_results_are_evaluated_by_stratum_recorded_and_kept(bench: Observing, sample: Sample) -> None:
    content = as_csv(bench.results(sample))
    observed = bench.reviews.record(MONTH, "observer", "results.csv", content)
    assert (observed.month, observed.conclusion, observed.repeated) == ("2026-10", "supported", False)
    standard = observed.strata["standard"]
    limit = upper_limit(40, 0, "0.95", 90)
    assert (standard["n"], standard["deviations"], standard["conclusion"]) == (40, 0, "supported")
    assert (standard["limit"], standard["formula"]) == (f"{limit.limit:.10g}", limit.formula)
    assert observed.strata["emergency"] | {"formula": ""} == {
        "population": 3, "n": 3, "deviations": 0, "deviating": [], "conclusion": "supported", "limit": "0",
        "formula": "", "expansion": None,
    }  # fmt: skip
    assert observed.strata["late"]["conclusion"] == "empty"
    (line,) = bench.registered("sample_observed")
    ((name, digest),) = line["files"].items()
    assert (bench.root / name).read_bytes() == content
    assert (line["actor"], line["manifest"], line["results"]) == ("observer", sample.digest, digest)


def test_the_same_again_is_harmless_and_a_correction_is_another_line(bench: Observing, sample: Sample) -> None:
    rows = bench.results(sample)
    bench.reviews.record(MONTH, "observer", "results.csv", as_csv(rows))
    assert bench.reviews.record(MONTH, "observer", "results.csv", as_csv(rows)).repeated
    corrected = bench.results(sample, EMG1="deviation")
    assert bench.reviews.record(MONTH, "observer", "results.csv", as_csv(corrected)).conclusion == "not supported"
    assert [next(iter(line["files"])).rpartition("/")[2] for line in bench.registered("sample_observed")] == [
        "results-1.csv", "results-2.csv",
    ]  # fmt: skip


def test_a_deviation_asks_for_more_and_the_expanded_sample_answers(bench: Observing, sample: Sample) -> None:
    first = sample.drawn()["standard"][0].replace("-", "")
    observed = bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(sample, **{first: "deviation"})))
    standard = observed.strata["standard"]
    assert (observed.conclusion, standard["conclusion"], standard["deviations"]) == ("not supported",) * 2 + (1,)
    assert standard["expansion"]["total"] == 40 + standard["expansion"]["further"]
    (item,) = (row for row in sample.rows().to_pylist() if row["change_id"].replace("-", "") == first)
    assert standard["deviating"] == [item["run_id"]]
    larger = bench.draw(expand={"standard": standard["expansion"]["total"]}, finding=a_finding(bench))
    again = bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(larger, **{first: "deviation"})))
    assert (again.strata["standard"]["conclusion"], again.conclusion) == ("supported", "supported")


def test_what_cannot_be_examined_counts_as_a_deviation(bench: Observing, sample: Sample) -> None:
    rows = bench.results(sample, EMG0="not examinable", EMG1="not applicable")
    rows = [{**row, "deviation": "false"} if row["change_id"] == "EMG-1" else row for row in rows]
    observed = bench.reviews.record(MONTH, "observer", "r.csv", as_csv(rows))
    assert observed.strata["emergency"]["deviations"] == 1


def test_the_filled_in_parquet_file_is_taken_too(bench: Observing, sample: Sample) -> None:
    filled = {row["run_id"]: row for row in bench.results(sample)}
    rows = []
    for item in sample.rows().to_pylist():
        row = filled[item["run_id"]]
        rows.append({**item, **row, "deviation": False, "examined_at": parse_instant(row["examined_at"])})
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=sample.rows().schema), file)
    observed = bench.reviews.record(MONTH, "observer", "sample.parquet", file.getvalue())
    assert observed.conclusion == "supported"
    assert list(observed.said.data["files"]) == ["datasets/clean_population_sample/month=2026-10/results-1.parquet"]


def without_the_first(rows: list[Row]) -> list[Row]:
    return rows[1:]


def without_a_column(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "tester"} for row in rows]


def with_another(rows: list[Row]) -> list[Row]:
    return [*rows, {**rows[0], "run_id": "change-0000000000000000", "change_id": "CHG-666"}]


def in_the_first(**changes: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**rows[0], **changes}, *rows[1:]]


# what is wrong with results, and words of the refusal
WRONG: dict[str, tuple[Callable[[list[Row]], list[Row]], str]] = {
    "a_row_missing": (without_the_first, r"drawn, and without a row: EMG-\d \(change-"),
    "a_row_more": (with_another, r"a row for what was not drawn: CHG-666 \(change-0000000000000000\)"),
    "a_row_twice": (lambda rows: [*rows, rows[0]], "more than one row: EMG-"),
    "a_column_missing": (without_a_column, "columns that are missing: tester"),
    "another_id": (in_the_first(change_id="CHG-1"), "its row says 'CHG-1'"),
    "nothing_found": (in_the_first(attribute_ITGC_CM_01=""), "attribute_ITGC_CM_01: '' is none of operated"),
    "a_deviation_not_counted": (in_the_first(attribute_ITGC_CM_01="deviation"), "its attributes make it true"),
    "a_deviation_of_nothing": (in_the_first(deviation="true"), "deviation: 'true'; its attributes make it false"),
    "a_flag_that_is_none": (in_the_first(deviation="no"), "deviation: 'no'"),
    "a_tester_nobody_knows": (in_the_first(tester="stranger"), "tester: 'stranger' is not on the roster"),
    "a_tester_who_is_no_observer": (in_the_first(tester="reviewer"), "tester: the sample is not for 'reviewer'"),
    "no_tester": (in_the_first(tester=""), "tester: '' is not on the roster"),
    "no_time": (in_the_first(examined_at=""), "examined_at: needs a date"),
    "before_the_draw": (in_the_first(examined_at="2026-10-31T00:00:00Z"), "examined_at: not between the draw"),
    "in_the_future": (in_the_first(examined_at="2027-10-31T00:00:00Z"), "examined_at: not between the draw"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_results_that_are_not_whole_are_refused(untouched: Observing, case: str) -> None:
    change, why = WRONG[case]
    with pytest.raises(SampleRefused, match=why):
        untouched.reviews.record(MONTH, "observer", "results.csv", as_csv(change(untouched.results(untouched.draw()))))
    assert untouched.registered("sample_observed") == []
    assert not list(untouched.root.glob("datasets/*/*/results*"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("results.csv", b"run_id,change_id\nx,y", "cut off in line 2"),
        ("results.csv", b"run_id,change_id\nx,y,z\n", "line 2 has 3 cells; the header has 2"),
        ("results.csv", b"\xff\n", "not UTF-8"),
        ("results.csv", b"\n", "drawn, and without a row"),
        ("results.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(untouched: Observing, name: str, content: bytes, why: str) -> None:
    with pytest.raises(SampleRefused, match=why):
        untouched.reviews.record(MONTH, "observer", name, content)


def test_a_tester_who_had_a_hand_in_the_change_is_refused(bench: Observing) -> None:
    bench.published([a_row("CHG-1", contributors=["observer"]), a_row("CHG-2")])
    bench.nonces.record(MONTH, "observer", NONCE)
    content = as_csv(bench.results(bench.draw()))
    with pytest.raises(SampleRefused, match="CHG-1: tester: 'observer' had a hand in this change"):
        bench.reviews.record(MONTH, "observer", "r.csv", content)


def test_a_tester_whom_only_the_log_shows_to_have_had_a_hand_in_it_is_refused(bench: Observing) -> None:
    """Evidence names several deployers, and the roster need not know how they are written: no row has room for them."""
    payload = payload_with(deployed_by=None)
    again = payload["evidence"]["deployment"] | {"by": "Example Observer <private@example.com>"}
    payload["evidence"]["deployment again"] = again
    assert bench.complete(payload).status == "COMPLETED"
    bench.freeze(bench.rows())
    bench.seal()
    bench.nonces.record(MONTH, "observer", NONCE)
    content = as_csv(bench.results(bench.draw()))
    refused = "CHG-1001: tester: 'observer' is, or cannot be told apart from, the deployer of this change"
    with pytest.raises(SampleRefused, match=refused):
        bench.reviews.record(MONTH, "observer", "r.csv", content)
    with pytest.raises(SampleRefused, match=refused):
        bench.reviews.request(MONTH, "observer", "r.csv", content)
    assert bench.registered("sample_observed") == []


def test_results_of_a_change_whose_log_is_gone_are_refused(untouched: Observing) -> None:
    content = as_csv(untouched.results(untouched.draw()))
    with pytest.raises(SampleRefused, match="its log does not say who made the change; restore it first"):
        ReviewDesk(untouched.run.engine, untouched.keys).record(MONTH, "observer", "r.csv", content)


def test_only_an_observer_with_a_key_hands_results_in(untouched: Observing) -> None:
    content = as_csv(untouched.results(untouched.draw()))
    with pytest.raises(SampleRefused, match="not for 'reviewer' to observe"):
        untouched.reviews.record(MONTH, "reviewer", "r.csv", content)
    with pytest.raises(SampleRefused, match="'observer' cannot sign"):
        ReviewDesk(untouched.run.engine, hands=hands_or_made_up).record(MONTH, "observer", "r.csv", content)


def test_results_signed_elsewhere_are_taken_once(bench: Observing, sample: Sample, tmp_path: Path) -> None:
    content = as_csv(bench.results(sample))
    statement = bench.reviews.request(MONTH, "observer", "r.csv", content)
    other = make_key(tmp_path / "other")
    with pytest.raises(SampleRefused, match="does not stand"):
        bench.reviews.submit("r.csv", content, statement, bench.elsewhere(statement, NAMESPACE, other))
    signature = bench.elsewhere(statement, NAMESPACE)
    with pytest.raises(SampleRefused, match="about another root, draw or file"):
        bench.reviews.submit(
            "r.csv", content.replace(b"true", b"TRUE").replace(b"false", b"FALSE"), statement, signature
        )
    assert not bench.reviews.submit("r.csv", content, statement, signature).repeated
    assert bench.reviews.submit("r.csv", content, statement, signature).repeated
    future = rfc8785.dumps({**json.loads(statement), "decided_at": "2027-01-01T00:00:00.000000Z"})
    rows, signature = as_csv(bench.results(sample)), bench.elsewhere(future, NAMESPACE)
    with pytest.raises(SampleRefused, match="about another root, draw or file"):
        bench.reviews.submit("r.csv", rows, future, signature)


def test_nothing_is_observed_that_is_not_drawn(bench: Observing) -> None:
    with pytest.raises(SampleRefused, match="not frozen"):
        bench.reviews.record(MONTH, "observer", "r.csv", b"")
    bench.published(ROWS)
    with pytest.raises(SampleRefused, match="nothing is drawn yet"):
        bench.reviews.record(MONTH, "observer", "r.csv", b"")


def test_what_another_process_recorded_meanwhile_is_seen(
    bench: Observing, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any) -> Any:
        bench.run.engine.register.append("sample_drawn", "countersign", month="2026-10")
        return evaluate(*arguments)

    evaluate = review._evaluate
    monkeypatch.setattr(review, "_evaluate", slow)
    with pytest.raises(SampleRefused, match="recorded in the meantime"):
        bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(sample)))


def test_results_are_due_ten_business_days_after_the_freeze(bench: Observing, sample: Sample) -> None:
    """Monday 23 November 2026, 9 in New York; Thanksgiving is no business day."""
    (only,) = reviews(bench.run.engine)
    assert only.due is not None
    assert stamp(only.due)[:16] == "2026-12-08T14:00"
    assert (only.month, only.observed_at, only.late(bench.clock())) == (MONTH, None, False)
    bench.clock.move(days=15, hours=1)
    assert only.late(bench.clock())
    bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(sample)))
    found = review_of(bench.run.engine, MONTH)
    assert found is not None
    assert found.late(bench.clock())  # a breach happens when it happens
    assert review_of(bench.run.engine, Month.parse("2026-09")) is None


def test_what_the_calendar_does_not_reach_has_no_due_date(bench: Observing, sample: Sample) -> None:
    bench.clock.move(days=365 * 40)
    bench.says_frozen(month=Month.parse("2026-09"))
    early, _ = reviews(bench.run.engine)
    assert (early.due, early.late(bench.clock())) == (None, False)
