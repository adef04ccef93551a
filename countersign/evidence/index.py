"""The index: what the register says, where it can be asked. Derived, never believed over the register.

What belongs here: the questions asked of it, and keeping up with the register; its tables are `index_rows`. Deleting
the file loses nothing; the next use rebuilds it. SQLite by default, any SQLAlchemy URL otherwise.
"""

import io
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    and_,
    create_engine,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError, IntegrityError

from countersign.clocks.instant import parse_instant
from countersign.errors import EvidenceError, TamperedError, UnknownRunError
from countersign.evidence.chain import Tail, Writer, read_tail
from countersign.evidence.clock_index import ClockIndex
from countersign.evidence.deployment_index import DeploymentIndex
from countersign.evidence.index_rows import adoptions as _adoptions
from countersign.evidence.index_rows import datasets as _datasets
from countersign.evidence.index_rows import extracts as _extracts
from countersign.evidence.index_rows import forget, make_tables, take_in
from countersign.evidence.index_rows import held as _held
from countersign.evidence.index_rows import intakes as _intakes
from countersign.evidence.index_rows import position as _position
from countersign.evidence.index_rows import refusals as _refusals
from countersign.evidence.index_rows import runs as _runs
from countersign.evidence.indexed import OPENED, IndexedIntake, IndexedRun
from countersign.evidence.lines import ZERO, Scan
from countersign.evidence.register import IntakeTotals, KeptExtract, Refusal, Register
from countersign.evidence.root import EvidenceRoot

_HEAD = len(ZERO)
_MOST_VALUES = 10_000  # a database takes only so many in one statement


class Index:
    """Questions about the whole root, answered from the register's lines."""

    def __init__(self, root: EvidenceRoot, register: Register, url: str | None = None) -> None:
        self._root = root.path
        self._register = register
        self._engine = _engine(url or f"sqlite:///{root.index}")
        self.deployments = DeploymentIndex(self._connect)
        self.clocks = ClockIndex(self._connect)
        with self._alone() as connection:
            make_tables(connection)

    def sync(self, writer: Writer | None = None) -> None:
        """Take in every register line since the last time; pass the writer while holding the register's lock.

        Raises TamperedError when the register no longer continues what was taken in.
        """
        if writer is not None:
            self._take_in(writer.tail, writer.read)
        elif self._register.path.exists():
            # the register's lock comes before the index's, as it does for whoever passes a writer
            with self._register.reading() as file:
                self._take_in(read_tail(file), partial(_read_from, file))
        elif self._begun():
            raise TamperedError(f"{self._register.path}: gone, though it was taken in; restore it from a copy (SEV-1)")

    def _take_in(self, tail: Tail, read: Callable[[int], bytes]) -> None:
        with self._connect() as connection:
            # the first statement takes the write lock, so that two processes never apply a line twice
            connection.execute(update(_position).values(id=_position.c.id))
            position = connection.execute(select(_position)).one_or_none()
            size, head, seq = (position.size, position.head, position.seq) if position else (0, ZERO, -1)
            if tail.size < size or (tail.size == size and tail.head != head):
                raise TamperedError(
                    f"{self._register.path}: shorter than before, or another; run `countersign verify --all` (SEV-1)"
                )
            content = read(size)
            content = content[: content.rfind(b"\n") + 1]
            if not content:
                return
            scan = Scan(io.BytesIO(content), prev=head, seq=seq)
            try:
                take_in(connection, (entry for entry in scan if not entry.missing))  # else void, see Register.records
            except (KeyError, IntegrityError) as error:
                reason = f"{self._register.path}: a line up to seq {scan.seq} is not of its form or comes twice (SEV-1)"
                raise TamperedError(reason) from error
            if scan.fault is not None:
                raise TamperedError(f"{self._register.path}: {scan.fault.kind}: expected {scan.fault.detail} (SEV-1)")
            values = {"size": size + len(content), "head": scan.head, "seq": scan.seq}
            connection.execute(
                update(_position).values(values) if position else insert(_position).values(id=1, **values)
            )

    def rebuild(self) -> None:
        """Forget everything and take the whole register in again."""
        with self._alone() as connection:
            forget(connection)
        self.sync()

    def configuration(self) -> str | None:
        """The digest of the configuration in force: the one adopted last, or None before the first."""
        query = select(_adoptions.c.configuration).order_by(_adoptions.c.seq.desc()).limit(1)
        with self._connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def adopted(self) -> list[tuple[datetime, str]]:
        """When each configuration was adopted, and its digest, in the register's order."""
        query = select(_adoptions.c.at, _adoptions.c.configuration).order_by(_adoptions.c.seq)
        with self._connect() as connection:
            return [(parse_instant(row.at), row.configuration) for row in connection.execute(query)]

    def run(self, run_id: str) -> IndexedRun | None:
        """One run, or None."""
        return next(iter(self._select(select(_runs).where(_runs.c.run_id == run_id))), None)

    def known(self, run_id: str) -> IndexedRun:
        """One run. Raises UnknownRunError."""
        run = self.run(run_id)
        if run is None:
            raise UnknownRunError(f"{run_id}: no such run in {self._root}; `countersign status` lists them")
        return run

    def runs(self, run_ids: Iterable[str]) -> dict[str, IndexedRun]:
        """The known ones of these runs, by id."""
        wanted = list(run_ids)
        found: dict[str, IndexedRun] = {}
        for start in range(0, len(wanted), _MOST_VALUES):
            query = select(_runs).where(_runs.c.run_id.in_(wanted[start : start + _MOST_VALUES]))
            found.update((run.run_id, run) for run in self._select(query))
        return found

    def held(self, run_ids: Iterable[str]) -> dict[str, str]:
        """Which of these runs nobody may go on with, and why."""
        query = select(_held).where(_held.c.run_id.in_(list(run_ids)))
        with self._connect() as connection:
            return {row.run_id: row.reason for row in connection.execute(query)}

    def unpublished_days(self, assets: Sequence[str]) -> list[date]:
        """Days whose files of these assets have other numbers of rows than runs of the day that completed."""
        counted = select(_runs.c.day, func.count().label("runs")).where(_runs.c.status == "COMPLETED")
        with self._connect() as connection:
            completed = {row.day: row.runs for row in connection.execute(counted.group_by(_runs.c.day))}
            rows = {(row.asset, row.day): row.rows for row in connection.execute(select(_datasets))}
        lacking = {day for day, runs in completed.items() for asset in assets if rows.get((asset, day), 0) != runs}
        return [date.fromisoformat(day) for day in sorted(lacking)]

    def newest_of_changes(self, change_ids: Iterable[str]) -> dict[tuple[str, str], IndexedRun]:
        """For each (system, change id) with a run: the one that no other run supersedes."""
        query = select(_runs).where(and_(_runs.c.change_id.in_(list(change_ids)), _runs.c.superseded_by.is_(None)))
        return {(run.system, run.change_id): run for run in self._select(query)}

    def all_runs(self, day: date | None = None) -> list[IndexedRun]:
        """Every run, or those of an intake day, in the order they were opened."""
        query = select(_runs).order_by(_runs.c.opened_at, _runs.c.run_id)
        return list(self._select(query if day is None else query.where(_runs.c.day == day.isoformat())))

    def deployed_between(self, begin: str, end: str) -> list[IndexedRun]:
        """The runs of changes that were first deployed from an instant on and before another, both as stamps."""
        within = and_(_runs.c.deployed_at >= begin, _runs.c.deployed_at < end)
        return list(self._select(select(_runs).where(within)))

    def not_deployed(self, opened_before: str) -> list[IndexedRun]:
        """The runs, opened before an instant, of changes that were not deployed; superseded ones are left out."""
        waits = and_(_runs.c.deployed_at.is_(None), _runs.c.superseded_by.is_(None), _runs.c.opened_at < opened_before)
        return list(self._select(select(_runs).where(waits).order_by(_runs.c.change_id, _runs.c.run_id)))

    def standing_at(self, statuses: Iterable[str], day: date | None = None) -> list[IndexedRun]:
        """The runs with one of these statuses, all or those of an intake day, in the order they were opened."""
        query = select(_runs).where(_runs.c.status.in_(list(statuses))).order_by(_runs.c.opened_at, _runs.c.run_id)
        return list(self._select(query if day is None else query.where(_runs.c.day == day.isoformat())))

    def with_work_left(self, day: date | None = None) -> list[str]:
        """Ids of runs that go on by themselves, in the order they were opened, which is mostly that of being signed.

        Those are opened only, failed, or signed and not yet taken up; held ones do not.
        """
        query = select(_runs.c.run_id).where(_HAS_WORK).order_by(_runs.c.opened_at, _runs.c.run_id)
        if day is not None:
            query = query.where(_runs.c.day == day.isoformat())
        with self._connect() as connection:
            return [row.run_id for row in connection.execute(query)]

    def completed(self, day: date) -> list[str]:
        """Ids, ascending, of the runs of a day that closed as completed."""
        query = select(_runs.c.run_id).where(and_(_runs.c.day == day.isoformat(), _runs.c.status == "COMPLETED"))
        with self._connect() as connection:
            return [row.run_id for row in connection.execute(query.order_by(_runs.c.run_id))]

    def signed(self) -> list[IndexedRun]:
        """Runs with a sign-off that no materialisation has taken up yet."""
        return list(self._select(select(_runs).where(_runs.c.signed).order_by(_runs.c.run_id)))

    def counts_by_day(self, days: Sequence[date] | None = None) -> dict[date, dict[str, int]]:
        """Number of runs by intake day and status."""
        query = select(_runs.c.day, _runs.c.status, func.count().label("runs")).group_by(_runs.c.day, _runs.c.status)
        counts: dict[date, dict[str, int]] = {}
        with self._connect() as connection:
            for row in connection.execute(query.order_by(_runs.c.day)):
                counts.setdefault(date.fromisoformat(row.day), {})[row.status] = row.runs
        return {day: found for day, found in counts.items() if days is None or day in days}

    def known_refusals(self, source: str, records: Iterable[str]) -> set[str]:
        """Which of these record digests the register already has as refused by this source."""
        query = select(_refusals.c.record).where(
            and_(_refusals.c.source == source, _refusals.c.record.in_(list(records)))
        )
        with self._connect() as connection:
            return {row.record for row in connection.execute(query)}

    def refusals(self) -> list[Refusal]:
        """Every record that was refused, in the order of their instants."""
        query = select(_refusals).order_by(_refusals.c.at, _refusals.c.record)
        with self._connect() as connection:
            rows = connection.execute(query).all()
        return [Refusal(row.source, row.where, row.change_id, row.reason, row.record) for row in rows]

    def latest_intakes(self) -> dict[str, IndexedIntake]:
        """The latest reading of each source, by its name."""
        latest = select(func.max(_intakes.c.seq)).group_by(_intakes.c.source)
        with self._connect() as connection:
            rows = connection.execute(select(_intakes).where(_intakes.c.seq.in_(latest)).order_by(_intakes.c.source))
            return {row.source: _intake(row) for row in rows}

    def extracts(self, source: str) -> list[KeptExtract]:
        """What a source gave, in the order in which it was registered."""
        query = select(_extracts).where(_extracts.c.source == source).order_by(_extracts.c.seq)
        with self._connect() as connection:
            rows = connection.execute(query).all()
        return [KeptExtract(row.source, row.extractor, row.query, row.digest, row.bytes, row.rows) for row in rows]

    def dataset_digest(self, asset: str, day: date) -> str | None:
        """The registered SHA-256 of a dataset file, or None."""
        query = select(_datasets.c.digest).where(and_(_datasets.c.asset == asset, _datasets.c.day == day.isoformat()))
        with self._connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _select(self, query: Select[Any]) -> Iterator[IndexedRun]:
        with self._connect() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            fields = row._asdict()
            fields["day"] = date.fromisoformat(row.day)
            fields["heads"] = tuple(row.heads[at : at + _HEAD] for at in range(0, len(row.heads), _HEAD))
            yield IndexedRun(**fields)

    def _begun(self) -> bool:
        with self._connect() as connection:
            return connection.execute(select(_position)).one_or_none() is not None

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._usable(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A transaction that has the write lock from its start, since SQLite refuses to take it after a read."""
        with self._usable(), self._engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
            yield connection

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise EvidenceError(
                f"{self._engine.url.database}: the index cannot be used ({error.orig}); if it is damaged, delete it, "
                "and the next command makes it anew from the register"
            ) from error


_HAS_WORK = and_(
    _runs.c.superseded_by.is_(None),
    _runs.c.run_id.not_in(select(_held.c.run_id)),
    or_(_runs.c.status.in_((OPENED, "FAILED")), _runs.c.signed),
)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url)
    engine = create_engine(url, connect_args={"timeout": 60})
    if engine.url.database not in (None, "", ":memory:"):
        _make_database(Path(engine.url.database))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own recipe: transactions begin where we say
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _make_database(path: Path) -> None:
    """Have the file, private and in WAL mode, before anybody can open it.

    Both are lasting and asked of a file in use they go wrong: SQLite refuses the change of mode at once, however long
    others are waited for, and closing a file drops the locks that other connections of this process hold on it.
    """
    if path.exists():
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(temporary)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):  # another process was first
            path.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()


def _read_from(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read()


def _intake(row: Row[Any]) -> IndexedIntake:
    totals = IntakeTotals(row.read, row.opened, row.known, row.refused, row.out_of_scope)
    return IndexedIntake(row.source, row.at, row.fingerprint, row.state, totals, row.declared, row.broken)
