"""A desk that was opened before owners put another configuration in force: what it still takes, and what becomes of it.

Between the last look at what is in force and the register's line lies an instant in which it may change: what was
taken then is good for a minute, by product and script alike, and never later.
"""

import pytest

from countersign.errors import SignOffRefused
from countersign.runs.run import RunResult
from tests.conftest import payload_with
from tests.domain.runs.attacked import Target
from tests.domain.runs.conftest import SignedBench, policy_with


@pytest.fixture
def desk(target: Target) -> tuple[SignedBench, RunResult]:
    """Opened before the adoption, with a run that waits for its review."""
    bench = SignedBench(target.path, target.policy, target.clock, target.keys)
    return bench, bench.execute(payload_with(system="late"))


def adopt(target: Target, version: str = "newer") -> None:
    """Both owners put another configuration in force."""
    bench = SignedBench(target.path, target.policy, target.clock, target.keys)
    bench.adopt(policy_with(target.policy, version=version))
    target.policy = bench.policy


def adopt_after_a_look(target: Target, bench: SignedBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk has just looked at what is in force when that is replaced."""
    looked = bench.run.engine.index.configuration()
    monkeypatch.setattr(bench.run.engine.index, "configuration", lambda: looked)
    adopt(target)


def test_a_sign_off_after_an_adoption_is_refused_and_can_be_given_again(
    target: Target, desk: tuple[SignedBench, RunResult]
) -> None:
    stale, result = desk
    content = stale.statement(result).content
    adopt(target)
    with pytest.raises(SignOffRefused, match="another configuration is in force by now"):
        stale.sign(result, "independent_review", "reviewer")
    with pytest.raises(SignOffRefused, match="another configuration is in force by now"):
        stale.submit(content)
    target.bench().sign(result, "independent_review", "reviewer")
    assert target.found() == (set(), set())


def test_a_sign_off_that_was_being_taken_while_another_configuration_came_is_good(
    target: Target, desk: tuple[SignedBench, RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale, result = desk
    adopt_after_a_look(target, stale, monkeypatch)
    stale.sign(result, "independent_review", "reviewer")
    assert target.found() == (set(), set())


def test_a_minute_later_it_is_void(
    target: Target, desk: tuple[SignedBench, RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale, result = desk
    adopt_after_a_look(target, stale, monkeypatch)
    target.clock.move(minutes=1)
    stale.sign(result, "independent_review", "reviewer")
    assert target.found() == ({"sign_off_void"}, {"sign_off_void"})


def test_one_that_was_replaced_before_the_last_adoption_is_void(
    target: Target, desk: tuple[SignedBench, RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after its own end, not after that of what came then."""
    stale, result = desk
    adopt_after_a_look(target, stale, monkeypatch)
    target.clock.move(minutes=2)
    adopt(target, "newest")
    stale.sign(result, "independent_review", "reviewer")
    assert target.found() == ({"sign_off_void"}, {"sign_off_void"})
