"""The sample of a month as it was drawn: its columns, its files, and how they are read back.

What belongs here: the dictionary of what a draw adds to a row, and reading a sample. What does not: drawing one
(`drawing`), and what an observer makes of it (`results`).

`sample.parquet` holds a row for each item, by stratum and rank; `sample.jsonl` the same rows as the bytes that their
digests in `population.txt` are over; `manifest.json`, which the pipeline's key signs, says how they were drawn.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from countersign.errors import TamperedError
from countersign.evidence.columns import Column
from countersign.evidence.durable import digest_of_file
from countersign.evidence.plain import is_plain, read_plain
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.signature import verify_itself
from countersign.evidence.signers import PublicKey
from countersign.policy import Policy
from countersign.sampling.columns import COLUMNS, described
from countersign.sampling.draw import SeededBy
from countersign.sampling.frequency import Frequency, plan_by_frequency
from countersign.sampling.ledger import Said
from countersign.sampling.plan import StratumPlan, plan
from countersign.sampling.rates import Terms

SCHEMA = "countersign/sample/1"
NAMESPACE = "sample@countersign"
PARQUET, ROWS, MANIFEST = "sample.parquet", "sample.jsonl", "manifest.json"
ATTRIBUTE = "attribute_"
DRAWN = (
    Column("rank", "count", "its place in the draw of its stratum, from 1"),
    Column("ticket", "text", "sha256(seed ‖ 0x1f ‖ change_id); the lowest of a stratum are its sample"),
    Column("inclusion_probability", "share", "the chance that every item of its stratum had"),
    Column("register_line", "count", "the raw line of the register that has its log_head, from 1"),
    Column("register_size", "count", "bytes of the register up to the end of that line"),
    Column("seal", "count", "the seal that has that line under its root"),
    Column("inclusion_proof", "texts", "the RFC 6962 path from that line to the seal's root, from the leaf up"),
)
OBSERVED = (
    Column("deviation", "flag", "for the observer: whether a control did not operate, or nothing could show it"),
    Column("tester", "text", "for the observer: who examined it, as a roster id"),
    Column("examined_at", "instant", "for the observer: when they did"),
)


def attribute_columns(controls: Iterable[str]) -> tuple[Column, ...]:
    """A blank column for what the observer finds of each control: `attribute_ITGC_CM_01`."""
    meaning = "for the observer: operated, deviation, not examinable or not applicable, for the control"
    return tuple(Column(ATTRIBUTE + one.replace("-", "_"), "text", f"{meaning} {one}") for one in controls)


def columns_of(controls: Iterable[str]) -> tuple[Column, ...]:
    """Every column of a sample whose rows were assessed against these controls."""
    return (*COLUMNS, *DRAWN, *attribute_columns(controls), *OBSERVED)


def schema_of(controls: Iterable[str]) -> pa.Schema:
    """The Arrow schema of a sample, with the dictionary in it."""
    return described(columns_of(controls))


def terms_of(policy: Policy) -> Terms:
    """What the policy asks a sample to show."""
    said = policy.sample
    return Terms.of(said.confidence, said.tolerable, said.expected)


def planned(policy: Policy, population: Mapping[str, int]) -> tuple[StratumPlan, ...]:
    """The plan of each stratum under a policy. Raises SamplingError."""
    terms = terms_of(policy)
    if policy.sample.plan == "attribute":
        return plan(population, terms)
    return plan_by_frequency(Frequency(policy.sample.plan), population, terms)


@dataclass(frozen=True, slots=True)
class Stratum:
    """How many clean changes a stratum had when it was drawn from, and how many were."""

    population: int
    n: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample that is on disk. `repeated` says that asking for it wrote nothing."""

    said: Said
    folder: Path
    manifest: Mapping[str, Any]
    repeated: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, by which register and results name this draw."""
        return str(self.said.data["manifest"])

    @property
    def complete(self) -> bool:
        """Whether the population was, as far as its tests could show."""
        return bool(self.said.data["complete"])

    @property
    def seeded_by(self) -> SeededBy:
        """Who had a part in the seed."""
        seeded_by: SeededBy = self.said.data["seeded_by"]
        return seeded_by

    @property
    def strata(self) -> dict[str, Stratum]:
        """The strata in the order in which they were drawn."""
        return {name: Stratum(**sizes) for name, sizes in self.said.data["strata"].items()}

    @property
    def finding(self) -> str | None:
        """What made a second draw necessary."""
        finding: str | None = self.said.data["finding"]
        return finding

    @property
    def truly_said(self) -> bool:
        """Whether the register says of the draw what the manifest says, and names its rows and no others."""
        said, digests = dict(self.said.data), {Path(name).name: one for name, one in self.said.data["files"].items()}
        del said["files"]
        said["rows"] = {name: digests[name] for name in (PARQUET, ROWS)}
        return said.pop("manifest") == digests[MANIFEST] and said.items() <= self.manifest.items()

    def signed_by(self) -> PublicKey:
        """The key that signed the manifest, whosever it is. Raises SignatureError where its signature does not hold."""
        manifest, signature = ((self.folder / name).read_bytes() for name in (MANIFEST, f"{MANIFEST}.sig"))
        return verify_itself(manifest, signature, namespace=NAMESPACE).key

    def rows(self) -> pa.Table:
        """Every row with all its columns."""
        return pq.read_table(self.folder / PARQUET)

    def drawn(self) -> dict[str, list[str]]:
        """The change ids of each stratum, by rank."""
        ids: dict[str, list[str]] = {name: [] for name in self.strata}
        for row in pq.read_table(self.folder / PARQUET, columns=["stratum", "change_id"]).to_pylist():
            ids[row["stratum"]].append(row["change_id"])
        return ids


def read_sample(root: EvidenceRoot, said: Said, *, repeated: bool = False) -> Sample:
    """The sample of a register line. Raises TamperedError where a file is not the one that it names."""
    for name, digest in said.data["files"].items():
        path = root.path / name
        if not is_plain(path) or digest_of_file(path) != digest:
            raise TamperedError(f"{path}: missing, or not what was drawn; restore it from the retention store (SEV-1)")
    folder = (root.path / next(iter(said.data["files"]))).parent
    return Sample(said, folder, orjson.loads(read_plain(folder / MANIFEST)), repeated)


def controls_in(rows: pa.Table) -> list[str]:
    """The controls that these rows were assessed against, in the order of the catalogue."""
    return list(dict.fromkeys(_controls(rows.column("controls").to_pylist())))


def _controls(of_rows: Iterable[Sequence[Mapping[str, str]] | None]) -> Iterator[str]:
    for controls in of_rows:
        yield from (one["control"] for one in controls or ())
