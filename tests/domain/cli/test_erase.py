"""Erasing a text from the command line."""

from pathlib import Path

from tests.conftest import payload_with
from tests.domain.cli.conftest import Cli, Write

WHY = ("--reason", "A court has ordered it.")


def erased(cli: Cli, write: Write) -> str:
    """A run whose summary both owners have had erased."""
    cli("run", write("one.json", payload_with(system="intranet")))
    (run,) = cli("status", "--json").document["runs"]
    first = cli("erase", run["run_id"], "summary", "--as", "control-owner", *WHY, "--json")
    assert (first.code, first.document["done"], first.document["by"]) == (0, False, ["control-owner"])
    second = cli("erase", run["run_id"], "summary", "--as", "process-owner", *WHY)
    assert (second.code, "summary is erased here" in second.out) == (0, True)
    return str(run["run_id"])


def test_the_second_owner_erases_it_and_verify_says_so(cli: Cli, write: Write, root: Path) -> None:
    run_id = erased(cli, write)
    assert not any(b"invoice limit" in path.read_bytes() for path in root.glob("runs/*/*/*/*/audit.jsonl"))
    answer = cli("verify")
    assert answer.code == 0
    assert f"erased: the text summary of {run_id}, by control-owner and process-owner on" in answer.out
    assert cli("verify", "--json").document["erased"] == [
        {"run_id": run_id, "text": "summary", "by": ["control-owner", "process-owner"]}
    ]
    assert "[erased]" in cli("show", run_id, "--evidence", "--json").out


def test_what_it_waits_for_is_said(cli: Cli, write: Write) -> None:
    cli("run", write("one.json", payload_with(system="intranet")))
    (run,) = cli("status", "--json").document["runs"]
    answer = cli("erase", run["run_id"], "summary", "--as", "control-owner", *WHY)
    assert "approved by control-owner, waits for another of the roles" in answer.out


def test_refusals_end_with_one_and_unknown_runs_with_two(cli: Cli, write: Write) -> None:
    run_id = erased(cli, write)
    assert cli("erase", run_id, "nothing", "--as", "control-owner", *WHY).code == 1
    assert cli("erase", run_id, "where", "--as", "control-owner", "--reason", " ").code == 1
    assert cli("erase", "change-0000000000000000", "where", "--as", "control-owner", *WHY).code == 2
