"""Holds, releases and purges: two owners each, on record before they are done."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from countersign.errors import RetentionRefused, StoreError
from countersign.policy import Policy
from countersign.retention.approvals import Act, Approval, owners_on, require_two
from countersign.retention.holds import hold, purge, release
from countersign.retention.ledger import KeptDay
from tests.domain.retention.conftest import DAY, NEXT, Keeping, loosen

BOTH = ("control-owner", "process-owner")
PURGE_ALL = date(2027, 1, 1)


class Desk:
    """The three acts on one keeping, as two owners ask for them."""

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping
        keeping.kept()

    def __call__(
        self, act: Callable[..., list[KeptDay]], on: Any, by: tuple[str, ...] = BOTH, reason: str = "Because."
    ) -> list[date]:
        policy, clock = self.keeping.archive.policy, self.keeping.clock
        standing = owners_on(policy, clock.now.date())
        approvals = [Approval(each) for each in by]
        chosen = act(self.keeping.archive, self.keeping.store, on, approvals, reason, standing)
        return [kept.day for kept in chosen]


@pytest.fixture
def desk(keeping: Keeping) -> Desk:
    return Desk(keeping)


@pytest.fixture
def folder_desk(in_folder: Keeping) -> Desk:
    return Desk(in_folder)


def test_two_owners_hold_a_day_and_release_it(desk: Desk) -> None:
    assert desk(hold, [DAY]) == [DAY]
    assert (desk.keeping.day().held, desk.keeping.day(NEXT).held) == (True, False)
    assert desk.keeping.check() == []
    (line,) = desk.keeping.bench.registered("retention_held")
    assert (line["days"], line["by"]) == ([{"day": "2026-11-23"}], list(BOTH))
    desk(hold, [DAY])
    assert len(desk.keeping.bench.registered("retention_held")) == 1
    assert desk(release, [DAY]) == [DAY]
    assert not desk.keeping.day().held
    assert desk.keeping.bench.faults() == []


@pytest.mark.parametrize("half", ["chain", "texts"])
def test_a_hold_that_somebody_lifted_is_found(desk: Desk, half: str) -> None:
    desk(hold, [DAY, NEXT])
    desk.keeping.store.hold(*desk.keeping.object(half), on=False)
    assert desk.keeping.kinds() == {(half, "hold_lifted")}
    desk(hold, [DAY])
    assert desk.keeping.check() == []


def test_a_hold_that_did_not_reach_the_store_is_repeated(folder_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = folder_desk.keeping
    with monkeypatch.context() as broken:
        broken.setattr(type(keeping.store), "hold", _down)
        with pytest.raises(StoreError):
            folder_desk(hold, [DAY])
    assert keeping.kinds() == {("chain", "hold_lifted"), ("texts", "hold_lifted")}
    folder_desk(hold, [DAY])
    assert keeping.check() == []


def _down(*_: Any, **__: Any) -> None:
    raise StoreError("the network is down")


REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "nobody": ((), "Because.", "needs two people; nobody approved"),
    "one": (("control-owner",), "Because.", "needs two people; control-owner approved"),
    "the_same_twice": (("control-owner", "control-owner"), "Because.", "needs two people; control-owner approved"),
    "a_stranger": (("control-owner", "ghost"), "Because.", "'ghost' is not on the roster"),
    "no_owner": (("control-owner", "reviewer"), "Because.", "roles on 2026-11-25: reviewer; control_owner or process"),
    "a_login": (("control-owner", "example-reviewer"), "Because.", "'example-reviewer' is not on the roster"),
    "without_a_reason": (BOTH, " ", "needs a reason"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_less_than_two_owners_with_a_reason_change_nothing(folder_desk: Desk, case: str) -> None:
    by, reason, says = REFUSED[case]
    before = folder_desk.keeping.root.register.read_bytes()
    for act, on in ((hold, [DAY]), (release, [DAY])):
        with pytest.raises(RetentionRefused, match=says):
            folder_desk(act, on, by, reason)
    assert folder_desk.keeping.root.register.read_bytes() == before


def test_an_owner_counts_on_their_days_and_a_delegate_not_at_all(policy: Policy) -> None:
    people = [
        person.model_copy(update={"valid_until": date(2026, 11, 24)}) if person.id == "process-owner" else person
        for person in policy.people
    ]
    changed = policy.model_copy(update={"people": people})
    act = Act("purged", reason="Because.")
    approvals = [Approval(each) for each in BOTH]
    assert require_two(act, approvals, owners_on(changed, date(2026, 11, 24))) == list(BOTH)
    with pytest.raises(RetentionRefused, match="until 2026-11-24, and holds no role on 2026-11-25"):
        require_two(act, approvals, owners_on(changed, date(2026, 11, 25)))


def test_another_check_of_approvals_can_be_plugged_in() -> None:
    seen = []

    def signed(approval: Approval, act: Act) -> str | None:
        seen.append(act.statement)
        return None if approval.by == "one" else "no signature"

    act = Act("purged", {"days": []}, "Because.")
    with pytest.raises(RetentionRefused, match="purged: no signature"):
        require_two(act, [Approval("one"), Approval("other")], signed)
    assert seen == [b'{"act":"purged","on":{"days":[]},"reason":"Because."}'] * 2


def test_a_purge_past_its_time_leaves_tombstones_and_the_root_alone(folder_desk: Desk) -> None:
    keeping = folder_desk.keeping
    keys = [keeping.object(half, day) for day in (DAY, NEXT) for half in ("chain", "texts")]
    keeping.clock.now = keeping.day().until + timedelta(seconds=1)
    before = keeping.bench.contents()
    assert folder_desk(purge, NEXT) == [DAY]
    assert [keeping.store.stat(*key) is None for key in keys] == [True, True, False, False]
    (tombstone,) = keeping.bench.registered("purged")
    (day,) = tombstone["days"]
    assert day == {
        "day": "2026-11-23", "until": "2034-04-01T04:00:00.000000Z",
        **{half: stored.sha256 for half, stored in keeping.day().objects.items()},
    }  # fmt: skip
    after = keeping.bench.contents()
    assert {name for name in before if after[name] != before[name]} == {"register.jsonl"}
    assert keeping.incidents() == set()
    assert keeping.kept() == [date(2026, 11, 25)]
    assert keeping.bench.faults() == []
    with pytest.raises(RetentionRefused, match="is not in the store"):
        folder_desk(hold, [DAY])


def test_a_purge_that_broke_off_is_finished(folder_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = folder_desk.keeping
    keeping.clock.now = keeping.day().until
    with monkeypatch.context() as broken:
        broken.setattr(type(keeping.store), "remove", _down)
        with pytest.raises(StoreError):
            folder_desk(purge, PURGE_ALL)
    assert keeping.incidents() == set()
    folder_desk(purge, PURGE_ALL)
    assert keeping.store.find("") == []
    assert len(keeping.bench.registered("purged")) == 1


def test_nothing_goes_before_its_time_or_on_hold_or_by_one(desk: Desk) -> None:
    keeping = desk.keeping
    with pytest.raises(RetentionRefused, match=r"2026-11-23: is kept until 2034-04-01T04:00:00.000000Z"):
        desk(purge, PURGE_ALL)
    desk(hold, [NEXT])
    keeping.clock.now = keeping.day().until + timedelta(days=1)
    with pytest.raises(RetentionRefused, match="2026-11-24: on legal hold"):
        desk(purge, PURGE_ALL)
    desk(release, [NEXT])
    with pytest.raises(RetentionRefused, match="needs two people"):
        desk(purge, PURGE_ALL, ("control-owner",))
    with pytest.raises(RetentionRefused, match="nothing from before 2026-11-23"):
        desk(purge, DAY)
    assert keeping.incidents() == set()


def test_a_day_elsewhere_is_not_held_here(folder_desk: Desk, tmp_path: Any, clock: Any) -> None:
    folder_desk.keeping.store = type(folder_desk.keeping.store)(tmp_path / "other", clock=clock)  # type: ignore[call-arg]
    with pytest.raises(RetentionRefused, match="the policy names local:"):
        folder_desk(hold, [DAY])
    loosen(tmp_path)
