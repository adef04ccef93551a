"""The aliases that somebody may write under, each a named row: what the comparison says, and why it has to."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.changes.people import Likeness, People, fold
from countersign.policy import Person, load_policy
from tests.conftest import POLICY


def _people() -> People:
    """The shipped roster, where the maker has a second login and a second address, and a deputy signs for others."""
    policy = load_policy(POLICY)
    maker, *others = policy.people
    more = {"logins": ["example-maker", "maker-at-home"], "emails": ["maker@example.com", "maker@home.example"]}
    roster = [maker.model_copy(update=more), Person(id="deputy", name="Example Deputy"), *others]
    return People(policy.model_copy(update={"people": roster}))


PEOPLE = _people()
SAME, DIFFERENT, UNKNOWN = Likeness.SAME, Likeness.DIFFERENT, Likeness.UNKNOWN

# name: (one, the other, what is said of them, why)
ALIASES: dict[str, tuple[str, str, Likeness, str]] = {
    "two_emails": ("maker@example.com", "maker@home.example", SAME, "the roster lists both"),
    "two_logins": ("example-maker", "maker-at-home", SAME, "the roster lists both"),
    "noreply_address": ("maker", "X <12345+example-maker@users.noreply.github.com>", SAME, "it names the login"),
    "noreply_in_capitals": ("maker", "12345+Example-Maker@Users.NoReply.GitHub.com", SAME, "it names the login"),
    "noreply_of_a_stranger": ("stranger", "A B <7+Stranger@users.noreply.github.com>", SAME, "it names the login"),
    "noreply_of_two": ("7+one@users.noreply.github.com", "7+two@users.noreply.github.com", DIFFERENT, "two logins"),
    "case": ("EXAMPLE-MAKER", "Maker@EXAMPLE.com", SAME, "case says nothing"),
    "same_name_other_address": ("A Name <a@one.example>", "A Name <b@two.example>", SAME, "one until the roster says"),
    "same_address_other_name": ("A Name <a@one.example>", "B Name <a@one.example>", SAME, "an address is one person's"),
    "address_with_a_tag": ("A Name <a@one.example>", "Other <a+ci@one.example>", UNKNOWN, "may be the same mailbox"),
    # look-alikes, UTS #39
    "cyrillic_letter_in_a_login": ("maker", "mаker", SAME, "a look-alike makes no new person"),
    "cyrillic_capital_in_a_login": ("bob", "Вob", SAME, "a capital looks like a letter that its small form does not"),
    "greek_letter_in_a_name": ("maker", "Exαmple Maker <x@example.org>", SAME, "a look-alike makes no new person"),
    "cyrillic_letter_in_an_address": ("maker", "X Y <mаker@example.com>", SAME, "a look-alike makes no new person"),
    "look_alike_name_turned": ("maker", "Маker, Example <x@example.org>", SAME, "both at once hide nobody"),
    "mathematical_letters": ("maker", "𝐦𝐚𝐤𝐞𝐫", SAME, "NFKC"),
    "stroke_through_a_letter": ("Łukasz Nowak <l@a.example>", "Lukasz Nowak <n@b.example>", SAME, "often left out"),
    "one_and_l": ("user1", "userl", UNKNOWN, "both can be typed, so both may be real"),
    "rn_and_m": ("Some Bern <s@a.example>", "Some Bem <t@b.example>", UNKNOWN, "both can be typed"),
    "look_alike_of_two_entries": ("checker", "mаker", DIFFERENT, "it looks like somebody else"),
    "accented_login": ("jürgen", "jurgen", UNKNOWN, "two logins, which a reader may take for one"),
    # names
    "comma": ("maker", "Maker, Example", SAME, "last name first"),
    "swapped": ("maker", "Maker Example <x@example.org>", SAME, "last name first"),
    "swapped_strangers": ("An Other <a@one.example>", "Other An <b@two.example>", SAME, "last name first"),
    "swapped_of_three": ("Jan van Berg <j@a.example>", "van Berg, Jan <k@b.example>", SAME, "last name first"),
    "first_names_exchanged": ("Ann Bea Cee <a@a.example>", "Bea Ann Cee <b@b.example>", UNKNOWN, "not a turn of it"),
    "diacritics": ("José Núñez <j@a.example>", "Jose Nunez <n@b.example>", SAME, "often left out"),
    "decomposed": ("Jose\u0301 Nunez <j@a.example>", "José Nunez <n@b.example>", SAME, "one letter, two encodings"),
    "vowel_signs": ("राम की <j@a.example>", "राम कु <n@b.example>", DIFFERENT, "a vowel sign is no accent"),
    "initial": ("J. Maker <j@a.example>", "John Maker <k@b.example>", UNKNOWN, "it could be anybody's initial"),
    "initial_of_another": ("J. Maker <j@a.example>", "Karl Maker <k@b.example>", DIFFERENT, "no K in J."),
    "two_initials": ("J. Maker <j@a.example>", "K. Maker <k@b.example>", DIFFERENT, "J is not K"),
    "middle_initial": ("John Q. Maker <j@a.example>", "John Maker <k@b.example>", UNKNOWN, "it may be left out"),
    "middle_name": ("John Quin Maker <j@a.example>", "John Maker <k@b.example>", UNKNOWN, "it may be left out"),
    "family": ("John Maker <j@a.example>", "Jane Maker <k@b.example>", DIFFERENT, "two first names"),
    "given_name_alone": ("John <j@a.example>", "John Maker <k@b.example>", DIFFERENT, "two addresses"),
    # who is not a person
    "bot_named_like_a_person": ("maker", "Example Maker <9+ci[bot]@users.noreply.github.com>", SAME, "its name"),
    "person_named_like_a_bot": ("maker", "Release Bot <maker@example.com>", SAME, "the address says who"),
    "pipeline_named_like_a_person": ("maker", "pipeline:maker", DIFFERENT, "another login"),
    "only_signs_as_name": (",", ".", UNKNOWN, "nobody and nobody"),
    "only_an_accent": ("\u0301", "\u0300", UNKNOWN, "nobody and nobody"),
}  # fmt: skip


@pytest.mark.parametrize("case", ALIASES)
def test_an_alias_is_compared_as_the_person_behind_it(case: str) -> None:
    one, other, expected, why = ALIASES[case]
    identities = PEOPLE.identify(one), PEOPLE.identify(other)
    assert PEOPLE.compare(*identities) is expected, why
    assert PEOPLE.compare(*reversed(identities)) is expected, "the order must not matter"


@pytest.mark.parametrize(
    ("text", "is_bot"),
    [
        ("Example Maker <9+ci[bot]@users.noreply.github.com>", True),
        ("Release Bot <maker@example.com>", False),
        ("Release Bot <example-maker@users.noreply.github.com>", False),
        ("Release Bot <release@example.com>", True),
    ],
    ids=["bot_named_like_a_person", "person_named_like_a_bot", "by_login", "nobody_of_the_roster"],
)
def test_beside_a_login_or_address_of_the_roster_a_name_makes_no_bot(text: str, is_bot: bool) -> None:
    assert PEOPLE.is_bot(text) is is_bot


# name: (giver, whom they act for, the maker, what is said)
DELEGATES: dict[str, tuple[str, str, str, Likeness]] = {
    "for_the_author": ("deputy", "maker", "maker", SAME),
    "for_the_author_under_an_alias": ("deputy", "maker", "maker@home.example", SAME),
    "on_their_own_change": ("deputy", "checker", "deputy", SAME),
    "for_somebody_else": ("deputy", "checker", "maker", DIFFERENT),
    "for_somebody_who_may_be_the_author": ("deputy", "checker", "Some Body", UNKNOWN),
    "for_somebody_unknown": ("deputy", "Some Body", "maker", UNKNOWN),
}


@pytest.mark.parametrize("case", DELEGATES)
def test_a_delegate_is_compared_as_both(case: str) -> None:
    giver, principal, maker, expected = DELEGATES[case]
    acting = PEOPLE.acting(PEOPLE.identify(giver), principal)
    assert PEOPLE.compare(acting, PEOPLE.identify(maker)) is expected
    assert PEOPLE.compare(PEOPLE.identify(maker), acting) is expected


def test_a_look_alike_is_nobody_of_the_roster() -> None:
    """It makes no new person, and it lends nobody's role either."""
    for text in ("mаker", "Exаmple Maker", "X <mаker@example.com>"):
        assert PEOPLE.identify(text).person is None
    assert PEOPLE.identify("Maker, Example").person == "maker"


TEXTS = st.text(max_size=30) | st.sampled_from([text for row in ALIASES.values() for text in row[:2]])


def full_width(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_comparison_is_symmetric(one: str, other: str) -> None:
    left, right = PEOPLE.identify(one), PEOPLE.identify(other)
    assert PEOPLE.compare(left, right) is PEOPLE.compare(right, left)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([str, str.upper, str.lower, str.swapcase, "\u200b".join, " {} ".format, full_width]))
def test_texts_that_fold_alike_are_never_two_people(text: str, spell: Callable[[str], str]) -> None:
    """The same text as another keyboard, font or shift key writes it; and everybody is themself."""
    left, right = PEOPLE.identify(text), PEOPLE.identify(spell(text))
    if fold(text) == fold(spell(text)):
        assert PEOPLE.compare(left, right) is (SAME if left.resolvable else PEOPLE.compare(left, left))
        assert PEOPLE.compare(left, right) is not DIFFERENT
