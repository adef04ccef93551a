"""Populations for tests: rows with everything in them, by a few words about each."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from countersign.evidence import durable
from countersign.evidence.lines import Draft
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.sampling import frozen
from countersign.sampling.columns import SCHEMA
from countersign.sampling.files import write
from countersign.sampling.frozen import FROZEN, Frozen
from countersign.sampling.listing import Header
from countersign.sampling.month import Month
from countersign.sampling.verdict import CompletenessTest

OCTOBER = Month.parse("2026-10")
AT = datetime(2026, 10, 14, 15, 9, 26, 535897, tzinfo=UTC)


def a_row(change_id: str, outcome: str = "clean", stratum: str = "standard", **other: Any) -> dict[str, Any]:
    """A row of a population; `other` are columns that differ from the usual."""
    digest = sha256(f"{change_id} {outcome}".encode()).hexdigest()
    usual = {
        "change_id": change_id,
        "run_id": f"change-{digest[:16]}",
        "stratum": stratum,
        "outcome": outcome,
        "system": "billing",
        "change_type": "emergency" if stratum == "emergency" else "normal",
        "source": "inbox",
        "origin": "extracted",
        "source_digest": None,
        "payload": digest,
        "author": "maker",
        "contributors": ["second-maker"],
        "deployed_by": None,
        "authorised_by": "authoriser",
        "reviewed_by": "reviewer",
        "approved_by": "checker",
        "requested_at": AT - timedelta(days=2),
        "approved_at": AT - timedelta(days=1),
        "tested_at": AT - timedelta(hours=1),
        "deployed_at": AT,
        "controls": [{"control": f"ITGC-CM-0{number}", "result": "met"} for number in range(1, 4)],
        "clocks": [{"clock": "independent_review", "deadline": AT, "outcome": "met"}],
        "log_head": sha256(digest.encode()).hexdigest(),
    }
    return {**usual, **other}


def batches_of(rows: Iterable[dict[str, Any]], size: int = 1000) -> list[pa.RecordBatch]:
    """Rows as batches, in the order of a population."""
    ordered = sorted(rows, key=lambda row: (row["change_id"], row["run_id"]))
    return [
        pa.RecordBatch.from_pylist(ordered[start : start + size], schema=SCHEMA)
        for start in range(0, len(ordered), size)
    ]


def header_of(rows: Sequence[dict[str, Any]], *, complete: bool = True, adds_to: str | None = None) -> Header:
    counts = Counter((row["stratum"], row["outcome"]) for row in rows)
    begin, until = "2026-10-01T04:00:00.000000Z", "2026-11-01T04:00:00.000000Z"
    return Header(OCTOBER, "America/New_York", begin, until, 1234, "a" * 64, complete, counts, adds_to)


def freeze_rows(
    root: EvidenceRoot,
    rows: Sequence[dict[str, Any]],
    *,
    stem: str = "population",
    complete: bool = True,
    adds_to: str | None = None,
) -> Frozen:
    """A population of these rows, in an evidence root whose register knows it."""
    root.create()
    folder = frozen.folder_of(root, OCTOBER)
    digests = write(folder, stem, header_of(rows, complete=complete, adds_to=adds_to), batches_of(rows))
    document = {"tests": [CompletenessTest("nothing_missing", "nothing", complete, "all is there", {}).document()]}
    durable.replace_file(folder / f"{stem}.json", orjson.dumps(document))
    digests[f"{stem}.json"] = durable.digest_of(orjson.dumps(document))
    files = {str((folder / name).relative_to(root.path)): digest for name, digest in digests.items()}
    data = {"month": str(OCTOBER), "digest": digests[f"{stem}.txt"], "files": files}
    Register(root).append_many([Draft(FROZEN, "countersign", data)])
    found = frozen.read(root, OCTOBER)
    assert found is not None
    return found


def an_evidence_root(path: Path) -> EvidenceRoot:
    root = EvidenceRoot(path)
    root.create()
    Register(root).append("root_opened", "countersign", configuration="c" * 64)
    return root
