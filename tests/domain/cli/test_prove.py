"""Proofs of single runs: checkable with the printed document alone, and silent about every other run."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import payload_with
from tests.domain.cli.conftest import Cli, Write
from tests.domain.runs.conftest import chain, read_lines
from tests.keys import make_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "seal")


def begin(cli: Cli, write: Write, **changes: Any) -> str:
    return str(cli("run", write("change.json", payload_with(**changes)), "--json").document["runs"][0]["run_id"])


def by_the_rfc(document: dict[str, Any], line: dict[str, Any]) -> str:
    """The root that a proof leads to, by the recursive definition: which side is ours follows from index and size."""

    def climb(index: int, size: int, path: list[str]) -> bytes:
        if size == 1:
            assert path == []
            return hashlib.sha256(b"\0" + line["line"].encode()).digest()
        split = 1 << (size - 1).bit_length() - 1
        other = bytes.fromhex(path[-1])
        if index < split:
            return hashlib.sha256(b"\1" + climb(index, split, path[:-1]) + other).digest()
        return hashlib.sha256(b"\1" + other + climb(index - split, size - split, path[:-1])).digest()

    lines = json.loads(document["seal"]["statement"])["register"]["lines"]
    return climb(line["index"], lines, line["path"]).hex()


def test_a_run_is_proved_without_showing_another(cli: Cli, write: Write, key: Path) -> None:
    first, second = begin(cli, write), begin(cli, write, id="CHG-2", in_scope=False)
    cli("seal", "--key", key)
    for run_id, final in ((first, False), (second, True)):
        answer = cli("prove", run_id)
        document = answer.document
        assert (answer.code, document["run_id"], document["final"]) == (0, run_id, final)
        assert ("not final" in answer.err) is not final
        root = json.loads(document["seal"]["statement"])["register"]["root"]
        assert {by_the_rfc(document, line) for line in document["lines"]} == {root}
        assert {json.loads(line["line"])["run_id"] for line in document["lines"]} == {run_id}
        assert (second if run_id == first else first) not in answer.out
        assert document["seal"]["signature"].startswith("-----BEGIN SSH SIGNATURE-----")


def test_there_is_no_proof_without_a_seal_a_run_or_the_sealed_register(
    cli: Cli, write: Write, key: Path, root: Path
) -> None:
    assert "no evidence root" in cli("prove", "change-0000000000000000").err
    run_id = begin(cli, write)
    assert "no seal to prove anything by" in cli("prove", run_id).err
    cli("seal", "--key", key)
    assert "no such run" in cli("prove", "change-0000000000000000").err
    later = begin(cli, write, id="CHG-2")
    answer = cli("prove", later)
    assert (answer.code, answer.out) == (2, "")
    assert "opened after seal 1" in answer.err


def test_a_register_that_is_not_the_sealed_one_proves_nothing(cli: Cli, write: Write, key: Path, root: Path) -> None:
    run_id = begin(cli, write)
    cli("seal", "--key", key)
    lines = read_lines(root / "register.jsonl")
    next(line for line in lines if line.name == "run_opened").event["system"] = "another"
    (root / "register.jsonl").write_bytes(chain(lines, {}))
    answer = cli("prove", run_id)
    assert (answer.code, answer.out) == (1, "")
    assert "not what seal 1 says" in answer.err
