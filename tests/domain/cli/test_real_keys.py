"""From a demonstration to real keys, by the section "Real keys" of the runbook and with nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from countersign.policy import Key
from countersign.runs import approvals, consent
from countersign.runs.statement import namespace_of
from countersign.sampling import nonce, review
from tests.conftest import POLICY, REPOSITORY, payload_with
from tests.domain.cli.conftest import Cli, Write
from tests.keys import SINCE, make_key, public_of

SECTION = re.search(
    r"^## Real keys\n(.*?)^## ", (REPOSITORY / "RUNBOOK.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)
assert SECTION
TEXT = SECTION[1]


def test_the_table_names_every_namespace_of_the_roster() -> None:
    owners = {consent.NAMESPACE, approvals.NAMESPACE}
    every = {*map(namespace_of, Key), *owners, nonce.NAMESPACE, review.NAMESPACE}
    assert set(re.findall(r"\| `([a-z-]+@countersign)` \|", TEXT)) == every


def entry(person: dict[str, Any], path: Path, namespace: str) -> dict[str, Any]:
    """Somebody's entry with a key, as the runbook's example has it."""
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert example
    (shown,) = yaml.safe_load(example[1])
    (key,) = shown["keys"]
    assert person["id"] != shown["id"] or {name: shown[name] for name in person} == person
    return {**person, "keys": [{**key, "key": public_of(path), "namespace": namespace, "valid_after": SINCE}]}


@pytest.fixture
def policy_file(tmp_path: Path, cli: Cli) -> Path:
    """The shipped configuration as step 2 and 3 leave it, with the keys of step 1 in a folder beside it."""
    signs = {
        "reviewer": namespace_of(Key.INDEPENDENT_REVIEW),
        "checker": namespace_of(Key.MAKER_CHECKER),
        "control-owner": consent.NAMESPACE,
        "process-owner": consent.NAMESPACE,
    }
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    policy["people"] = [
        entry(person, make_key(tmp_path / person["id"]), signs[person["id"]]) if person["id"] in signs else person
        for person in policy["people"]
    ]
    del policy["demo_signers"]
    path = tmp_path / "configuration" / "policy.yaml"
    path.write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")
    return path


def test_the_genesis_is_what_check_printed_and_real_keys_sign_and_adopt(
    cli: Cli, write: Write, policy_file: Path, tmp_path: Path
) -> None:
    digest = cli("policy", "check", "--json").document["configuration"]
    begun = cli("run", write("change.json", payload_with()), "--json")
    assert f"its genesis configuration is {digest}" in begun.err
    run_id = begun.document["runs"][0]["run_id"]
    asked = ("approve", run_id, "independent_review", "--as", "reviewer")
    assert cli(*asked).code == 1
    assert cli(*asked, "--key", tmp_path / "reviewer").code == 0
    assert cli("advance").code == 0
    verified = cli("verify", "--all", "--genesis", digest, "--json")
    assert (verified.code, verified.document["demo_sign_offs"]) == (0, 0)

    policy_file.write_text(policy_file.read_text("utf-8").replace("version: 2026-11", "version: 2026-12"), "utf-8")
    for owner, in_force in (("control-owner", False), ("process-owner", True)):
        adopted = cli("policy", "adopt", "--as", owner, "--reason", "A test.", "--key", tmp_path / owner, "--json")
        assert (adopted.code, adopted.document["in_force"]) == (0, in_force)
    assert cli("verify", "--all", "--genesis", digest).code == 0
