"""What lies under the name of a file and is none, stops neither verifier; and no name leads either out of the root."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import rfc8785

from countersign.errors import EvidenceError, SignOffRefused
from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.lines import ZERO
from countersign.evidence.register import Register
from tests.conftest import payload_with
from tests.domain.runs.attacked import Target
from tests.domain.runs.attacks.forging import register, registered
from tests.evidence_script import script_faults

_AT_MOST = 60  # seconds, of which a verifier that waits at a FIFO takes all


@pytest.fixture(autouse=True)
def _no_verifier_waits() -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        pytest.fail("a verifier waits for ever")  # no Exception, which the script would name a fault

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_AT_MOST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def extract(target: Target) -> Path:
    """What a source gave, as the register has it."""
    (path,) = target.root.extracts.iterdir()
    said = {"source": "x", "extractor": "y", "query": "z", "digest": path.name, "bytes": 1, "rows": 1}
    register(target, "extract", **said)
    return path


def month(target: Target) -> Path:
    """A month's file that the register has."""
    path = target.path / "datasets/clean_population_sample/month=2026-10/population.txt"
    path.parent.mkdir(parents=True, mode=0o700)
    register(target, "population_frozen", month="2026-10", files={str(path.relative_to(target.path)): digest_of(b"it")})
    return path


READ: dict[str, Callable[[Target], Path]] = {
    "log": lambda target: target.log,
    "findings": lambda target: target.path / "findings.jsonl",
    "policy": lambda target: target.root.policies / f"{registered(target, 'root_opened')['configuration']}.json",
    "blob": lambda target: next(target.root.blobs.iterdir()),
    "extract": extract,
    "dataset": lambda target: next(target.root.datasets.glob("workpaper/*.parquet")),
    "month's file": month,
    "seal": lambda target: target.path / "seals/000001.json",
    "seal's signature": lambda target: target.path / "seals/000001.json.sig",
    "witness": lambda target: target.path / "seals/000001.json.observer.sig",
    "seals' lock": lambda target: target.path / "seals/.lock",
    "name that nothing has": lambda target: target.path / "other",
}


def fifo(path: Path) -> None:
    os.mkfifo(path, 0o600)


def unix_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as there:
        here = Path.cwd()
        os.chdir(path.parent)  # such a name may be a hundred bytes long
        try:
            there.bind(path.name)
        finally:
            os.chdir(here)
    path.chmod(0o600)


def link_to_a_fifo(path: Path) -> None:
    elsewhere = next(folder for folder in path.parents if folder.name == "evidence").with_name("elsewhere")
    os.mkfifo(elsewhere)
    path.symlink_to(elsewhere)


def put(target: Target, name: str, make: Callable[[Path], Any]) -> Path:
    path = READ[name](target)
    path.unlink(missing_ok=True)
    make(path)
    return path


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize(("make", "kind"), [(fifo, "special_file"), (link_to_a_fifo, "symlink")])
def test_whatever_lies_under_a_name_that_is_read_is_named_and_stops_nothing(
    target: Target, name: str, make: Callable[[Path], Any], kind: str
) -> None:
    put(target, name, make)
    ours, script = target.found()
    assert kind in ours
    assert kind in script
    assert script <= {"special_file", "symlink"}


def test_a_socket_is_named_too(target: Target) -> None:
    put(target, "log", unix_socket)
    ours, script = target.found()
    assert {"special_file", "unreadable"} <= ours
    assert script == {"special_file"}


def test_a_register_that_is_no_file_is_no_register(target: Target) -> None:
    (target.path / "register.jsonl").unlink()
    fifo(target.path / "register.jsonl")
    assert [name for name, _, _ in script_faults(target.path)] == ["special_file"]
    with pytest.raises(EvidenceError, match="no evidence root"):
        target.found()


@pytest.mark.parametrize("name", ["findings", "blob", "log"])
def test_nothing_is_written_to_what_is_no_file(target: Target, name: str) -> None:
    path = put(target, name, fifo)
    with pytest.raises(EvidenceError, match="cannot be written: it is no plain file"):
        ChainFile(path).append("opened", "somebody")


def test_a_root_that_is_reached_by_a_link_is_good(target: Target) -> None:
    link = target.path.parent / "link"
    link.symlink_to(target.path.parent)
    assert replace(target, path=link / target.path.name).found() == (set(), set())


@pytest.mark.parametrize("name", ["audit.jsonl", "register.jsonl", "findings.jsonl"])
def test_a_line_that_never_ends_is_a_fault(target: Target, name: str) -> None:
    """A terabyte of nothing, which takes no room on the disk and more memory than there is."""
    path = target.log if name == "audit.jsonl" else target.path / name
    with path.open("ab") as file:
        file.truncate(1 << 40)
    path.chmod(0o600)
    ours, script = target.found()
    assert ours & {"unreadable", "register", "findings"}
    assert script


def outside(target: Target) -> Path:
    """A folder beside the root, with whatever somebody there is not to read."""
    folder = target.path.parent / "outside"
    (folder / "day=2026-11-23").mkdir(parents=True)
    for name in ("x", "x.json", "audit.jsonl", "day=2026-11-23.parquet"):
        fifo(folder / name)
    return folder


LEADING_OUT: dict[str, tuple[str, dict[str, Any]]] = {
    "asset": ("dataset", {"asset": "../../outside"}),
    "asset of no stage": ("dataset", {"asset": "others"}),
    "day": ("dataset", {"day": "x/../../../../outside/day=2026-11-23"}),
    "day in another form": ("dataset", {"day": "20261123"}),
    "dataset's digest": ("dataset", {"digest": "x"}),
    "extract": ("extract", {"digest": "../../outside/x"}),
    "run": ("run_opened", {"run_id": "../../../../../outside"}),
    "run's day": ("run_opened", {"run_id": "change-0123456789abcdef", "day": "20261123"}),
    "run's configuration": ("run_opened", {"run_id": "change-0123456789abcdef", "configuration": "../../outside/x"}),
    "configuration": ("configuration_adopted", {"configuration": "../../outside/x"}),
}


@pytest.mark.parametrize("name", LEADING_OUT)
def test_no_name_of_the_register_leads_out_of_the_root(target: Target, name: str) -> None:
    event, changes = LEADING_OUT[name]
    folder = outside(target)
    before = sorted(folder.rglob("*"))
    said = {"digest": "0" * 64, "previous": "0" * 64} if event in ("extract", "configuration_adopted") else {}
    register(target, event, **(said or registered(target, event)) | changes)
    ours, script = target.found()
    assert "register" in ours
    assert script
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("size", [-5, -1, 0.0, False, "0"])
def test_a_register_never_had_a_size_that_is_none(target: Target, size: Any) -> None:
    assert Register(target.root).head_at(size) is None
    assert Register(target.root).head_at(0) == ZERO


@pytest.mark.parametrize("size", [-5, -1])
def test_a_sign_off_that_was_given_on_less_than_nothing_is_refused(target: Target, size: int) -> None:
    bench = target.bench()
    result = bench.execute(payload_with(system="less"))
    said = json.loads(bench.statement(result).content)
    said["register"] = {"size": size, "head": ZERO}
    with pytest.raises(SignOffRefused, match="never had the head"):
        bench.submit(rfc8785.dumps(said))
    said["register"] = {"size": 0, "head": ZERO}
    bench.submit(rfc8785.dumps(said))
    assert target.found() == (set(), set())


def test_a_sign_off_in_a_log_that_was_given_on_less_than_nothing_is_a_fault(target: Target) -> None:
    forger = target.forger(target.done)
    forger.line("signed_off").event["register"] = {"size": -5, "head": ZERO}
    forger.write()
    ours, script = target.found()
    assert "sign_off_register" in ours
    assert script


def registered_outside(target: Target, file: Path) -> None:
    register(
        target,
        "population_frozen",
        month="2026-10",
        files={str(file): ZERO, f"datasets/../../outside/{file.name}": ZERO},
    )


def blob_outside(target: Target, file: Path) -> None:
    forger = target.forger(target.done)
    forger.line("ingested").event["blobs"] = {"summary": str(file)}
    forger.write()


def attachment_outside(target: Target, file: Path) -> None:
    forger = target.forger(target.done)
    forger.line("ingested").event["change"]["evidence"]["tests"]["more"] = {"$blob": str(file)}
    forger.write()


@pytest.mark.parametrize("lead", [registered_outside, blob_outside, attachment_outside])
def test_no_name_leads_the_script_out_of_the_root(target: Target, lead: Callable[[Target, Path], None]) -> None:
    lead(target, outside(target) / "x")
    assert {name for name, _, _ in script_faults(target.path)} & {"malformed", "register_order", "digest_differs"}


@pytest.mark.parametrize("lead", [blob_outside, attachment_outside])
def test_no_name_of_a_log_leads_out_of_the_root(target: Target, lead: Callable[[Target, Path], None]) -> None:
    lead(target, outside(target) / "x")
    assert target.found()[0] & {"bad_event", "inconsistent", "malformed"}
