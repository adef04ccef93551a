"""`intake deployments` and `status --not-deployed`, as documents and as pages."""

import json
from pathlib import Path
from typing import Any

from tests.conftest import payload_with
from tests.domain.cli.conftest import Cli, Write

_ROW = {
    "id": "D-1",
    "environment": "production",
    "system": "billing",
    "revision": "4f2a9c1d7e",
    "at": "2026-11-20T10:00:00Z",
    "by": "deployer",
}


def undeployed(change_id: str, **fields: Any) -> dict[str, Any]:
    payload = payload_with(id=change_id, deployed_at=None, deployed_by=None, **fields)
    del payload["evidence"]["deployment"]
    payload["evidence"]["approval"]["text"] = f"{change_id} approved for deployment."
    return payload


def lines(write: Write, *rows: dict[str, Any]) -> Path:
    return write("deployments.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def test_what_was_deployed_without_a_change_and_what_never_was(cli: Cli, write: Write) -> None:
    changes = [undeployed("CHG-1"), undeployed("CHG-2", revision="5" * 40), payload_with(id="CHG-3", revision="6" * 40)]
    assert cli("run", write("changes.json", changes)).code == 1  # nothing says yet that it was deployed, or by whom
    rows = [_ROW, {**_ROW, "id": "D-2", "revision": "7" * 40}, {**_ROW, "id": "D-3", "environment": "test"}]
    answer = cli("intake", "deployments", lines(write, *rows), "--json")
    assert answer.code == 0
    document = answer.document
    assert document["totals"] == {"read": 3, "opened": 2, "known": 0, "refused": 0, "out_of_scope": 1}
    assert document["deployments"] == {
        "matched": ["D-1"],
        "without_change": ["D-2"],
        "never_deployed": ["CHG-2"],
        "deployed_again": [],
    }
    assert {run["change_id"] for run in document["runs"]} == {"CHG-1", "deployment:D-2"}
    assert [skipped["change_id"] for skipped in document["skipped"]] == ["deployment:D-3"]
    page = cli("intake", "deployments", lines(write, *rows)).out
    alone, never = page.split("Without a change")[1].split("Never deployed")
    assert ("D-2" in alone, "CHG-2" in alone, "D-2" in never, "CHG-2" in never) == (True, False, False, True)
    (waiting,) = cli("status", "--not-deployed", "--json").document["runs"]
    assert waiting["change_id"] == "CHG-2"
    assert cli("verify", "--all").code == 0


def test_a_workpaper_shows_every_deployment(cli: Cli, write: Write) -> None:
    cli("run", write("change.json", undeployed("CHG-1")))
    again = {**_ROW, "id": "D-2", "at": "2026-11-21T10:00:00Z"}
    document = cli("intake", "deployments", lines(write, _ROW, again), "--json").document
    (run,) = document["runs"]
    assert document["deployments"]["deployed_again"] == ["CHG-1"]
    assert "Deployed more than once" in cli("intake", "deployments", lines(write, _ROW)).out
    shown = cli("show", run["run_id"], "--json").document["deployments"]
    assert [(one["evidence"], one["by"], one["origin"]) for one in shown] == [
        ("deployment D-1", "deployer", "extracted"), ("deployment D-2", "deployer", "extracted"),
    ]  # fmt: skip
    page = cli("show", run["run_id"]).out
    assert "deployment D-2  by deployer, at 2026-11-21T10:00:00.000000Z, revision 4f2a9c1d7e, extracted" in page


def test_what_is_refused_and_what_is_cut_off_ends_with_its_exit_code(cli: Cli, write: Write) -> None:
    answer = cli("intake", "deployments", lines(write, _ROW, {**_ROW, "id": "D-2", "by": ""}), "--json")
    assert (answer.code, answer.document["refusals"][0]["reason"]) == (1, "by: must not be empty")
    answer = cli("intake", "deployments", write("cut.csv", b"id,environment,system,revision,at,by\nD-3,prod"))
    assert (answer.code, "cut off in line 2" in answer.err) == (2, True)
