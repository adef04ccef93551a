"""Keeping, checking, holding, purging and restoring from the command line."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from countersign.cli import retention
from tests.conftest import StepClock, payload_with
from tests.domain.cli.conftest import Answer, Cli, Write, unsigned_policy
from tests.domain.retention.conftest import loosen

DAY = "2026-11-23"


@pytest.fixture
def clock_of_cli(monkeypatch: pytest.MonkeyPatch) -> StepClock:
    """What the commands take for now: the day after the changes came in."""
    clock = StepClock(datetime(2026, 11, 24, 14, tzinfo=UTC))
    monkeypatch.setattr(retention, "utc_now", clock)
    return clock


@pytest.fixture
def kept(
    cli: Cli, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock_of_cli: StepClock
) -> Iterator[Cli]:
    """The command line on a root with a day of two changes, and a policy that names a folder."""
    policy = unsigned_policy(tmp_path / "with-a-store")
    content = yaml.safe_load(policy.read_text(encoding="utf-8"))
    content["retention_store"] = {"kind": "local", "folder": "../worm"}
    policy.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(policy))
    monkeypatch.setattr("countersign.environment.datetime", _Standing)
    for number in range(2):
        closed_at_once = payload_with(id=f"CHG-{number}", system="intranet")
        assert cli("run", write(f"{number}.json", closed_at_once)).code == 0
    yield cli
    loosen(tmp_path)


class _Standing(datetime):
    """The first day, whenever it is asked."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # the zone is always UTC here
        return datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_day_is_kept_checked_and_listed(kept: Cli, tmp_path: Path) -> None:
    assert kept("retention", "status", "--json").document == {"days": [], "not_kept": [DAY]}
    answer = kept("retention", "keep", "--json")
    assert answer.code == 0
    assert answer.document["not_kept"] == []
    assert [(each["day"], each["until"]) for each in answer.document["kept"]] == [(DAY, "2034-04-01T04:00:00.000000Z")]
    assert "every finished day is in the store" in kept("retention", "keep").err
    assert "1 days are kept as they should be" in kept("retention", "check").out
    assert kept("retention", "check", "--read", "--json").document == {"ok": True, "faults": [], "findings": []}
    (day,) = kept("retention", "status", "--json").document["days"]
    assert (day["day"], day["held"], day["purged"]) == (DAY, False, False)
    assert f"local:{tmp_path / 'worm'}" in kept("retention", "status").out


def test_a_deleted_day_is_found_restored_and_its_finding_stays(
    kept: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept("retention", "keep")
    shutil.rmtree(root / "runs/2026/11/23")
    found = kept("retention", "check", "--json")
    assert found.code == 1
    assert [(fault["day"], fault["kind"]) for fault in found.document["faults"]] == [(DAY, "local_missing")]
    (finding,) = found.document["findings"]
    assert kept("retention", "check", "--json").document["findings"] == []  # it is on record once
    restored = kept("restore", DAY, "--json")
    assert (restored.code, restored.document["placed"], restored.document["faults"]) == (0, 2, [])
    assert "every run of the day verifies" in kept("restore", DAY).out
    assert kept("retention", "check").code == 0
    monkeypatch.setattr("countersign.cli.verify.utc_now", lambda: datetime(2027, 6, 1, tzinfo=UTC))
    assert kept("verify", "--all", "--as-of", f"{DAY}T20:00:00Z").code == 0
    shown = kept("finding", "show", finding, "--json").document
    assert (shown["severity"], shown["kind"], shown["subject"]) == (
        "SEV-1",
        "early_deletion",
        f"{DAY} root: local_missing",
    )


def test_what_left_the_store_is_shown_with_its_day(kept: Cli, tmp_path: Path) -> None:
    kept("retention", "keep")
    loosen(tmp_path)
    for path in (tmp_path / "worm" / "days" / DAY).glob("chain*"):
        path.unlink()
    answer = kept("retention", "check")
    assert answer.code == 1
    assert DAY in answer.out
    assert "missing" in answer.out
    assert "of them SEV-1: see ESCALATION.md" in answer.out


def test_a_day_that_cannot_be_kept_is_said_and_fails(kept: Cli, root: Path, tmp_path: Path) -> None:
    log = min(root.glob("runs/*/*/*/*/audit.jsonl"))
    log.rename(tmp_path / "away")
    log.mkdir()
    answer = kept("retention", "keep")
    assert (answer.code, "NOT KEPT" in answer.out, "no plain file" in answer.out) == (1, True, True)
    assert [day["day"] for day in kept("retention", "keep", "--json").document["not_kept"]] == [DAY]


def test_two_owners_hold_release_and_purge(kept: Cli, tmp_path: Path, clock_of_cli: StepClock) -> None:
    kept("retention", "keep")

    def both(*what: object) -> Answer:
        first = kept("retention", *what, "--as", "control-owner", "--reason", "A claim.", "--json")
        assert (first.code, first.document["done"], first.document["by"]) == (0, False, ["control-owner"])
        return kept("retention", *what, "--as", "process-owner", "--reason", "A claim.")

    assert f"{DAY}: on hold" in both("hold", DAY).out
    clock_of_cli.now = datetime(2034, 4, 1, 4, tzinfo=UTC)
    refused = kept("retention", "purge", "--before", "2027-01-01", "--as", "control-owner", "--reason", "Over.")
    assert (refused.code, "on legal hold" in refused.err) == (1, True)
    waiting = kept("retention", "release", DAY, "--as", "control-owner", "--reason", "Settled.")
    assert "approved by control-owner, waits for another of the roles" in waiting.out
    assert f"{DAY}: released" in kept("retention", "release", DAY, "--as", "process-owner", "--reason", "Settled.").out
    assert f"{DAY}: purged from the store" in both("purge", "--before", "2027-01-01").out
    assert not list((tmp_path / "worm").rglob("*.tar"))
    assert "purged" in kept("retention", "status").out


def test_a_day_comes_back_without_any_register(kept: Cli, root: Path, tmp_path: Path) -> None:
    kept("retention", "keep")
    shutil.rmtree(root)
    answer = kept("restore", DAY, "--to", tmp_path / "again")
    assert answer.code == 0
    assert f"countersign verify --all --root {tmp_path / 'again'}" in answer.out
    assert len(list((tmp_path / "again").glob("runs/*/*/*/*/audit.jsonl"))) == 2


def test_what_differs_is_left_and_said(kept: Cli, root: Path, tmp_path: Path) -> None:
    kept("retention", "keep")
    log = min(root.glob("runs/*/*/*/*/audit.jsonl"))
    log.write_bytes(b"something else\n")
    answer = kept("restore", DAY)
    assert (answer.code, "DIFFERS, and was left" in answer.out) == (1, True)
    assert log.read_bytes() == b"something else\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("retention", "keep"), 1, "names no retention_store"),
        (("restore", "yesterday"), 2, "not a day as YYYY-MM-DD"),
        (("retention", "check", "--root", "nowhere"), 2, "no evidence root"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, write: Callable[[str, object], Path], arguments: tuple[str, ...], code: int, says: str
) -> None:
    cli("run", write("change.json", payload_with()))
    answer = cli(*arguments)
    assert (answer.code, says in answer.err) == (code, True)


@pytest.mark.parametrize("folder", ["../evidence/worm", "../evidence", ".."])
def test_a_copy_lies_elsewhere(kept: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    policy = tmp_path / "with-a-store" / "policy.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("../worm", folder), encoding="utf-8")
    kept("policy", "adopt", "--as", "process-owner", "--reason", "A test needs it.")
    answer = kept("retention", "keep")
    assert (answer.code, "a copy lies elsewhere" in answer.err) == (2, True)
