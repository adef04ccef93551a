"""`countersign index rebuild`: what is derived is derived again, and never at the price of what it remembers."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.domain.cli.conftest import Cli, Write
from tests.domain.cli.test_commands import begin


def spoil(root: Path) -> None:
    """The index says of every run what no register does."""
    with closing(sqlite3.connect(root / "index.sqlite")) as database, database:
        database.execute("UPDATE runs SET status = 'COMPLETED'")


def test_an_index_that_says_otherwise_than_the_register_is_made_anew(cli: Cli, write: Write, root: Path) -> None:
    run_id = begin(cli, write)
    before = cli("status", "--json").document
    register = (root / "register.jsonl").read_bytes()
    spoil(root)
    assert cli("status", run_id, "--json").document != before
    answer = cli("index", "rebuild", "--root", root)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"{root / 'index.sqlite'}: made anew from the register, 1 runs\n"
    assert cli("status", "--json").document == before
    assert cli("index", "rebuild", "--json").document == {"index": str(root / "index.sqlite"), "runs": 1}
    assert (root / "register.jsonl").read_bytes() == register


def test_an_index_that_remembers_more_than_the_register_is_not_forgotten(cli: Cli, write: Write, root: Path) -> None:
    begin(cli, write)
    lines = (root / "register.jsonl").read_bytes().splitlines(keepends=True)
    (root / "register.jsonl").write_bytes(b"".join(lines[:-1]))
    answer = cli("index", "rebuild")
    assert answer.code == 1
    assert "shorter than before" in answer.err
    assert cli("index", "rebuild").code == 1


def test_there_is_nothing_to_rebuild_without_a_root(cli: Cli, tmp_path: Path) -> None:
    answer = cli("index", "rebuild", "--root", tmp_path / "nowhere")
    assert answer.code == 2
    assert "nowhere" in answer.err


def test_the_command_says_what_it_does(cli: Cli) -> None:
    answer = cli("index", "rebuild", "--help")
    assert answer.code == 0
    assert "take the whole register in again" in answer.out
