"""`verify_proof.py`: good proofs pass, and none in which anything was changed; nothing of ours is asked for."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from countersign.evidence.signature import sign
from countersign.evidence.signers import SEAL
from tests.conftest import REPOSITORY, payload_with
from tests.domain.cli.conftest import Cli, Write
from tests.keys import make_key, public_of

SCRIPT = REPOSITORY / "verify_proof.py"
_spec = importlib.util.spec_from_file_location("verify_proof", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_module: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Document = dict[str, Any]


def check(path: Path, *arguments: object) -> tuple[int, str]:
    """Its exit code and everything that it says."""
    command = [sys.executable, "-I", str(SCRIPT), str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=path.parent)
    assert "Traceback" not in done.stdout + done.stderr
    assert bool(done.returncode) == bool(done.stderr) == (not done.stdout)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "seal")


@pytest.fixture
def signers(key: Path, tmp_path: Path) -> Path:
    path = tmp_path / "allowed_signers"
    path.write_text(f'countersign namespaces="{SEAL}" {public_of(key)}\n')
    return path


def begin(cli: Cli, write: Write, **changes: Any) -> str:
    return str(cli("run", write("change.json", payload_with(**changes)), "--json").document["runs"][0]["run_id"])


@pytest.fixture
def proof(cli: Cli, write: Write, key: Path) -> Document:
    """The proof of a run that is closed, among others."""
    begin(cli, write)
    run_id = begin(cli, write, id="CHG-2", in_scope=False)
    begin(cli, write, id="CHG-3")
    cli("seal", "--key", key)
    document: Document = cli("prove", run_id).document
    assert len(document["lines"]) == 2
    return document


def test_good_proofs_of_every_place_in_registers_of_many_sizes(
    cli: Cli, write: Write, key: Path, signers: Path
) -> None:
    ids = []
    for number in range(5):
        ids.append(begin(cli, write, id=f"CHG-{number}", in_scope=bool(number % 2)))
        cli("seal", "--key", key)
    for number, run_id in enumerate(ids):
        document = cli("prove", run_id).document
        code, said = check(write("proof.json", document), "--allowed-signers", signers)
        assert (code, f"PROVED: '{run_id}' had these lines" in said) == (0, True)
        assert f"SHA-256 {document['seal']['sha256']}" in said
        assert ("is not final" in said) is bool(number % 2)
        assert "signature for countersign with ED25519 key SHA256:" in said


def test_without_a_file_of_signers_it_says_that_whose_key_it_is_stays_open(proof: Document, write: Write) -> None:
    code, said = check(write("proof.json", proof))
    assert (code, "whose key that is stays open" in said) == (0, True)


def places(value: Any, *where: Any) -> Iterator[tuple[Any, ...]]:
    """Where each value stands in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*where, name)
        yield from places(each, *where, name)


def others(value: Any) -> list[Any]:
    """What else a field could say."""
    match value:
        case bool():
            return [not value, int(value), None]
        case int():
            return [value + 1, value - 1, -1, str(value), 10**40, None]
        case str():
            first = "0" if value[:1] != "0" else "1"
            return [f"{value} ", value[:-1], f"{first}{value[1:]}", "", value.swapcase(), None, [value]]
        case list():
            return [[], value[1:], value[:-1], [*value, *value[-1:]], None]
    return [{}, {**value, "more": 1}, dict(list(value.items())[1:]), None]


def test_no_field_can_be_another(proof: Document, signers: Path) -> None:
    tried = 0
    for *above, name in places(proof):
        for other in others(_at(proof, *above)[name]):
            changed = deepcopy(proof)
            _at(changed, *above)[name] = other
            assert not _proved(changed, signers), (above, name, other)
            tried += 1
    assert tried > 100
    assert _proved(proof, signers)


def _proved(document: Document, signers: Path) -> bool:
    """As the script has it, which calls every error not proved."""
    try:
        return bool(list(_module.check(document, str(signers))))
    except Exception:
        return False


def _at(document: Any, *where: Any) -> Any:
    for name in where:
        document = document[name]
    return document


def _resealed(document: Document, key: Path, namespace: str = SEAL, **changes: Any) -> None:
    statement = json.dumps({**json.loads(document["seal"]["statement"]), **changes})
    signature = sign(statement.encode(), key=key, namespace=namespace).decode()
    digest = hashlib.sha256(statement.encode()).hexdigest()
    document["seal"] = {"statement": statement, "signature": signature, "sha256": digest}


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (lambda document, key: _resealed(document, make_key(key.with_name("another"))), "a good signature"),
        (lambda document, key: _resealed(document, key, "witness@countersign"), "a good signature"),
        (lambda document, key: _resealed(document, key, schema="countersign-seal/2"), "a seal"),
        (lambda document, key: _resealed(document, key, register={"lines": 3, "root": "0" * 64}), "line"),
        (lambda document, key: document["lines"].reverse(), "lines in order"),
        (lambda document, key: document.update(run_id="change-0000000000000000"), "line"),
    ],
    ids=["another_key", "another_namespace", "another_schema", "another_root", "reversed", "another_run"],
)
def test_no_seal_or_order_can_be_another(
    proof: Document, write: Write, key: Path, signers: Path, forge: Callable[[Document, Path], None], words: str
) -> None:
    forge(proof, key)
    code, said = check(write("proof.json", proof), "--allowed-signers", signers)
    assert (code, words in said) == (1, True)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"5", b'"\xff"', b"[" * 100_000, b'{"run_id": "\\ud800"}', b"9" * 5000],
    ids=["empty", "cut", "list", "number", "no_text", "nested", "surrogate", "digits"],
)
def test_what_is_no_proof_is_not_proved_and_leaves_no_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "proof.json").write_bytes(content)
    assert check(tmp_path / "proof.json")[0] == 1


def test_what_is_not_there_is_not_proved(proof: Document, write: Write, tmp_path: Path) -> None:
    assert check(tmp_path / "nowhere.json")[0] == 1
    assert check(tmp_path)[0] == 1
    assert check(write("proof.json", proof), "--allowed-signers", "nowhere")[0] == 1


def test_the_script_stays_short_and_uses_nothing_but_python() -> None:
    lines = SCRIPT.read_text("utf-8").splitlines()
    code = [line for line in lines[lines.index('"""', 2) + 1 :] if line.strip() and not line.strip().startswith('"""')]
    assert len(code) <= 60
    imported = {line.split()[1] for line in code if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
