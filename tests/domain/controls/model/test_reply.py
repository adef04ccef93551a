"""What is an answer, and what is none."""

import json
from typing import Any

import jsonschema
import pytest

from countersign.controls.model.reply import SCHEMA, Reply, Unusable, parse
from tests.domain.controls.model.conftest import answer, claim

CONTROLS = ("ITGC-CM-01", "ITGC-CM-03")
CLAIM = claim("ITGC-CM-01", "approval", "approved for deployment")
ABSTAINS = {"ITGC-CM-03": "no test is there"}


def test_an_answer_is_read_as_it_is() -> None:
    reply = parse(answer([CLAIM], ABSTAINS), CONTROLS)
    assert isinstance(reply, Reply)
    assert [one.control for one in reply.every()] == ["ITGC-CM-01", "ITGC-CM-03"]
    assert reply.of("ITGC-CM-02") is None
    jsonschema.validate(json.loads(answer([CLAIM], ABSTAINS)), SCHEMA)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the answer is empty"),
        (" \n", "the answer is empty"),
        ("The change is fine.", "is not JSON"),
        (answer([CLAIM])[:-5], "is not JSON"),
        (f"```json\n{answer([CLAIM])}\n```", "is not JSON"),
        ('{"assertions": [], "assertions": [], "abstentions": []}', "is not JSON"),
        ('{"assertions": NaN, "abstentions": []}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (answer(abstentions={"ITGC-CM-01": "\ud800"}), "is not JSON"),
        ("[]", "is not of its schema, at the whole"),
        ('{"assertions": []}', "is not of its schema, at abstentions"),
        (json.dumps({"assertions": [], "abstentions": [], "verdict": "clean"}), "is not of its schema, at verdict"),
        (answer([{**CLAIM, "result": "abstained"}]), "is not of its schema, at assertions.0.result"),
        (answer([{**CLAIM, "quote": ""}]), "is not of its schema, at assertions.0.quote"),
        (answer([{name: text for name, text in CLAIM.items() if name != "quote"}]), "at assertions.0.quote"),
        (json.dumps({"assertions": [{**CLAIM, "quote": 7}], "abstentions": []}), "at assertions.0.quote"),
        (answer(), "says nothing of any control"),
        (answer([CLAIM, CLAIM]), "says two things of one control"),
        (answer([CLAIM], {"ITGC-CM-01": "or not"}), "says two things of one control"),
        (answer([{**CLAIM, "control": "ITGC-CM-02"}]), "was not asked about"),
        (answer([{**CLAIM, "evidence": "a\nb"}]), "control character"),
    ],
)
def test_anything_else_says_nothing_of_any_control(text: str, why: str) -> None:
    unusable = parse(text, CONTROLS)
    assert isinstance(unusable, Unusable)
    assert why in unusable.why


def test_what_a_provider_may_send_by_the_schema_and_what_is_accepted_are_one_form() -> None:
    """The schema is written by hand, for the keywords that every provider knows; the reader is the stricter one."""
    cases: list[Any] = [
        {"assertions": []},
        {"assertions": [{}], "abstentions": []},
        {"assertions": 1, "abstentions": []},
    ]
    for broken in cases:
        assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(broken)
        assert isinstance(parse(json.dumps(broken), CONTROLS), Unusable)
