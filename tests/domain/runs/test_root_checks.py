"""What the checks say of a root beside its runs: seals right after work and every night, files every night."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.clocks.instant import parse_instant
from countersign.evidence.contents import check_dataset, check_dataset_again
from countersign.evidence.seal import seal_path, signature_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.seals import RootFault
from countersign.runs.root_checks import files_hold, seals_are_recent, seals_hold
from countersign.runs.verification import Verifier
from tests.conftest import payload_with
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


def test_a_root_that_was_never_sealed_is_late_25_hours_after_its_first_line(bench: Bench, key: Path) -> None:
    bench.execute()
    begun = parse_instant(bench.registered()[0]["ts"])
    bench.clock.now = begun + timedelta(hours=24)
    assert verdicts(bench) == (True, True)
    assert seals_hold(bench.run.engine).says == "nothing was ever sealed"
    bench.clock.now = begun + LATE
    assert verdicts(bench) == (False, False)
    for judged in (seals_hold(bench.run.engine), seals_are_recent(bench.run.engine)):
        assert [(fault.kind, fault.at) for fault in judged.faults] == [("seal_late", begun + timedelta(hours=25))]
    seal(bench, key)
    assert verdicts(bench) == (True, True)


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


def workpapers(bench: Bench) -> Path:
    (path,) = (bench.root / "datasets" / "workpaper").glob("*.parquet")
    return path


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        pytest.param(lambda bench: workpapers(bench).write_bytes(b"PAR1"), "dataset_differs", id="dataset"),
        pytest.param(lambda bench: workpapers(bench).unlink(), "dataset_missing", id="dataset-gone"),
        pytest.param(
            lambda bench: next((bench.root / "policies").iterdir()).write_bytes(b"{}"), "content_differs", id="policy"
        ),
        pytest.param(lambda bench: (bench.root / "link").symlink_to(bench.register), "symlink", id="link"),
    ],
)
def test_a_file_that_is_not_what_it_was_fails_the_night(
    bench: Bench, damage: Callable[[Bench], Any], kind: str
) -> None:
    bench.complete()
    assert files_hold(bench.run.engine.root).passed
    damage(bench)
    judged = files_hold(bench.run.engine.root)
    assert (judged.passed, [fault.kind for fault in judged.faults]) == (False, [kind])
    assert judged.rows[0][1].startswith(f"{kind}: expected ")


def test_what_was_found_elsewhere_fails_the_night_too(bench: Bench) -> None:
    bench.execute()
    fault = RootFault("sample_differs", "register.jsonl:7", "the 25 lowest tickets")
    assert files_hold(bench.run.engine.root, [fault]).faults == (fault,)


def test_files_of_a_register_that_cannot_be_believed_do_not_hold(bench: Bench) -> None:
    bench.complete()
    bench.register.write_bytes(bench.register.read_bytes().replace(b'"run_opened"', b'"run_oponed"'))
    judged = files_hold(bench.run.engine.root)
    assert (judged.passed, [fault.kind for fault in judged.faults]) == (False, ["register"])


def test_a_dataset_that_was_replaced_since_the_register_was_read_is_no_fault(bench: Bench) -> None:
    bench.complete()
    root, (line, _) = bench.run.engine.root, bench.registered("dataset")
    bench.complete(payload_with(id="CHG-2"))
    named = (line["asset"], line["day"])
    assert [fault.kind for fault in check_dataset(root, *named, line["digest"])] == ["dataset_differs"]
    assert list(check_dataset_again(root, *named)) == []
    root.dataset(*named).write_bytes(b"PAR1")
    assert [fault.kind for fault in check_dataset_again(root, *named)] == ["dataset_differs"]


def test_a_change_that_completes_while_its_day_is_verified_is_no_fault(bench: Bench) -> None:
    """Its row stands in a file that is newer than the register as it was read; an edited one is found all the same."""
    bench.complete()
    done: list[object] = []

    def completes(_: int) -> None:
        if not done:
            done.append(bench.complete(payload_with(id="CHG-2")))

    assert Verifier(bench.root).verify(None, completes).faults == []
    assert (len(done), len(bench.registered("dataset"))) == (1, 4)

    def edits(_: int) -> None:
        workpapers(bench).write_bytes(b"PAR1")

    assert {fault.kind for fault in Verifier(bench.root).verify(None, edits).faults} == {"dataset_differs"}
