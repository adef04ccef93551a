"""Signatures of people of the roster, asked about again at other instants."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from countersign.errors import SignatureError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.signature import sign
from countersign.evidence.signers import PublicKey
from countersign.policy import Policy, complete
from countersign.runs.signatures import RosterKeys
from tests.conftest import POLICY
from tests.domain.runs.conftest import policy_with
from tests.keys import SIGNS, key_entry, make_key, public_of, signed_policy

AFTER = datetime(2026, 11, 2, tzinfo=UTC)
BEFORE = datetime(2026, 11, 20, tzinfo=UTC)
INSTANTS = [
    (AFTER - timedelta(seconds=1), False),
    (AFTER, True),
    (BEFORE - timedelta(seconds=1), True),
    (BEFORE + timedelta(seconds=1), False),
]
NAMESPACE = SIGNS["reviewer"]


@pytest.fixture
def roster(policy: Policy, keys: Path) -> RosterKeys:
    changes = {"valid_after": AFTER.isoformat(), "valid_before": BEFORE.isoformat()}
    return RosterKeys(complete(signed_policy(policy, keys, **changes), POLICY))


def stands(
    roster: RosterKeys, signature: bytes, at: datetime, person: str = "reviewer", content: bytes = b"it"
) -> bool:
    try:
        return bool(roster.verify(content, signature, person=person, namespace=NAMESPACE, at=at))
    except SignatureError:
        return False


@pytest.mark.parametrize("first", [None, AFTER + timedelta(days=1)], ids=["asked_first", "stood_before"])
@pytest.mark.parametrize(("at", "expected"), INSTANTS)
def test_a_signature_stands_while_its_key_is_valid(
    roster: RosterKeys, keys: Path, first: datetime | None, at: datetime, expected: bool
) -> None:
    signature = sign(b"it", key=keys / "reviewer", namespace=NAMESPACE)
    assert first is None or stands(roster, signature, first)
    assert stands(roster, signature, at) is expected
    assert stands(roster, signature, AFTER)  # a refusal is no answer for another instant


def test_what_stood_says_nothing_of_other_words_people_or_signatures(roster: RosterKeys, keys: Path) -> None:
    signature = sign(b"it", key=keys / "reviewer", namespace=NAMESPACE)
    assert stands(roster, signature, AFTER)
    assert not stands(roster, signature, AFTER, content=b"other")
    assert not stands(roster, signature, AFTER, person="second-reviewer")
    assert not stands(roster, sign(b"it", key=keys / "checker", namespace=NAMESPACE), AFTER)


def test_a_key_that_stood_is_not_asked_again_while_it_is_valid(
    roster: RosterKeys, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = sign(b"it", key=keys / "reviewer", namespace=NAMESPACE)
    assert stands(roster, signature, AFTER)
    monkeypatch.setenv("PATH", "")  # no ssh-keygen any more
    assert stands(roster, signature, BEFORE - timedelta(seconds=1))
    assert not stands(roster, signature, BEFORE + timedelta(seconds=1))


def test_a_renewed_key_signs_although_the_one_before_lies_beside_it(policy: Policy, tmp_path: Path) -> None:
    old, new = (make_key(tmp_path / name) for name in ("a-old", "b-new"))
    entries = [
        key_entry(old, NAMESPACE, valid_before=BEFORE.isoformat()),
        key_entry(new, NAMESPACE, valid_after=BEFORE.isoformat()),
    ]
    people = [
        {**person, "keys": entries} if person["id"] == "reviewer" else person
        for person in policy.model_dump(mode="json")["people"]
    ]
    renewed = RosterKeys(complete(policy_with(policy, people=people), POLICY))
    signature = KeyRing(folder=tmp_path).sign(b"it", renewed.of("reviewer", NAMESPACE), NAMESPACE)
    assert stands(renewed, signature, BEFORE + timedelta(days=1))


def refusal(roster: RosterKeys, signature: bytes, at: datetime = AFTER, person: str = "reviewer") -> str:
    with pytest.raises(SignatureError) as refused:
        roster.verify(b"it", signature, person=person, namespace=NAMESPACE, at=at)
    assert ".allowed_signers" not in str(refused.value)
    return str(refused.value)


def fingerprint(path: Path) -> str:
    return PublicKey.parse(public_of(path)).fingerprint


def test_a_refusal_says_by_which_key_it_was_made_and_which_ones_the_roster_has(roster: RosterKeys, keys: Path) -> None:
    own, other = (fingerprint(keys / name) for name in ("reviewer", "checker"))
    signature = sign(b"it", key=keys / "checker", namespace=NAMESPACE)
    assert refusal(roster, signature) == (
        f"ssh-keygen verify: Could not verify signature. It was made by the key {other}. "
        f"The roster has {own} of 'reviewer' for {NAMESPACE}."
    )
    assert refusal(roster, signature, person="maker").endswith(f" The roster has no key of 'maker' for {NAMESPACE}.")


def test_a_refusal_says_in_which_namespace_it_was_made_and_which_one_is_right(roster: RosterKeys, keys: Path) -> None:
    own, namespace = fingerprint(keys / "reviewer"), SIGNS["checker"]
    assert refusal(roster, sign(b"it", key=keys / "reviewer", namespace=namespace)) == (
        "ssh-keygen verify: Couldn't verify signature: namespace does not match. "
        f"It was made by the key {own} in the namespace {namespace}; the right one is {NAMESPACE}. "
        f"The roster has {own} of 'reviewer' for {NAMESPACE}."
    )


def test_a_refusal_says_that_a_key_has_expired_and_names_no_scratch_file(roster: RosterKeys, keys: Path) -> None:
    said = refusal(roster, sign(b"it", key=keys / "reviewer", namespace=NAMESPACE), at=BEFORE + timedelta(days=1))
    assert said.startswith("ssh-keygen verify: key has expired: verify time ")
