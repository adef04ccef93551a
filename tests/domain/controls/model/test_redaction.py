"""What never leaves, and how it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.controls.model.redaction import Redactor, restored
from countersign.policy.model import Redaction
from tests.domain.controls.model.conftest import REDACTIONS

RULES = [Redaction.model_validate(rule) for rule in REDACTIONS]
TAG = "0123456789abcdef"


def redacted(text: str, rules: list[Redaction] = RULES) -> str:
    return Redactor(rules, TAG)(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("nothing to hide", "nothing to hide"),
        ("mail maker@example.com today", f"mail [email-1-{TAG}] today"),
        ("MAKER@EXAMPLE.COM", f"[email-1-{TAG}]"),
        ("ä b@example.com ö", f"ä [email-1-{TAG}] ö"),
        ("key SK-abcdef123456.", f"key [secret-1-{TAG}]."),
        ("card 4111 1111 1111 1111 ok", f"card [card-1-{TAG}] ok"),
        ("card 4111-1111-1111-1111", f"card [card-1-{TAG}]"),
        ("378282246310005", f"[card-1-{TAG}]"),
        ("4111111111111", "4111111111111"),
        ("7 4111111111111111", f"[card-1-{TAG}]"),
        ("4111111111111111, 5500005555555559", f"[card-1-{TAG}], [card-2-{TAG}]"),
        ("build 20261120103000 passed", "build 20261120103000 passed"),
        ("a@example.com b@example.com a@example.com", f"[email-1-{TAG}] [email-2-{TAG}] [email-1-{TAG}]"),
        ("sk-abcdefgh@example.com", f"[secret-1-{TAG}]"),
    ],
)
def test_redacted(text: str, left: str) -> None:
    assert redacted(text) == left


def test_words_that_two_patterns_share_are_hidden_together() -> None:
    rules = [
        Redaction(name="one", pattern="abc"),
        Redaction(name="two", pattern="cde"),
        Redaction(name="no", pattern="x*"),
    ]
    assert redacted("abcde", rules) == f"[one-1-{TAG}]"


@given(st.text(st.sampled_from("ab@. 4-1k" + "s"), max_size=60))
def test_put_back_it_is_the_text_again(text: str) -> None:
    redactor = Redactor(RULES, TAG)
    assert restored(redactor(text), redactor.originals) == text


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18))
def test_every_number_with_a_right_check_digit_is_hidden(digits: list[int]) -> None:
    """The check digit found by trying, rather than by the formula under test."""
    numbers = ["".join(map(str, [*digits, last])) for last in range(10)]
    hidden = [number for number in numbers if redacted(number) == f"[card-1-{TAG}]"]
    weighed = [
        number
        for number in numbers
        if sum(int(c) if n % 2 == 0 else (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(c)] for n, c in enumerate(number[::-1]))
        % 10
        == 0
    ]
    assert len(weighed) == 1
    assert set(weighed) <= set(hidden)


def test_a_placeholder_that_nobody_made_stays() -> None:
    assert restored(f"[email-9-{TAG}]", {f"[email-1-{TAG}]": "a@example.com"}) == f"[email-9-{TAG}]"
