"""`sla list`, `pause`, `resume`, `report` and `observe`, as a user has them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign import record_observation
from countersign.clocks.instant import stamp
from countersign.environment import utc_now
from countersign.errors import UnknownRunError
from countersign.runs.engine import Engine
from countersign.runs.intake import take_in_one
from tests.conftest import POLICY, payload_with
from tests.domain.cli.conftest import Cli, Write

REASON = ("--reason", "the office is flooded")
UNGROUNDED = [{"control": "ITGC-CM-01", "text": "Approved.", "evidence": "approval", "quote": "was never said there"}]


@pytest.fixture
def live_engine(engine: Engine) -> Engine:
    """An engine in the present, since the command line has no other time."""
    engine.clock = utc_now
    return engine


@pytest.fixture
def waiting(live_engine: Engine) -> str:
    """A run that waits for its review, by its id."""
    return take_in_one(live_engine, payload_with(), source="given", where="test", origin="submitted").run_id


@pytest.fixture
def blocked(live_engine: Engine) -> str:
    payload = payload_with(id="CHG-1", assertions=UNGROUNDED)
    return take_in_one(live_engine, payload, source="given", where="test", origin="submitted").run_id


@pytest.fixture(autouse=True)
def same_policy(monkeypatch: pytest.MonkeyPatch, engine: Engine, tmp_path: Path) -> None:
    """The command line runs under the configuration that the tests' root was opened with."""
    monkeypatch.setattr("countersign.cli.options.load_configuration", lambda _: engine.current.configuration)


def test_list_shows_whose_turn_it_is_and_how_much_time_is_left(cli: Cli, waiting: str) -> None:
    (clock,) = cli("sla", "list", "--json").document["clocks"]
    assert (clock["run_id"], clock["clock"], clock["role"]) == (waiting, "independent_review", "reviewer")
    assert clock["people"] == ["reviewer", "second-reviewer", "second-checker"]
    assert 4 * 3600 - 60 < clock["left_seconds"] <= 4 * 3600
    assert (clock["overdue"], clock["paused"]) == (False, False)
    page = cli("sla", "list").out
    assert "of business time" in page
    assert "reviewer, second-reviewer, second-checker" in page
    assert "no such clock runs" in cli("sla", "list", "--overdue").err
    assert cli("sla", "list", "--within", "30m", "--json").document == {"clocks": []}
    assert len(cli("sla", "list", "--within", "5h", "--json").document["clocks"]) == 1
    assert cli("sla", "list", "--within", "soon").code == 2


def test_list_shows_what_is_overdue(cli: Cli, engine: Engine) -> None:
    take_in_one(engine, payload_with(), source="given", where="test", origin="submitted")
    if utc_now() < datetime(2026, 11, 23, 19, tzinfo=UTC):
        pytest.skip("this machine's clock stands before the instant at which the tests' runs are overdue")
    assert cli("sla", "list", "--overdue", "--json").document["clocks"][0]["overdue"]
    assert "overdue" in cli("sla", "list", "--within", "1d").out


@pytest.mark.parametrize("finishing", ["advance", "run"])
def test_a_late_runs_workpaper_says_late_whichever_command_finishes_it(
    cli: Cli, engine: Engine, write: Write, finishing: str
) -> None:
    run_id = take_in_one(engine, payload_with(), source="given", where="test", origin="submitted").run_id
    if utc_now() < datetime(2026, 11, 23, 19, tzinfo=UTC):
        pytest.skip("this machine's clock stands before the instant at which the tests' runs are overdue")
    file = write("payload.json", payload_with())
    for key, signer in (("independent_review", "reviewer"), ("maker_checker", "checker")):
        assert cli("approve", run_id, key, "--as", signer).code == 0
        assert cli(*(("run", file) if finishing == "run" else ("advance",))).code == 0
    workpaper = cli("show", run_id, "--json").document
    assert (workpaper["clean"], workpaper["breaches"][0]["clock"]) == (False, "independent_review")


def test_a_pause_is_set_lifted_and_reported_with_its_reason(cli: Cli, waiting: str) -> None:
    pause = ("sla", "pause", waiting, "independent_review", *REASON)
    refused = cli(*pause, "--as", "reviewer")
    assert (refused.code, "cannot let it stand still" in refused.err) == (1, True)
    assert "stands still" in cli(*pause, "--as", "control-owner").err
    assert cli("sla", "list", "--json").document["clocks"][0]["paused"]
    assert ", paused" in cli("sla", "list").out
    resumed = cli("sla", "resume", waiting, "independent_review", "--as", "control-owner", *REASON, "--json")
    assert resumed.document == {"clocks": [{"run_id": waiting, "kind": "independent_review", "about": ""}]}
    month = stamp(utc_now())[:7]
    (paused,) = cli("sla", "report", "--month", month, "--json").document["pauses"]
    assert (paused["by"], paused["reason"], paused["to"] > paused["from"]) == ("control-owner", REASON[1], True)
    assert REASON[1] in cli("sla", "report", "--month", month).out
    assert cli("sla", "report", "--month", "November").code == 2


def test_report_counts_clocks_by_the_month_they_were_due_in(cli: Cli, waiting: str) -> None:
    (clock,) = cli("sla", "list", "--json").document["clocks"]
    assert cli("approve", waiting, "independent_review", "--as", "reviewer").code == 0
    cli("advance")
    report = ("sla", "report", "--month", clock["deadline"][:7])
    row = {"clock": "independent_review", "tier": "standard", "met": 1, "breached": 0}
    assert cli(*report, "--json").document["clocks"] == [row]
    assert "independent_review" in cli(*report).out


def test_an_observation_stops_the_clock_of_a_block(cli: Cli, blocked: str, root: Path) -> None:
    observe = ("observe", blocked, "--as", "observer", "--outcome", "noted", "--reason", "seen")
    assert cli(*observe, "--json").document == {
        "run_id": blocked, "by": "observer", "outcome": "noted", "stopped": ["block"], "repeated": False
    }  # fmt: skip
    assert "was recorded before: noted by observer; stopped: nothing" in cli(*observe).err
    assert cli("sla", "list", "--json").document == {"clocks": []}
    assert cli("observe", blocked, "--as", "maker", "--outcome", "noted", "--reason", "seen").code == 1


def test_an_observation_from_python(blocked: str, live_engine: Engine) -> None:
    run = live_engine.index.run(blocked)
    assert run is not None
    rundir = live_engine.root.rundir(run.day, blocked)
    receipt = record_observation(rundir, "observer", "challenged", "why?", policy=live_engine.current.policy)
    assert receipt.stopped == ("block",)
    with pytest.raises(UnknownRunError, match="not inside an evidence root"):
        record_observation(POLICY.parent, "observer", "noted", "seen")
