"""Spellings: what each step takes away, and that the table of look-alikes is that of UTS #39."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.changes.spelling import abbreviates, bare, fold, looks, words


@pytest.mark.parametrize(
    ("text", "folded", "without_accents"),
    [
        ("José  NÚÑEZ", "josé núñez", "jose nunez"),
        ("Straße", "strasse", "strasse"),
        ("Ｆｕｌｌ", "full", "full"),
        ("Ǻ\u200b", "ǻ", "a"),
        ("Андрей", "андрей", "андреи"),
        ("が", "が", "か\u3099"),
        ("שָׁלוֹם", "שָׁלוֹם", "שָׁלוֹם"),
        ("", "", ""),
    ],
)
def test_each_step_takes_away_what_it_says(text: str, folded: str, without_accents: str) -> None:
    assert fold(text) == unicodedata.normalize("NFKC", folded)
    assert bare(text) == unicodedata.normalize("NFD", without_accents)


# the examples of UTS #39, sections 4 and 4.1, and of confusables.txt
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "раураl"),
        ("scope", "ѕсоре"),
        ("toys-я-us", "toуs-я-us"),
        ("1iνе", "live"),
        ("sø", "so̸"),
        ("ǉeto", "ljeto"),
        ("αβγ", "aβy"),
        ("0O", "OO"),
        ("rn", "m"),
        ("BEH", "ВЕН"),
    ],
)
def test_look_alikes_share_a_look(one: str, other: str) -> None:
    assert looks(one) & looks(other)


@pytest.mark.parametrize(("one", "other"), [("maker", "baker"), ("жук", "щук"), ("a1", "a2"), ("王", "玉")])
def test_others_do_not(one: str, other: str) -> None:
    assert not looks(one) & looks(other)


@given(st.text(max_size=20))
def test_each_step_sees_no_more_than_the_one_before(text: str) -> None:
    assert bare(fold(text)) == bare(text) == bare(bare(text))
    assert looks(text) & looks(fold(text))
    assert words(fold(text)) == words(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Maker, Example", ("example", "maker")),
        ("Maker,Example", ("example", "maker")),
        ("Berg, Jan van", ("berg", "jan", "van")),
        ("Example", ("example",)),
        (" , ", ()),
    ],
)
def test_words_are_in_the_order_of_their_first_rotation(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("J. Maker", "John Maker", True),
        ("J Maker", "Maker John", True),
        ("J. Q. Maker", "John Quin Maker", True),
        ("John M.", "John Maker", True),
        ("John Maker", "John Quin Maker", True),
        ("J. X. Maker", "John Quin Maker", False),
        ("J. Maker", "J. Other", False),
        ("J. M.", "John Maker", False),
        ("Jo Maker", "John Maker", False),
        ("Maker", "John Maker", False),
    ],
)
def test_a_name_with_initials_may_be_another(one: str, other: str, expected: bool) -> None:
    assert abbreviates(words(one), words(other)) is expected
    assert abbreviates(words(other), words(one)) is expected
