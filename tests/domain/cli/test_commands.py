"""Every command: the one document it prints, the page for people, and its exit code."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import countersign
from tests.conftest import POLICY, payload_with
from tests.domain.changes.sources.servicenow_export import APPROVALS, CASES, CHANGES, SIZE, as_csv, as_json
from tests.domain.cli.conftest import Cli, Write, unsigned_policy
from tests.domain.runs.test_sign_offs import undecided

_RUN = {"run_id", "change_id", "status", "pending", "reason", "rundir"}
_TOTALS = ["read", "opened", "known", "refused", "out_of_scope"]
_BLOCKED = payload_with(evidence={})


def begin(cli: Cli, write: Write, payload: dict[str, Any] | None = None) -> str:
    """Run one payload and return its run id."""
    document = cli("run", write("payload.json", payload or payload_with()), "--json").document
    return str(document["runs"][0]["run_id"])


def finish(cli: Cli, run_id: str) -> None:
    for key, signer in (("independent_review", "reviewer"), ("maker_checker", "checker")):
        assert cli("approve", run_id, key, "--as", signer).code == 0
        assert cli("advance").code == 0


def test_run_prints_totals_runs_and_refusals(cli: Cli, write: Write) -> None:
    batch = [payload_with(), payload_with(), payload_with(id="CHG-2", system="intranet"), {"id": "CHG-3"}]
    answer = cli("run", write("batch.json", batch), "--json")
    assert answer.code == 1
    document = answer.document
    assert list(document["totals"]) == _TOTALS
    assert document["totals"] == {"read": 4, "opened": 1, "known": 1, "refused": 1, "out_of_scope": 1}
    assert [set(run) for run in document["runs"]] == [_RUN, _RUN]
    assert {run["change_id"]: (run["status"], run["pending"]) for run in document["runs"]} == {
        "CHG-1001": ("AWAITING_APPROVAL", "independent_review"),
        "CHG-2": ("OUT_OF_SCOPE", None),
    }
    (refusal,) = document["refusals"]
    assert set(refusal) == {"change_id", "where", "reason"}
    assert (refusal["change_id"], "batch.json[3]" in refusal["where"]) == ("CHG-3", True)
    assert all(Path(run["rundir"]).is_dir() for run in document["runs"])


def test_the_whole_way_in_words_and_in_documents(cli: Cli, write: Write) -> None:
    run_id = begin(cli, write)
    for key, signer, following in (
        ("independent_review", "reviewer", "AWAITING_APPROVAL"),
        ("maker_checker", "checker", "COMPLETED"),
    ):
        receipt = cli("approve", run_id, key, "--as", signer, "--json").document
        assert {"run_id": run_id, "key": key, "by": signer, "decision": "approved", "repeated": False}.items() <= (
            receipt.items()
        )
        assert cli("approve", run_id, key, "--as", signer, "--json").document["repeated"] is True
        assert "was recorded before" in cli("approve", run_id, key, "--as", signer).err
        (status,) = cli("status", run_id, "--json").document["runs"]
        assert (status["signed"], status["pending"], status.keys() >= _RUN) == (True, key, True)
        assert "waits to be taken up" in cli("status").out
        (run,) = cli("advance", "--json").document["runs"]
        assert (run["run_id"], run["status"], set(run)) == (run_id, following, _RUN)
    assert cli("advance", "--json").document == {"runs": []}
    assert "nothing to do" in cli("advance").err
    verified = cli("verify", "--json").document
    assert (verified["ok"], verified["checked"], verified["faults"]) == (True, 1, [])
    assert (verified["trust"], verified["self_attested_since"][:2]) == ("register", "20")
    assert "1 runs verified" in cli("verify", run_id).out
    again = cli("run", write("payload.json", payload_with()), "--json")
    assert (again.code, again.document["totals"]["known"], again.document["runs"][0]["status"]) == (0, 1, "COMPLETED")
    (listed,) = cli("status", "--status", "completed", "--json").document["runs"]
    assert listed["run_id"] == run_id
    assert cli("status", "--status", "BLOCKED", "--json").document == {"runs": []}


def test_show_has_a_document_and_a_page_for_each_side_of_a_run(cli: Cli, write: Write) -> None:
    run_id = begin(cli, write)
    draft = cli("show", run_id, "--json").document
    assert (draft["draft"], draft["status"]) == (True, "AWAITING_APPROVAL")
    assert "independent_review is due" in cli("show", run_id).out
    assert cli("show", run_id, "--handoff").code == 2
    finish(cli, run_id)
    paper = cli("show", run_id, "--workpaper", "--json").document
    assert (paper["run_id"], paper["draft"], paper["status"]) == (run_id, False, "COMPLETED")
    results = {"met", "exception", "abstained", "not_applicable"}
    assert len(paper["controls"]) == 7
    for control in paper["controls"]:
        assert {"id", "result", "evidence", "quote", "reason"} <= control.keys()
        assert control["result"] in results
    handoff = cli("show", run_id, "--handoff", "--json").document
    assert re.fullmatch(r"register of \d+ bytes with the head [0-9a-f]{64}", handoff["shown_on"])
    assert handoff["workpaper"]["conclusion"] == "Not tested: ITGC-CM-01, ITGC-CM-02, ITGC-CM-05"  # only submitted
    log = cli("show", run_id, "--log", "--json").document["events"]
    assert (log[0]["event"], log[-1]["event"], [event["seq"] for event in log]) == (
        "ingested",
        "handed_off",
        list(range(len(log))),
    )
    assert cli("show", run_id, "--evidence", "--json").document["payload"] == payload_with()
    titles = {
        "--workpaper": "WORKPAPER",
        "--handoff": "HANDOFF REPORT",
        "--log": "handed_off",
        "--evidence": "EVIDENCE",
    }
    for page, title in titles.items():
        answer = cli("show", run_id, page)
        assert (answer.code, title in answer.out, answer.err) == (0, True, "")


@pytest.mark.parametrize("form", ["json", "jsonl", "stdin", "stdin-lines", "folder"])
def test_payloads_come_from_files_folders_and_standard_input(cli: Cli, write: Write, tmp_path: Path, form: str) -> None:
    two = [payload_with(), payload_with(system="shipping")]
    lines = "\n".join(json.dumps(payload) for payload in two).encode()
    if form == "folder":
        (tmp_path / "in").mkdir()
        for number, payload in enumerate(two):
            write(f"in/{number}.json", payload)
        write("in/.hidden.json", {})
    source = {"json": ("a.json", two), "jsonl": ("a.jsonl", lines)}
    place = write(*source[form]) if form in source else tmp_path / "in" if form == "folder" else "-"
    answer = cli("run", place, "--json", stdin=lines if form == "stdin-lines" else json.dumps(two).encode())
    assert (answer.code, answer.document["totals"]["opened"]) == (0, 2)
    assert answer.err.startswith("new evidence root")


def test_intake_reads_files_git_and_github(cli: Cli, write: Write, tmp_path: Path) -> None:
    path = write("payload.json", payload_with())
    assert cli("intake", "files", path, "--json").document["totals"]["opened"] == 1
    repository = tmp_path / "repository"
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "A. Maker", f"GIT_{who}_EMAIL": "a@example.net"}
        environment[f"GIT_{who}_DATE"] = "2026-11-20T10:00:00Z"
    folder = str(repository)
    for command in (["init", "-q", folder], ["-C", folder, "commit", "-q", "--allow-empty", "-m", "First\n"]):
        subprocess.run(["git", *command], check=True, env=environment)
    git = cli("intake", "git", repository, "--since", "2026-11-20", "--until", "2026-11-21T00:00:00Z", "--json")
    assert (git.document["totals"]["read"], git.document["runs"][0]["change_id"] != "") == (1, True)
    outside = cli("intake", "git", repository, "--since", "2026-11-21", "--system", "s", "--merges", "--json")
    assert (outside.code, outside.document["totals"]["read"]) == (0, 0)
    pull = {"number": 7, "url": "https://github.com/a/b/pull/7", "state": "CLOSED", "mergedAt": None}
    github = cli("intake", "github", write("prs.json", [pull, {}]), "--json")
    assert github.document["totals"] == {"read": 2, "opened": 0, "known": 0, "refused": 1, "out_of_scope": 1}
    assert github.document["skipped"][0]["change_id"] == "a:b#7"
    assert github.code == 1


def test_intake_reads_servicenow_once(cli: Cli, write: Write) -> None:
    """Totals add up, and reading the export again opens nothing."""
    changes, approvals = write("changes.csv", as_csv(CHANGES)), write("approvals.json", as_json(APPROVALS))
    command = ("intake", "servicenow", changes, "--approvals", approvals, "--zone", "America/New_York", "--json")
    outcomes = [case.outcome for case in CASES.values()]
    opened, known, refused, apart = (outcomes.count(name) for name in ("opened", "known", "refused", "apart"))
    totals = {"read": SIZE, "opened": opened, "known": known, "refused": refused, "out_of_scope": apart}
    first, again = cli(*command), cli(*command)
    assert (first.code, first.document["totals"]) == (1, totals)
    assert again.document["totals"] == {**totals, "opened": 0, "known": opened + known}
    assert len(first.document["refusals"]) == refused
    assert {skipped["reason"] for skipped in first.document["skipped"]} == {"cancelled before any work began"}


def test_totals_and_refusals_are_printed_for_people_too(cli: Cli, write: Write) -> None:
    answer = cli("run", write("batch.json", [_BLOCKED, {"id": "CHG-3"}]))
    assert answer.code == 1
    for words in ("read 2, opened 1, known 0, refused 1, out of scope 0", "BLOCKED", "CHG-3", "is required"):
        assert words in answer.out
    many = cli("run", write("many.json", [payload_with(system=f"s{number}") for number in range(41)]))
    assert "41 more runs" in many.err


def test_the_schema_accepts_the_clean_payload_and_refuses_a_bad_one(cli: Cli) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = cli("payload", "schema").document
    assert cli("payload", "schema", "--json").document == schema
    jsonschema.validate(payload_with(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"id": "CHG-1"}, schema)


def _decided(policy: str) -> str:
    """A policy in which owners have decided everything."""
    assigned = policy.replace('assigned_by: "▶"', "assigned_by: board")
    return assigned.replace("unknown_systems: {anyone: true}", "unknown_systems: {roles: [authoriser]}")


def test_policy_check_names_every_unassigned_target(cli: Cli, write: Write, tmp_path: Path) -> None:
    answer = cli("policy", "check", "--json")
    names = [target["target"] for target in answer.document["unassigned"]]
    assert (answer.code, answer.document["ok"], "retention.period" in names, "review_clock.standard" in names) == (
        0,
        True,
        True,
        True,
    )
    page = cli("policy", "check").out
    assert all(name in page for name in names)
    assert "▶" in page
    assert "nothing is kept elsewhere" in page
    for name in ("catalogue.yaml", "calendar.yaml"):
        (tmp_path / name).write_bytes((POLICY.parent / name).read_bytes())
    assigned = write("policy.yaml", _decided(POLICY.read_text()).encode())
    assert cli("policy", "check", "--policy", assigned, "--json").document["unassigned"] == []
    assert "every target is assigned" in cli("policy", "check", "--policy", assigned).out


def test_root_and_policy_come_from_the_option_before_the_environment(
    cli: Cli, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("payload.json", payload_with())
    other = tmp_path / "other"
    assert cli("run", path, "--root", other).code == 0
    assert (other / "register.jsonl").is_file()
    assert cli("status").code == 2
    monkeypatch.setenv("COUNTERSIGN_ROOT", str(other))
    assert len(cli("status", "--json").document["runs"]) == 1
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(tmp_path / "none.yaml"))
    assert cli("policy", "check").code == 2
    assert cli("policy", "check", "--policy", POLICY).code == 0


def test_determinations_come_from_a_file(cli: Cli, write: Write) -> None:
    run_id = begin(cli, write, undecided())
    text = undecided()["evidence"]["tests"]["text"]
    row = {"control": "ITGC-CM-03", "result": "met", "evidence": "tests", "quote": text, "reason": "Seen."}
    given = write("determinations.json", [row])
    answer = cli("approve", run_id, "independent_review", "--as", "reviewer", "--determinations", given, "--json")
    assert answer.code == 0
    cli("advance")
    controls = cli("show", run_id, "--json").document["controls"]
    assert [(c["result"], c["judged_by"]) for c in controls if c["id"] == "ITGC-CM-03"] == [
        ("met", "reviewer:reviewer")
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"not json",
        {},
        "met",
        [1],
        [{"control": "ITGC-CM-03"}],
        [{"control": "ITGC-CM-03", "result": "not_applicable", "evidence": "tests", "quote": "q", "reason": "r"}],
        [{"control": "ITGC-CM-03", "result": "perhaps", "evidence": "tests", "quote": "q", "reason": "r"}],
        [{"control": "ITGC-CM-03", "result": "met", "evidence": "tests", "quote": None, "reason": "r"}],
        [{"control": "ITGC-CM-03", "result": "met", "evidence": "tests", "quote": "q", "reason": "r", "by": "x"}],
    ],
    ids=["bytes", "words", "object", "text", "number", "half", "not-applicable", "no-result", "null", "unknown-field"],
)
def test_a_determinations_file_that_is_none_is_unreadable(cli: Cli, write: Write, content: Any) -> None:
    run_id = begin(cli, write, undecided())
    given = write("determinations.json", content)
    answer = cli("approve", run_id, "independent_review", "--as", "reviewer", "--determinations", given)
    assert (answer.code, answer.out) == (2, "")
    assert "determinations.json: not a JSON list of determinations" in answer.err
    assert cli("status", "--json").document["runs"][0]["signed"] is False


def test_policy_check_says_that_nobody_is_told(cli: Cli) -> None:
    assert cli("policy", "check", "--json").document["routes"] == {}
    assert "no route is configured" in cli("policy", "check").out


def test_policy_check_names_each_role_of_the_ladder_that_no_route_leads_to(cli: Cli, tmp_path: Path) -> None:
    """Who is due, who owns a clock or a finding, and who stands above: a warning to nobody helps nobody."""
    routes = "routes: {control_owner: [{name: mail, address: 'mailto://example.com'}], approver: []}"
    policy = unsigned_policy(tmp_path / "routed")
    policy.write_text(policy.read_text().replace("routes: {}", routes))
    document = cli("policy", "check", "--policy", policy, "--json").document
    assert document["routes"] == {"control_owner": ["mail"]}
    assert document["without_route"] == ["reviewer", "approver", "observer", "process_owner"]
    page = cli("policy", "check", "--policy", policy).out
    assert "told of findings: control_owner over mail" in page
    assert "no route leads to: reviewer, approver, observer, process_owner" in page


def test_the_installed_command_ends_with_the_exit_code(root: Path) -> None:
    """In a process of its own, with nothing but an environment."""
    command = [str(Path(sys.executable).with_name("countersign")), "run", "-", "--json", "--root", str(root)]
    environment = {"COUNTERSIGN_POLICY": str(POLICY), "PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(
        command, input=json.dumps(_BLOCKED).encode(), capture_output=True, check=False, env=environment
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.startswith(b"new evidence root")
    assert json.loads(done.stdout)["runs"][0]["status"] == "BLOCKED"


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    answer = cli("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"countersign {version('countersign')}\n", "")
    assert "--version" in cli("--help").out


def test_the_package_offers_every_name_and_no_other() -> None:
    for name in countersign.__all__:
        assert getattr(countersign, name).__name__ == name
    unknown = "Walk"
    with pytest.raises(AttributeError, match="has no attribute 'Walk'"):
        getattr(countersign, unknown)


def test_a_reader_that_goes_away_is_no_error_message(root: Path) -> None:
    command = f"{Path(sys.executable).with_name('countersign')} payload schema | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"{", b"")
