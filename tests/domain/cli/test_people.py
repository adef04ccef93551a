"""`countersign people`: who somebody is and why, or what the roster does not say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import POLICY, payload_with
from tests.domain.cli.conftest import Cli, Write
from tests.keys import SIGNS, key_entry, make_key, public_of


def test_somebody_of_the_roster_is_named_with_the_reason_and_todays_roles(cli: Cli) -> None:
    answer = cli("people", "resolve", "Any Name <7+example-checker@users.noreply.github.com>")
    assert (answer.code, answer.err) == (0, "")
    first, why, roles = answer.out.splitlines()
    assert first == "checker (Example Checker)"
    assert why == "  'example-checker' is a login of checker"
    assert roles.startswith("  roles on 20")
    assert roles.endswith(": approver")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Example Maker <new@example.com>", "no entry has 'new@example.com'; add it to the emails of maker"),
        ("mаker", "it looks like maker, in other letters"),
        ("Some Body", "no entry has this name"),
        ("ci[bot]", "a bot is nobody's checker"),
        (" ", "no entry has this name"),
    ],
    ids=["new_address", "look_alike", "name", "bot", "nothing"],
)
def test_nobody_of_the_roster_is_a_no_that_says_what_is_missing(cli: Cli, text: str, says: str) -> None:
    answer = cli("people", "resolve", text)
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.startswith("nobody of the roster: ")
    assert says in answer.out


def test_a_resolution_as_json(cli: Cli) -> None:
    known = cli("people", "resolve", "maker@example.com", "--json")
    assert known.code == 0
    assert {name: known.document[name] for name in ("person", "name", "missing")} == {
        "person": "maker",
        "name": "Example Maker",
        "missing": None,
    }
    unknown = cli("people", "resolve", "stranger", "--json")
    assert unknown.code == 1
    assert unknown.document == {
        "text": "stranger",
        "person": None,
        "name": None,
        "why": [],
        "missing": "no entry has 'stranger'; add it to the logins of whoever it is",
    }


def test_the_roster_is_listed_with_roles_teams_validity_and_delegates(cli: Cli, write: Write) -> None:
    policy = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
    policy["people"][5] |= {
        "teams": ["operations"],
        "valid_from": "2026-01-01",
        "valid_until": "2026-12-31",
        "delegates": [{"to": "maker", "from": "2026-11-01", "until": "2026-11-30"}],
    }
    path = write("policy.yaml", policy)
    row = next(line for line in cli("people", "list", "--policy", path).out.splitlines() if " checker " in line)
    for cell in (
        "Example Checker",
        "approver",
        "operations",
        "from 2026-01-01 until 2026-12-31",
        "maker from 2026-11-01 until 2026-11-30",
    ):
        assert cell in row
    listed = cli("people", "list", "--json", "--policy", path).document["people"]
    assert listed[5] == policy["people"][5] | {"other_names": [], "keys": []}
    assert len(listed) == len(policy["people"])


def keys_of_reviewer(path: Path, *entries: dict[str, Any]) -> None:
    policy = yaml.safe_load(path.read_text())
    next(person for person in policy["people"] if person["id"] == "reviewer")["keys"] = list(entries)
    path.write_text(yaml.safe_dump(policy))


def test_the_signers_are_those_of_the_root_and_never_of_a_file_that_nobody_adopted(
    cli: Cli, write: Write, root: Path, tmp_path: Path
) -> None:
    assert (missing := cli("people", "allowed-signers")).code == 2
    assert "no evidence root" in missing.err
    policy = tmp_path / "configuration" / "policy.yaml"
    key, other = (make_key(tmp_path / name) for name in ("key", "other"))
    keys_of_reviewer(policy, key_entry(key, SIGNS["reviewer"]))
    cli("run", write("change.json", payload_with()))
    line = f'reviewer namespaces="{SIGNS["reviewer"]}",valid-after="20260101000000Z" {public_of(key)}'
    answer = cli("people", "allowed-signers")
    assert (answer.code, answer.out.splitlines(), answer.err) == (0, [line], "")
    keys_of_reviewer(policy, key_entry(other, SIGNS["reviewer"]))
    answer = cli("people", "allowed-signers", "--json")
    assert (answer.code, answer.document) == (0, {"allowed_signers": [line]})
    assert "policy.yaml is not in force: a key that only it has is not among these" in answer.err
    policy.write_text("people: 5")
    answer = cli("people", "allowed-signers")
    assert (answer.code, answer.out.splitlines()) == (0, [line])
    assert "the keys are those of the evidence root" in answer.err
    policy.unlink()
    assert cli("people", "allowed-signers").err == ""


def test_policy_check_names_every_dead_reference(cli: Cli, write: Write) -> None:
    policy = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
    policy["systems"][0]["owner"] = "ghost"
    policy["templates"][0]["approved_by"] = "phantom"
    answer = cli("policy", "check", "--policy", write("policy.yaml", policy))
    assert answer.code == 2
    assert "'ghost', is not on the roster" in answer.err
    assert "'phantom', who is not on the roster" in answer.err
