"""The observer's bundle: everything that it takes to check a month's sample, and to examine it, with nothing of ours.

What belongs here: which files, and copying them. What does not: the page (`page`), and checking (`verify_sample.py`).

It holds the register up to the seal that covers the draw, so that the observer's script can name what a population
lacks; of the runs' logs, in which the evidence stands, only those that were drawn. Paths are those of the root.
"""

import csv
import gzip
import io
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from countersign.clocks.instant import stamp
from countersign.errors import SampleRefused, SamplingError
from countersign.evidence import durable
from countersign.evidence.plain import is_plain, open_plain, read_plain
from countersign.evidence.register import Register
from countersign.evidence.root import REGISTER, EvidenceRoot
from countersign.evidence.seal import Seal, seal_path, sealing_keys, signature_path
from countersign.evidence.signers import PIPELINE, SEAL
from countersign.runs.signers import signers_ever
from countersign.sampling import frozen
from countersign.sampling.figures import figures
from countersign.sampling.frozen import FROZEN
from countersign.sampling.ledger import DRAWN, MonthLines, Said, read_months, require_sealed
from countersign.sampling.month import Month
from countersign.sampling.page import page
from countersign.sampling.row_bytes import row_bytes
from countersign.sampling.sample import NAMESPACE, OBSERVED, Sample, attribute_columns, controls_in, read_sample

SCRIPTS = ("verify_sample.py", "verify_evidence.py")
SIGNERS, PAGE, EVERY_ROW, RESULTS = "allowed_signers", "index.html", "population.jsonl.gz", "results.csv"
SHOWN = ("change_id", "run_id", "stratum", "rank", "system", "change_type", "deployed_at")
_BESIDE = Path(__file__).parents[2]
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is on disk."""

    folder: Path
    sample: Sample
    seal: Seal
    runs: int


def export(root: EvidenceRoot, month: Month, to: Path, *, scripts: Path = _BESIDE) -> Bundle:
    """Write the bundle of a month into a folder that is new or empty. `scripts` is where the observer's two lie.

    Raises SampleRefused where nothing is drawn, or no seal covers the draw yet.
    """
    register = Register(root)
    months = read_months(register.records())
    said = months.get(month) or MonthLines(month)
    drawn, population = said.drawn, frozen.read(root, month)
    if population is None or drawn is None:
        raise SampleRefused(f"{month}: nothing is drawn yet; `countersign sample draw {month}` does it")
    seal, sample = require_sealed(root, drawn), read_sample(root, drawn)
    _require_room(to)
    rows, complete = sample.rows(), population.complete
    covered = [line for line in said.lines if line.index < seal.lines]
    late = sum(line.event == FROZEN for line in covered) - 1
    population = replace(population, late=population.late[:late])  # what came later still is in no seal of this draw
    _copy_register(root, seal, to)
    _copy_files(root, covered, to)
    runs = _copy_logs(root, register, set(rows.column("run_id").to_pylist()), to)
    lists = [listed.parquet for listed in (population.population, *population.late)]
    _write_every_row(lists, to / population.folder.relative_to(root.path) / EVERY_ROW)
    (to / SIGNERS).write_bytes(_allowed_signers(root))
    (to / RESULTS).write_text(_results_to_fill_in(rows), encoding="utf-8", newline="")
    shown = figures(population, sample, months)
    (to / PAGE).write_text(page(population, sample, shown, complete=complete), encoding="utf-8")
    for name in SCRIPTS:
        if not (scripts / name).is_file():
            raise SamplingError(f"{scripts / name}: the observer's script is not there; install countersign anew")
        _copy(scripts / name, to / name)
    return Bundle(to, sample, seal, runs)


def _require_room(to: Path) -> None:
    """Raise SamplingError unless the folder is new or empty, so that nothing of another bundle stays in it."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise SamplingError(f"{to}: there is something already; name a folder that is new or empty")
    durable.make_folder(to)


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True, mode=durable.FOLDER_MODE)
    with open_plain(path) as source, to.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def _copy_register(root: EvidenceRoot, seal: Seal, to: Path) -> None:
    """The register as far as the seal goes, every seal up to it, and every version of what it was judged by."""
    left = seal.register.size
    with open_plain(root.register) as whole, (to / REGISTER).open("wb") as part:
        while left:
            block = whole.read(min(left, _BLOCK))
            part.write(block)
            left -= len(block)
    for number in range(1, seal.number + 1):
        for path in (seal_path(root, number), signature_path(root, number)):
            _copy(path, to / path.relative_to(root.path))
    for path in root.policies.glob("*.json"):
        _copy(path, to / path.relative_to(root.path))


def _copy_files(root: EvidenceRoot, lines: Iterable[Said], to: Path) -> None:
    """What lines of the register about the population and its samples name."""
    for line in lines:
        for name in line.data["files"] if line.event in (FROZEN, DRAWN) else ():
            _copy(root.path / name, to / name)


def _copy_logs(root: EvidenceRoot, register: Register, run_ids: set[str], to: Path) -> int:
    """The logs of these runs, with the blobs that they name; returns how many."""
    copied = 0
    for entry in register.records():
        if entry.event == "run_opened" and entry.data["run_id"] in run_ids:
            path = root.log(date.fromisoformat(entry.data["day"]), entry.data["run_id"])
            _copy(path, to / path.relative_to(root.path))
            copied += 1
            for digest in set(_DIGEST.findall(read_plain(path))):
                blob = root.blobs / digest.decode()
                if is_plain(blob):
                    _copy(blob, to / blob.relative_to(root.path))
    return copied


def _write_every_row(lists: Iterable[Path], to: Path) -> None:
    """Every row of the population as the bytes that its digest is over, for whoever cannot read Parquet."""
    with to.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
        for path in lists:
            for batch in pq.ParquetFile(path).iter_batches():
                packed.writelines(row + b"\n" for row in row_bytes(batch).to_pylist())


def _allowed_signers(root: EvidenceRoot) -> bytes:
    """Whose keys signed: the pipeline's by every seal, everybody else's by every roster that was in force."""
    lines = [f'{PIPELINE} namespaces="{SEAL},{NAMESPACE}" {key.kind} {key.text}' for key in sealing_keys(root)]
    lines += [signer.line() for signer in signers_ever(root)]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def _results_to_fill_in(rows: pa.Table) -> str:
    """A table of what was drawn, with blank columns for what the observer finds."""
    blank = [column.name for column in (*attribute_columns(controls_in(rows)), *OBSERVED)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*SHOWN, *blank])
    for row in rows.select(SHOWN).to_pylist():
        writer.writerow([*(_cell(row[name]) for name in SHOWN), *[""] * len(blank)])
    return text.getvalue()


def _cell(value: object) -> str:
    return stamp(value) if isinstance(value, datetime) else "" if value is None else str(value)
