"""A month from its runs to its review, by the commands of the runbook and with nothing else."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from countersign.clocks.instant import parse_instant, stamp
from countersign.environment import utc_now
from countersign.policy import load_configuration
from countersign.runs.engine import Engine
from countersign.runs.sign_offs import SignOffDesk
from countersign.sampling import standing
from tests.domain.cli.conftest import Cli, Write
from tests.domain.sampling.test_bundle import deployed
from tests.keys import key_entry, make_key

MONTH = "2026-10"
TERMS = {"confidence": 0.6, "tolerable": 0.4}  # two of six


@pytest.fixture
def keys(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of keys: the observer's, which the policy knows, and the one that seals."""
    folder = tmp_path / "keys"
    folder.mkdir()
    names = {"nonce": "nonce@countersign", "results": "results@countersign"}
    entries = [key_entry(make_key(folder / f"observer.{name}"), namespace) for name, namespace in names.items()]
    path = tmp_path / "configuration" / "policy.yaml"
    policy = yaml.safe_load(path.read_text())
    next(person for person in policy["people"] if person["id"] == "observer")["keys"] = entries
    policy["sample"] |= TERMS
    policy["sources"], policy["trusted_submitters"] = [], ["given", "by hand/files"]
    path.write_text(yaml.safe_dump(policy, allow_unicode=True))
    monkeypatch.setenv("COUNTERSIGN_KEYS", str(folder))
    monkeypatch.setenv("COUNTERSIGN_SEAL_KEY", str(make_key(folder / "seal")))
    return folder


@pytest.fixture
def frozen(cli: Cli, write: Write, keys: Path, root: Path, tmp_path: Path) -> dict[str, Any]:
    """Six clean changes of October, a blocked one, and the month frozen and sealed."""
    return freeze_october(cli, write, root, tmp_path)


@pytest.fixture
def frozen_incomplete(cli: Cli, write: Write, keys: Path, root: Path, tmp_path: Path) -> dict[str, Any]:
    """The same, where a source that the policy names was never there."""
    path = tmp_path / "configuration" / "policy.yaml"
    policy = yaml.safe_load(path.read_text())
    gone = {"name": "production", "adapter": "deployments", "path": "gone.csv"}
    path.write_text(yaml.safe_dump(policy | {"sources": [gone]}, allow_unicode=True))
    return freeze_october(cli, write, root, tmp_path)


def freeze_october(cli: Cli, write: Write, root: Path, tmp_path: Path) -> dict[str, Any]:
    blocked = deployed(7, evidence={"note": "nothing that says anything"})
    cli("run", write("october.json", [*map(deployed, range(6)), blocked]))
    engine = Engine(root, load_configuration(tmp_path / "configuration" / "policy.yaml"))
    for key, signer in (("independent_review", "reviewer"), ("maker_checker", "checker")):
        for run in engine.index.standing_at(["AWAITING_APPROVAL"]):
            SignOffDesk(engine).record(engine.root.rundir(run.day, run.run_id), key, signer)
        list(engine.advance())
    answer = cli("sample", "freeze", MONTH, "--json")
    assert answer.code == 0
    document: dict[str, Any] = answer.document
    return document


def script(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-E", "-s", "-S", "verify_sample.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def filled_in(path: Path, change: Callable[[dict[str, str]], dict[str, str]] = lambda row: row) -> None:
    """The observer writes down that everything operated, and then what differs."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    done = {"deviation": "false", "tester": "observer", "examined_at": stamp(utc_now())}
    rows = [{name: value or "operated" for name, value in (row | done).items()} for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(map(change, rows))


def test_a_month_by_the_runbook(cli: Cli, frozen: dict[str, Any], tmp_path: Path) -> None:
    assert frozen["counts"] == {"standard/blocked": 1, "standard/clean": 6}
    early = cli("sample", "draw", MONTH)
    assert (early.code, "requires the observer's nonce" in early.err) == (1, True)
    nonce = cli("sample", "nonce", MONTH, "--as", "observer", "--generate", "--json")
    assert (nonce.code, nonce.document["digest"], len(nonce.document["nonce"])) == (0, frozen["digest"], 32)
    drawn = cli("sample", "draw", MONTH, "--json").document
    assert (drawn["seeded_by"], drawn["strata"]["standard"]) == ("observer", {"population": 6, "n": 2})
    assert cli("sample", "draw", MONTH, "--json").document == {**drawn, "repeated": True}
    to = tmp_path / "bundle"
    unsealed = cli("bundle", "export", MONTH, "--to", to)
    assert (unsealed.code, "no seal covers its sample_drawn line yet" in unsealed.err) == (1, True)
    cli("seal")
    exported = cli("bundle", "export", MONTH, "--to", to, "--json").document
    assert (exported["runs"], exported["seal"]) == (2, 2)

    checked = script(to)
    assert checked.stdout.splitlines()[-1] == "no faults", checked.stdout
    assert (checked.returncode, checked.stderr) == (0, "")

    months = cli("sample", "review", "--json").document["months"]
    assert [(one["month"], one["observed"], one["late"]) for one in months] == [(MONTH, None, False)]
    filled_in(to / "results.csv")
    observed = cli("observe", "sample", MONTH, "--results", to / "results.csv", "--as", "observer", "--json")
    assert (observed.code, observed.document["conclusion"], observed.document["findings"]) == (0, "supported", [])
    (stood,) = cli("sample", "review", "--json").document["months"]
    assert (stood["conclusion"], stood["stands"], stood["complete"]) == ("supported", "supported", True)
    assert parse_instant(stood["observed"]) > parse_instant(stood["drawn"]) > parse_instant(stood["frozen"])
    assert "supported" in cli("sample", "review").out
    assert cli("verify", "--all").code == 0


def test_a_month_that_lacks_something_says_so_with_every_conclusion(
    cli: Cli, frozen_incomplete: dict[str, Any], tmp_path: Path
) -> None:
    assert not frozen_incomplete["complete"]
    cli("sample", "nonce", MONTH, "--as", "observer", "--generate")
    cli("sample", "draw", MONTH)
    cli("seal")
    cli("bundle", "export", MONTH, "--to", tmp_path / "bundle")
    results = tmp_path / "bundle" / "results.csv"
    filled_in(results)
    observed = cli("observe", "sample", MONTH, "--results", results, "--as", "observer", "--json")
    assert (observed.code, observed.document["complete"], observed.document["conclusion"]) == (1, False, "supported")
    again = cli("observe", "sample", MONTH, "--results", results, "--as", "observer")
    assert (again.code, "2026-10: INCOMPLETE; supported" in again.out) == (1, True)
    (stood,) = cli("sample", "review", "--json").document["months"]
    assert (stood["complete"], stood["stands"]) == (False, "INCOMPLETE; supported")
    assert "INCOMPLETE; supported" in cli("sample", "review").out


def test_a_month_by_machines_without_this_software(
    cli: Cli, frozen: dict[str, Any], keys: Path, tmp_path: Path
) -> None:
    """The observer's own machine has a text editor and OpenSSH."""

    def signed(name: str, content: str, namespace: str) -> tuple[Path, Path]:
        path = tmp_path / name
        path.write_text(content)
        key = keys / f"observer.{namespace.partition('@')[0]}"
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(path)], check=True)
        return path, path.with_name(f"{name}.sig")

    asked = cli("sample", "nonce-request", MONTH, "--as", "observer")
    assert "ssh-keygen -Y sign -f KEY -n nonce@countersign FILE" in asked.err
    taken = signed("nonce.json", asked.out.replace("NONCE", "0123456789abcdef0123"), "nonce@countersign")
    assert "is recorded" in cli("sample", "nonce-submit", *taken).err
    assert cli("sample", "nonce-submit", *taken, "--json").document["repeated"]
    cli("sample", "draw", MONTH)
    cli("seal")
    cli("bundle", "export", MONTH, "--to", tmp_path / "bundle")
    results = tmp_path / "bundle" / "results.csv"
    filled_in(results)
    asked = cli("observe", "sample-request", MONTH, "--results", results, "--as", "observer")
    assert f"countersign observe sample-submit FILE FILE.sig --results {results}" in asked.err
    taken = signed("statement.json", asked.out, "results@countersign")
    answer = cli("observe", "sample-submit", *taken, "--results", results)
    assert (answer.code, "2026-10: supported" in answer.out) == (0, True)


def test_deviations_become_findings_and_ask_for_more(cli: Cli, frozen: dict[str, Any], tmp_path: Path) -> None:
    cli("sample", "nonce", MONTH, "--as", "observer", "--value", "0123456789abcdef0123")
    assert "standard" in cli("sample", "draw", MONTH).out
    cli("seal")
    cli("bundle", "export", MONTH, "--to", tmp_path / "bundle")
    results = tmp_path / "bundle" / "results.csv"
    deviating = {"attribute_ITGC_CM_01": "deviation", "deviation": "true"}
    filled_in(results, lambda row: row | (deviating if row["rank"] == "1" else {}))
    answer = cli("observe", "sample", MONTH, "--results", results, "--as", "observer")
    assert (answer.code, "2026-10: not supported" in answer.out) == (1, True)
    command = next(line for line in answer.out.splitlines() if "more without a deviation would do" in line)
    expand = command.split("--expand ")[1].split(" ")[0]
    (finding,) = [one for one in cli("finding", "list", "--json").document["findings"] if "sample of" in one["subject"]]
    assert (finding["subject"], finding["severity"]) == ("sample of 2026-10, standard: 1 of 2 deviate", "SEV-2")
    refused = cli("sample", "draw", MONTH, "--expand", expand)
    assert (refused.code, "name the finding" in refused.err) == (1, True)
    larger = cli("sample", "draw", MONTH, "--expand", expand, "--finding", finding["finding"], "--json")
    assert larger.document["strata"]["standard"]["n"] == int(expand.split("=")[1])


def test_a_month_that_nobody_observed_in_time_is_a_finding(
    cli: Cli, frozen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    due = standing.reviews

    def overdue(engine: Any) -> list[standing.Review]:
        past = engine.clock().replace(year=2025)
        return [standing.Review(one.month, one.frozen_at, past, one.lines) for one in due(engine)]

    monkeypatch.setattr("countersign.cli.review.reviews", overdue)
    for _ in range(2):  # seen again it is the same breach
        answer = cli("sample", "review", "--json")
        assert (answer.code, answer.document["months"][0]["late"]) == (1, True)
    subjects = [one["subject"] for one in cli("finding", "list", "--json").document["findings"]]
    assert subjects.count("population_observation of 2026-10: completeness review") == 1


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("sample", "nonce", MONTH, "--as", "observer"), 2, "--value, or have one made with --generate"),
        (("sample", "nonce", MONTH, "--as", "observer", "--value", "x", "--generate"), 2, "--value, or have one"),
        (("sample", "nonce", "2026-13", "--as", "observer", "--generate"), 2, "not a month as YYYY-MM"),
        (("sample", "nonce", MONTH, "--as", "observer", "--generate"), 1, "the population is not frozen"),
        (("sample", "draw", MONTH), 1, "the population is not frozen"),
        (("sample", "draw", MONTH, "--expand", "standard"), 2, "write it as standard=80"),
        (("bundle", "export", MONTH, "--to", "bundle"), 1, "nothing is drawn yet"),
        (
            ("observe", "sample", MONTH, "--as", "observer", "--results", "nowhere.csv"),
            2,
            "nowhere.csv: cannot be read",
        ),
        (("sample", "nonce-submit", "nowhere", "nowhere.sig"), 2, "nowhere: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, write: Write, keys: Path, command: tuple[str, ...], code: int, says: str
) -> None:
    cli("run", write("one.json", deployed(1)))
    answer = cli(*command)
    assert (answer.code, " ".join(says.split()) in " ".join(answer.err.replace("│", " ").split())) == (code, True)


def test_a_draw_needs_the_key_that_seals(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_SEAL_KEY", raising=False)
    answer = cli("sample", "draw", MONTH)
    assert (answer.code, "no key to sign the manifest with" in answer.err) == (2, True)


def test_observing_a_run_is_still_one_word(cli: Cli, write: Write) -> None:
    (run,) = cli("run", write("one.json", deployed(7, evidence={"note": "nothing"})), "--json").document["runs"]
    asked = ("--as", "observer", "--outcome", "noted", "--reason", "Seen.", "--json")
    first = cli("observe", run["run_id"], *asked)
    assert (first.code, first.document["repeated"]) == (0, False)
    assert json.loads(cli("observe", "run", run["run_id"], *asked).out)["repeated"]
