"""Timestamps of seals by an authority that really answers, and every way in which it does not."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from countersign.errors import EvidenceError, SignatureError
from countersign.evidence import durable
from countersign.evidence.register import Register
from countersign.evidence.seal import signature_path, timestamp_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.seals import check_seals
from countersign.evidence.timestamp import check_token, request_token
from countersign.evidence.timestamping import Timestamps, timestamp_seals
from countersign.policy.timestamp import TimestampSpec
from tests.conftest import StepClock
from tests.domain.evidence.authority import Authority, authority, make_authority
from tests.domain.evidence.conftest import Stage
from tests.evidence_script import script_faults
from tests.keys import make_key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("authority") / "one")


@pytest.fixture
def running(folder: Path) -> Iterator[Authority]:
    with authority(folder) as server:
        yield server


class Stamping:
    """A root whose policy names an authority, with whoever seals it."""

    def __init__(self, stage: Stage, key: Path, clock: StepClock, spec: TimestampSpec | None) -> None:
        self.stage, self.root, self.key, self.clock = stage, stage.root, key, clock
        self.adopt(spec)

    def adopt(self, spec: TimestampSpec | None) -> None:
        """A configuration of which only this section counts here."""
        policy = self.root.keep_version(json.dumps({"timestamp": spec and spec.model_dump()}).encode())
        self.configuration = self.root.keep_version(json.dumps({"policy": policy}).encode())

    def seal(self) -> Timestamps:
        Sealer(self.root, self.key, clock=self.clock).seal(self.configuration)
        return self.stamp()

    def stamp(self) -> Timestamps:
        return timestamp_seals(self.root, clock=self.clock)

    def registered(self, event: str) -> list[dict[str, Any]]:
        return [entry.data for entry in self.stage.register.records() if entry.event == event]

    def faults(self) -> tuple[list[str], set[str]]:
        return [fault.kind for fault in check_seals(self.root).faults], {
            name for name, _, _ in script_faults(self.root.path)
        }


@pytest.fixture
def stamping(stage: Stage, tmp_path: Path, clock: StepClock, running: Authority) -> Stamping:
    return Stamping(stage, make_key(tmp_path / "seal"), clock, running.spec)


def test_every_seal_gets_a_token_that_openssl_verifies_too(
    stamping: Stamping, folder: Path, running: Authority
) -> None:
    assert (stamping.seal().made, stamping.seal().made, stamping.stamp()) == ([1], [2], Timestamps())
    for number, note in enumerate(stamping.registered("timestamped"), start=1):
        token = timestamp_path(stamping.root, number)
        assert (note["number"], note["file"]) == (number, token.name)
        assert note["sha256"] == durable.digest_of(token.read_bytes())
        signed = ["-data", str(signature_path(stamping.root, number)), "-in", str(token)]
        command = ["openssl", "ts", "-verify", *signed, "-CAfile", str(folder / "root.pem")]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert running.asked == ["/tsr"] * 2
    assert stamping.faults() == ([], set())


def test_it_is_off_unless_the_policy_of_the_seal_names_an_authority(stamping: Stamping, running: Authority) -> None:
    asked = running.spec
    stamping.adopt(None)
    assert stamping.seal() == Timestamps()
    stamping.adopt(asked)
    assert stamping.seal().made == [2]
    assert len(running.asked) == 1


FAILURES: dict[str, tuple[Callable[[Authority], Any], str]] = {
    "an error": (lambda one: 500, "HTTP 500"),
    "a redirect to a file": (lambda one: 302, "HTTP 302"),
    "no token": (lambda one: b"not a token", "not a token over these bytes"),
    "nothing": (lambda one: b"", "not a token over these bytes"),
    "too much": (lambda one: bytes(70_000), "longer than 65536 bytes"),
    "a token over something else": (lambda one: request_token(b"else", one.spec)[0], "Nonce mismatch"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_an_authority_that_fails_stops_no_seal_is_on_record_and_is_asked_again(
    stamping: Stamping, running: Authority, failure: str
) -> None:
    answer, why = FAILURES[failure]
    running.location = "file:///etc/passwd"
    running.answers = answer(running)
    assert why in stamping.seal().failed[1]
    assert why in stamping.registered("timestamp_failed")[0]["why"]
    assert not timestamp_path(stamping.root, 1).exists()
    assert stamping.faults() == ([], set())
    running.answers = None
    assert stamping.seal().made == [1, 2]
    assert stamping.faults() == ([], set())


def test_an_authority_that_is_away_is_asked_once_a_pass_and_keeps_no_other_waiting(
    stamping: Stamping, running: Authority
) -> None:
    away = running.spec.model_copy(update={"url": "http://127.0.0.1:1/"})
    stamping.adopt(away)
    stamping.seal()
    stamping.seal()
    assert len(stamping.registered("timestamp_failed")) == 2
    stamping.adopt(running.spec)
    third = stamping.seal()
    assert (third.made, set(third.failed)) == ([3], {1, 2})
    assert [line["number"] for line in stamping.registered("timestamp_failed")] == [1, 1, 1]


def test_an_answer_that_trickles_is_given_up(running: Authority) -> None:
    running.answers = b"slowly"
    readings = iter((0, 10_001))
    with pytest.raises(SignatureError, match="took longer than 10 s"):
        request_token(b"content", running.spec, elapsed_ms=lambda: next(readings))


def test_what_a_crash_left_is_taken_up(stamping: Stamping, running: Authority) -> None:
    """The token was there, and the register did not hear of it: it is not asked for again."""
    stamping.seal()
    lines = stamping.root.register.read_bytes().splitlines(keepends=True)
    stamping.root.register.write_bytes(b"".join(lines[:-1]))
    token = timestamp_path(stamping.root, 1).read_bytes()
    assert stamping.faults() == ([], set())
    assert stamping.stamp().made == [1]
    assert (timestamp_path(stamping.root, 1).read_bytes(), len(running.asked)) == (token, 1)
    stamping.root.register.write_bytes(b"".join(lines[:-1]))
    timestamp_path(stamping.root, 1).write_bytes(b"something else")
    assert "not a token" in stamping.stamp().failed[1]


def test_two_that_seal_at_once_leave_one_line(stamping: Stamping, monkeypatch: pytest.MonkeyPatch) -> None:
    Sealer(stamping.root, stamping.key, clock=stamping.clock).seal(stamping.configuration)
    real = request_token

    def slow(*arguments: Any, **more: Any) -> Any:
        answer = real(*arguments, **more)
        with monkeypatch.context() as patch:
            patch.setattr("countersign.evidence.timestamping.request_token", real)
            assert stamping.stamp().made == [1]  # somebody else was quicker
        return answer

    monkeypatch.setattr("countersign.evidence.timestamping.request_token", slow)
    assert stamping.stamp().made == [1]
    assert len(stamping.registered("timestamped")) == 1
    assert stamping.faults() == ([], set())


def other_token(stamping: Stamping, folder: Path) -> None:
    """A token over the very signature, by an authority that the policy does not know; the register names it."""
    with authority(make_authority(folder / "other")) as other:
        token, _ = request_token(signature_path(stamping.root, 1).read_bytes(), other.spec)
    timestamp_path(stamping.root, 1).write_bytes(token)
    rename(stamping, sha256=durable.digest_of(token))


def rename(stamping: Stamping, **changes: Any) -> None:
    """Let the register's last line about a token say something else, its chain good."""
    lines = stamping.root.register.read_bytes().splitlines(keepends=True)
    stamping.root.register.write_bytes(b"".join(lines[:-1]))
    said = json.loads(lines[-1])
    data = {name: said[name] for name in ("number", "file", "sha256", "at")}
    Register(stamping.root, clock=stamping.clock).append("timestamped", "countersign", **(data | changes))


WRONG: dict[str, tuple[Callable[[Stamping, Path], object], str]] = {
    "token deleted": (lambda one, _: timestamp_path(one.root, 1).unlink(), "content_differs"),
    "token changed": (lambda one, _: timestamp_path(one.root, 1).write_bytes(b"x"), "content_differs"),
    "token by another authority": (other_token, ""),
    "another time": (lambda one, _: rename(one, at="2026-01-01T00:00:00.000000Z"), ""),
    "another file": (lambda one, _: rename(one, file="000002.tsr"), "content_differs"),
    "another seal": (lambda one, _: rename(one, number=2), ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_timestamp_that_is_not_what_the_register_says_is_found(stamping: Stamping, tmp_path: Path, case: str) -> None:
    change, by_script = WRONG[case]
    stamping.seal()
    change(stamping, tmp_path)
    assert stamping.faults() == (["timestamp_differs"], {by_script} - {""})


def test_a_timestamp_that_no_policy_asked_for_is_found(stamping: Stamping) -> None:
    stamping.seal()
    token = timestamp_path(stamping.root, 1).read_bytes()
    stamping.adopt(None)
    stamping.seal()
    timestamp_path(stamping.root, 2).write_bytes(token)
    Register(stamping.root, clock=stamping.clock).append(
        "timestamped", "countersign", number=2, file="000002.tsr", sha256=durable.digest_of(token), at=""
    )
    (fault,) = check_seals(stamping.root).faults
    assert "names no authority" in fault.detail


def test_a_configuration_that_is_none_is_an_error_and_not_no_authority(stamping: Stamping) -> None:
    stamping.configuration = stamping.root.keep_version(b"[]")
    with pytest.raises(EvidenceError, match="of another form"):
        stamping.seal()


def test_without_the_extra_it_says_what_to_install(running: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    for ask in (request_token, lambda content, spec: check_token(b"", content, spec)):
        with pytest.raises(SignatureError, match=r"countersign\[timestamp\]"):
            ask(b"content", running.spec)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"url": "file:///etc/passwd"}, "name an address"),
        ({"url": "ftp://127.0.0.1/"}, "name an address"),
        ({"url": "https:///tsr"}, "name an address"),
        ({"url": "https://me:secret@127.0.0.1/"}, "no place for a password"),
        ({"url": "https://127.0.0.1/tsr?key=secret"}, "no place for a password"),
        ({"certificate": "root.pem"}, "not PEM"),
        ({"certificate": ""}, "not PEM"),
    ],
)
def test_a_policy_names_an_address_and_a_certificate(running: Authority, changes: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TimestampSpec.model_validate(running.spec.model_dump() | changes)
