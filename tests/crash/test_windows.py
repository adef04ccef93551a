"""The windows between two writes, each as a crash in it leaves the root, found by its name in `WINDOWS`.

What `verify` says before anybody goes on, and that going on ends as if nothing had happened. `test_matrix` reaches the
same windows by killing; here each is set up by hand, so that none is missed when calls move. Process deaths while a
notification is sent are in `tests/domain/findings/test_sending.py`.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from countersign.evidence import durable
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import read_seal, seal_numbers, seal_path, signature_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.seals import check_seals
from countersign.findings.log import FindingsLog
from countersign.policy import Policy
from tests.conftest import POLICY, Counted, StepClock, payload_with
from tests.domain.findings.conftest import occurrence
from tests.domain.runs.conftest import SIGNERS, Bench, log_of
from tests.evidence_script import script_faults
from tests.keys import make_key

LONG = payload_with(summary="Raise the limit. " * 5000)


@pytest.fixture
def bench(root: Path, policy: Policy, clock: StepClock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(POLICY))
    return Bench(root, policy, clock)


def opened_without_a_log(bench: Bench) -> None:
    result = bench.execute(LONG)
    bench.cut_register("run_head")
    log_of(result).unlink()
    result.rundir.rmdir()
    for blob in EvidenceRoot(bench.root).blobs.iterdir():
        blob.unlink()


def log_half_written(bench: Bench) -> None:
    result = bench.execute(LONG)
    bench.cut_register("run_head")
    log_of(result).write_bytes(log_of(result).read_bytes()[:-30])


def log_ahead_of_the_register(bench: Bench) -> None:
    bench.execute(LONG)
    bench.cut_register("run_head")


def index_behind(bench: Bench) -> None:
    """The index is that of before the run."""
    before = {path: path.read_bytes() for path in bench.root.glob("index.sqlite*")}
    bench.execute(LONG)
    bench.forget_index()
    for path, content in before.items():
        path.write_bytes(content)
        path.chmod(durable.FILE_MODE)


def dataset_not_renamed(bench: Bench) -> None:
    bench.complete(LONG)
    for path in bench.root.glob("datasets/*/*.parquet"):
        path.rename(path.with_name(f".{path.name}.0.tmp"))
    bench.cut_register("dataset")
    bench.cut_register("dataset")


def dataset_not_registered(bench: Bench) -> None:
    bench.complete(LONG)
    bench.cut_register("dataset")


def dataset_registered_and_nobody_told(bench: Bench) -> None:
    """Nothing is left to do but the event of Dagster, which materialising again gives."""
    bench.complete(LONG)


def blob_without_its_line(bench: Bench) -> None:
    """Its run never came to its log; the payload given again has other salts, so its blob is another one."""
    opened_without_a_log(bench)
    durable.keep_by_digest(EvidenceRoot(bench.root).blobs, b'{"text":"summary","salt":"00","value":"words"}\n')


WINDOWS: dict[str, tuple[Callable[[Bench], None], list[str]]] = {
    "register opened / log": (opened_without_a_log, []),
    "log written / fsynced": (log_half_written, ["torn_tail"]),
    "log / register head": (log_ahead_of_the_register, ["unregistered_tail"]),
    "register / index": (index_behind, []),
    "dataset temp / rename": (dataset_not_renamed, []),
    "dataset rename / register digest": (dataset_not_registered, ["dataset_unregistered"]),
    "digest / Dagster event": (dataset_registered_and_nobody_told, []),
    "blob / log line": (blob_without_its_line, []),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_what_a_crash_leaves_is_named_and_gone_on_from(bench: Bench, window: str) -> None:
    leave, said = WINDOWS[window]
    leave(bench)
    assert sorted(set(bench.kinds())) == said
    bench.fresh()
    done = bench.complete(LONG)
    before = bench.contents()
    bench.fresh()
    assert bench.complete(LONG).run_id == done.run_id
    assert bench.contents() == before
    assert bench.faults() == []
    assert [line["run_id"] for line in bench.registered("run_closed")] == [done.run_id]
    assert len(bench.registered("run_opened")) == 1


def test_an_orphaned_blob_is_reported_and_is_no_fault(bench: Bench) -> None:
    blob_without_its_line(bench)
    bench.fresh()
    bench.complete(LONG)
    verified = bench.verify()
    assert (verified.ok, verified.orphans) == (True, 1)


@pytest.mark.parametrize("window", ["finding / register head", "seal linked / signed", "seal signed / sealed line"])
def test_what_is_beside_the_runs_is_gone_on_from_too(bench: Bench, tmp_path: Path, window: str) -> None:
    """The same finding again has the same id, and a seal's number is never signed for another statement."""
    bench.execute(LONG)
    root, key = EvidenceRoot(bench.root), make_key(tmp_path / "seal")
    if window == "finding / register head":
        log = FindingsLog(root, clock=bench.clock, entropy=Counted())
        opened = log.open([occurrence()])
        bench.cut_register("findings_head")
        again = FindingsLog(root, clock=bench.clock, entropy=Counted())
        again.register_tail()
        assert (again.open([occurrence()]), [*again.read().by_id]) == ([], opened)
        assert len(bench.registered("findings_head")) == 1
        return
    Sealer(root, key, clock=bench.clock).seal("c" * 64)
    bench.cut_register("sealed")
    if window == "seal linked / signed":
        signature_path(root, 1).unlink()
    stated = seal_path(root, 1).read_bytes()
    assert {fault.kind for fault in check_seals(root).faults} == {"seal_unfinished"}
    Sealer(root, key, clock=bench.clock).seal("c" * 64)
    assert (seal_path(root, 1).read_bytes(), seal_numbers(root)) == (stated, [1, 2])
    assert read_seal(root, 2).previous == read_seal(root, 1).digest
    assert check_seals(root).faults == []


@pytest.mark.parametrize("event", ["sealed", "witnessed", "timestamped"])
def test_half_a_line_about_a_seal_says_nothing_of_any_seal(bench: Bench, tmp_path: Path, event: str) -> None:
    bench.complete(LONG)
    root, key = EvidenceRoot(bench.root), make_key(tmp_path / "seal")
    Sealer(root, key, clock=bench.clock).seal("c" * 64)
    line = root.register.read_bytes().splitlines()[-1].replace(b'"sealed"', f'"{event}"'.encode())
    if event == "sealed":
        bench.cut_register("sealed")
    with root.register.open("ab") as register:
        register.write(line[:-40])
    assert {*bench.kinds()} == {"torn_tail", *(["seal_unfinished"] if event == "sealed" else [])}
    assert script_faults(bench.root)[0][0] == "torn_tail"
    Sealer(root, key, clock=bench.clock).seal("c" * 64)
    assert check_seals(root).faults == []
    assert bench.faults() == []
    assert script_faults(bench.root) == []


@pytest.mark.parametrize(("key", "signer"), SIGNERS)
def test_a_sign_off_that_the_register_never_heard_of_counts(bench: Bench, key: str, signer: str) -> None:
    """Window sign-off / register head: it is on disk, and the same again says so."""
    result = bench.execute(LONG)
    for due, who in SIGNERS[: SIGNERS.index((key, signer)) + 1]:
        bench.sign(result, due, who)
        if due != key:
            result = bench.execute(LONG)
    bench.cut_register("signed_off")
    assert bench.kinds() == ["unregistered_tail"]
    bench.fresh()
    bench.execute(LONG)
    assert bench.sign(result, key, signer).repeated
    assert bench.complete(LONG).status == "COMPLETED"
    assert bench.faults() == []


def test_a_run_whose_log_was_never_begun_is_abandoned_before_a_seal_and_goes_on_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    opened_without_a_log(bench)
    bench.fresh()
    sealer = Sealer(EvidenceRoot(bench.root), make_key(tmp_path / "seal"), clock=bench.clock)
    for _ in range(2):
        sealer.seal("c" * 64)
    (opened,) = bench.registered("run_opened")
    assert [line["run_id"] for line in bench.registered("abandoned")] == [opened["run_id"]]
    assert bench.faults() == []
    bench.run.engine.index.sync()
    run = bench.run.engine.index.known(opened["run_id"])
    assert (run.status, run.abandoned, "hand its payload in again" in (run.reason or "")) == ("OPENED", True, True)
    assert bench.complete(LONG).run_id == opened["run_id"]
    assert not bench.run.engine.index.known(opened["run_id"]).abandoned
    sealer.seal("c" * 64)
    assert bench.faults() == []


def test_what_was_abandoned_hides_no_run_until_it_goes_on(bench: Bench, tmp_path: Path) -> None:
    blocked = bench.execute(payload_with(summary="As it was."))
    corrected = bench.execute(LONG)
    bench.cut_register("run_head")
    log_of(corrected).unlink()
    bench.fresh()
    assert bench.run.engine.index.known(blocked.run_id).superseded_by == corrected.run_id
    Sealer(EvidenceRoot(bench.root), make_key(tmp_path / "seal"), clock=bench.clock).seal("c" * 64)
    bench.run.engine.index.sync()
    assert bench.run.engine.index.known(blocked.run_id).superseded_by is None
    bench.execute(LONG)
    assert bench.run.engine.index.known(blocked.run_id).superseded_by == corrected.run_id
