"""Register lines as rows. What belongs here: the index's tables and filling them; not the questions asked of them.

Deployments and clocks have tables of their own, which are filled from the same lines.
"""

import hashlib
from collections.abc import Container, Iterable
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.schema import CreateTable

from countersign.errors import EvidenceError
from countersign.evidence import clock_index, deployment_index
from countersign.evidence.deployed import superseded
from countersign.evidence.indexed import OPENED
from countersign.evidence.lines import ZERO, Entry

metadata = MetaData()
form = Table("form", metadata, Column("digest", String(64), primary_key=True))
position = Table(
    "position",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("head", String(64), nullable=False),
    Column("seq", Integer, nullable=False),
)
runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("change_id", String, nullable=False, index=True),
    Column("system", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("day", String(10), nullable=False, index=True),
    Column("source", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("opened_at", String, nullable=False),
    Column("supersedes", String),
    Column("superseded_by", String),
    Column("head", String(64), nullable=False),
    Column("heads", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("pending", String),
    Column("reason", String),
    Column("since", String, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("signed", Boolean, nullable=False, index=True),
    Column("configuration", String(64), nullable=False),
    Column("deployed_at", String, index=True),
    Column("clean", Boolean),
    Column("abandoned", Boolean, nullable=False, index=True),
)
adoptions = Table(
    "adoptions",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("configuration", String(64), nullable=False),
)
held = Table(
    "held",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("reason", String, nullable=False),
)
refusals = Table(
    "refusals",
    metadata,
    Column("record", String(64), primary_key=True),
    Column("source", String, primary_key=True),
    Column("where", String, nullable=False),
    Column("change_id", String),
    Column("reason", String, nullable=False),
    Column("at", String, nullable=False),
)
intakes = Table(
    "intakes",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("source", String, nullable=False, index=True),
    Column("at", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    *(Column(name, Integer, nullable=False) for name in ("read", "opened", "known", "refused", "out_of_scope")),
    Column("state", String),
    Column("declared", Integer),
    Column("broken", String),
)
extracts = Table(
    "extracts",
    metadata,
    Column("source", String, primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("query", String, primary_key=True),
    Column("extractor", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("rows", Integer),
    Column("seq", Integer, nullable=False),
)
datasets = Table(
    "datasets",
    metadata,
    Column("asset", String, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
)

_ABANDONED = "its log was never begun; hand its payload in again"
_MORE_HEADS = runs.c.heads + bindparam("head")  # all that the register came to know of a run, one after the other
_PAUSED = ("head", "status", "pending", "reason", "since", "closed", "clean")
_EVERY = (metadata, deployment_index.metadata, clock_index.metadata)


def make_tables(connection: Connection) -> None:
    """Have every table in the form of this version: those of another are forgotten, and filled anew by the next sync.

    Raises EvidenceError in a database that may be shared, where tables of these names could be somebody else's.
    """
    wanted = _form()
    there = {table.name for each in _EVERY for table in each.sorted_tables} & set(inspect(connection).get_table_names())
    if form.name in there and connection.execute(select(form.c.digest)).scalar_one_or_none() == wanted:
        return
    if there and connection.dialect.name != "sqlite":
        raise EvidenceError(f"the index's database has {min(there)!r} in another form; name an empty database")
    forget(connection)


def forget(connection: Connection) -> None:
    """Begin with empty tables."""
    for each in _EVERY:
        each.drop_all(connection)
        each.create_all(connection)
    connection.execute(insert(form).values(digest=_form()))


@cache
def _form() -> str:
    """SHA-256 over how the tables are declared."""
    declared = [str(CreateTable(table)) for each in _EVERY for table in each.sorted_tables]
    return hashlib.sha256("".join(declared).encode()).hexdigest()


def take_in(connection: Connection, entries: Iterable[Entry]) -> None:
    """Turn register lines into rows; lines of one kind in a row become one statement."""
    batch: list[dict[str, Any]] = []
    kind = ""
    for entry in entries:
        if entry.event != kind:
            _flush(connection, kind, batch)
            kind, batch = entry.event, []
        batch.append({**entry.data, "at": entry.ts, "seq": entry.seq, "actor": entry.actor, "texts": entry.texts})
    _flush(connection, kind, batch)


def _flush(connection: Connection, kind: str, batch: list[dict[str, Any]]) -> None:
    if not batch:
        return
    deployment_index.take_in(connection, kind, batch)
    replaced = superseded(batch) if kind == "run_opened" else []
    match kind:
        case "run_opened":
            connection.execute(insert(runs), [_opened(data) for data in batch])
            if replaced:
                connection.execute(
                    update(runs).where(runs.c.run_id == bindparam("old")).values(superseded_by=bindparam("new")),
                    replaced,
                )
        case "run_head" | "run_closed":
            _take_up(connection, {data["run_id"] for data in batch})
            connection.execute(
                update(runs)
                .where(runs.c.run_id == bindparam("run"))
                .values({name: bindparam(name) for name in _PAUSED})
                .values(signed=False, heads=_MORE_HEADS),
                [_paused(data, kind == "run_closed") for data in batch],
            )
        case "signed_off":
            connection.execute(
                update(runs)
                .where(runs.c.run_id == bindparam("run"))
                .values(head=bindparam("head"), heads=_MORE_HEADS, signed=True, since=bindparam("since")),
                [{"run": data["run_id"], "head": data["head"], "since": data["at"]} for data in batch],
            )
        case "breached":
            known = [{"run": data["run_id"], "head": data["head"]} for data in batch if "head" in data]
            if known:
                connection.execute(
                    update(runs)
                    .where(runs.c.run_id == bindparam("run"))
                    .values(head=bindparam("head"), heads=_MORE_HEADS),
                    known,
                )
        case "abandoned":
            for data in batch:
                gone = runs.c.run_id == data["run_id"]
                connection.execute(update(runs).where(gone).values(abandoned=True, reason=_ABANDONED))
                successor = runs.c.superseded_by == data["run_id"]
                connection.execute(update(runs).where(successor).values(superseded_by=None))
        case "run_held":
            for data in batch:
                connection.execute(held.delete().where(held.c.run_id == data["run_id"]))
                connection.execute(insert(held).values(columns_of(held, data)))
                failed = {"status": "FAILED", "pending": None, "reason": data["reason"], "signed": False}
                connection.execute(update(runs).where(runs.c.run_id == data["run_id"]).values(failed))
        case _:
            _flush_of_the_root(connection, kind, batch)
    clock_index.take_in(connection, runs, kind, batch, replaced)


def _take_up(connection: Connection, run_ids: Container[str]) -> None:
    """What was abandoned and goes on after all replaces again what it was opened to replace."""
    for run in connection.execute(select(runs.c.run_id, runs.c.supersedes).where(runs.c.abandoned)).all():
        if run.run_id in run_ids:
            connection.execute(update(runs).where(runs.c.run_id == run.run_id).values(abandoned=False))
            connection.execute(update(runs).where(runs.c.run_id == run.supersedes).values(superseded_by=run.run_id))


def _flush_of_the_root(connection: Connection, kind: str, batch: list[dict[str, Any]]) -> None:
    """Lines that are about no run."""
    match kind:
        case "root_opened" | "configuration_adopted":
            connection.execute(insert(adoptions), [columns_of(adoptions, data) for data in batch])
        case "refused":
            connection.execute(insert(refusals), [columns_of(refusals, data) for data in batch])
        case "intake":
            connection.execute(insert(intakes), [columns_of(intakes, data) for data in batch])
        case "extract":
            for data in batch:
                key = and_(*(extracts.c[name] == data[name] for name in ("source", "digest", "query")))
                connection.execute(extracts.delete().where(key))
                connection.execute(insert(extracts).values(columns_of(extracts, data)))
        case "dataset":
            for data in batch:
                key = and_(datasets.c.asset == data["asset"], datasets.c.day == data["day"])
                connection.execute(datasets.delete().where(key))
                connection.execute(insert(datasets).values(columns_of(datasets, data)))


def _opened(data: dict[str, Any]) -> dict[str, Any]:
    fresh = {"head": ZERO, "status": OPENED, "pending": None, "reason": None, "closed": False, "signed": False}
    opened = {"abandoned": False, "heads": ZERO, "opened_at": data["at"], "since": data["at"], "superseded_by": None}
    return {**columns_of(runs, data), **fresh, **opened}


def _paused(data: dict[str, Any], closed: bool) -> dict[str, Any]:
    paused = {name: data[name] for name in ("head", "status", "pending", "reason")}
    return {**paused, "run": data["run_id"], "since": data["at"], "closed": closed, "clean": data.get("clean")}


def columns_of(table: Table, data: dict[str, Any]) -> dict[str, Any]:
    return {column.name: data[column.name] for column in table.columns if column.name in data}
