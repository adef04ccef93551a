"""What two owners signed counts once: not again for a later change back, not when it is old, and not for one owner.

The attacker may write to all of the root, has no key but their own, and copies what owners signed into fresh lines that
follow the chain. Beside each attack stands what owners may do, whatever the clock says.
"""

from pathlib import Path

import pytest

from countersign.errors import AdoptionRefused
from countersign.evidence.chain import ChainFile
from countersign.evidence.keyring import KeyRing
from countersign.evidence.lines import Draft
from countersign.policy import Configuration, complete
from countersign.runs.adoption import Adoption, ConfigurationDesk
from countersign.runs.consent import CONSENTED, NAMESPACE, Consent
from tests.conftest import POLICY, payload_with
from tests.domain.runs.attacked import Target
from tests.domain.runs.attacks.forging import (
    OWNERS,
    WRITTEN,
    consented,
    in_force,
    people_with,
    read_lines,
    register,
    with_owners_who_erase,
)
from tests.domain.runs.conftest import Line, policy_with
from tests.domain.runs.test_erasure import approve, known
from tests.evidence_script import script_faults
from tests.keys import SIGNS, key_entry, make_key


def copied(target: Target, event: str, **about: str) -> list[Line]:
    """Copy lines of the register, with whatever was signed in them, to its end; returns them."""
    chained = ChainFile(target.path / "register.jsonl", clock=target.clock)
    lines = [one for one in read_lines(chained.path) if one.name == event and about.items() <= one.event.items()]
    for line in lines:
        said = {name: value for name, value in line.event.items() if name not in WRITTEN}
        texts = {text["text"]: text["value"] for text in line.texts}
        chained.append_many([Draft(event, line.event["actor"], said, texts)])
    return lines


def configuration(target: Target, version: str) -> Configuration:
    return complete(policy_with(target.policy, version=version), POLICY)


def adopt(target: Target, new: Configuration, by: str) -> Adoption:
    desk = ConfigurationDesk(target.path, clock=target.clock)
    return desk.adopt(new, by, "A test needs it.", KeyRing(folder=target.keys))


# --- a configuration that was in force once


def there_and_back(target: Target) -> Configuration:
    """Another configuration is adopted and given up again; returns it."""
    first, second = target.policy, policy_with(target.policy, version="weaker")
    in_force(target, second)
    in_force(target, first)
    target.clock.move(days=20)
    return complete(second, POLICY)


def test_what_was_given_up_is_not_adopted_again_by_the_old_consents(target: Target) -> None:
    second = there_and_back(target)
    assert len(copied(target, CONSENTED, configuration=second.digest)) == 2
    assert target.found() == (set(), set())
    copied(target, "configuration_adopted", configuration=second.digest)
    assert target.found() == ({"adoption_void"}, {"adoption_void"})
    assert "adoption_void" in {name for name, _, _ in script_faults(target.path)}


def test_an_old_consent_is_not_the_first_of_two(target: Target) -> None:
    second = there_and_back(target)
    copied(target, CONSENTED, configuration=second.digest, actor=OWNERS[0])
    assert not adopt(target, second, OWNERS[1]).in_force
    assert adopt(target, second, OWNERS[0]).in_force


def test_what_was_given_up_is_adopted_again_by_new_consents(target: Target) -> None:
    second = there_and_back(target)
    assert [adopt(target, second, owner).in_force for owner in OWNERS] == [False, True]
    assert target.found() == (set(), set())
    assert script_faults(target.path) == []


def test_a_clock_that_went_back_refuses_no_adoption(target: Target) -> None:
    second = there_and_back(target)
    adopt(target, configuration(target, "another"), OWNERS[0])
    target.clock.move(days=-400)
    assert [adopt(target, second, owner).in_force for owner in OWNERS] == [False, True]
    assert target.found() == (set(), set())


# --- consents that are none


def test_a_consent_that_does_not_hold_is_none_of_two(target: Target) -> None:
    new, old = configuration(target, "by one"), complete(target.policy, POLICY)
    forged = Consent(OWNERS[1], new.digest, old.digest, "Because.", None)
    ChainFile(target.path / "register.jsonl", clock=target.clock).append_many([forged.draft()])
    assert not adopt(target, new, OWNERS[0]).in_force
    assert adopt(target, new, OWNERS[1]).in_force
    # two have consented; the line that neither of them wrote stands there for ever
    assert target.found() == ({"adoption_void"}, set())


def with_a_delegate(target: Target) -> str:
    """An owner has lent their role to somebody who has a key for configurations; returns who that is."""
    key = make_key(target.keys.parent / f"lent-{target.path.parent.name}")
    lent = [{"to": "second-checker", "from": "2026-11-01", "until": "2027-12-24"}]
    keys = [key_entry(target.keys / "second-checker", SIGNS["second-checker"]), key_entry(key, NAMESPACE)]
    in_force(target, people_with(target, control_owner={"delegates": lent}, second_checker={"keys": keys}))
    return str(key)


@pytest.mark.parametrize("owner", OWNERS)
def test_an_owner_and_a_delegate_are_not_two_owners(target: Target, owner: str) -> None:
    """One lent the role; and nobody lends the right to change who holds it."""
    key, new = Path(with_a_delegate(target)), configuration(target, "lent")
    adopt(target, new, owner)
    desk = ConfigurationDesk(target.path, clock=target.clock)
    with pytest.raises(AdoptionRefused, match=r"by themself none of the roles .* 'second-checker' may act for"):
        desk.adopt(new, "second-checker", "A test needs it.", KeyRing(key))
    assert target.found() == (set(), set())
    consented(target, new, "second-checker", key)
    said = {"configuration": new.digest, "manifest": new.manifest, "previous": complete(target.policy, POLICY).digest}
    register(target, "configuration_adopted", **said)
    assert target.found() == ({"adoption_void"}, {"adoption_void"})


def test_two_owners_adopt_whoever_they_lent_their_role_to(target: Target) -> None:
    with_a_delegate(target)
    assert [adopt(target, configuration(target, "lent"), owner).in_force for owner in OWNERS] == [False, True]
    assert target.found() == (set(), set())


# --- approvals


@pytest.mark.parametrize(("days", "good"), [(29, True), (31, False)])
def test_an_approval_counts_for_thirty_days_from_when_it_was_given(target: Target, days: int, good: bool) -> None:
    """However often it is copied into a new line."""
    rings = with_owners_who_erase(target)
    bench = target.bench()
    result = bench.complete(payload_with(system="erased"))
    assert not approve(bench, result, "summary", OWNERS[0], rings[OWNERS[0]]).done
    target.clock.move(days=days)
    (line,) = copied(target, "retention_approved")
    assert approve(target.bench(), result, "summary", OWNERS[1], rings[OWNERS[1]]).done is good
    if not good:
        register(target, "erased", **line.event["on"], by=[*OWNERS])
        approve(target.bench(), result, "summary", OWNERS[1], rings[OWNERS[1]])
    bench = target.bench()
    bench.run.engine.views.make_anew(known(bench.run, result).day)
    bench.forget_index()
    assert ["erasure_void" in found for found in target.found()] == [not good] * 2
    assert good is (target.found() == (set(), set()))


def test_a_clock_that_went_back_refuses_no_approval(target: Target) -> None:
    rings = with_owners_who_erase(target)
    bench = target.bench()
    result = bench.complete(payload_with(system="erased"))
    for owner in OWNERS:
        target.clock.move(days=-20)
        done = approve(bench, result, "summary", owner, rings[owner]).done
    assert done
    bench.run.engine.views.make_anew(known(bench.run, result).day)
    bench.forget_index()
    assert target.found() == (set(), set())
