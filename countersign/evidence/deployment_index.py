"""The index of deployments: how runs hang together with them, where it can be asked.

What belongs here: tables filled from register lines alone, beside those of `index`, and the questions asked of them.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
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
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from countersign.evidence.deployed import Deployable, Key, RegisteredDeployment, Trace, superseded
from countersign.revisions import stem

metadata = MetaData()
_deployments = Table(
    "deployments",
    metadata,
    Column("system", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("environment", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("stem", String, nullable=False, index=True),
    Column("change", String, index=True),
    Column("deployed_at", String, nullable=False),
    Column("deployed_by", String),
    Column("pipeline", String),
    Column("source", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("extract", String),
)
_traces = Table(
    "traces",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("change_id", String, nullable=False, index=True),
    Column("given", String(64), nullable=False, index=True),
    Column("deployed", Boolean, nullable=False),
    Column("without_change", Boolean, nullable=False),
    Column("superseded_by", String),
    Column("seq", Integer, nullable=False),
)
_revisions = Table(
    "revisions",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("revision", String, primary_key=True),
    Column("stem", String, nullable=False, index=True),
)
_joined = Table(
    "joined",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("system", String, primary_key=True, index=True),
    Column("id", String, primary_key=True, index=True),
)


def take_in(connection: Connection, kind: str, batch: Sequence[dict[str, Any]]) -> None:
    """Turn register lines of one kind into rows; those of other kinds say nothing here."""
    if kind == "deployment":
        rows = [{name: data[name] for name in RegisteredDeployment.__slots__} for data in batch]
        connection.execute(insert(_deployments), [{**row, "stem": stem(row["revision"])} for row in rows])
    elif kind == "run_opened":
        traced = [(data, trace) for data in batch if (trace := data.get("trace")) is not None]
        _insert(connection, _traces, [_trace(data, trace) for data, trace in traced])
        named = [(data["run_id"], revision) for data, trace in traced for revision in trace["revisions"]]
        _insert(connection, _revisions, [{"run_id": run, "revision": one, "stem": stem(one)} for run, one in named])
        joined = [(data, name) for data, trace in traced for name in trace["deployments"]]
        _insert(
            connection,
            _joined,
            [{"run_id": data["run_id"], "system": data["system"], "id": name} for data, name in joined],
        )
        if replaced := superseded(batch):
            changed = update(_traces).where(_traces.c.run_id == bindparam("old"))
            connection.execute(changed.values(superseded_by=bindparam("new")), replaced)


def _trace(data: dict[str, Any], trace: dict[str, Any]) -> dict[str, Any]:
    said = {name: trace[name] for name in ("deployed", "without_change")}
    of_run = {name: data[name] for name in ("run_id", "system", "change_id", "seq")}
    return {**of_run, **said, "given": trace["given"] or data["digest"], "superseded_by": None}


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


class DeploymentIndex:
    """Questions about deployments and the runs that hang together with them; a few hundred values at a time."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._connect = connect

    def known(self, keys: Collection[Key]) -> dict[Key, RegisteredDeployment]:
        """The registered ones of these."""
        return {found.key: found for found in self._deployments(_of(_deployments, keys))}

    def that_may_match(self, changes: Collection[Deployable]) -> list[RegisteredDeployment]:
        """Every deployment of the changes' systems that names one of them or may be of one of their revisions."""
        like = or_(
            _deployments.c.change.in_({change.change_id for change in changes}),
            _deployments.c.stem.in_({stem(change.revision) for change in changes if change.revision}),
        )
        return self._deployments(and_(_deployments.c.system.in_({change.system for change in changes}), like))

    def changes_that_may_match(self, deployments: Collection[RegisteredDeployment]) -> list[Deployable]:
        """Every standing run of a change that one of these names or may be of, once for each of its revisions."""
        stems = {stem(deployment.revision) for deployment in deployments}
        like = or_(
            _traces.c.change_id.in_({deployment.change for deployment in deployments if deployment.change}),
            _traces.c.run_id.in_(select(_revisions.c.run_id).where(_revisions.c.stem.in_(stems))),
        )
        systems = {deployment.system for deployment in deployments}
        columns = (_traces.c.run_id, _traces.c.system, _traces.c.change_id, _revisions.c.revision)
        query = select(*columns).outerjoin(_revisions, _revisions.c.run_id == _traces.c.run_id)
        query = query.where(and_(_STANDS, _traces.c.system.in_(systems), like)).order_by(_traces.c.seq)
        with self._connect() as connection:
            return [Deployable(*row) for row in connection.execute(query)]

    def given_as(self, digests: Collection[str]) -> dict[str, str]:
        """For each payload that a source gave before: its newest run, whatever was joined to it since."""
        query = select(_traces.c.given, _traces.c.run_id).where(_traces.c.given.in_(digests))
        with self._connect() as connection:
            return {row.given: row.run_id for row in connection.execute(query.order_by(_traces.c.seq))}

    def traces(self, run_ids: Collection[str]) -> dict[str, Trace]:
        """What the openings of these runs said, but for what they took over."""
        named: dict[str, list[str]] = {}
        joined: dict[str, list[str]] = {}
        with self._connect() as connection:
            rows = connection.execute(select(_traces).where(_traces.c.run_id.in_(run_ids))).all()
            for one in connection.execute(select(_revisions).where(_revisions.c.run_id.in_(run_ids))):
                named.setdefault(one.run_id, []).append(one.revision)
            for one in connection.execute(select(_joined).where(_joined.c.run_id.in_(run_ids))):
                joined.setdefault(one.run_id, []).append(one.id)
        return {
            row.run_id: Trace(
                row.given,
                tuple(named.get(row.run_id, ())),
                row.deployed,
                tuple(joined.get(row.run_id, ())),
                row.without_change,
            )
            for row in rows
        }

    def runs_without_change(self, keys: Collection[Key]) -> dict[Key, list[tuple[str, str | None]]]:
        """The runs of these deployments that no change record named, oldest first, each with what supersedes it."""
        query = select(_joined.c.system, _joined.c.id, _traces.c.run_id, _traces.c.superseded_by)
        query = query.join(_traces, _traces.c.run_id == _joined.c.run_id)
        query = query.where(and_(_traces.c.without_change, _of(_joined, keys))).order_by(_traces.c.seq)
        found: dict[Key, list[tuple[str, str | None]]] = {}
        with self._connect() as connection:
            for row in connection.execute(query):
                found.setdefault((row.system, row.id), []).append((row.run_id, row.superseded_by))
        return found

    def named(self, keys: Collection[Key]) -> set[Key]:
        """Which of these deployments a standing run of a change names."""
        query = select(_joined.c.system, _joined.c.id).join(_traces, _traces.c.run_id == _joined.c.run_id)
        with self._connect() as connection:
            return {(row.system, row.id) for row in connection.execute(query.where(and_(_STANDS, _of(_joined, keys))))}

    def without_change(self) -> list[RegisteredDeployment]:
        """Every deployment that no standing run of a change names, by its time."""
        names = select(_joined.c.run_id).join(_traces, _traces.c.run_id == _joined.c.run_id)
        names = names.where(and_(_STANDS, _joined.c.system == _deployments.c.system, _joined.c.id == _deployments.c.id))
        return self._deployments(~exists(names))

    def never_deployed(self) -> set[str]:
        """The standing runs of changes whose evidence shows no deployment."""
        query = select(_traces.c.run_id).where(and_(_STANDS, _traces.c.deployed.is_(False)))
        with self._connect() as connection:
            return {row.run_id for row in connection.execute(query)}

    def deployed_again(self) -> set[str]:
        """The standing runs of changes to which more than one deployment belongs."""
        query = select(_joined.c.run_id).join(_traces, _traces.c.run_id == _joined.c.run_id).where(_STANDS)
        with self._connect() as connection:
            rows = connection.execute(query.group_by(_joined.c.run_id).having(func.count() > 1))
            return {row.run_id for row in rows}

    def _deployments(self, condition: Any) -> list[RegisteredDeployment]:
        columns = [_deployments.c[name] for name in RegisteredDeployment.__slots__]
        query = select(*columns).where(condition).order_by(_deployments.c.deployed_at, _deployments.c.id)
        with self._connect() as connection:
            return [RegisteredDeployment(*row) for row in connection.execute(query)]


_STANDS = and_(_traces.c.superseded_by.is_(None), _traces.c.without_change.is_(False))


def _of(table: Table, keys: Collection[Key]) -> Any:
    return tuple_(table.c.system, table.c.id).in_(keys)
