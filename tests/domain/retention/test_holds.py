"""Holds, releases and purges: two owners each, on record before they are done, and judged again ever after."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import BusyError, RetentionRefused, StoreError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.policy import Policy, SigningKey
from countersign.retention.holds import Answer, hold, purge, release
from countersign.retention.keep import alone
from countersign.retention.ledger import HELD, RELEASED
from countersign.retention.local import LocalStore
from countersign.runs.approvals import ACTOR, NAMESPACE, Act, Approval, Approver, approve
from countersign.runs.owners import SignedWords
from tests.conftest import StepClock
from tests.domain.retention.conftest import DAY, NEXT, Keeping, worked_with
from tests.keys import key_entry, make_key, signed_policy

BOTH = ("control-owner", "process-owner")
PURGE_ALL = date(2027, 1, 1)


class Desk:
    """Where people approve the three acts on one keeping."""

    def __init__(self, keeping: Keeping, keys: Path | None = None) -> None:
        self.keeping = keeping
        self.keys = KeyRing(folder=keys) if keys else KeyRing()
        keeping.kept()

    def by(self, who: str, act: Callable[..., Answer], on: Any, reason: str = "Because.") -> Answer:
        return act(self.keeping.archive, self.keeping.store, on, Approver(who, reason, self.keys))

    def both(self, act: Callable[..., Answer], on: Any) -> list[date]:
        """Both owners approve; nothing is done before the second one."""
        assert not self.by(BOTH[0], act, on).done
        answer = self.by(BOTH[1], act, on)
        assert (answer.done, answer.by, answer.waits_for) == (True, list(BOTH), None)
        return [kept.day for kept in answer.days]


@pytest.fixture
def desk(keeping: Keeping) -> Desk:
    return Desk(keeping)


@pytest.fixture
def folder_desk(in_folder: Keeping) -> Desk:
    return Desk(in_folder)


def test_two_owners_hold_a_day_and_release_it(desk: Desk) -> None:
    first = desk.by(BOTH[0], hold, [DAY])
    assert (first.done, first.by) == (False, ["control-owner"])
    assert first.waits_for == "another of the roles control_owner, process_owner than control-owner"
    assert not desk.keeping.day().held
    assert desk.by(BOTH[1], hold, [DAY]).done
    assert (desk.keeping.day().held, desk.keeping.day(NEXT).held) == (True, False)
    assert desk.keeping.check() == []
    (line,) = desk.keeping.bench.registered(HELD)
    assert (line["days"], line["by"]) == ([{"day": "2026-11-23"}], list(BOTH))
    assert desk.by(BOTH[0], hold, [DAY]).done
    assert len(desk.keeping.bench.registered(HELD)) == 1
    assert desk.both(release, [DAY]) == [DAY]
    assert not desk.keeping.day().held
    assert desk.keeping.check() == []
    assert desk.keeping.bench.faults() == []


@pytest.mark.parametrize("half", ["chain", "texts"])
def test_a_hold_that_somebody_lifted_is_found(desk: Desk, half: str) -> None:
    desk.both(hold, [DAY, NEXT])
    desk.keeping.store.hold(*desk.keeping.object(half), on=False)
    assert desk.keeping.kinds() == {(half, "hold_lifted")}
    desk.by(BOTH[0], hold, [DAY])
    assert desk.keeping.check() == []


def test_a_hold_that_did_not_reach_the_store_is_repeated(folder_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = folder_desk.keeping
    with monkeypatch.context() as broken:
        broken.setattr(type(keeping.store), "hold", _down)
        with pytest.raises(StoreError):
            folder_desk.both(hold, [DAY])
    assert keeping.kinds() == {("chain", "hold_lifted"), ("texts", "hold_lifted")}
    folder_desk.by(BOTH[0], hold, [DAY])
    assert keeping.check() == []


@pytest.mark.parametrize("who", [BOTH[0], "reviewer", "ghost"])
def test_nobody_lifts_a_hold_alone_that_the_register_does_not_know(desk: Desk, who: str) -> None:
    """Somebody else put it on, in the store itself."""
    where = desk.keeping.object()
    desk.keeping.store.hold(*where, on=True)
    with suppress(RetentionRefused):
        assert not desk.by(who, release, [DAY]).done
    stat = desk.keeping.store.stat(*where)
    assert stat is not None
    assert stat.held


def test_two_owners_lift_a_hold_that_the_register_does_not_know(folder_desk: Desk) -> None:
    where = folder_desk.keeping.object()
    folder_desk.keeping.store.hold(*where, on=True)
    folder_desk.both(release, [DAY])
    stat = folder_desk.keeping.store.stat(*where)
    assert stat is not None
    assert not stat.held
    assert len(folder_desk.keeping.bench.registered(RELEASED)) == 1


def test_a_release_that_did_not_reach_the_store_is_repeated(folder_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = folder_desk.keeping
    folder_desk.both(hold, [DAY])
    with monkeypatch.context() as broken:
        broken.setattr(type(keeping.store), "hold", _down)
        with pytest.raises(StoreError):
            folder_desk.both(release, [DAY])
    assert folder_desk.by(BOTH[0], release, [DAY]).done
    stats = [keeping.store.stat(*keeping.object(half)) for half in ("chain", "texts")]
    assert [stat.held for stat in stats if stat] == [False, False]


@pytest.mark.parametrize("act", [hold, release, purge], ids=lambda act: act.__name__)
def test_only_an_owner_finishes_what_is_on_record(folder_desk: Desk, act: Callable[..., Answer]) -> None:
    keeping = folder_desk.keeping
    if act is release:
        folder_desk.both(hold, [DAY])
    keeping.clock.now = keeping.day().until
    on: Any = PURGE_ALL if act is purge else [DAY]
    folder_desk.both(act, on)
    with pytest.raises(RetentionRefused, match="'reviewer' does not have the role 'control_owner'"):
        folder_desk.by("reviewer", act, on)


def _down(*_: Any, **__: Any) -> None:
    raise StoreError("the network is down")


REFUSED: dict[str, tuple[str, str, str]] = {
    "a_stranger": ("ghost", "Because.", "'ghost' is not on the roster"),
    "no_owner": ("reviewer", "Because.", "'reviewer' does not have the role 'control_owner'"),
    "a_login": ("example-reviewer", "Because.", "'example-reviewer' is not on the roster"),
    "without_a_reason": ("control-owner", " ", "needs a reason"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whoever_cannot_approve_changes_nothing(folder_desk: Desk, case: str) -> None:
    who, reason, says = REFUSED[case]
    before = folder_desk.keeping.root.register.read_bytes()
    with pytest.raises(RetentionRefused, match=says):
        folder_desk.by(who, hold, [DAY], reason)
    assert folder_desk.keeping.root.register.read_bytes() == before


def test_one_person_is_one_however_often(folder_desk: Desk) -> None:
    for _ in range(3):
        assert not folder_desk.by(BOTH[0], hold, [DAY]).done
    assert len(folder_desk.keeping.bench.registered("retention_approved")) == 1
    assert not folder_desk.by(BOTH[1], hold, [NEXT]).done  # which is another act


@pytest.mark.parametrize("act", [hold, release, purge], ids=lambda act: act.__name__)
def test_nobody_approves_while_another_process_is_at_work(folder_desk: Desk, act: Callable[..., Answer]) -> None:
    before = folder_desk.keeping.root.register.read_bytes()
    on: Any = PURGE_ALL if act is purge else [DAY]
    with alone(folder_desk.keeping.root.path), pytest.raises(BusyError, match="another process"):
        folder_desk.by(BOTH[0], act, on)
    assert folder_desk.keeping.root.register.read_bytes() == before


def test_second_approvals_at_once_are_one_act(folder_desk: Desk) -> None:
    folder_desk.by(BOTH[0], hold, [DAY])
    together = threading.Barrier(4)

    def approve_too(_: int) -> None:
        together.wait()
        with suppress(BusyError):
            folder_desk.by(BOTH[1], hold, [DAY])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(approve_too, range(4)))
    assert len(folder_desk.keeping.bench.registered(HELD)) == 1
    assert folder_desk.keeping.check() == []


def test_an_approval_is_good_for_thirty_days(folder_desk: Desk) -> None:
    folder_desk.by(BOTH[0], hold, [DAY])
    folder_desk.keeping.clock.move(days=31)
    assert not folder_desk.by(BOTH[1], hold, [DAY]).done
    assert folder_desk.by(BOTH[0], hold, [DAY]).done


def test_a_purge_past_its_time_leaves_tombstones_and_the_root_alone(folder_desk: Desk) -> None:
    keeping = folder_desk.keeping
    keys = [keeping.object(half, day) for day in (DAY, NEXT) for half in ("chain", "texts")]
    keeping.clock.now = keeping.day().until + timedelta(seconds=1)
    before = keeping.bench.contents()
    assert folder_desk.both(purge, NEXT) == [DAY]
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
        folder_desk.by(BOTH[0], hold, [DAY])


def test_a_purge_that_broke_off_is_finished(folder_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = folder_desk.keeping
    keeping.clock.now = keeping.day().until
    with monkeypatch.context() as broken:
        broken.setattr(type(keeping.store), "remove", _down)
        with pytest.raises(StoreError):
            folder_desk.both(purge, PURGE_ALL)
    assert keeping.incidents() == set()
    assert folder_desk.by(BOTH[0], purge, PURGE_ALL).done
    assert keeping.store.find("") == []
    assert len(keeping.bench.registered("purged")) == 1


def test_nothing_goes_before_its_time_or_on_hold_or_by_one(desk: Desk) -> None:
    keeping = desk.keeping
    with pytest.raises(RetentionRefused, match=r"2026-11-23: is kept until 2034-04-01T04:00:00.000000Z"):
        desk.by(BOTH[0], purge, PURGE_ALL)
    desk.both(hold, [NEXT])
    keeping.clock.now = keeping.day().until + timedelta(days=1)
    with pytest.raises(RetentionRefused, match="2026-11-24: on legal hold"):
        desk.by(BOTH[0], purge, PURGE_ALL)
    desk.both(release, [NEXT])
    assert not desk.by(BOTH[0], purge, PURGE_ALL).done
    with pytest.raises(RetentionRefused, match="nothing from before 2026-11-23"):
        desk.by(BOTH[0], purge, DAY)
    assert keeping.incidents() == set()


def test_a_day_elsewhere_is_not_held_here(folder_desk: Desk, tmp_path: Path, clock: StepClock) -> None:
    folder_desk.keeping.store = LocalStore(tmp_path / "other", clock=clock)
    with pytest.raises(RetentionRefused, match="the policy names local:"):
        folder_desk.by(BOTH[0], hold, [DAY])


# ---- signed


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key of each owner for this namespace, and one that nobody has."""
    folder = tmp_path_factory.mktemp("owners")
    for name in (*BOTH, "nobody"):
        make_key(folder / name)
    return folder


@pytest.fixture
def signed_desk(policy: Policy, keys: Path, owners: Path, tmp_path: Path, local: LocalStore, clock: StepClock) -> Desk:
    """A root whose policy asks for signatures, and owners with their keys."""
    required = signed_policy(policy, keys)
    people = [
        person.model_copy(update={"keys": [SigningKey.model_validate(key_entry(owners / person.id, NAMESPACE))]})
        if person.id in BOTH
        else person
        for person in required.people
    ]
    bench = worked_with(required.model_copy(update={"people": people}), tmp_path / "signed", clock)
    return Desk(Keeping(bench, local), owners)


def test_owners_sign_what_they_approve_and_a_line_without_them_is_found(signed_desk: Desk, owners: Path) -> None:
    keeping = signed_desk.keeping
    assert signed_desk.both(hold, [DAY]) == [DAY]
    assert keeping.check() == []
    approvals = keeping.bench.registered("retention_approved")
    assert [set(line["texts"]) for line in approvals] == [{"reason", "signature", "statement"}] * 2
    keeping.archive.register.append_many([Draft(RELEASED, ACTOR, {"days": [{"day": str(DAY)}], "by": list(BOTH)})])
    (lost,) = keeping.check()
    assert (lost.day, lost.kind, lost.incident) == (DAY, "not_approved", True)
    assert lost.detail == "two people for retention_released: nobody approved it"


def test_without_the_key_nobody_approves(signed_desk: Desk, owners: Path) -> None:
    signed_desk.keys = KeyRing()
    with pytest.raises(RetentionRefused, match="'control-owner' cannot sign: no private key") as refusal:
        signed_desk.by(BOTH[0], hold, [DAY])
    assert "another machine" not in str(refusal.value)  # there is no statement of an owner's to hand in
    signed_desk.keys = KeyRing(owners / "nobody")
    with pytest.raises(RetentionRefused, match="the signature of 'control-owner' does not stand"):
        signed_desk.by(BOTH[0], hold, [DAY])


def _forged(desk: Desk, owners: Path, case: str) -> Approval:
    """The second owner's approval of a release, with one thing wrong."""
    keeping = desk.keeping
    act = Act(RELEASED, {"days": [{"day": DAY.isoformat()}]})
    other = Act(HELD, act.on) if case == "of_another_act" else act
    environment = "0" * 64 if case == "of_another_root" else keeping.archive.register.environment()
    at = keeping.clock.now + timedelta(days=1) if case == "from_tomorrow" else keeping.clock.now
    keys = KeyRing(owners / BOTH[1])
    good = approve(other, BOTH[1], "Because.", keeping.archive.versions, keys, environment, at)
    words = good.words
    assert words is not None
    match case:
        case "not_signed":
            return Approval(act, good.by, at, good.reason)
        case "of_no_form":
            return Approval(act, good.by, at, good.reason, SignedWords("{}", words.signature))
        case "by_another_key":
            theirs = KeyRing(owners / BOTH[0])
            other_one = approve(act, BOTH[0], "Because.", keeping.archive.versions, theirs, environment, at)
            assert other_one.words is not None
            return Approval(act, good.by, at, good.reason, SignedWords(words.statement, other_one.words.signature))
        case "for_another_reason":
            return Approval(act, good.by, at, "Another.", words)
    return Approval(act, good.by, at, good.reason, words)


FORGED = {
    "not_signed": "is not signed",
    "of_no_form": "is not of its form",
    "of_another_act": "is about something else",
    "of_another_root": "is about something else",
    "for_another_reason": "is about something else",
    "from_tomorrow": "is about something else",
    "by_another_key": "does not stand",
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_approval_is_no_second_one_and_an_act_on_it_is_found(
    signed_desk: Desk, owners: Path, case: str
) -> None:
    keeping = signed_desk.keeping
    signed_desk.both(hold, [DAY])
    forged = _forged(signed_desk, owners, case)
    keeping.archive.register.append_many([forged.draft()])
    assert not signed_desk.by(BOTH[0], release, [DAY]).done
    line = Draft(RELEASED, ACTOR, {**forged.act.on, "by": list(BOTH)})
    keeping.archive.register.append_many([line])
    (lost,) = keeping.check()
    assert lost.kind == "not_approved"
    assert lost.detail == "two people for retention_released: only 'control-owner' approved it"


@pytest.mark.parametrize("case", FORGED)
def test_what_was_forged_is_named(signed_desk: Desk, owners: Path, case: str) -> None:
    forged = _forged(signed_desk, owners, case)
    line = Draft(RELEASED, ACTOR, {**forged.act.on, "by": list(BOTH)})
    signed_desk.keeping.archive.register.append_many([forged.draft(), line])
    (lost,) = signed_desk.keeping.check()
    assert FORGED[case] in lost.detail


def test_acts_that_nobody_approved_are_told_apart(folder_desk: Desk) -> None:
    keeping = folder_desk.keeping
    for what in (HELD, RELEASED, HELD):
        keeping.archive.register.append(what, ACTOR, days=[{"day": str(DAY)}, {"day": str(NEXT)}], by=list(BOTH))
    subjects = [lost.subject for lost in keeping.check() if lost.kind == "not_approved"]
    assert (len(subjects), len(set(subjects))) == (6, 6)
    assert subjects[0].startswith("2026-11-23 retention_held at 2026-11-25T")


# ---- approved once


def copied(keeping: Keeping, what: str) -> list[dict[str, Any]]:
    """Copy the approvals of an act, with whatever was signed in them, to the end of the register; returns the lines."""
    found = [entry for entry in keeping.archive.register.records() if entry.data.get("act") == what]
    for entry in found:
        keeping.archive.register.append_many([Draft(entry.event, entry.actor, dict(entry.data), dict(entry.texts))])
    return [dict(entry.data) for entry in found]


def test_old_approvals_release_no_day_that_was_put_on_hold_again(signed_desk: Desk) -> None:
    keeping = signed_desk.keeping
    for act in (hold, release, hold):
        assert signed_desk.both(act, [DAY]) == [DAY]
    (one, _) = copied(keeping, RELEASED)
    assert not signed_desk.by(BOTH[1], release, [DAY]).done
    keeping.archive.register.append(RELEASED, ACTOR, **one["on"], by=list(BOTH))
    (lost,) = keeping.check()
    assert (lost.day, lost.kind, lost.incident) == (DAY, "not_approved", True)
    assert lost.detail == "two people for retention_released: only 'process-owner' approved it"


def test_an_approval_of_before_a_hold_releases_nothing_even_by_the_command(folder_desk: Desk) -> None:
    """It was never used: what it was about was released with another day, and both are on hold again."""
    folder_desk.both(hold, [DAY])
    assert not folder_desk.by(BOTH[0], release, [DAY]).done
    for act in (hold, release, hold):
        folder_desk.both(act, [DAY, NEXT])
    assert not folder_desk.by(BOTH[1], release, [DAY]).done
    assert folder_desk.by(BOTH[0], release, [DAY]).done
    assert folder_desk.keeping.check() == []


def test_old_approvals_lift_no_hold_that_only_the_store_knows(signed_desk: Desk) -> None:
    """The act is the same as the one before, and nothing on record undid that."""
    signed_desk.both(release, [DAY])
    (one, _) = copied(signed_desk.keeping, RELEASED)
    signed_desk.keeping.archive.register.append(RELEASED, ACTOR, **one["on"], by=list(BOTH))
    assert [lost.kind for lost in signed_desk.keeping.check()] == ["not_approved"]


def test_an_approval_outlives_a_hold_of_one_of_its_days(folder_desk: Desk) -> None:
    assert not folder_desk.by(BOTH[0], hold, [DAY, NEXT]).done
    folder_desk.both(hold, [DAY])
    assert folder_desk.by(BOTH[1], hold, [DAY, NEXT]).done
    assert folder_desk.keeping.check() == []


def test_an_approval_is_as_old_as_its_signed_words(signed_desk: Desk) -> None:
    keeping = signed_desk.keeping
    signed_desk.by(BOTH[0], hold, [DAY])
    keeping.clock.move(days=31)
    (one,) = copied(keeping, HELD)
    assert not signed_desk.by(BOTH[1], hold, [DAY]).done
    keeping.archive.register.append(HELD, ACTOR, **one["on"], by=list(BOTH))
    (lost,) = [lost for lost in keeping.check() if lost.kind == "not_approved"]
    assert lost.detail == "two people for retention_held: only 'process-owner' approved it"


def test_a_clock_that_went_back_refuses_no_approval(signed_desk: Desk) -> None:
    for act in (hold, release, hold, release):
        signed_desk.keeping.clock.move(days=-9)
        assert signed_desk.both(act, [DAY]) == [DAY]
    assert [lost.kind for lost in signed_desk.keeping.check()] == []
