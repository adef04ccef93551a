"""Signing on another machine, from the command line: what is taken, what is refused, and what both are told."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import payload_with
from tests.domain.cli.conftest import Cli, Write
from tests.keys import SIGNS, with_keys

REVIEW = "independent_review"
SYSTEMS = ("one", "two", "three")


@pytest.fixture
def run_ids(cli: Cli, write: Write, tmp_path: Path, keys: Path) -> list[str]:
    """Three clean changes that wait for their review, under a policy whose roster has keys and asks for signatures."""
    path = tmp_path / "configuration" / "policy.yaml"
    policy = yaml.safe_load(path.read_text(encoding="utf-8"))
    policy["people"], policy["trusted_submitters"] = with_keys(policy["people"], keys), ["by hand/files"]
    policy["sign_off"]["signature"] = "required"
    path.write_text(yaml.safe_dump(policy, allow_unicode=True), encoding="utf-8")
    answer = cli("run", write("changes.json", [payload_with(system=name) for name in SYSTEMS]), "--json")
    return [run["run_id"] for run in answer.document["runs"]]


def signed(cli: Cli, write: Write, key: Path, first: str, *also: str) -> tuple[Path, Path]:
    """A statement about these runs and its signature, made by the stock tool."""
    further = [part for run_id in also for part in ("--also", run_id)]
    asked = cli("sign-off", "request", first, REVIEW, "--as", "reviewer", *further)
    assert asked.code == 0
    statement = write("p.json", asked.out.encode())
    signature = statement.with_name("p.json.sig")
    signature.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", SIGNS["reviewer"], str(statement)]
    subprocess.run(command, check=True, capture_output=True)
    return statement, signature


def test_every_run_that_can_be_taken_is_and_each_answer_names_its_run(
    cli: Cli, write: Write, run_ids: list[str], keys: Path
) -> None:
    first, second, third = run_ids
    files = signed(cli, write, keys / "reviewer", *run_ids)
    by_hand = ("--as", "second-reviewer", "--key", keys / "second-reviewer")
    assert cli("approve", second, REVIEW, *by_hand).code == 0
    answer = cli("sign-off", "submit", *files)
    assert (answer.code, answer.out) == (1, "")
    for run_id in (first, third):
        assert f"{REVIEW} of {run_id} is recorded" in answer.err
    assert f"refused: {second}: {REVIEW} is not pending on {second}" in answer.err
    again = cli("sign-off", "submit", *files, "--json")
    assert again.code == 1
    assert [(one["run_id"], one["repeated"]) for one in again.document["sign_offs"]] == [(first, True), (third, True)]
    (refusal,) = again.document["refused"]
    assert (refusal["run_id"], "is not pending" in refusal["reason"]) == (second, True)


def test_nothing_refused_ends_with_0(cli: Cli, write: Write, run_ids: list[str], keys: Path) -> None:
    answer = cli("sign-off", "submit", *signed(cli, write, keys / "reviewer", *run_ids), "--json")
    assert (answer.code, len(answer.document["sign_offs"]), answer.document["refused"]) == (0, len(SYSTEMS), [])


def test_a_sign_off_of_before_is_told_with_its_own_head_and_without_what_was_done_long_ago(
    cli: Cli, write: Write, run_ids: list[str], keys: Path
) -> None:
    run_id = run_ids[0]
    files = signed(cli, write, keys / "reviewer", run_id)
    head = cli("sign-off", "submit", *files, "--json").document["sign_offs"][0]["log_head"]
    assert "the sensor takes it up" in cli("sign-off", "submit", *files).err
    assert cli("advance").code == 0
    assert cli("approve", run_id, "maker_checker", "--as", "checker", "--key", keys / "checker").code == 0
    assert cli("advance").code == 0
    again = cli("sign-off", "submit", *files)
    assert (again.code, f"{REVIEW} of {run_id} was recorded before" in again.err) == (0, True)
    assert head in again.err
    assert "takes it up" not in again.err
    assert "takes it up" not in cli("approve", run_id, "maker_checker", "--as", "checker").err
