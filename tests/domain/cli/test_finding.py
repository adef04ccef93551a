"""`finding list`, `show`, `acknowledge` and `dispose`, as a user has them."""

from pathlib import Path

import pytest

from countersign.evidence.root import EvidenceRoot
from countersign.findings.finding import Severity
from countersign.findings.incidents import record_incidents
from countersign.findings.log import FindingsLog
from countersign.runs.engine import Engine
from countersign.runs.intake import take_in_one
from tests.conftest import payload_with
from tests.domain.cli.conftest import Cli
from tests.domain.findings.conftest import occurrence

THEN = ("--as-of", "2026-11-23T15:00:00Z")  # when the roots here were made, and nothing waited for a seal yet
REASON = ("--reason", "nobody stood in for the reviewer")


@pytest.fixture
def finding_id(root: Path, engine: Engine) -> str:
    """A grave finding about a run; `engine` has made the root."""
    run = take_in_one(engine, payload_with(), source="given", where="test", origin="submitted").run_id
    (opened,) = FindingsLog(EvidenceRoot(root)).open([occurrence(severity=Severity.SEV_2, run_id=run)])
    return opened


def test_without_a_root_there_is_nothing_to_list(cli: Cli, root: Path) -> None:
    assert cli("finding", "list").code == 2
    assert "no evidence root" in cli("finding", "list").err


def test_what_verify_finds_wrong_with_a_run_is_a_finding(cli: Cli, root: Path, engine: Engine) -> None:
    """The same one that the nightly check would open, and once, however often it is looked at."""
    run = take_in_one(engine, payload_with(), source="given", where="test", origin="submitted")
    log = run.rundir / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"maker"', b'"faker"'))
    (incident,) = cli("verify", *THEN, "--json").document["findings"]
    assert record_incidents(engine, [run.run_id]) == []
    assert f"on record as {incident}" in cli("verify", run.run_id, *THEN).out
    (listed,) = cli("finding", "list", "--json").document["findings"]
    assert (listed["finding"], listed["kind"], listed["severity"]) == (incident, "integrity_incident", "SEV-1")
    assert listed["run_id"] == run.run_id


def test_what_verify_finds_wrong_with_the_root_itself_is_a_finding_too(cli: Cli, engine: Engine) -> None:
    engine.root.blobs.joinpath("note.txt").touch(mode=0o600)
    answer = cli("verify", *THEN, "--json").document
    (incident,) = answer["findings"]
    assert ([fault["kind"] for fault in answer["faults"]], answer["not_recorded"]) == (["stranger"], None)
    assert f"on record as {incident}" in cli("verify", *THEN).out
    (listed,) = cli("finding", "list", "--json").document["findings"]
    assert (listed["run_id"], listed["severity"]) == (None, "SEV-1")


def test_what_differs_from_something_given_is_left_to_the_answer(cli: Cli, engine: Engine) -> None:
    """Whoever verifies may have given the wrong one."""
    take_in_one(engine, payload_with(), source="given", where="test", origin="submitted")
    answer = cli("verify", *THEN, "--genesis", "a" * 64, "--json").document
    assert ([fault["kind"] for fault in answer["faults"]], answer["findings"]) == (["genesis_differs"], [])
    assert "keep this answer" in answer["not_recorded"]
    genesis = engine.current.configuration.digest
    right = cli("verify", *THEN, "--genesis", genesis, "--json").document
    assert (right["ok"], right["configuration"]) == (True, "given")


def test_a_seal_that_is_late_is_a_finding_as_of_the_hour(cli: Cli, engine: Engine) -> None:
    take_in_one(engine, payload_with(), source="given", where="test", origin="submitted")
    (incident,) = cli("verify", "--as-of", "2026-11-25T15:00:00Z", "--json").document["findings"]
    (listed,) = cli("finding", "list", "--json").document["findings"]
    assert (listed["finding"], listed["severity"], listed["subject"][:18]) == (incident, "SEV-2", "no seal by 2026-11")
    assert cli("verify", "--as-of", "yesterday").code == 2


def test_nothing_is_recorded_where_the_findings_are_at_fault_themselves(cli: Cli, root: Path, finding_id: str) -> None:
    for path in (*root.glob("runs/*/*/*/*/audit.jsonl"), root / "findings.jsonl"):
        path.write_bytes(path.read_bytes()[:-20])
    before = (root / "findings.jsonl").read_bytes()
    answer = cli("verify", *THEN, "--json").document
    assert (answer["findings"], "findings.jsonl is itself at fault" in answer["not_recorded"]) == ([], True)
    assert (root / "findings.jsonl").read_bytes() == before


def test_without_findings_it_says_so(cli: Cli, engine: Engine) -> None:
    assert cli("finding", "list", "--json").document == {"findings": []}
    assert "no open findings" in cli("finding", "list").err


def test_a_grave_finding_from_first_sight_to_the_second_signature(cli: Cli, finding_id: str) -> None:
    def dispose(person: str, *more: str) -> str:
        return str(cli("finding", "dispose", finding_id, "--as", person, *REASON, *more, "--json").document["stands"])

    (listed,) = cli("finding", "list", "--json").document["findings"]
    assert (listed["finding"], listed["subject"], listed["stands"]) == (finding_id, "independent_review", "open")
    assert finding_id in cli("finding", "list").out
    taken_on = cli("finding", "acknowledge", finding_id, "--as", "control-owner", *REASON)
    assert f"{finding_id} is open, acknowledged by control-owner" in taken_on.err
    needs_another = "open; disposed of by control-owner, a second person is needed"
    assert dispose("control-owner", "--root-cause", "no deputy") == needs_another
    assert cli("finding", "list", "--json").document["findings"][0]["stands"] == needs_another
    assert dispose("process-owner", "--deficiency", "deficiency") == "disposed of by control-owner and process-owner"
    assert cli("finding", "list", "--json").document == {"findings": []}
    assert "disposed of" in cli("finding", "list", "--all").out


def test_show_has_everything_that_was_said(cli: Cli, finding_id: str) -> None:
    said = (
        "--corrective-action",
        "name a deputy",
        "--compensating-control",
        "daily report",
        "--compensating-evidence",
        "of 24 Nov",
    )
    cli("finding", "dispose", finding_id, "--as", "control-owner", *REASON, *said)
    document = cli("finding", "show", finding_id, "--json").document
    (disposition,) = document["dispositions"]
    assert (disposition["by"], disposition["corrective_action"], disposition["root_cause"]) == (
        "control-owner",
        "name a deputy",
        None,
    )
    assert (document["barred"], document["severity"], document["owner"]) == (["reviewer"], "SEV-2", "control_owner")
    page = cli("finding", "show", finding_id).out
    for words in (
        "nobody stood in for the reviewer",
        "name a deputy",
        "of 24 Nov",
        "acknowledged by",
        "nobody",
        "SEV-2",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("dispose", "{}", "--as", "reviewer", *REASON), "was late or did it"),
        (("dispose", "{}", "--as", "passer-by", *REASON), "is not on the roster"),
        (("acknowledge", "{}", "--as", "reviewer", *REASON), "cannot silence it"),
    ],
)
def test_what_is_refused_ends_with_one_and_the_reason(
    cli: Cli, finding_id: str, command: tuple[str, ...], says: str
) -> None:
    answer = cli("finding", *(part.format(finding_id) for part in command))
    assert (answer.code, answer.out) == (1, "")
    assert says in answer.err


@pytest.mark.parametrize("command", [("show",), ("acknowledge", "--as", "control-owner", *REASON)], ids=["show", "ack"])
def test_a_finding_that_is_not_there_is_wrong_usage_as_a_run_is(
    cli: Cli, finding_id: str, command: tuple[str, ...]
) -> None:
    answer = cli("finding", command[0], "finding-0", *command[1:])
    assert (answer.code, answer.out, "finding-0: no such finding" in answer.err) == (2, "", True)


def test_the_configuration_in_force_says_who_may_whatever_the_policy_file_says(
    cli: Cli, finding_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "configuration" / "policy.yaml"
    text = file.read_text(encoding="utf-8").replace(
        "id: maker, name", "id: passer-by, name: Any Body, roles: [control_owner]}\n  - {id: maker, name"
    )
    file.write_text(text, encoding="utf-8")
    refused = cli("finding", "dispose", finding_id, "--as", "passer-by", *REASON)
    assert (refused.code, "is not on the roster" in refused.err) == (1, True)
    file.unlink()
    assert cli("finding", "acknowledge", finding_id, "--as", "control-owner", *REASON).code == 0


def test_verify_of_a_whole_root_judges_the_findings(cli: Cli, finding_id: str, root: Path) -> None:
    assert cli("verify", *THEN, "--json").document["faults"] == []
    EvidenceRoot(root).findings.unlink()
    answer = cli("verify", *THEN, "--json")
    assert (answer.code, [fault["kind"] for fault in answer.document["faults"]]) == (1, ["findings_missing"])


def test_no_command_removes_a_finding(cli: Cli) -> None:
    shown = cli("finding", "--help").out.replace("│", " ").split()
    assert {"list", "show", "acknowledge", "dispose"} <= set(shown)
    assert not {"remove", "delete", "reopen", "edit", "close"} & set(shown)
