from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.environment import default_policy, default_root, random_bytes, utc_now, without_variables


def test_now_is_an_instant_in_utc() -> None:
    before, now, after = datetime.now(UTC), utc_now(), datetime.now(UTC)
    assert before <= now <= after
    assert now.tzinfo is UTC


def test_random_bytes_are_as_many_as_asked_for_and_never_the_same() -> None:
    drawn = [random_bytes(16) for _ in range(100)]
    assert {len(content) for content in drawn} == {16}
    assert len(set(drawn)) == 100


@pytest.mark.parametrize(
    ("default", "variable", "otherwise"),
    [(default_root, "COUNTERSIGN_ROOT", "evidence"), (default_policy, "COUNTERSIGN_POLICY", "policy.yaml")],
)
def test_a_path_comes_from_its_variable_when_that_says_something(
    monkeypatch: pytest.MonkeyPatch, default: Callable[[], Path], variable: str, otherwise: str
) -> None:
    monkeypatch.delenv(variable, raising=False)
    assert default() == Path(otherwise)
    monkeypatch.setenv(variable, "")
    assert default() == Path(otherwise)
    monkeypatch.setenv(variable, "/srv/there")
    assert default() == Path("/srv/there")


def test_a_child_gets_the_environment_but_for_the_variables_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("COUNTERSIGN_ROOT", "/srv/there")
    assert "GIT_DIR" not in without_variables(["GIT_DIR", "NOT_SET"])
    assert without_variables(["GIT_DIR"])["COUNTERSIGN_ROOT"] == "/srv/there"
