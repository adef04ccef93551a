"""People are compared as people; what cannot be compared is neither the same nor different."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.changes.people import Identity, Likeness, People, fold, parse_identity
from countersign.errors import PolicyError
from countersign.policy import Person, Policy, load_policy
from tests.conftest import POLICY

SHIPPED = People(load_policy(POLICY))
SAME, DIFFERENT, UNKNOWN = Likeness.SAME, Likeness.DIFFERENT, Likeness.UNKNOWN


@pytest.fixture(scope="module")
def people(policy: Policy) -> People:
    """The shipped roster, where the maker has a second login, a second and a noreply address and a second name."""
    maker = policy.people[0].model_copy(
        update={
            "other_names": ["Example Second Name"],
            "logins": ["example-maker", "maker-at-home"],
            "emails": ["maker@example.com", "maker@home.example", "77+maker-noreply@users.noreply.github.com"],
        }
    )
    twins = [Person(id=f"twin-{n}", name="Example Twin", emails=[f"twin-{n}@example.com"]) for n in (1, 2)]
    return People(policy.model_copy(update={"people": [maker, *policy.people[1:], *twins]}))


ALIASES: dict[str, tuple[str, str, Likeness]] = {
    # on the roster: one person under everything that it lists
    "id_and_login": ("maker", "example-maker", SAME),
    "two_logins": ("example-maker", "maker-at-home", SAME),
    "two_emails": ("maker@example.com", "maker@home.example", SAME),
    "login_and_email": ("@example-maker", "maker@home.example", SAME),
    "email_with_any_name": ("maker", "Somebody Else <maker@example.com>", SAME),
    "noreply_with_number": ("maker", "12345+example-maker@users.noreply.github.com", SAME),
    "noreply_without_number": ("maker", "Any Name <example-maker@users.noreply.github.com>", SAME),
    "noreply_on_the_roster": ("maker", "maker-noreply", SAME),
    "name_only": ("maker", "Example Maker", SAME),
    "other_name_only": ("maker", "Example Second Name", SAME),
    "case": ("maker", "EXAMPLE-Maker", SAME),
    "case_of_an_email": ("maker", "Maker@Example.COM", SAME),
    "full_width": ("maker", "ｅｘａｍｐｌｅ－ｍａｋｅｒ", SAME),
    "full_width_email": ("maker", "Ｍaker@example.com", SAME),
    "white_space": ("maker", "  Example \t Maker ", SAME),
    "zero_width_in_a_login": ("maker", "ma\u200bker", SAME),
    "zero_width_in_an_email": ("maker", "M <maker@exam\u2060ple.com>", SAME),
    "bidi_override": ("maker", "\u202dmaker\u202c", SAME),
    "same_name_other_address": ("maker", "Example Maker <stranger@example.org>", SAME),
    "two_of_the_roster": ("maker", "checker", DIFFERENT),
    "mail_of_one_with_the_name_of_another": ("maker", "Example Maker <checker@example.com>", DIFFERENT),
    "namesakes_of_the_roster": ("twin-1@example.com", "twin-2@example.com", DIFFERENT),
    "name_that_two_have": ("twin-1", "Example Twin", SAME),
    "roster_and_stranger": ("maker", "stranger", DIFFERENT),
    "login_as_name_of_a_strange_address": ("maker", "example-maker <stranger@example.org>", UNKNOWN),
    # strangers: what they share, what differs, and nothing in common
    "strangers_same_login": ("stranger", "@STRANGER", SAME),
    "strangers_same_email": ("One <s@example.org>", "Two <S@example.org>", SAME),
    "strangers_same_name": ("A Name <one@example.org>", "a  name <two@example.org>", SAME),
    "strangers_same_bare_name": ("A Name", "A Name", SAME),
    "strangers_two_logins": ("one", "two", DIFFERENT),
    "strangers_two_emails": ("One Name <one@example.org>", "Two Name <two@example.org>", DIFFERENT),
    "login_against_email": ("stranger", "stranger@example.org", UNKNOWN),
    "login_against_name": ("stranger", "Some Body", UNKNOWN),
    "two_bare_names": ("Some Body", "Other Body", UNKNOWN),
    "email_against_bare_name": ("one@example.org", "Some Body", UNKNOWN),
    "nothing_at_all": (" <>", "checker", UNKNOWN),
    "only_signs": ("<>", "checker", UNKNOWN),
    "two_nothings": (" ", "<>", UNKNOWN),
    "no_address_between_brackets": ("Some Body <>", "some body", SAME),
    "two_addresses_in_one": ("M <maker@example.com> <checker@example.com>", "checker", UNKNOWN),
}


@pytest.mark.parametrize("case", ALIASES)
def test_two_texts_are_compared_as_people(case: str, people: People) -> None:
    one, other, expected = ALIASES[case]
    identities = people.identify(one), people.identify(other)
    assert people.compare(*identities) is expected
    assert people.compare(*reversed(identities)) is expected, "the order must not matter"


@pytest.mark.parametrize(
    ("text", "logins", "emails", "names"),
    [
        ("maker", {"maker"}, set(), set()),
        ("@Maker", {"maker"}, set(), set()),
        ("A Maker", set(), set(), {"a maker"}),
        ("maker@example.com", set(), {"maker@example.com"}, set()),
        ('"Maker, A" <Maker@Example.com>', set(), {"maker@example.com"}, {"maker, a"}),
        ("<maker@example.com>", set(), {"maker@example.com"}, set()),
        ("A Maker <9+Maker@users.noreply.github.com>", {"maker"}, set(), {"a maker"}),
        ("x+maker@users.noreply.github.com", set(), {"x+maker@users.noreply.github.com"}, set()),
        ("A Maker <>", set(), set(), {"a maker"}),
    ],
)
def test_text_is_read_as_login_mail_or_name(text: str, logins: set[str], emails: set[str], names: set[str]) -> None:
    identity = parse_identity(text)
    assert [set(identity.logins), set(identity.emails), set(identity.names)] == [logins, emails, names]
    assert identity.resolvable is bool(logins or emails)


def test_a_bare_name_of_the_roster_is_that_person_and_of_two_entries_is_nobody(people: People) -> None:
    assert people.identify("Example Checker").person == "checker"
    assert people.identify("Example Twin").person is None
    assert not people.identify("Example Twin").resolvable
    assert people.identify("Example Checker <stranger@example.org>").person is None


def test_an_identity_says_how_it_was_written(people: People) -> None:
    assert people.identify(" Example-Maker").text == " Example-Maker"


@pytest.mark.parametrize(
    ("others", "expected", "whom"),
    [
        (["checker", "stranger"], DIFFERENT, None),
        (["checker", "Some Body", "stranger"], UNKNOWN, "Some Body"),
        (["Some Body", "checker", "example-maker"], SAME, "example-maker"),
        ([], DIFFERENT, None),
    ],
    ids=["different_from_all", "doubt_beats_difference", "sameness_beats_doubt", "nobody"],
)
def test_one_against_many(others: list[str], expected: Likeness, whom: str | None, people: People) -> None:
    likeness, found = people.compare_all(people.identify("maker"), [people.identify(other) for other in others])
    assert (likeness, found and found.text) == (expected, whom)


@pytest.mark.parametrize(
    "text",
    ["dependabot[bot]", "ci-bot", "Robot", "b\u200bot", "ｂｏｔ", "Release Bot <release@example.com>", "dependabot",
     "buildbot", "app/renovate", "GitHub <noreply@github.com>", "x@project.iam.gserviceaccount.com", "github-actions"],
)  # fmt: skip
def test_bots_are_nobody(text: str, people: People) -> None:
    assert people.is_bot(text)


@pytest.mark.parametrize("text", ["abbot", "Talbot <t@example.com>", "botany", "Bothilda", "robotics-lead", "maker"])
def test_people_with_bot_in_their_name_are_people(text: str, people: People) -> None:
    assert not people.is_bot(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pipeline:ci", True),
        ("Deploy-Pipeline", True),
        ("pipeline: release train", True),
        ("deploy-pipeline <maker@example.com>", False),
        ("pipeline:ci <maker@example.com>", False),
        ("maker", False),
        ("my-deploy-pipeline", False),
    ],
)
def test_a_pipeline_is_known_by_its_handle_and_not_by_the_name_beside_an_address(
    text: str, expected: bool, people: People
) -> None:
    assert people.is_pipeline(text) is expected


def test_two_entries_that_read_the_same_are_refused(policy: Policy) -> None:
    """A Hangul filler is a letter that shows nothing: the second entry would take the first one's place."""
    double = Person(id="double", name="Example Double", logins=["maker\u3164"])
    with pytest.raises(PolicyError, match="'maker' reads the same for 'maker' and 'double'"):
        People(policy.model_copy(update={"people": [*policy.people, double]}))


def test_without_patterns_nobody_is_a_bot_or_a_pipeline(policy: Policy) -> None:
    people = People(policy.model_copy(update={"bots": [], "pipelines": [], "systems": []}))
    assert not people.is_bot("x[bot]")
    assert not people.is_pipeline("pipeline:ci")


TEXTS = st.text(max_size=30) | st.sampled_from([text for case in ALIASES.values() for text in case[:2]])


@settings(deadline=None)
@given(TEXTS)
def test_folding_is_stable(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_comparison_is_symmetric_and_nobody_differs_from_themself(one: str, other: str) -> None:
    people = SHIPPED
    left, right = people.identify(one), people.identify(other)
    assert people.compare(left, right) is people.compare(right, left)
    assert people.compare(left, people.identify(one)) is not DIFFERENT
    assert isinstance(left, Identity)
