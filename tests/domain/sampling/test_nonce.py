"""The observer's nonce: after the digest is out, once, by nobody else, and judged again whenever it is used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from countersign.errors import SampleRefused, SamplingError, TamperedError
from countersign.policy import Policy
from countersign.sampling.ledger import read_month, read_months, require_sealed
from countersign.sampling.month import Month
from countersign.sampling.nonce import NAMESPACE, PLACEHOLDER, NonceDesk, require_nonce_stands
from tests.conftest import StepClock
from tests.domain.runs.conftest import Line, chain, policy_with, read_lines
from tests.domain.sampling.observing import MONTH, NONCE, Observing, an_observing
from tests.keys import make_key


@pytest.fixture
def bench(root: Path, policy: Policy, clock: StepClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Observing:
    return Observing(root, policy, clock, tmp_path / "keys")


@pytest.fixture
def sealed(bench: Observing) -> Observing:
    """A month whose frozen population is under a seal."""
    bench.says_frozen()
    bench.seal()
    return bench


@pytest.fixture(scope="module")
def untouched(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Observing:
    """The same for all who are refused, since nothing is written then."""
    bench = an_observing(policy, tmp_path_factory.mktemp("untouched"))
    bench.says_frozen()
    bench.seal()
    return bench


def test_a_nonce_is_signed_recorded_and_judged_again(sealed: Observing) -> None:
    receipt = sealed.nonces.record(MONTH, "observer", NONCE)
    assert (receipt.digest, receipt.nonce, receipt.repeated) == ("d" * 64, NONCE, False)
    assert sealed.nonces.record(MONTH, "observer", NONCE).repeated
    assert sealed.nonces.record(MONTH, "observer", None).repeated
    (line,) = sealed.registered("sample_nonce")
    assert (line["actor"], line["month"], line["digest"], line["nonce"]) == ("observer", "2026-10", "d" * 64, NONCE)
    assert stands(sealed) == NONCE


def stands(bench: Observing) -> str:
    said = read_month(bench.run.engine.register.records(), MONTH)
    assert said.nonce is not None
    seal, environment = require_sealed(bench.evidence, said.frozen), bench.run.engine.register.environment()
    return require_nonce_stands(said.nonce, said.frozen, seal, environment, bench.run.engine.versions)


def test_one_that_is_made_here_cannot_be_guessed(sealed: Observing) -> None:
    assert len(sealed.nonces.record(MONTH, "observer", None).nonce) == 32


def test_nothing_is_taken_before_the_digest_is_out(bench: Observing) -> None:
    with pytest.raises(SampleRefused, match="the population is not frozen"):
        bench.nonces.record(MONTH, "observer", NONCE)
    bench.seal()
    bench.says_frozen()
    with pytest.raises(SampleRefused, match="no seal covers"):
        bench.nonces.record(MONTH, "observer", NONCE)
    unsigned = bench.seal()
    (bench.evidence.seals / f"{unsigned.number:06}.json.sig").unlink()
    with pytest.raises(SampleRefused, match="no seal covers"):
        bench.nonces.request(MONTH, "observer")


def test_there_is_one_for_each_population(sealed: Observing) -> None:
    """What comes late is examined whole, so nothing of it has to be drawn."""
    sealed.nonces.record(MONTH, "observer", NONCE)
    sealed.says_frozen("e" * 64)
    sealed.seal()
    again: list[Callable[[], object]] = [
        lambda: sealed.nonces.record(MONTH, "observer", NONCE[::-1]),
        lambda: sealed.nonces.request(MONTH, "observer"),
    ]
    for give in again:
        with pytest.raises(SampleRefused, match="gave a nonce for this population already"):
            give()


@pytest.mark.parametrize(
    ("by", "why"),
    [("reviewer", "not for 'reviewer' to observe"), ("stranger", "not on the roster")],
)
def test_only_an_observer_gives_one(untouched: Observing, by: str, why: str) -> None:
    for give in (lambda: untouched.nonces.record(MONTH, by, NONCE), lambda: untouched.nonces.request(MONTH, by)):
        with pytest.raises(SampleRefused, match=why):
            give()


def test_a_delegate_is_no_observer(sealed: Observing, policy: Policy) -> None:
    """Whoever acts for the observer may have been named by those who are observed."""
    people = sealed.policy.model_dump(mode="json")["people"]
    lent = [{"to": "maker", "from": "2026-11-01", "until": "2026-12-31"}]
    people = [{**person, "delegates": lent} if person["id"] == "observer" else person for person in people]
    sealed.fresh(policy=policy_with(sealed.policy, people=people))
    with pytest.raises(SampleRefused, match="'maker' would act for another"):
        sealed.nonces.record(MONTH, "maker", NONCE)


def test_without_the_observers_key_nothing_is_taken(untouched: Observing, tmp_path: Path) -> None:
    with pytest.raises(SampleRefused, match="'observer' cannot sign: no private key"):
        NonceDesk(untouched.run.engine).record(MONTH, "observer", NONCE)
    with pytest.raises(SamplingError, match="can be guessed"):
        untouched.nonces.record(MONTH, "observer", "0815")


def filled(bench: Observing) -> bytes:
    return bench.nonces.request(MONTH, "observer").replace(PLACEHOLDER.encode(), NONCE.encode())


def test_one_signed_elsewhere_is_taken_once(sealed: Observing) -> None:
    content = filled(sealed)
    signature = sealed.elsewhere(content, NAMESPACE)
    assert not sealed.nonces.submit(content, signature).repeated
    assert sealed.nonces.submit(content, signature).repeated
    assert stands(sealed) == NONCE
    other = content.replace(NONCE.encode(), NONCE[::-1].encode())
    signature = sealed.elsewhere(other, NAMESPACE)
    with pytest.raises(SampleRefused, match="already"):
        sealed.nonces.submit(other, signature)


def with_field(**changes: str) -> Callable[[bytes], bytes]:
    return lambda content: rfc8785.dumps({**json.loads(content), **changes})


OTHERWISE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "the_placeholder_left_in": (with_field(nonce=PLACEHOLDER), "can be guessed"),
    "another_root": (with_field(environment="0" * 64), "about another root, population or seal"),
    "another_population": (with_field(population="0" * 64), "about another root, population or seal"),
    "another_seal": (with_field(seal="0" * 64), "about another root, population or seal"),
    "signed_in_the_future": (with_field(decided_at="2027-01-01T00:00:00.000000Z"), "about another root"),
    "another_month": (with_field(month="2026-09"), "the population is not frozen"),
    "somebody_else": (with_field(by="reviewer"), "not for 'reviewer' to observe"),
    "a_field_more": (with_field(more=""), "its fields are others"),
    "another_schema": (with_field(schema="countersign/sign-off/1"), "its schema is not"),
    "no_time": (with_field(decided_at="now"), "needs a date"),
    "white_space": (lambda content: content + b"\n", "not in canonical form"),
    "no_json": (lambda content: content[1:], "not a nonce as it is signed"),
    "a_list": (lambda content: b"[]", "not a nonce as it is signed"),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_a_statement_that_says_something_else_is_refused(untouched: Observing, case: str) -> None:
    change, why = OTHERWISE[case]
    content = change(filled(untouched))
    with pytest.raises(SamplingError, match=why):
        untouched.nonces.submit(content, untouched.elsewhere(content, NAMESPACE))
    assert untouched.registered("sample_nonce") == []


def test_a_signature_by_another_key_or_for_another_purpose_is_refused(untouched: Observing, tmp_path: Path) -> None:
    content = filled(untouched)
    for signature in (
        untouched.elsewhere(content, NAMESPACE, make_key(tmp_path / "other")),
        untouched.elsewhere(content, "seal@countersign", untouched.key(NAMESPACE)),
        b"no signature",
    ):
        with pytest.raises(SampleRefused, match="does not stand"):
            untouched.nonces.submit(content, signature)


def test_a_nonce_that_was_put_into_the_register_later_does_not_stand(sealed: Observing) -> None:
    """Whoever can write the register can chain it anew; what they cannot do is sign."""
    sealed.nonces.record(MONTH, "observer", NONCE)

    def forged(change: Callable[[Line], Any]) -> None:
        lines = read_lines(sealed.register)
        change(next(line for line in lines if line.name == "sample_nonce"))
        sealed.register.write_bytes(chain(lines, {}))

    def other_value(line: Line) -> None:
        line.event["nonce"] = NONCE[::-1]

    def other_words(line: Line) -> None:
        line.event["nonce"] = NONCE
        line.texts[0]["value"] = line.texts[0]["value"].replace("2026-11-23T14", "2026-11-23T13")

    forged(other_value)
    with pytest.raises(TamperedError, match="about something else"):
        stands(sealed)
    forged(other_words)
    with pytest.raises(TamperedError, match="does not stand"):
        stands(sealed)


def test_months_are_read_by_themselves(bench: Observing) -> None:
    entries = bench.run.engine.register.records
    assert read_months(entries()) == {}
    for month in (MONTH, Month.parse("2026-09")):
        bench.says_frozen(month=month)
    assert list(map(str, read_months(entries()))) == ["2026-09", "2026-10"]
