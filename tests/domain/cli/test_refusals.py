"""What ends with 1 (the answer is no), what with 2 (unusable), and that words from outside stay words."""

import json
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft
from tests.conftest import POLICY, payload_with
from tests.domain.cli.conftest import Cli, Write
from tests.domain.cli.test_commands import begin, finish

_NO_RUN = "change-0000000000000000"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (payload_with(evidence={}), "no assertion"),
        ({"id": "CHG-3"}, "is missing; it is required"),
        (payload_with(change_type="standard"), "means two things"),
        (payload_with(deployed_at="2026-11-20 10:00"), "deployed_at"),
        ([payload_with(), []], "a payload is a JSON object, not a list"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\x00\xff\xfe" * 99, "not UTF-8"),
        (b'{"id": 1, "id": 2}', "given twice"),
        (b'{"id": NaN}', "NaN is not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        *((b'{"id":"C","contributors":' + b"[" * depth + b"]" * depth + b"}", "") for depth in (700, 850, 930, 990)),
    ],
    ids=lambda value: None if not isinstance(value, str) else value.replace(" ", "-")[:20] or "depth",
)
def test_a_payload_that_cannot_pass_ends_with_1_and_says_why(cli: Cli, write: Write, payload: Any, words: str) -> None:
    path = write("payload.json", payload)
    answer = cli("run", path, "--json")
    assert answer.code == 1
    totals = answer.document["totals"]
    assert totals["read"] == totals["opened"] + totals["refused"] >= 1
    assert words in answer.out
    assert cli("run", "-", stdin=path.read_bytes()).code == (1 if payload else 0)  # a stream of nothing has no record


@pytest.mark.parametrize(
    "arguments",
    [
        ("approve", _NO_RUN, "independent_review", "--as", "reviewer"),
        ("status", _NO_RUN),
        ("show", _NO_RUN),
        ("verify", _NO_RUN),
        ("verify", _NO_RUN, "--all"),
        ("show", "RUN", "--log", "--evidence"),
        ("show", "RUN", "--handoff"),
        ("approve", "RUN", "independent_review"),
        ("status", "--status", "FINISHED"),
        ("run",),
        ("run", "FOLDER/none.json"),
        ("run", "-", "FOLDER/none.json"),
        ("run", "\udcff"),
        ("frobnicate",),
        ("intake", "files", "FOLDER/none"),
        ("intake", "git", "FOLDER"),
        ("intake", "git", ".", "--since", "yesterday"),
        ("intake", "git", ".", "--until", "2026-13-45"),
        ("intake", "github", "FOLDER"),
        ("intake", "github", "FOLDER/binary"),
        ("intake", "github", "FOLDER/object.json"),
        ("intake", "servicenow", "FOLDER/object.json"),
        ("intake", "servicenow", "FOLDER/object.json", "--zone", "Mars/Olympus"),
        ("intake", "servicenow", "FOLDER/object.json", "--zone", "UTC"),
        ("intake", "servicenow", "FOLDER/none", "--zone", "UTC"),
        ("status", "--root", "FOLDER"),
        ("verify", "--root", "FOLDER"),
        ("status", "--root", "FOLDER/binary"),
        ("run", "FOLDER/object.json", "--root", "FOLDER/binary"),
        ("run", "FOLDER/object.json", "--policy", "FOLDER"),
        ("advance", "--policy", "FOLDER/binary"),
    ],
    ids=lambda arguments: "-".join(arguments).replace("/", "_").encode("ascii", "replace").decode(),
)
def test_what_cannot_be_used_ends_with_2_and_one_message(
    cli: Cli, write: Write, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    run_id = begin(cli, write) if "RUN" in arguments else ""
    cli("run", "-")  # which makes the root
    (tmp_path / "in").mkdir()
    write("in/binary", b"\x00\xff\x1b" * 99)
    write("in/object.json", {"a": 1})
    filled = [part.replace("FOLDER", str(tmp_path / "in")).replace("RUN", run_id) for part in arguments]
    answer = cli(*filled, "--json") if arguments != ("frobnicate",) else cli(*filled)
    assert answer.code == 2
    assert answer.err.strip()
    assert not answer.out or json.loads(answer.out)


@pytest.mark.parametrize(
    "arguments",
    [
        ("advance",),
        ("approve", _NO_RUN, "independent_review", "--as", "reviewer"),
        ("erase", _NO_RUN, "reason", "--as", "control-owner", "--reason", "why"),
        ("bundle", "export", "2026-10", "--to", "FILE.folder"),
        ("finding", "list"),
        ("observe", "sample", "2026-10", "--as", "observer", "--results", "FILE"),
        ("observe", _NO_RUN, "--as", "observer", "--outcome", "noted", "--reason", "seen"),
        ("policy", "diff"),
        ("prove", _NO_RUN),
        ("reperform", _NO_RUN),
        ("retention", "status"),
        ("sample", "draw", "2026-10", "--key", "FILE"),
        ("sample", "freeze", "2026-10"),
        ("sample", "nonce", "2026-10", "--as", "observer", "--generate"),
        ("sample", "nonce-request", "2026-10", "--as", "observer"),
        ("sample", "nonce-submit", "FILE", "FILE"),
        ("sample", "population", "2026-10"),
        ("sample", "review"),
        ("seal", "--key", "FILE"),
        ("show", _NO_RUN),
        ("sign-off", "request", _NO_RUN, "independent_review", "--as", "reviewer"),
        ("sign-off", "submit", "FILE", "FILE"),
        ("sla", "list"),
        ("sla", "pause", _NO_RUN, "independent_review", "--as", "control-owner", "--reason", "why"),
        ("sla", "report", "--month", "2026-11"),
        ("sla", "resume", _NO_RUN, "independent_review", "--as", "control-owner", "--reason", "why"),
        ("status",),
        ("verify",),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_only_what_takes_changes_in_makes_an_evidence_root(
    cli: Cli, write: Write, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A mistyped --root is an error that says so, never a new and empty root in which nothing is due."""
    file = str(write("file", b"{}"))
    answer = cli(*(part.replace("FILE", file) for part in arguments), "--root", tmp_path / "mistyped")
    assert (answer.code, answer.out) == (2, "")
    assert f"{tmp_path / 'mistyped'}: no evidence root" in answer.err
    assert not (tmp_path / "mistyped").exists()


def test_files_read_before_an_unreadable_one_are_still_reported(cli: Cli, write: Write) -> None:
    answer = cli("run", write("payload.json", payload_with()), "none.json", "--json")
    assert (answer.code, answer.document["totals"]["opened"]) == (2, 1)
    assert "none.json: cannot be read" in answer.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("approve", _NO_RUN, "independent_review", "--as", "reviewer", "--determinations", "none.json"),
            "none.json: cannot be read: No such file",
        ),
        (("evaluate", "--gold", "none.json"), "none.json: no gold set: No such file"),
        (
            (
                "sla",
                "due",
                "maker_checker",
                "--tier",
                "standard",
                "--from",
                "2026-11-20T15:00:00Z",
                "--calendar",
                "none.yaml",
            ),
            "none.yaml: not found; name a file that is there",
        ),
        (("status", "--status", "FINISHED"), "COMPLETED"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_what_was_mistyped_is_named(cli: Cli, write: Write, arguments: tuple[str, ...], says: str) -> None:
    run_id = begin(cli, write)
    answer = cli(*(run_id if part == _NO_RUN else part for part in arguments))
    assert (answer.code, says in answer.err) == (2, True), answer.err


def test_a_closed_standard_input_is_unreadable_and_not_unexpected(cli: Cli) -> None:
    answer = cli("run", "-", stdin=None)
    assert (answer.code, answer.err.splitlines()[-1]) == (2, "countersign: -: cannot be read: standard input is closed")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not found"),
        (b"", "should be"),
        (b"\xff\xfe", "cannot be read"),
        (b"a: [", "cannot be read"),
        (b"version: 1\nversion: 2\n", "given twice"),
        (POLICY.read_bytes() + b"\nsurprise: 1\n", "surprise"),
        (POLICY.read_bytes().replace(b"America/New_York", b"Mars/Olympus"), "not an IANA zone"),
        (POLICY.read_bytes().replace(b"'\\[bot\\]'", b"'(?=bot)'"), "not an RE2 pattern"),
        (POLICY.read_bytes(), "catalogue.yaml: not found"),
    ],
    ids=["missing", "empty", "bytes", "no-yaml", "twice", "unknown-field", "zone", "pattern", "no-catalogue"],
)
def test_a_policy_that_cannot_be_used_is_named(cli: Cli, tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "policy.yaml"
    if content is not None:
        path.write_bytes(content)
    answer = cli("policy", "check", "--policy", path, "--json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"countersign: {tmp_path}")
    assert words in answer.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("maker_checker", "--as", "checker"), "is not pending"),
        (("independent_review", "--as", "nobody"), "not on the roster"),
        (("independent_review", "--as", "checker"), "does not have the role"),
        (("independent_review", "--as", "reviewer", "--decision", "rejected"), "needs a reason"),
    ],
    ids=["not-pending", "roster", "role", "no-reason"],
)
def test_a_refused_sign_off_ends_with_1(cli: Cli, write: Write, arguments: tuple[str, ...], why: str) -> None:
    run_id = begin(cli, write)
    answer = cli("approve", run_id, *arguments, "--json")
    assert (answer.code, answer.out, why in answer.err) == (1, "", True)


@pytest.mark.parametrize("command", [("approve",), ("sign-off", "request")], ids=" ".join)
@pytest.mark.parametrize(
    "arguments",
    [("approval", "--as", "reviewer"), ("independent_review", "--as", "reviewer", "--decision", "maybe")],
    ids=["key", "decision"],
)
def test_a_slip_of_the_pen_is_wrong_usage_and_nothing_on_record(
    cli: Cli, write: Write, root: Path, command: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    run_id = begin(cli, write)
    before = (root / "register.jsonl").read_bytes()
    answer = cli(*command, run_id, *arguments)
    assert (answer.code, answer.out, "is not one of" in answer.err) == (2, "", True)
    assert (root / "register.jsonl").read_bytes() == before


def test_a_rejection_ends_blocked_and_advance_says_no(cli: Cli, write: Write) -> None:
    run_id = begin(cli, write)
    rejected = ("--decision", "rejected", "--reason", "No rollback plan.")
    assert cli("approve", run_id, "independent_review", "--as", "reviewer", *rejected).code == 0
    answer = cli("advance", "--json")
    assert (answer.code, answer.document["runs"][0]["status"]) == (1, "BLOCKED")
    assert cli("run", write("payload.json", payload_with())).code == 1


def test_verify_of_a_tampered_root_ends_with_1_and_names_the_fault(cli: Cli, write: Write, root: Path) -> None:
    run_id = begin(cli, write)
    finish(cli, run_id)
    (log,) = root.glob("runs/*/*/*/*/audit.jsonl")
    content = log.read_bytes()
    log.write_bytes(content.replace(b"48 passed", b"49 passed"))
    for arguments in ((), (run_id,), ("--all",)):
        answer = cli("verify", *arguments, "--json")
        (fault,) = answer.document["faults"]
        assert (answer.code, answer.document["ok"]) == (1, False)
        assert set(fault) == {"run_id", "kind", "where", "detail", "since"}
        assert (fault["run_id"], fault["kind"]) == (run_id, "text_changed")
        assert fault["since"] in content.decode()  # of an event before the one that was changed
        assert "NOT VERIFIED: 1 faults" in (shown := cli("verify", *arguments).out)
        assert fault["since"][:19] in shown
    assert cli("show", run_id).code == 1
    log.unlink()
    assert cli("verify").code == 1
    assert cli("show", run_id).code == 2
    register = root / "register.jsonl"
    register.write_bytes(register.read_bytes().replace(b"CHG-1001", b"CHG-1002"))
    assert cli("verify", "--json").document["faults"][0]["kind"] == "register"


def test_a_held_run_ends_with_1(cli: Cli, write: Write, root: Path) -> None:
    begin(cli, write)
    (log,) = root.glob("runs/*/*/*/*/audit.jsonl")
    ChainFile(log).append_many([Draft("gated", "countersign", {"decision": "passed", "assertions": []})])
    assert cli("show", log.parent.name, "--evidence").code == 1
    register = root / "register.jsonl"
    register.write_bytes(register.read_bytes()[:-9])
    assert cli("status").code in (0, 1)


def test_an_unexpected_error_is_one_line_unless_a_developer_asks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.cli.policy.load_configuration", None)
    answer = cli("policy", "check")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "unexpected TypeError" in answer.err
    monkeypatch.setenv("COUNTERSIGN_DEBUG", "1")
    with pytest.raises(TypeError):
        cli("policy", "check")


def test_an_interrupted_command_says_that_it_can_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("countersign.cli.policy.load_configuration", interrupted)
    answer = cli("policy", "check")
    assert (answer.code, answer.out) == (130, "")
    assert "the same command goes on from there" in answer.err


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "RuntimeError() from KeyboardInterrupt()"])
@pytest.mark.parametrize("module", ["countersign.cli.app", "orjson", "pydantic", "sqlalchemy", "typer", "typing"])
def test_an_interruption_while_everything_is_imported_is_one_line(module: str, raised: str) -> None:
    """The first second of every command, when people most often see what they mistyped."""
    code = f"""
import sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise {raised}

sys.meta_path.insert(0, Interrupted())
sys.modules.pop("typing", None)
from countersign.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, "status"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "countersign: stopped before it began; the same command does it\n"


# Words from outside

_TRICKS = "[red]x[/red] :smile: \x1b[31m\x1b]0;owned\x07 \x9b31m \x7f\b\r \u202egnp \u2028"


def _tricky() -> dict[str, Any]:
    payload = payload_with(
        summary=_TRICKS + "\nCONCLUSION  Clean",
        author=f"maker {_TRICKS}\nGATE passed <maker@example.com>",
        contributors=[_TRICKS],
        revision=_TRICKS,
        assertions=[{"control": _TRICKS, "text": _TRICKS, "evidence": _TRICKS, "quote": _TRICKS}],
    )
    payload["evidence"]["approval"]["text"] += f"\n{_TRICKS}"
    payload["evidence"]["approval"]["by"] = _TRICKS
    return payload


def _raw_controls(text: str) -> set[str]:
    """Characters that a terminal acts on or that reorder what a person reads."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@pytest.mark.parametrize("payload", [_tricky(), {"id": _TRICKS}, {_TRICKS: 1}, _tricky() | {"assertions": []}])
def test_markup_and_escape_sequences_of_a_payload_come_out_as_words(
    cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch, payload: dict[str, Any]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = write("payload.json", payload)
    answers = [cli("run", path), cli("status"), cli("advance"), cli("verify")]
    document = cli("run", path, "--json")
    for run in document.document["runs"]:
        run_id = run["run_id"]
        answers += [cli("show", run_id, page) for page in ("--workpaper", "--log", "--evidence")]
        answers.append(cli("approve", run_id, "independent_review", "--as", "reviewer"))
        page = cli("show", run_id)
        answers.append(page)
        assert "[red]x[/red] :smile: \\x1b[31m" in page.out
        assert not any(line.startswith(("CONCLUSION  Clean", "GATE passed")) for line in page.out.splitlines())
        shown = cli("show", run_id, "--evidence", "--json")
        assert shown.document["payload"] == payload
        answers.append(shown)
    for answer in (*answers, document):
        assert _raw_controls(answer.out + answer.err) == set()


def test_letters_of_every_script_stay_letters(cli: Cli, write: Write) -> None:
    words = "Zahlungslauf für 東京 \u3000 ¡señor!\u00a0"
    run_id = begin(cli, write, payload_with(summary=words))
    assert words.strip() in cli("show", run_id).out
    assert words in cli("show", run_id, "--json").out
