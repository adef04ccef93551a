"""What a later line of the register, or a file put beside the others, cannot override: a month's files, and datasets.

The attacker has no key; every chain fits, and both verifiers are asked.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import TamperedError
from countersign.evidence.chain import ChainFile
from countersign.evidence.durable import digest_of
from countersign.evidence.register import Register
from countersign.policy import Policy
from countersign.runs.account import faults_of_files, read_account
from countersign.sampling.verification import check_samples
from tests.domain.runs.attacked import Target
from tests.domain.runs.attacks.forging import register
from tests.domain.sampling.observing import MONTH, NONCE, Observing, a_finding, an_observing, as_csv
from tests.domain.sampling.populations import a_row
from tests.evidence_script import script_faults

FOLDER = "datasets/clean_population_sample/month=2026-10"


@pytest.fixture
def bench(policy: Policy, tmp_path: Path) -> Observing:
    """A month that was frozen, seeded, drawn and observed."""
    bench = an_observing(policy, tmp_path)
    bench.published([a_row(f"CHG-{number:03}") for number in range(60)])
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(bench.draw())))
    return bench


def found(bench: Observing) -> tuple[set[str], set[str]]:
    """What both find beside the runs, which have no logs here; of a register that says what no register does, that."""
    script = {name for name, where, _ in script_faults(bench.root) if "/runs/" not in where}
    try:
        of_files = [*faults_of_files(bench.evidence, read_account(Register(bench.evidence)))]
    except TamperedError:
        return {"register"}, script
    return {fault.kind for fault in (*of_files, *check_samples(bench.evidence))}, script


def said(bench: Observing, event: str, name: str, content: bytes) -> None:
    """One more line that names a file."""
    chain = ChainFile(bench.root / "register.jsonl", clock=bench.clock)
    chain.append(event, "countersign", month=str(MONTH), files={name: digest_of(content)})


@pytest.mark.parametrize("name", ["results-1.csv", "sample.parquet", "population.parquet", "completeness.json"])
def test_a_line_that_names_no_files_overrides_none(bench: Observing, name: str) -> None:
    (bench.root / FOLDER / name).write_bytes(b"forged")
    said(bench, "note", f"{FOLDER}/{name}", b"forged")
    ours, script = found(bench)
    assert "file_differs" in ours
    assert script == {"content_differs"}


@pytest.mark.parametrize("event", ["population_frozen", "sample_drawn", "sample_observed"])
def test_a_file_of_a_month_has_one_digest_for_ever(bench: Observing, event: str) -> None:
    said(bench, event, f"{FOLDER}/results-1.csv", b"forged")
    ours, script = found(bench)
    assert "register_order" in ours
    assert script == {"register_order"}
    (bench.root / FOLDER / "results-1.csv").write_bytes(b"forged")
    ours, script = found(bench)
    assert {"register_order", "file_differs"} <= ours
    assert script == {"register_order", "content_differs"}


def test_a_file_that_no_line_of_a_month_names_is_a_stranger(bench: Observing) -> None:
    path = bench.root / FOLDER / "sample-2.csv"
    path.touch(0o600)
    said(bench, "refused", f"{FOLDER}/{path.name}", b"")
    assert found(bench) == ({"file_unregistered"}, {"dataset_unregistered"})


@pytest.mark.parametrize(
    "name",
    [
        f"{FOLDER}/../../../register.jsonl",
        f"{FOLDER}/./results-1.csv",
        f"{FOLDER}//results-1.csv",
        "datasets/clean_population_sample/month=2026-09/results-1.csv",
        "datasets/workpaper/extra.parquet",
        "/etc/hostname",
        "register.jsonl",
    ],
)
def test_files_of_a_month_lie_in_its_folder(bench: Observing, name: str) -> None:
    path = bench.root / name
    said(bench, "sample_observed", name, path.read_bytes() if path.is_file() else b"")
    ours, script = found(bench)
    assert ours == {"register"}
    assert "register_order" in script


def test_months_that_are_as_they_should_be_have_no_fault(bench: Observing) -> None:
    """Late lists, later draws and corrected results are files of their own; the same said again is the same."""
    assert found(bench) == (set(), set())
    bench.published([a_row("CHG-900", stratum="late")], late=1, complete=False)
    second = bench.draw(finding=a_finding(bench))
    for flaw in ("deviation", "operated"):
        bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(second, CHG900=flaw)))
    assert {path.name for path in (bench.root / FOLDER).glob("*-?*")} >= {"draw-2", "late-1.txt", "results-3.csv"}
    assert found(bench) == (set(), set())
    results = bench.root / FOLDER / "results-3.csv"
    said(bench, "note", f"{FOLDER}/{results.name}", results.read_bytes())
    bench.seal()
    assert found(bench) == (set(), set())


def policy_edited(target: Target) -> Path:
    path = max((target.path / "policies").iterdir(), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes().replace(b'"reviewer"', b'"REVIEWER"', 1))
    return path


def extract_edited(target: Target) -> Path:
    (path,) = (target.path / "extracts").iterdir()
    known: dict[str, Any] = {"source": "x", "extractor": "y", "query": "", "rows": 1}
    register(target, "extract", **known, digest=path.name)
    path.write_bytes(b"another source")
    return path


@pytest.mark.parametrize("event", ["note", "sample_observed"])
@pytest.mark.parametrize("edited", [policy_edited, extract_edited])
def test_what_is_kept_by_its_digest_is_what_its_name_says(
    target: Target, edited: Callable[[Target], Path], event: str
) -> None:
    path = edited(target)
    name = str(path.relative_to(target.path))
    register(target, event, month=str(MONTH), files={name: digest_of(path.read_bytes())})
    ours, script = target.found()
    assert ours & {"content_differs", "register"}
    assert "content_differs" in script


@pytest.mark.parametrize(
    "said", [{"asset": "../policies", "day": "x"}, {"asset": "..", "day": "2026-11-23"}, {"asset": "workpaper/x"}]
)
def test_a_dataset_lies_among_the_datasets(target: Target, said: dict[str, str]) -> None:
    """Neither anywhere else, nor in a folder between them."""
    outside = target.path.parent / "policies"
    outside.mkdir()
    put(target, "workpaper/x/day=2026-11-21.parquet")
    digest = digest_of((target.path / "datasets/workpaper/x/day=2026-11-21.parquet").read_bytes())
    register(target, "dataset", **{"day": "2026-11-21", "digest": digest, **said})
    ours, script = target.found()
    assert ours == {"register"}
    assert script & {"dataset_unregistered", "content_differs"}
    assert not any(outside.iterdir())


def test_an_extract_lies_among_the_extracts(target: Target) -> None:
    (target.path.parent / "outside").touch()
    said: dict[str, Any] = {"source": "x", "extractor": "y", "query": "", "rows": 1}
    register(target, "extract", **said, digest="../../outside")
    ours, script = target.found()
    assert ours == {"register"}
    assert script


STRANGERS = [
    "workpaper/extra.parquet",
    "workpaper/day=2026-11-21.parquet",
    "workpaper/DAY=2026-11-23.parquet",
    "workpaper/day=2026-11-23/part-0.parquet",
    "workpaper/.day=2026-11-23.parquet",
    "workpaper/.hidden/day=2026-11-23.parquet",
    "workpaper/month=2026-11/part-0.parquet",
    "clean_population_sample/population.parquet",
    "clean_population_sample/MONTH=2026-10/population.parquet",
    "extra.parquet",
]


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_among_the_datasets_is_named(target: Target, name: str) -> None:
    """Whoever reads a folder of them reads it too: pyarrow, pandas, Polars or DuckDB, which sees hidden ones."""
    put(target, name)
    ours, script = target.found()
    assert ours in ({"dataset_unregistered"}, {"file_unregistered"})
    assert script == {"dataset_unregistered"}


@pytest.mark.parametrize(
    "name",
    [
        "workpaper/.day=2026-11-23.parquet.x1y2.tmp",
        "workpaper/.day=2026-11-24.parquet.lock",
        "clean_population_sample/month=2026-10/.lock",
        "clean_population_sample/month=2026-10/.population.txt.abc_.tmp",
    ],
)
def test_what_a_crash_leaves_among_the_datasets_is_no_stranger(target: Target, name: str) -> None:
    put(target, name)
    assert target.found() == (set(), set())


def put(target: Target, name: str) -> None:
    """A copy of a day's workpapers under another name."""
    path = target.path / "datasets" / name
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    (genuine,) = (target.path / "datasets" / "workpaper").glob("day=*.parquet")
    shutil.copy(genuine, path)
    path.chmod(0o600)
