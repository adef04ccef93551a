"""What the checks say of seals: right after work only whether they are recent, every night whether they hold."""

from datetime import timedelta
from pathlib import Path

import pytest

from countersign.evidence.seal import seal_path, signature_path
from countersign.evidence.sealing import Sealer
from countersign.runs.sealed import seals_are_recent, seals_hold
from tests.domain.runs.conftest import Bench
from tests.keys import make_key

LATE = timedelta(hours=25, seconds=1)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "seal")


@pytest.fixture
def sealed(bench: Bench, key: Path) -> Bench:
    """A root with a run and a seal over it."""
    bench.execute()
    seal(bench, key)
    return bench


def seal(bench: Bench, key: Path) -> None:
    Sealer(bench.run.engine.root, key, clock=bench.clock).seal(bench.run.engine.current.configuration.digest)


def verdicts(bench: Bench) -> tuple[bool, bool]:
    return seals_hold(bench.run.engine).passed, seals_are_recent(bench.run.engine).passed


def test_a_root_that_was_never_sealed_passes_and_says_so(bench: Bench) -> None:
    bench.execute()
    bench.clock.now += LATE
    assert verdicts(bench) == (True, True)
    assert seals_hold(bench.run.engine).says == "nothing was ever sealed"


def test_what_waits_for_a_seal_for_25_hours_fails_both_until_it_is_sealed(sealed: Bench, key: Path) -> None:
    sealed.clock.now += LATE
    assert verdicts(sealed) == (True, True)  # nothing happened since
    sealed.execute({**sealed.execute().state.payload.raw, "id": "CHG-2"})  # type: ignore[union-attr]
    assert verdicts(sealed) == (True, True)
    sealed.clock.now += LATE
    assert verdicts(sealed) == (False, False)
    for judged in (seals_hold(sealed.run.engine), seals_are_recent(sealed.run.engine)):
        assert [kind.partition(":")[0] for _, kind in judged.rows] == ["seal_late"]
    seal(sealed, key)
    assert verdicts(sealed) == (True, True)
    assert seals_hold(sealed.run.engine).says.startswith("2 seals hold")


def test_a_seal_that_does_not_hold_fails_every_night(sealed: Bench) -> None:
    signature_path(sealed.run.engine.root, 1).write_bytes(b"none")
    assert verdicts(sealed) == (False, True)
    assert "seal_changed" in "".join(kind for _, kind in seals_hold(sealed.run.engine).rows)
    seal_path(sealed.run.engine.root, 1).write_bytes(b"none")
    assert verdicts(sealed) == (False, False)


def test_a_register_that_is_gone_is_a_failure_and_not_a_crash(sealed: Bench) -> None:
    engine = sealed.run.engine
    engine.root.register.unlink()
    assert (seals_hold(engine).passed, seals_are_recent(engine).passed) == (False, False)
