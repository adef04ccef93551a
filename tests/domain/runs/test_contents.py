"""The files of a root beside its logs: private, no links, and what their names, the register and the logs say."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from countersign.evidence.contents import check_contents
from countersign.evidence.lines import Draft
from countersign.evidence.root import EvidenceRoot
from countersign.runs.verification import Verifier
from tests.conftest import payload_with
from tests.domain.runs.conftest import Bench


def workpapers(bench: Bench) -> Path:
    (path,) = (bench.root / "datasets" / "workpaper").glob("*.parquet")
    return path


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda bench: (bench.root / "link").symlink_to(bench.register), "symlink"),
        (lambda bench: (bench.root / "runs" / "link").symlink_to(bench.root / "blobs"), "symlink"),
        (lambda bench: bench.register.chmod(0o644), "permissions"),
        (lambda bench: (bench.root / "runs").chmod(0o750), "permissions"),
        (lambda bench: (bench.root / "policies" / "notes.txt").touch(0o600), "stranger"),
        (lambda bench: (bench.root / "blobs" / ("a" * 64)).touch(0o600), "content_differs"),
        (lambda bench: workpapers(bench).unlink(), "dataset_missing"),
        (
            lambda bench: shutil.copy(workpapers(bench), workpapers(bench).with_name("day=2026-11-24.parquet")),
            "dataset_unregistered",
        ),
        (lambda bench: workpapers(bench).write_bytes(b"PAR1"), "dataset_differs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_not_as_it_should_be_is_named(bench: Bench, damage: Callable[[Bench], Any], kind: str) -> None:
    bench.complete()
    damage(bench)
    assert bench.kinds() == [kind]


def test_a_name_that_is_gone_when_it_is_looked_at_is_no_fault(root: Path) -> None:
    """Whoever writes meanwhile makes temporary files, and takes them away."""
    EvidenceRoot(root).create()
    for name in ("one", "two", "three"):
        (root / name).touch()
        (root / name).chmod(0o640)
    faults = check_contents(EvidenceRoot(root), (), {})
    first = next(faults)
    for name in {"one", "two", "three"} - {Path(first.where).name}:
        (root / name).unlink()
    assert (first.kind, list(faults)) == ("permissions", [])


def _edited(table: pa.Table) -> pa.Table:
    position = table.column_names.index("conclusion")
    return table.set_column(position, table.schema.field(position), pa.array(["Clean"] * table.num_rows))


def _renamed(table: pa.Table) -> pa.Table:
    field = table.schema.field("run_id")
    other = table.set_column(0, field, pa.array(["change-0123456789abcdef"] * table.num_rows))
    return pa.concat_tables([table, other])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (_edited, "row_differs"),
        (lambda table: table.slice(1), "row_missing"),
        (_renamed, "row_stranger"),
        (lambda table: pa.concat_tables([table, table]), "row_differs"),
        (lambda table: table.drop_columns(["gate"]), "dataset_unreadable"),
    ],
    ids=["edited", "deleted", "added", "doubled", "column-dropped"],
)
def test_rows_that_the_logs_do_not_give_are_found_though_the_register_names_the_file(
    bench: Bench, change: Callable[[pa.Table], pa.Table], kind: str
) -> None:
    done = bench.complete()
    bench.complete(payload_with(id="CHG-2"))
    path = workpapers(bench)
    pq.write_table(change(pq.read_table(path)), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    data = {"asset": "workpaper", "day": "2026-11-23", "digest": digest, "rows": 2}
    bench.run.engine.register.append_many([Draft("dataset", "countersign", data)])
    assert bench.kinds() == [kind]
    one = {fault.kind for fault in Verifier(bench.root).verify([done.run_id]).faults}
    assert one <= {kind}


def test_a_single_run_is_held_against_the_files_of_its_day(bench: Bench) -> None:
    done = bench.complete()
    workpapers(bench).write_bytes(b"PAR1")
    assert [fault.kind for fault in Verifier(bench.root).verify([done.run_id]).faults] == ["dataset_differs"]
