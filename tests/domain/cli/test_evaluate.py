"""`evaluate`, with a scripted server in a model's place: its figures are those of the script, not of any model."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from countersign.evaluation.gold import SHIPPED
from tests.conftest import POLICY
from tests.domain.cli.conftest import Cli
from tests.domain.controls.model.conftest import REDACTIONS, answer, claim
from tests.domain.controls.model.scripted import MODEL, Request, Step, Text, serving

FIGURES = ("f1", "precision", "recall", "grounding_rate", "deficiency_accuracy", "gate_efficacy")
LINES = SHIPPED.read_text("utf-8").splitlines()


def test_the_rules_with_the_baseline_beside_them(cli: Cli) -> None:
    answered = cli("evaluate", "--mapper", "rules", "--json")
    document = answered.document
    assert answered.code == 0
    for name in FIGURES:
        assert set(document[name]) == {"value", "low", "high"}
        assert document[name]["low"] <= document[name]["value"] <= document[name]["high"]
    assert document["f1"]["value"] >= 0.95
    assert document["gate_efficacy"]["value"] == 1.0
    assert document["deficiency_accuracy"]["value"] >= 0.95
    assert len(document["cases"]) == len(LINES) - 1
    assert document["beside"]["baseline"]["f1"]["value"] < document["f1"]["low"]
    assert document["difference"]["baseline"]["f1"]["low"] > 0


def test_the_figures_in_the_readme_are_those_of_the_command(cli: Cli) -> None:
    document = cli("evaluate", "--json").document
    readme = (POLICY.parent / "README.md").read_text("utf-8")
    for name in ("f1", "deficiency_accuracy", "gate_efficacy", "grounding_rate"):
        found = [document[name], document["beside"]["baseline"][name]]
        shown = [f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" for one in found]
        assert f"| {shown[0]} | {shown[1]} |" in readme


def test_for_people(cli: Cli) -> None:
    answered = cli("evaluate")
    assert (answered.code, answered.err) == (0, "")
    for words in (
        "93 changes, gold",
        "deficiency accuracy",
        "baseline",
        "rules less",
        "ITGC-CM-01 abstained, should be met",
    ):
        assert words in answered.out


def test_the_same_command_says_the_same(cli: Cli) -> None:
    assert cli("evaluate", "--seed", 5, "--json").out == cli("evaluate", "--seed", 5, "--json").out


@pytest.fixture
def with_model(tmp_path: Path) -> Any:
    def write(url: str) -> Path:
        policy = yaml.safe_load(POLICY.read_text("utf-8"))
        model = {"adapter": "openai", "base_url": f"{url}/v1", "model": MODEL, "key": None, "redactions": REDACTIONS}
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump({**policy, "model": model}, allow_unicode=True), "utf-8")
        for name in ("catalogue.yaml", "calendar.yaml"):
            (tmp_path / name).write_bytes((POLICY.parent / name).read_bytes())
        return path

    return write


def test_a_model_against_the_rules_in_pairs(cli: Cli, with_model: Any, tmp_path: Path) -> None:
    """A script that claims CM-01 for every change, and that one change is deployed by its author."""

    def say(request: Request) -> Step:
        record = json.loads(request.evidence.split("\n")[1])
        said = [claim("ITGC-CM-01", "approval", f"{record['id']} approved for deployment.")]
        if record["author"] == record["deployed_by"]:
            said.append(claim("ITGC-CM-06", "deployment", "to production.", "exception"))
        return Text(answer(said))

    wanted = ("clean", "deployer")
    chosen = [line for line in LINES[1:] if json.loads(line)["category"] in wanted]
    gold = tmp_path / "some.jsonl"
    gold.write_text("\n".join([LINES[0], *chosen]), "utf-8")
    with serving(answer=say) as script:
        answered = cli("evaluate", "--mapper", "model", "--gold", gold, "--policy", with_model(script.url), "--json")
    document = answered.document
    assert len(script.requests) == len(chosen)
    assert set(document["beside"]) == {"together", "rules", "baseline"}
    assert document["recall"]["value"] < document["beside"]["rules"]["recall"]["value"] == 1.0
    assert document["difference"]["rules"]["recall"]["high"] < 0
    assert document["beside"]["together"]["precision"]["value"] == 1.0
    assert document["grounding_rate"]["value"] < 1.0


def test_a_policy_without_a_model_has_none_to_evaluate(cli: Cli) -> None:
    answered = cli("evaluate", "--mapper", "model")
    assert answered.code == 2
    assert "the policy has no `model` section" in answered.err


def test_a_gold_set_that_is_none(cli: Cli, tmp_path: Path) -> None:
    answered = cli("evaluate", "--gold", tmp_path / "nowhere.jsonl")
    assert answered.code == 2
    assert "no gold set" in answered.err
