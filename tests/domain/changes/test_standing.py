"""What the roster lets somebody do on a day: roles, teams, validity, delegation, authority, pipelines, and why."""

from datetime import UTC, date, datetime

import pytest

from countersign.changes.people import People
from countersign.policy import Authority, Delegation, Person, Policy, System

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
LEFT = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)


def leave(to: str, since: date, until: date) -> Delegation:
    return Delegation.model_validate({"to": to, "from": since, "until": until})


@pytest.fixture(scope="module")
def people(policy: Policy) -> People:
    """`chief` authorises until the end of November, and `deputy` for them in the third week; an auditor reads."""
    week = leave("deputy", date(2026, 11, 16), date(2026, 11, 22))
    year = leave("reader", date(2026, 1, 1), date(2026, 12, 31))
    again = leave("deputy", date(2026, 12, 1), date(2026, 12, 2))
    roster = [
        Person(id="chief", name="Example Chief", roles=["authoriser"], delegates=[week, year, again],
               valid_from=date(2026, 1, 1), valid_until=date(2026, 11, 30)),
        Person(id="other-chief", name="Example Other Chief", roles=["authoriser"], delegates=[week]),
        Person(id="deputy", name="Example Deputy", roles=["reviewer"]),
        Person(id="reader", name="Example Reader", roles=["auditor"]),
        Person(id="operator", name="Example Operator", teams=["operations"]),
        Person(id="next-chief", name="Example Next Chief", roles=["authoriser"], valid_from=date(2026, 12, 1)),
    ]  # fmt: skip
    anyone = Authority(anyone=True)
    systems = [
        System(id="ledger", owner="chief", in_scope_since=None, authority=anyone, pipelines=["^ledger-cd$"]),
        System(id="paper", owner="chief", in_scope_since=None, authority=anyone),
    ]
    return People(policy.model_copy(update={"people": roster, "systems": systems, "pipelines": ["^pipeline:"]}))


ROLE, TEAM = Authority(roles=["authoriser"]), Authority(teams=["operations"])
MEMBERS = Authority(associations=["MEMBER", "OWNER"])
EITHER = Authority(roles=["authoriser"], associations=["MEMBER"])

# name: (giver, association at the source, who may, when, answer, what the reason says)
AUTHORITY: dict[str, tuple[str, str | None, Authority, datetime | None, bool | None, str]] = {
    "anyone": ("stranger", None, Authority(anyone=True), None, True, "anyone may"),
    "anyone_but_an_auditor": ("reader", None, Authority(anyone=True), NOON, False, "an auditor only reads"),
    "auditor_who_is_a_member": ("reader", "MEMBER", MEMBERS, NOON, False, "an auditor only reads"),
    "role": ("chief", None, ROLE, NOON, True, "'chief' has the role 'authoriser'"),
    "role_of_a_name": ("Example Chief", None, ROLE, NOON, True, "'chief' has the role"),
    "role_by_a_look_alike": ("сhief", None, ROLE, NOON, None, "the roster does not know 'сhief'"),
    "role_by_a_namesake": ("Example Chief <x@example.org>", None, ROLE, NOON, None, "the roster does not know"),
    "no_role": ("operator", None, ROLE, NOON, False, "'operator' does not have the role 'authoriser'"),
    "role_that_ended": ("chief", None, ROLE, LEFT, False, "until 2026-11-30, and holds no role on 2026-12-01"),
    "role_to_come": ("next-chief", None, ROLE, NOON, False, "from 2026-12-01, and holds no role on 2026-11-20"),
    "role_of_a_stranger": ("stranger", None, ROLE, NOON, None, "the roster does not know 'stranger'"),
    "role_at_no_time": ("chief", None, ROLE, None, None, "not known when"),
    "team": ("operator", None, TEAM, NOON, True, "'operator' has the team 'operations'"),
    "no_team": ("deputy", None, TEAM, NOON, False, "does not have the team 'operations'"),
    "association": ("stranger", "MEMBER", MEMBERS, None, True, "MEMBER at the source"),
    "other_association": ("stranger", "CONTRIBUTOR", MEMBERS, NOON, False, "and not MEMBER or OWNER"),
    "no_association": ("chief", None, MEMBERS, NOON, None, "does not say whether they are MEMBER or OWNER"),
    "either_by_association": ("stranger", "MEMBER", EITHER, NOON, True, "MEMBER"),
    "either_by_role": ("chief", "NONE", EITHER, NOON, True, "the role"),
    "neither": ("operator", "NONE", EITHER, NOON, False, "NONE at the source, and not MEMBER; 'operator' does not"),
    "neither_that_is_known": ("stranger", None, EITHER, NOON, None, "does not say whether they are MEMBER; the roster"),
    "stranger_without_the_association": ("stranger", "NONE", EITHER, NOON, None, "the roster does not know"),
}


@pytest.mark.parametrize("case", AUTHORITY)
def test_authority_is_yes_no_or_unknown_with_a_reason(case: str, people: People) -> None:
    giver, association, authority, at, expected, why = AUTHORITY[case]
    standing = people.has_authority(people.identify(giver), association, authority, at)
    assert standing.holds is expected
    assert why in standing.why
    assert standing.acting_for == ()


@pytest.mark.parametrize(
    ("day", "acting_for"),
    [(15, ()), (16, ("chief", "other-chief")), (22, ("chief", "other-chief")), (23, ())],
)
def test_a_delegate_has_the_role_within_the_dates(day: int, acting_for: tuple[str, ...], people: People) -> None:
    at = datetime(2026, 11, day, 17, 0, tzinfo=UTC)
    standing = people.has_authority(people.identify("deputy"), None, ROLE, at)
    assert (standing.holds, standing.acting_for) == (bool(acting_for), acting_for)
    assert people.holds_role("deputy", "authoriser", at) == standing


def test_days_are_those_of_the_policy_s_zone(people: People) -> None:
    """Midnight in New York is five in the morning in UTC."""
    last, first = datetime(2026, 12, 1, 4, 59, tzinfo=UTC), datetime(2026, 12, 1, 5, 0, tzinfo=UTC)
    assert [people.holds_role("chief", "authoriser", at).holds for at in (last, first)] == [True, False]


def test_who_holds_a_role_on_a_day(people: People) -> None:
    assert people.holding("authoriser", NOON) == ["chief", "other-chief", "deputy"]
    assert people.holding("authoriser", LEFT) == ["other-chief", "next-chief"]


def test_nobody_acts_for_somebody_who_is_no_longer_valid(policy: Policy) -> None:
    gone = Person(id="gone", name="Gone", roles=["approver"], valid_until=date(2026, 11, 1),
                  delegates=[leave("deputy", date(2026, 11, 1), date(2026, 11, 30))])  # fmt: skip
    people = People(policy.model_copy(update={"people": [gone, Person(id="deputy", name="Deputy")]}))
    assert people.holds_role("deputy", "approver", NOON).holds is False


@pytest.mark.parametrize(
    ("text", "system", "expected"),
    [
        ("ledger-cd", "ledger", True),
        ("pipeline:ci", "ledger", False),
        ("pipeline:ci", "paper", False),
        ("pipeline:ci", "elsewhere", True),
        ("ledger-cd", "elsewhere", False),
        ("ledger-cd <chief@example.com>", "ledger", False),
    ],
)
def test_a_system_of_the_inventory_is_deployed_by_its_own_pipelines_only(
    text: str, system: str, expected: bool, people: People
) -> None:
    assert people.may_deploy(text, system) is expected


def test_every_pipeline_is_nobody(people: People) -> None:
    assert [people.is_pipeline(text) for text in ("ledger-cd", "pipeline:ci", "chief")] == [True, True, False]


# name: (text, who, parts of why, what is missing)
RESOLVED: dict[str, tuple[str, str | None, list[str], str | None]] = {
    "id": ("chief", "chief", ["'chief' is the id of chief", "roles on 2026-11-20: authoriser"], None),
    "noreply": ("1+operator@users.noreply.github.com", "operator", ["'operator' is the id of operator"], None),
    "name": ("Chief, Example", "chief", ["only one entry has the name: chief"], None),
    "name_of_another": (
        "Example Chief <deputy>",
        "deputy",
        ["beside it is that of chief"],
        None,
    ),
    "delegate": ("deputy", "deputy", ["may act for chief", "may act for other-chief"], None),
    "to_come": ("next-chief", "next-chief", ["from 2026-12-01, and holds no role"], None),
    "stranger": ("stranger", None, [], "add it to the logins of whoever it is"),
    "namesake": ("Example Chief <x@y.example>", None, ["compared as them until", "no role"], "to the emails of chief"),
    "look_alike": ("Exаmple Chief <x@y.example>", None, ["it looks like chief, in other letters"], "whoever it is"),
    "nobody": ("Some Body", None, [], "no entry has this name"),
    "bot": ("ci[bot]", None, [], "a bot is nobody's checker"),
    "bot_by_its_login": ("bot", None, [], "a bot is nobody's checker"),
}


@pytest.mark.parametrize("case", RESOLVED)
def test_a_resolution_says_why_or_what_is_missing(case: str, people: People) -> None:
    text, person, why, missing = RESOLVED[case]
    resolution = people.resolve(text, NOON)
    assert (resolution.person.id if resolution.person else None) == person
    assert all(any(part in line for line in resolution.why) for part in why), resolution.why
    assert (missing or "") in (resolution.missing or "")
    assert (resolution.missing is None) is (missing is None)
    assert people.identify(text).person == person


def test_a_name_that_two_entries_have_and_a_bot_of_the_roster(policy: Policy) -> None:
    twins = [Person(id=f"twin-{n}", name="Example Twin", logins=[f"t{n}", "x-bot"][:n]) for n in (1, 2)]
    people = People(policy.model_copy(update={"people": twins}))
    twin = people.resolve("Example Twin")
    assert twin.why == ("the name is that of twin-1 and twin-2, and none of them for certain",)
    assert twin.missing == "a login or an e-mail beside the name"
    bot = "the policy's bots match it, and a bot is nobody's checker"
    assert people.resolve("x-bot").why == ("'x-bot' is a login of twin-2", bot)
    assert people.resolve("t1").why == ("'t1' is a login of twin-1",)
