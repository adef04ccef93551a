"""Where evidence comes from: set by intake, never by whoever hands a payload in."""

from typing import Any

import pytest

from countersign.changes.origin import as_extracted, as_submitted
from countersign.changes.payload import accept
from countersign.errors import PayloadError
from countersign.policy import Limits
from tests.conftest import payload_with

LIMITS = Limits()


def test_an_adapter_marks_every_item_and_leaves_the_payload_itself_alone() -> None:
    payload = payload_with(evidence={"note": "plain words", "test": {"kind": "test", "text": "2 passed", "by": "ci"}})
    before = repr(payload)
    marked = as_extracted(payload)
    assert {name: item.origin for name, item in accept(marked, LIMITS).change.evidence.items()} == {
        "note": "extracted",
        "test": "extracted",
    }
    assert marked["evidence"]["test"] == {"kind": "test", "text": "2 passed", "by": "ci", "origin": "extracted"}
    assert repr(payload) == before


@pytest.mark.parametrize("value", [None, [], "text", {"id": "C"}, {"evidence": []}, {"evidence": {"a": 1}}], ids=repr)
def test_what_is_no_payload_is_left_for_the_payload_to_refuse(value: Any) -> None:
    assert as_extracted(value) == value
    assert as_submitted(value) == value


def test_a_submitted_payload_cannot_say_that_it_was_extracted() -> None:
    payload = payload_with(evidence={"a": {"kind": "other", "text": "words", "origin": "extracted"}})
    with pytest.raises(PayloadError, match=r"^evidence\.a\.origin: only an adapter") as refusal:
        as_submitted(payload)
    assert refusal.value.change_id == "CHG-1001"
    with pytest.raises(PayloadError) as nameless:
        as_submitted({**payload, "id": 7})
    assert nameless.value.change_id is None


def test_it_may_say_that_it_was_submitted() -> None:
    payload = payload_with(evidence={"a": {"kind": "other", "text": "words", "origin": "submitted"}})
    assert accept(as_submitted(payload), LIMITS).change.evidence["a"].origin == "submitted"


def test_the_same_words_extracted_and_submitted_are_two_payloads() -> None:
    assert accept(payload_with(), LIMITS).run_id != accept(as_extracted(payload_with()), LIMITS).run_id
