"""The gold set that ships, and what is refused as one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from countersign.controls.assessment import Result
from countersign.errors import EvaluationError
from countersign.evaluation.gold import SHIPPED, Gold, load_gold
from countersign.policy import Catalogue, Limits, Policy

LINES: list[dict[str, Any]] = [json.loads(line) for line in SHIPPED.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def gold(catalogue: Catalogue) -> Gold:
    return load_gold(SHIPPED, catalogue, Limits())


def test_it_covers_what_it_has_to(gold: Gold, catalogue: Catalogue) -> None:
    assert len(gold.cases) >= 60
    assert {one.category for one in gold.cases} >= {
        "clean",
        "self-approval",
        "retroactive approval",
        "tests",
        "approval of another change",
        "superseded revision",
        "fabricated approval",
        "ambiguous words",
        "bot approval",
        "emergency",
        "hidden instructions",
        "another language",
    }
    assert len({one.case.change.id for one in gold.cases}) == len({(one.category, one.name) for one in gold.cases})
    assert len({one.case.change.id for one in gold.cases}) == len(gold.cases)
    for control in catalogue.by_id:
        results = {one.labels[control].result for one in gold.cases}
        assert {Result.MET, Result.EXCEPTION} <= results, control


def test_its_catalogue_is_the_one_that_is_shipped(catalogue: Catalogue) -> None:
    """Labels were written from these definitions; whoever changes them looks at the labels again."""
    assert LINES[0]["catalogue"] == catalogue.version


def test_its_table_of_categories_counts_right(gold: Gold) -> None:
    table = (SHIPPED.parent / "README.md").read_text("utf-8").split("| category | cases |")[1]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    assert sum(int(row[2]) for row in rows) == len(gold.cases)


def test_its_world_replaces_that_part_of_a_policy_and_no_other(gold: Gold, policy: Policy) -> None:
    tested = gold.policy(policy)
    assert tested.wording == policy.wording
    assert [person.id for person in tested.people] == [person["id"] for person in gold.world["people"]]


def _case(line: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(line))
    change(copied)
    return copied


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (_case(LINES[1], lambda case: case.pop("gate")), "line 2: gate: Field required"),
        (_case(LINES[1], lambda case: case["labels"].pop("ITGC-CM-03")), "line 2: clean: plain: one label for each"),
        (_case(LINES[1], lambda case: case["labels"].update({"X": LINES[1]["labels"]["ITGC-CM-01"]})), "line 2: clean"),
        (_case(LINES[1], lambda case: case["labels"]["ITGC-CM-03"].update(result="fine")), "line 2: labels.ITGC-CM-03"),
        (_case(LINES[1], lambda case: case["labels"]["ITGC-CM-03"].update(result=1)), "line 2: labels.ITGC-CM-03"),
        (_case(LINES[1], lambda case: case["payload"].pop("author")), "line 2: clean: plain: author: is missing"),
        (_case(LINES[1], lambda case: case.update(score=1)), "line 2: score: Extra inputs"),
    ],
)
def test_a_line_that_is_no_case_is_named(line: dict[str, Any], says: str, tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (LINES[0], line)), "utf-8")
    with pytest.raises(EvaluationError) as refusal:
        load_gold(path, catalogue, Limits())
    assert str(refusal.value).startswith(f"{path}: {says}")


@pytest.mark.parametrize("content", [b"", b"{", json.dumps(LINES[0]).encode()])
def test_a_file_that_holds_no_cases_is_refused(content: bytes, tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_bytes(content)
    with pytest.raises(EvaluationError):
        load_gold(path, catalogue, Limits())
    with pytest.raises(EvaluationError, match="no gold set"):
        load_gold(tmp_path / "nowhere", catalogue, Limits())


def test_a_world_that_is_none_is_refused(policy: Policy) -> None:
    with pytest.raises(EvaluationError, match="gold 1: its world is none"):
        Gold("1", {"people": []}, []).policy(policy)
