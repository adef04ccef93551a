"""`evaluate`: how well the rules, or the model of the policy, judge a labelled set of changes."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from countersign.changes.people import People
from countersign.cli.options import POLICY, ROOT, Json, PolicyFile, Root
from countersign.cli.output import print_json, print_lines, print_table, progress
from countersign.controls.assessment import Case, Mapper
from countersign.controls.model.combined import RulesAndModel
from countersign.controls.model.opening import open_model
from countersign.controls.model.questions import questions_of
from countersign.controls.rules import Rules
from countersign.errors import EvaluationError
from countersign.evaluation.gold import SHIPPED, Labelled, load_gold
from countersign.evaluation.mappers import baseline, by_itself
from countersign.evaluation.scores import RATIOS, Score, score
from countersign.policy import Catalogue, Policy, load_configuration

MAIN = ("f1", "precision", "recall", "grounding_rate", "deficiency_accuracy", "gate_efficacy")


class Judge(StrEnum):
    """What is evaluated."""

    RULES = "rules"
    MODEL = "model"


def evaluate(
    mapper: Annotated[Judge, typer.Option(help="What is evaluated.")] = Judge.RULES,
    gold: Annotated[
        Path, typer.Option(help="A labelled set, as JSON lines.", show_default="the shipped one")
    ] = SHIPPED,
    seed: Annotated[int, typer.Option(help="Where the draws of the intervals begin.", min=0)] = 1,
    root: Root = ROOT,
    policy: PolicyFile = POLICY,
    as_json: Json = False,
) -> None:
    """Score a mapper against labelled changes, beside the baseline that claims every control; with intervals."""
    configuration = load_configuration(policy)
    labelled = load_gold(gold, configuration.catalogue, configuration.policy.limits)
    tested = labelled.policy(configuration.policy)
    cases = [(one, one.case) for one in labelled.cases]
    if mapper is Judge.MODEL:
        cases = _asked(cases, tested, configuration.catalogue)
    scored = {
        name: list(score(judge, cases, tested, configuration.catalogue))
        for name, judge in _mappers(mapper, tested, configuration.catalogue).items()
    }
    document = _document(mapper, scored, seed) | {"gold": labelled.version, "seed": seed}
    if as_json:
        print_json(document)
    else:
        _print(mapper, document, scored[mapper])


def _asked(cases: list[tuple[Labelled, Case]], policy: Policy, catalogue: Catalogue) -> list[tuple[Labelled, Case]]:
    """Every case put to the model of the policy. Raises EvaluationError where there is none, ModelUnavailable."""
    questions = questions_of(policy, catalogue, open_model)
    if questions is None:
        raise EvaluationError("the policy has no `model` section, so there is no model to evaluate")
    found = []
    with progress("asking", len(cases)) as done:
        for labelled, case in cases:
            found.append((labelled, replace(case, asked=questions.ask(case))))
            done(1)
    return found


def _mappers(mapper: Judge, policy: Policy, catalogue: Catalogue) -> dict[str, Mapper]:
    """What is scored, the one that was asked for first."""
    rules = Rules(policy, catalogue, People(policy))
    compared: dict[str, Mapper] = {"rules": rules, "baseline": baseline(catalogue)}
    if mapper is Judge.RULES:
        return compared
    return {"model": by_itself(rules), "together": RulesAndModel(rules), **compared}


def _document(mapper: Judge, scored: dict[str, list[Score]], seed: int) -> dict[str, Any]:
    from countersign.evaluation import intervals  # noqa: PLC0415  (brings scipy, which no other command needs)

    def figures(scores: list[Score]) -> dict[str, Any]:
        return {name: _figure(intervals.figure(ratio, scores, seed)) for name, ratio in RATIOS.items()}

    def against(other: str) -> dict[str, Any]:
        return {name: _figure(intervals.difference(RATIOS[name], scored[mapper], scored[other], seed)) for name in MAIN}

    others = [name for name in scored if name != mapper]
    return {
        **figures(scored[mapper]),
        "cases": [_case(one) for one in scored[mapper]],
        "mapper": mapper.value,
        "confidence": intervals.CONFIDENCE,
        "beside": {name: figures(scored[name]) for name in others},
        "difference": {name: against(name) for name in others},
    }


def _figure(found: Any) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low, "high": found.high}


def _case(one: Score) -> dict[str, Any]:
    return {
        "case": one.labelled.name,
        "category": one.labelled.category,
        "asserted": one.asserted,
        "right": one.right,
        "expected": one.expected,
        "grounded": one.grounded,
        "deficiencies_right": one.deficiencies_right,
        "gate": {
            "label": one.labelled.gate.decision,
            "decision": "blocked" if one.blocked else "passed",
            "reason": one.gate_reason,
        },
        "deviations": [
            {
                "control": found.control,
                "label": found.label.value,
                "result": found.result.value,
                "why": found.why,
                "reason": found.reason,
            }
            for found in one.deviations
        ],
    }


def _print(mapper: Judge, document: dict[str, Any], scores: list[Score]) -> None:
    columns = {mapper.value: document, **document["beside"]}
    rows = [(name.replace("_", " "), *(_shown(figures[name]) for figures in columns.values())) for name in RATIOS]
    print_table(("", *columns), rows, title=f"{len(scores)} changes, gold {document['gold']}")
    rows = [
        (name.replace("_", " "), *(_shown(figures[name], "+") for figures in document["difference"].values()))
        for name in MAIN
    ]
    print_table(("", *document["difference"]), rows, title=f"{mapper.value} less")
    cases = [
        (
            one.labelled.category,
            one.labelled.name,
            f"{one.right}/{one.expected}",
            "blocked" if one.blocked else "passed",
            "; ".join(f"{found.control} {found.result}, should be {found.label}" for found in one.deviations)
            + ("" if one.blocked == one.to_block else f"; gate, should be {one.labelled.gate.decision}"),
        )
        for one in scores
    ]
    print_table(("category", "case", "right", "gate", "deviations"), cases)
    print_lines([f"[low, high]: {document['confidence']:.0%} bootstrap over changes, seed {document['seed']}"])


def _shown(found: dict[str, float | None], sign: str = "") -> str:
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" [{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{value:{sign}.3f}{interval}"
