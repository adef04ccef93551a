"""`sample population` and `sample freeze`, as a user has them."""

import json
from pathlib import Path

import pytest

from tests.conftest import payload_with
from tests.domain.cli.conftest import Cli
from tests.keys import make_key


@pytest.fixture
def october(cli: Cli, tmp_path: Path) -> str:
    """A root with one change of October that waits for its review, under a policy that reads no source."""
    path = tmp_path / "configuration" / "policy.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("\nsources:")] + "\nsources: []\n", encoding="utf-8")
    payload = payload_with(deployed_at="2026-10-20T10:00:00Z", requested_at=None)
    payload["evidence"]["deployment"]["at"] = "2026-10-20T10:00:00Z"
    (tmp_path / "change.json").write_text(json.dumps(payload))
    assert cli("run", tmp_path / "change.json").code == 0
    return "2026-10"


def test_population_prints_what_a_month_holds_and_writes_nothing(cli: Cli, october: str, root: Path) -> None:
    page = cli("sample", "population", october).out
    assert "2026-10 in America/New_York: from 2026-10-01T04:00:00.000000Z to 2026-11-01T04:00:00.000000Z" in page
    assert "0 changes were not deployed" in page
    assert not (root / "datasets" / "clean_population_sample").exists()


def test_population_names_what_is_wrong_and_ends_with_1(cli: Cli, october: str, tmp_path: Path) -> None:
    payload = json.loads((tmp_path / "change.json").read_text()) | {"id": "chg-1001"}
    (tmp_path / "other.json").write_text(json.dumps(payload))
    cli("run", tmp_path / "other.json")
    answer = cli("sample", "population", october)
    assert (answer.code, "INCOMPLETE" in answer.out) == (1, True)
    assert "ids_are_whole: billing: CHG-1001, chg-1001" in answer.out
    document = cli("sample", "population", october, "--json").document
    assert (document["complete"], document["counts"], document["not_deployed"]) == (False, {"standard/awaiting": 2}, 0)
    (failed,) = (test for test in document["tests"] if test["passed"] is False)
    assert (failed["name"], failed["counts"]["duplicates"]) == ("ids_are_whole", 1)


def test_freeze_puts_a_month_down_once(cli: Cli, october: str, root: Path) -> None:
    first = cli("sample", "freeze", october, "--json").document
    assert (first["complete"], first["written"], first["findings"], first["seal"]) == (True, ["population"], [], None)
    assert first["counts"] == {"standard/awaiting": 1}
    assert (root / "datasets/clean_population_sample/month=2026-10/population.txt").is_file()
    again = cli("sample", "freeze", october, "--json").document
    assert again == {**first, "written": []}
    page = cli("sample", "freeze", october)
    assert "2026-10: complete: 1 runs, 0 of them clean" in page.out
    assert "seal it now" not in page.err


def test_freeze_seals_at_once_where_it_has_the_key(cli: Cli, october: str, tmp_path: Path) -> None:
    key = make_key(tmp_path / "pipeline")
    assert "seal it now" in cli("sample", "freeze", "2026-09").err
    answer = cli("sample", "freeze", october, "--key", key)
    assert "sealed: " in answer.err
    assert answer.err.rstrip().endswith("000001.json")


def test_what_comes_late_is_a_finding_that_names_the_month(cli: Cli, october: str, tmp_path: Path) -> None:
    cli("sample", "freeze", october)
    payload = json.loads((tmp_path / "change.json").read_text()) | {"id": "CHG-2"}
    (tmp_path / "other.json").write_text(json.dumps(payload))
    cli("run", tmp_path / "other.json")
    answer = cli("sample", "freeze", october, "--json").document
    assert (answer["complete"], answer["written"], len(answer["late"])) == (False, ["late-1"], 1)
    (finding,) = answer["findings"]
    assert "2026-10: changes that came after the freeze" in cli("finding", "show", finding).out
    page = cli("sample", "freeze", october).out
    assert "2026-10: INCOMPLETE: 2 runs, 1 of them late, 0 of them clean" in page
    assert "nothing_came_late: CHG-2: change-" in page


@pytest.mark.parametrize("month", ["october", "2026-13", "2026-10-01"])
def test_what_is_no_month_is_a_question_that_cannot_be_asked(month: str, cli: Cli) -> None:
    answer = cli("sample", "population", month)
    assert (answer.code, "not a month as YYYY-MM" in answer.err) == (2, True)


def test_a_month_that_lasts_is_not_frozen(cli: Cli, october: str) -> None:
    answer = cli("sample", "freeze", "2126-10")
    assert answer.code == 2
    assert "2126-10: lasts until" in answer.err
    assert october == "2026-10"
