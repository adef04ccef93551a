"""Signatures by real keys through the stock tools; every way in which one may not stand."""

import base64
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import SignatureError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.signature import Signature, sign, verify, verify_itself
from countersign.evidence.signers import (
    PIPELINE,
    SEAL,
    WITNESS,
    PublicKey,
    Signer,
    allowed_signers,
    check_signers,
    take_string,
)
from tests.keys import SecurityKey, make_key

AT = datetime(2026, 11, 23, 14, tzinfo=UTC)
MESSAGE = b'{"number":1}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key of each kind that needs no hardware."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "ecdsa"):
        make_key(folder / kind, kind)
    make_key(folder / "other")
    return folder


def public(path: Path) -> PublicKey:
    return PublicKey.parse(path.with_suffix(".pub").read_text("utf-8"))


def allow(folder: Path, *signers: Signer) -> Path:
    path = folder / "allowed_signers"
    path.write_bytes(allowed_signers(signers))
    return path


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_what_a_key_signed_verifies_and_names_its_key(keys: Path, tmp_path: Path, kind: str) -> None:
    signature = sign(MESSAGE, key=keys / kind, namespace=SEAL)
    signers = allow(tmp_path, Signer(PIPELINE, SEAL, public(keys / kind)))
    said = verify(MESSAGE, signature, principal=PIPELINE, namespace=SEAL, at=AT, allowed_signers=signers)
    assert said == Signature(public(keys / kind), SEAL) == verify_itself(MESSAGE, signature, namespace=SEAL)


def test_what_a_security_key_signed_verifies_with_the_stock_tool_and_for_its_application_only(tmp_path: Path) -> None:
    """The key is made in software; ssh-keygen checks flags, counter and application as those of a real one."""
    key = SecurityKey()
    known = PublicKey.parse(f"{key.public} somebody's token")
    assert known == PublicKey.of_blob(key.blob)
    asked: dict[str, Any] = {"principal": PIPELINE, "namespace": SEAL, "at": AT}
    signers = allow(tmp_path, Signer(PIPELINE, SEAL, known))
    for _ in range(2):  # the counter goes on
        said = verify(MESSAGE, key.sign(MESSAGE, SEAL), allowed_signers=signers, **asked)
        assert said == Signature(known, SEAL)
    for signature in (
        key.sign(MESSAGE, SEAL, application=b"ssh:other"),
        key.sign(MESSAGE + b" ", SEAL),
        key.sign(MESSAGE, WITNESS),
        SecurityKey().sign(MESSAGE, SEAL),
    ):
        with pytest.raises(SignatureError):
            verify(MESSAGE, signature, allowed_signers=signers, **asked)


def test_a_later_step_of_the_same_statement_is_the_same_signature(keys: Path) -> None:
    """Ed25519 is deterministic: signing again after a crash says nothing new."""
    assert sign(MESSAGE, key=keys / "ed25519", namespace=SEAL) == sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"message": MESSAGE + b" "}, "verify"),
        ({"principal": "reviewer"}, "verify"),
        ({"namespace": WITNESS}, "verify"),
        ({"at": AT - timedelta(days=2)}, "verify"),
        ({"at": AT + timedelta(days=2)}, "verify"),
        ({"principal": "*"}, "cannot sign"),
        ({"principal": "-Icountersign"}, "cannot sign"),
        ({"principal": "a b"}, "cannot sign"),
        ({"principal": "a,b"}, "cannot sign"),
        ({"principal": "countersign\n"}, "cannot sign"),
        ({"principal": ""}, "cannot sign"),
        ({"namespace": "*@countersign"}, "no namespace"),
        ({"namespace": "git"}, "no namespace"),
    ],
)
def test_what_does_not_stand_is_refused(keys: Path, tmp_path: Path, change: dict[str, object], words: str) -> None:
    key = Signer(PIPELINE, SEAL, public(keys / "ed25519"), AT - timedelta(days=1), AT + timedelta(days=1))
    asked = {"message": MESSAGE, "principal": PIPELINE, "namespace": SEAL, "at": AT} | change
    signature = sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)
    with pytest.raises(SignatureError, match=words):
        verify(signature=signature, allowed_signers=allow(tmp_path, key), **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
def test_validity_is_judged_in_utc_wherever_the_machine_stands(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    signature = sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)
    key = public(keys / "ed25519")
    hour = timedelta(hours=1)
    for after, before, good in ((None, AT + hour, True), (AT - hour, None, True), (None, AT - hour, False)):
        signers = allow(tmp_path, Signer(PIPELINE, SEAL, key, after, before))
        try:
            verify(MESSAGE, signature, principal=PIPELINE, namespace=SEAL, at=AT, allowed_signers=signers)
        except SignatureError:
            assert not good
        else:
            assert good


def test_a_key_that_signs_for_somebody_else_does_not(keys: Path, tmp_path: Path) -> None:
    signers = allow(tmp_path, Signer(PIPELINE, SEAL, public(keys / "other")))
    signature = sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)
    with pytest.raises(SignatureError):
        verify(MESSAGE, signature, principal=PIPELINE, namespace=SEAL, at=AT, allowed_signers=signers)


def test_any_changed_byte_of_a_signature_is_refused(keys: Path) -> None:
    """Also those that ssh-keygen forgives: line breaks, padding, what stands around it."""
    signature = sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)
    blob = base64.b64decode(b"".join(signature.splitlines()[1:-1]))
    for number in (*range(0, len(signature), 7), len(signature) - 1):
        changed = signature[:number] + bytes([signature[number] ^ 1]) + signature[number + 1 :]
        with pytest.raises(SignatureError):
            verify_itself(MESSAGE, changed, namespace=SEAL)
    unwrapped = b"".join([signature.splitlines(keepends=True)[0], base64.b64encode(blob), b"\n", signature[-28:]])
    for other in (signature + b"\n", b"\n" + signature, signature.replace(b"\n", b"\r\n"), unwrapped, b"", blob):
        with pytest.raises(SignatureError, match="not a signature as"):
            Signature.parse(other)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_private_key_that_others_can_read_signs_nothing(keys: Path, mode: int) -> None:
    key = make_key(keys / f"open-{mode:o}")
    key.chmod(mode)
    with pytest.raises(SignatureError, match="others can read"):
        sign(MESSAGE, key=key, namespace=SEAL)


@pytest.mark.parametrize("name", ["key", "key.pub", "folder/key"])
def test_a_key_inside_an_evidence_root_signs_nothing(tmp_path: Path, name: str) -> None:
    """However it is named: the root is copied and given away."""
    (tmp_path / "evidence" / "folder").mkdir(parents=True)
    (tmp_path / "evidence" / "register.jsonl").touch()
    key = make_key(tmp_path / "evidence" / name.removesuffix(".pub"))
    link = tmp_path / "link"
    link.symlink_to(key)
    for path in (tmp_path / "evidence" / name, link):
        with pytest.raises(SignatureError, match="inside the evidence root"):
            sign(MESSAGE, key=path, namespace=SEAL)
    for ring in (KeyRing(link), KeyRing(folder=key.parent)):
        with pytest.raises(SignatureError, match="inside the evidence root"):
            ring.sign(MESSAGE, [public(key)], SEAL)
    (tmp_path / "evidence" / "register.jsonl").unlink()
    assert sign(MESSAGE, key=link, namespace=SEAL)


def test_a_key_that_is_none_signs_nothing(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"noise\n")
    (tmp_path / "noise").chmod(0o600)
    with pytest.raises(SignatureError, match="ssh-keygen sign"):
        sign(MESSAGE, key=tmp_path / "noise", namespace=SEAL)
    with pytest.raises(SignatureError, match="cannot be read"):
        sign(MESSAGE, key=tmp_path / "nothing", namespace=SEAL)


def test_without_ssh_keygen_the_message_says_what_to_install(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SignatureError, match="install the OpenSSH client"):
        sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)


@pytest.fixture
def agent(keys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A real agent that holds the Ed25519 key."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        while not socket.exists():
            assert process.poll() is None
        subprocess.run(["ssh-add", "-q", str(keys / "ed25519")], check=True, capture_output=True)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.usefixtures("agent")
def test_the_agent_signs_for_a_public_key(keys: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.pub"
    alone.write_bytes((keys / "ed25519.pub").read_bytes())
    signature = sign(MESSAGE, key=alone, namespace=SEAL)
    assert signature == sign(MESSAGE, key=keys / "ed25519", namespace=SEAL)
    alone.write_bytes((keys / "other.pub").read_bytes())
    with pytest.raises(SignatureError, match="ssh-keygen sign"):
        sign(MESSAGE, key=alone, namespace=SEAL)


def test_every_form_of_line_that_ssh_keygen_takes_is_one_of_signers(keys: Path) -> None:
    key = public(keys / "ecdsa")
    line = f"{key.kind} {key.text}"
    for good in (
        f"reviewer {line}",
        f"# somebody\n\n  a@example.com,b@example.com {line} a comment\r\n",
        f'"first second" namespaces="a,b",valid-before="20330101Z" {line}',
        f'*@example.com cert-authority,namespaces="a b" {line}',
        "a ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB",
    ):
        check_signers(good.encode())
    for bad in (line, f"reviewer {key.kind}", f"reviewer {key.kind} AAAA", "reviewer ssh-rsa " + key.text, "\x00"):
        with pytest.raises(SignatureError, match="line 2 does not say who may sign"):
            check_signers(f"reviewer {line}\n{bad}\n".encode())


def test_the_file_of_signers_has_one_literal_line_for_each_key(keys: Path) -> None:
    key = public(keys / "ed25519")
    signer = Signer("reviewer", WITNESS, key, AT, AT.replace(year=2033))
    expected = (
        'reviewer namespaces="witness@countersign",valid-after="20261123140000Z",valid-before="20331123140000Z" '
        f"ssh-ed25519 {key.text}\n"
    )
    assert allowed_signers([signer]).decode() == expected
    with pytest.raises(SignatureError, match="has a line already"):
        allowed_signers([signer, Signer("checker", SEAL, key)])
    with pytest.raises(SignatureError, match="cannot sign"):
        allowed_signers([Signer("*", SEAL, key)])


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(keys: Path) -> None:
    said = subprocess.run(["ssh-keygen", "-lf", keys / "ecdsa.pub"], capture_output=True, text=True, check=True).stdout
    assert public(keys / "ecdsa").fingerprint == said.split()[1]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==",
        "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t",
        "ecdsa-sha2-nistp256 AAAAC3NzaC1lZDI1NTE5AAAAILYq6a35gawDZ3ndlwcIy4knTM/vvJL2CReRJAG5YR8E",
    ],
)
def test_a_key_of_another_kind_or_none_is_refused(line: str) -> None:
    with pytest.raises(SignatureError):
        PublicKey.parse(line)


def test_a_string_that_says_it_is_longer_than_there_is_is_refused() -> None:
    assert take_string(b"\0\0\0\1ab") == (b"a", b"b")
    for short in (b"", b"\0\0\0\2a", os.urandom(0)):
        with pytest.raises(ValueError, match="shorter"):
            take_string(short)
