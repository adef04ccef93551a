"""Drawing a month's sample: what has to be there first, and what is there afterwards.

What belongs here: the order freeze → seal → nonce → draw, the files of a sample, and when a second draw is one. What
does not: tickets (`draw`), sizes (`plan`), reading a sample back (`sample`).

Order of writes: rows, manifest, signature, then the register's line, without which files count for nothing. The policy
that was in force at the freeze counts, so that no later one decides how a known population is drawn.
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rfc8785

from countersign.environment import Clock
from countersign.errors import SampleRefused
from countersign.evidence import durable
from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import Draft
from countersign.evidence.register import ACTOR, Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal, key_of, seal_numbers
from countersign.evidence.signature import Signature, sign
from countersign.policy import Policy
from countersign.runs.versions import VersionStore
from countersign.sampling import frozen
from countersign.sampling.columns import SCHEMA as POPULATION
from countersign.sampling.draw import Draw, Drawn, Seed, draw, seed
from countersign.sampling.frozen import FROZEN, Frozen
from countersign.sampling.ledger import DRAWN, MonthLines, Said, read_month, require_sealed
from countersign.sampling.month import Month
from countersign.sampling.nonce import require_nonce_stands
from countersign.sampling.plan import StratumPlan
from countersign.sampling.positions import Position, positions
from countersign.sampling.row_bytes import row_bytes
from countersign.sampling.sample import (
    MANIFEST,
    NAMESPACE,
    PARQUET,
    ROWS,
    SCHEMA,
    Sample,
    controls_in,
    planned,
    read_sample,
    schema_of,
)

_ROW_GROUP = 10_000


def draw_month(
    root: EvidenceRoot,
    month: Month,
    *,
    key: Path,
    clock: Clock,
    finding: str | None = None,
    expand: Mapping[str, int] | None = None,
) -> Sample:
    """Draw the sample of a frozen month, signed with the pipeline's `key`, or return the one that there is.

    Nothing is drawn before a seal covers the freeze, nor, where the policy requires a nonce, without the observer's.
    What would draw other rows than before, since changes came late or `expand` asks for more of a stratum, needs the
    id of a finding that says why. Raises SampleRefused, and TamperedError where something is not what it was.
    """
    register = Register(root, clock=clock)
    said = read_month(register.records(), month)
    frozen_at, last = said.frozen, said.drawn
    published = require_sealed(root, frozen_at)
    seal = require_sealed(root, said.of(FROZEN)[-1])
    population = frozen.read(root, month)
    assert population is not None  # the register has its line
    versions = VersionStore(root)
    policy = versions.at(frozen_at.configuration).policy
    plans = planned(policy, population.strata())
    sizes = sizes_of(plans, last, expand or {})
    if last is not None and last.data["strata"] == sizes:
        return read_sample(root, last, repeated=True)
    refuse_unfounded(root, said, finding, expand or {})
    nonce = None
    if said.nonce is not None:
        nonce = require_nonce_stands(said.nonce, frozen_at, published, register.environment(), versions)
    seeded = _seed(month, population, nonce, policy)
    draws = {name: draw(population.clean_ids(name), size["n"], seeded) for name, size in sizes.items()}
    data = {
        "month": str(month),
        "digest": population.digest,
        "complete": population.complete,
        "seed": seeded.value.hex(),
        "seeded_by": seeded.seeded_by,
        "strata": sizes,
        "finding": finding,
    }
    folder = population.folder if last is None else population.folder / f"draw-{len(said.of(DRAWN)) + 1}"
    durable.make_folder(folder)
    digests = _write_rows(root, folder, population, draws, seal)
    manifest = _manifest(data, population, seal, said.nonce, plans, policy, digests)
    signature = _signed(root, manifest, key)
    for name, content in ((MANIFEST, manifest), (f"{MANIFEST}.sig", signature)):
        durable.replace_file(folder / name, content)
        digests[name] = durable.digest_of(content)
    data["manifest"] = digests[MANIFEST]
    data["files"] = {str((folder / name).relative_to(root.path)): digest for name, digest in digests.items()}
    return read_sample(root, _register(register, month, said, data))


def _signed(root: EvidenceRoot, manifest: bytes, key: Path) -> bytes:
    """A manifest's signature by the key that seals now. Raises SampleRefused for any other key."""
    signature = sign(manifest, key=key, namespace=NAMESPACE)
    newest = seal_numbers(root)[-1]
    mine, sealing = Signature.parse(signature).key, key_of(root, newest)
    if mine != sealing:
        raise SampleRefused(
            f"{key}: the key {mine.fingerprint} is not that of seal {newest}, {sealing.fingerprint}; the key that seals"
            " signs the manifest: name it with --key or COUNTERSIGN_SEAL_KEY"
        )
    return signature


def sizes_of(plans: Iterable[StratumPlan], last: Said | None, expand: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Population and n of each stratum; a sample that was drawn never shrinks. Raises SampleRefused."""
    before: Mapping[str, Mapping[str, int]] = last.data["strata"] if last else {}
    by_name = {one.tier: one for one in plans}
    for name, n in expand.items():
        if name not in by_name or n > by_name[name].population:
            there = ", ".join(f"{one.tier} of {one.population}" for one in by_name.values())
            raise SampleRefused(f"{name}: there are not {n} of it to draw; the strata are {there}")
    return {
        name: {
            "population": one.population,
            "n": max(one.n, before.get(name, {}).get("n", 0), expand.get(name, 0)),
        }
        for name, one in by_name.items()
    }


def refuse_unfounded(root: EvidenceRoot, said: MonthLines, finding: str | None, expand: Mapping[str, int]) -> None:
    """Raise SampleRefused for a first draw that is not the planned one, or a second one that no finding asks for."""
    if said.drawn is None and (finding or expand):
        raise SampleRefused(f"{said.month}: nothing is drawn yet; the first draw is the planned one")
    if said.drawn is None:
        return
    if finding is None:
        raise SampleRefused(
            f"{said.month}: a sample is drawn, and this one would be another; name the finding that says why"
            " (--finding), as `countersign finding list` shows it"
        )
    chain = ChainFile(root.findings, blobs=root.blobs)
    known = chain.records() if root.findings.exists() else ()
    if not any(entry.event == "opened" and entry.data["finding"] == finding for entry in known):
        raise SampleRefused(f"{finding}: no such finding; `countersign finding list` shows them")


def _seed(month: Month, population: Frozen, nonce: str | None, policy: Policy) -> Seed:
    if nonce is None and policy.sample.nonce == "required":
        raise SampleRefused(
            f"{month}: the policy requires the observer's nonce and there is none, so nothing is drawn; the observer"
            f" gives it with `countersign sample nonce {month} --as OBSERVER --generate`"
        )
    return seed(bytes.fromhex(population.digest), nonce, policy.sample.nonce)


def _write_rows(
    root: EvidenceRoot, folder: Path, population: Frozen, draws: Mapping[str, Draw], seal: Seal
) -> dict[str, str]:
    """The sample's rows in both forms, durably; returns the digests of the files by their names."""
    items = [item for drawn in draws.values() for item in drawn.items]
    rows = pa.concat_tables(
        population.rows([item.change_id for item in drawn.items], name) for name, drawn in draws.items()
    )
    heads = dict(zip(rows.column("run_id").to_pylist(), rows.column("log_head").to_pylist(), strict=True))
    known = positions(root, seal, heads)
    lines = b"".join(line + b"\n" for batch in rows.to_batches() for line in row_bytes(batch).to_pylist())
    table = _with_draw(rows, items, [known[run_id] for run_id in heads], seal)
    parquet = io.BytesIO()
    pq.write_table(table, parquet, compression="zstd", row_group_size=_ROW_GROUP)
    contents = {PARQUET: parquet.getvalue(), ROWS: lines}
    for name, content in contents.items():
        durable.replace_file(folder / name, content)
    return {name: durable.digest_of(content) for name, content in contents.items()}


def _with_draw(rows: pa.Table, items: list[Drawn], places: list[Position], seal: Seal) -> pa.Table:
    """The rows with what the draw adds, and blank columns for the observer."""
    schema = schema_of(controls_in(rows))
    added: dict[str, list[Any]] = {
        "rank": [item.rank for item in items],
        "ticket": [item.ticket for item in items],
        "inclusion_probability": [item.inclusion_probability for item in items],
        "register_line": [place.line for place in places],
        "register_size": [place.size for place in places],
        "seal": [seal.number] * len(items),
        "inclusion_proof": [list(place.path) for place in places],
    }
    blank = [None] * len(items)
    columns = [
        rows.column(field.name)
        if field.name in POPULATION.names
        else pa.array(added.get(field.name, blank), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _manifest(
    data: Mapping[str, Any],
    population: Frozen,
    seal: Seal,
    nonce: Said | None,
    plans: Iterable[StratumPlan],
    policy: Policy,
    digests: Mapping[str, str],
) -> bytes:
    """RFC 8785 bytes of how the sample was drawn, for whoever has nothing else."""
    drawn = {"ticket": "sha256(seed || 0x1f || change_id), the n lowest of each stratum", **data}
    said = {
        "schema": SCHEMA,
        **drawn,
        "late": [listed.digest for listed in population.late],
        "counts": {f"{stratum}/{outcome}": count for (stratum, outcome), count in population.counts.items()},
        "seal": {"number": seal.number, "sha256": seal.digest},
        "nonce": nonce and {"value": nonce.data["nonce"], "by": nonce.actor},
        "terms": policy.sample.terms,
        "plan": {one.tier: {"selection": one.selection, "formula": one.formula} for one in plans},
        "rows": dict(digests),
    }
    return rfc8785.dumps(said)


def _register(register: Register, month: Month, before: MonthLines, data: Mapping[str, Any]) -> Said:
    """Let the register know of a draw, unless another process was faster. Raises SampleRefused."""
    with register.writing() as writer:
        if len(read_month(writer.entries(), month).lines) != len(before.lines):
            raise SampleRefused(f"{month}: something about it was recorded in the meantime; look, and draw again")
        writer.append([Draft(DRAWN, ACTOR, data)])
        last = read_month(writer.entries(), month).drawn
    assert last is not None
    return last
