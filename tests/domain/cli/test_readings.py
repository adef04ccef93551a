"""Readings by hand, as a user has them: what they ask for, what breaks off, and what they leave alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import payload_with
from tests.domain.changes.sources.test_git import Repository
from tests.domain.cli.conftest import Cli, Write

MONTH = "2026-11"
_ROW = b"id,environment,system,revision,at,by,change\n"
_ROW += b"D-1,production,billing,4f2a9c1d7e,2026-10-20T10:00:00Z,deployer,CHG-1001\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A policy that reads deployments from `prod.csv`, which is not there yet, and nothing else."""
    path = tmp_path / "configuration" / "policy.yaml"
    policy = yaml.safe_load(path.read_text())
    policy["sources"] = [{"name": "deployments", "adapter": "deployments", "path": "prod.csv"}]
    path.write_text(yaml.safe_dump(policy, allow_unicode=True))
    return path


def failing(cli: Cli, month: str = MONTH) -> dict[str, Any]:
    document = cli("sample", "population", month, "--json").document
    return {test["name"]: test["offenders"] for test in document["tests"] if test["passed"] is False}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "ledger")
    for _ in range(4):
        repository.commit()
    return repository


def test_a_range_of_days_leaves_the_month_complete(cli: Cli, sources: Path, repository: Repository) -> None:
    for dates in (("--since", "2026-11-19"), ("--since", "2026-11-01", "--until", "2026-12-01"), ()):
        cli("intake", "git", repository.path, *dates)
        assert failing(cli).keys() <= {"clocks_are_watched", "cut_off_is_clear"}
    assert sources.is_file()


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-11-01", "2026-11-01"), ("2026-12-01", "2026-11-01"), ("2026-11-01", "2026-11-01T03:59:59Z")],
)
def test_a_range_that_ends_before_it_begins_is_refused(
    since: str, until: str, cli: Cli, repository: Repository
) -> None:
    answer = cli("intake", "git", repository.path, "--since", since, "--until", until)
    assert (answer.code, "has to be after" in " ".join(answer.err.split())) == (2, True)


def test_a_reading_that_breaks_off_is_on_record(cli: Cli, sources: Path, write: Write) -> None:
    path = write("cut.csv", _ROW[:-20])
    answer = cli("intake", "deployments", path)
    assert (answer.code, "cut off" in answer.err) == (2, True)
    assert cli("intake", "deployments", path).code == 2
    (offender,) = failing(cli)["rows_add_up"]
    assert offender.startswith("by hand/deployments at ")
    assert "broke off, and was not read to its end since: " in offender
    write("cut.csv", _ROW)
    cli("run", write("change.json", payload_with()))
    assert cli("intake", "deployments", path).code in (0, 1)
    assert "rows_add_up" not in failing(cli)
    assert sources.is_file()


def test_a_source_of_the_policy_that_is_missing_stays_so_whatever_is_read_by_hand(
    cli: Cli, sources: Path, write: Write
) -> None:
    cli("intake", "deployments", write("other.csv", _ROW))
    found = failing(cli, "2026-10")
    assert found["cut_off_is_clear"] == ["deployments: not read to its end since the month ended"]
    assert sources.is_file()
