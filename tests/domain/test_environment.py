from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countersign.environment import (
    default_policy,
    default_root,
    elapsed_ms,
    pause,
    random_bytes,
    utc_now,
    variable,
    without_variables,
)


def test_now_is_an_instant_in_utc() -> None:
    before, now, after = datetime.now(UTC), utc_now(), datetime.now(UTC)
    assert before <= now <= after
    assert now.tzinfo is UTC


def test_random_bytes_are_as_many_as_asked_for_and_never_the_same() -> None:
    drawn = [random_bytes(16) for _ in range(100)]
    assert {len(content) for content in drawn} == {16}
    assert len(set(drawn)) == 100


@pytest.mark.parametrize(
    ("default", "name", "otherwise"),
    [(default_root, "COUNTERSIGN_ROOT", "evidence"), (default_policy, "COUNTERSIGN_POLICY", "policy.yaml")],
)
def test_a_path_comes_from_its_variable_when_that_says_something(
    monkeypatch: pytest.MonkeyPatch, default: Callable[[], Path], name: str, otherwise: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert default() == Path(otherwise)
    monkeypatch.setenv(name, "")
    assert default() == Path(otherwise)
    monkeypatch.setenv(name, "/srv/there")
    assert default() == Path("/srv/there")


def test_a_child_gets_the_environment_but_for_the_variables_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("COUNTERSIGN_ROOT", "/srv/there")
    assert "GIT_DIR" not in without_variables(["GIT_DIR", "NOT_SET"])
    assert without_variables(["GIT_DIR"])["COUNTERSIGN_ROOT"] == "/srv/there"


def test_a_pause_is_as_long_as_the_clock_that_only_goes_forward_says() -> None:
    before = elapsed_ms()
    pause(0.02)
    assert elapsed_ms() - before >= 19


def test_a_variable_that_is_empty_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_KEY", raising=False)
    assert variable("MODEL_KEY") is None
    monkeypatch.setenv("MODEL_KEY", "")
    assert variable("MODEL_KEY") is None
    monkeypatch.setenv("MODEL_KEY", "sk-1")
    assert variable("MODEL_KEY") == "sk-1"
