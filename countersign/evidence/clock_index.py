"""The index of clocks: when each started and stopped, by the register's lines, and when to look at it again.

What belongs here: tables filled from register lines alone, beside those of `index`, and the questions asked of them.
What does not: deadlines, which whoever knows calendars computes once for each course of a clock and leaves here, so
that a tick asks for those clocks whose instant has come and for no others.

A sign-off clock starts when the sign-off was asked for, an observation clock when the observer was told, or when a
breach happened. Both stop at the instant of the register line that says so. A run that supersedes another takes over
its sign-off clocks with their starts; what was noticed of the replaced run stays there for the observer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from countersign.clocks.allowance import ClockKind
from countersign.clocks.instant import parse_instant, stamp, to_micros
from countersign.evidence.indexed import Attainment, ClockKey, IndexedClock, IndexedPause, Waiting

NEVER = 1 << 62
_MOST_VALUES = 10_000
_SIGN_OFFS = (ClockKind.INDEPENDENT_REVIEW.value, ClockKind.MAKER_CHECKER.value)
_OBSERVATION = ClockKind.EXCEPTION_OBSERVATION.value

metadata = MetaData()
_clocks = Table(
    "clocks",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("about", String, primary_key=True),
    Column("tier", String, nullable=False),
    Column("configuration", String(64), nullable=False),
    Column("system", String, nullable=False),
    Column("source", String, nullable=False),
    Column("day", String(10), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),
    Column("half_at", BigInteger),
    Column("three_quarters_at", BigInteger),
    Column("deadline", BigInteger),
    Column("next_at", BigInteger, nullable=False),
    Column("breached_at", BigInteger),
    Column("finding", String),
    Column("recorded", Boolean, nullable=False),
    Column("taken_over_by", String),
    Column("closed", Boolean, nullable=False),
    Column("month", String(7)),
    Column("calendar", String(64)),
    Column("policy", String(64)),
    Column("tzdata", String),
)
_FIELDS = [_clocks.c[name] for name in IndexedClock.__slots__]
_NO_COURSE = {"half_at": None, "three_quarters_at": None}  # nobody is warned any more
_NOT_CLOSED = _clocks.c.closed.is_(False)
_RUNNING = and_(_NOT_CLOSED, _clocks.c.stopped_at.is_(None))
# a tick costs as much as there are clocks whose instant has come, however many others run or were closed
Index("clocks_next", _clocks.c.next_at, sqlite_where=_NOT_CLOSED, postgresql_where=_NOT_CLOSED)
Index("clocks_running", _clocks.c.deadline, sqlite_where=_RUNNING, postgresql_where=_RUNNING)
Index("clocks_noticed", _clocks.c.source, _clocks.c.about, _clocks.c.started_at)
_pauses = Table(
    "pauses",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("about", String, primary_key=True),
    Column("begin", BigInteger, primary_key=True),
    Column("end", BigInteger),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False),
)


def take_in(
    connection: Connection,
    runs: Table,
    kind: str,
    batch: Sequence[dict[str, Any]],
    replaced: Iterable[Mapping[str, str]],
) -> None:
    """Turn register lines of one kind into rows; `replaced` are the runs that these lines supersede."""
    match kind:
        case "run_opened":
            for pair in replaced:
                _take_over(connection, runs, pair["old"], pair["new"])
        case "run_head" | "run_closed":
            _start(connection, runs, _started(batch))
            _stop(connection, _past(batch, closed=kind == "run_closed"))
        case "signed_off":
            _stop(connection, [_of(data, data["key"]) for data in batch])
        case "observed":
            _stop(connection, [_of(data, _OBSERVATION) for data in batch])
        case "clock_paused":
            rows = [{"begin": _micros(data["at"]), "end": None, "by": data["actor"], **_pause(data)} for data in batch]
            connection.execute(insert(_pauses), rows)
            _look_again(connection, batch)
        case "clock_resumed":
            ended = update(_pauses).where(_same(_pauses), _pauses.c.end.is_(None))
            connection.execute(
                ended.values(end=bindparam("at")), [{**_key(data), "at": _micros(data["at"])} for data in batch]
            )
            _look_again(connection, batch)
        case "breached":
            _breached(connection, runs, batch)
        case "clock_closed":
            _closed(connection, batch)


def _micros(text: str) -> int:
    return to_micros(parse_instant(text))


def _key(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"of_run": data["run_id"], "of_kind": data["kind"], "of_about": data["about"]}


def _same(table: Table) -> Any:
    """The row of a clock, by the parameters of `_key`."""
    columns = (table.c.run_id == bindparam("of_run"), table.c.kind == bindparam("of_kind"))
    return and_(*columns, table.c.about == bindparam("of_about"))


def _of(data: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"of_run": data["run_id"], "of_kind": kind, "stopped": _micros(data["at"])}


def _pause(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("run_id", "kind", "about")} | {"reason": data["texts"].get("reason", "")}


def _started(batch: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What a pause of a run started, said again at every pause after."""
    for data in batch:
        if data.get("asked_at") is not None:
            asked = {"of_kind": data["pending"], "of_about": "", "started": _micros(data["asked_at"])}
            yield {"of_run": data["run_id"], **asked}
        for about, at in data.get("noticed", {}).items():
            yield {"of_run": data["run_id"], "of_kind": _OBSERVATION, "of_about": about, "started": _micros(at)}


def _start(connection: Connection, runs: Table, starts: Iterable[dict[str, Any]]) -> None:
    """Rows for clocks that have none yet."""
    rows = list(starts)
    if not rows:
        return
    of_run = [runs.c[name] for name in ("tier", "configuration", "system", "source", "day")]
    fresh = select(
        runs.c.run_id,
        bindparam("of_kind", type_=String),
        bindparam("of_about", type_=String),
        *of_run,
        bindparam("started", type_=BigInteger),
        literal(0),
        literal(False),
        literal(False),
    ).where(runs.c.run_id == bindparam("of_run"), ~exists().where(_same(_clocks)))
    names = [
        "run_id",
        "kind",
        "about",
        *(column.name for column in of_run),
        "started_at",
        "next_at",
        "recorded",
        "closed",
    ]
    connection.execute(insert(_clocks).from_select(names, fresh), rows)


def _past(batch: Iterable[Mapping[str, Any]], *, closed: bool) -> list[dict[str, Any]]:
    """The sign-off clocks that a run has behind it: all once it is closed, the review once the approval is pending."""
    behind = _SIGN_OFFS if closed else _SIGN_OFFS[:1]
    return [_of(data, kind) for data in batch if closed or data["pending"] == _SIGN_OFFS[1] for kind in behind]


def _stop(connection: Connection, stops: Sequence[dict[str, Any]]) -> None:
    if stops:
        running = (_clocks.c.run_id == bindparam("of_run"), _clocks.c.kind == bindparam("of_kind"), _RUNNING)
        connection.execute(update(_clocks).where(*running).values(stopped_at=bindparam("stopped"), next_at=0), stops)


def _look_again(connection: Connection, batch: Iterable[Mapping[str, Any]]) -> None:
    connection.execute(update(_clocks).where(_same(_clocks), _NOT_CLOSED).values(next_at=0), list(map(_key, batch)))


def _breached(connection: Connection, runs: Table, batch: Sequence[Mapping[str, Any]]) -> None:
    """Breaches on record; each of somebody who signs is the observer's to look at from the instant it happened."""
    rows = [{**_key(data), **_deadline(data), "following": data["finding"]} for data in batch]
    values: dict[str, Any] = {
        **dict.fromkeys(("breached_at", "deadline"), bindparam("due")),
        "month": bindparam("in_month"),
        "finding": bindparam("following"),
        "recorded": True,
        "next_at": 0,
        **_NO_COURSE,
    }
    connection.execute(update(_clocks).where(_same(_clocks)).values(values), rows)
    told = [data for data in batch if data["kind"] in _SIGN_OFFS and not data["carried"]]
    about = [{**_key(data), "started": _micros(data["deadline"])} for data in told]
    _start(
        connection, runs, [{**row, "of_kind": _OBSERVATION, "of_about": f"breach of {row['of_kind']}"} for row in about]
    )


def _deadline(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"due": _micros(data["deadline"]), "in_month": stamp(parse_instant(data["deadline"]))[:7]}


def _closed(connection: Connection, batch: Iterable[Mapping[str, Any]]) -> None:
    versions = ("calendar", "policy", "tzdata")
    rows = [
        {
            **_key(data),
            **_deadline(data),
            "breached": None if data["breached_at"] is None else _micros(data["breached_at"]),
            **{f"of_{name}": data[name] for name in versions},
        }
        for data in batch
    ]
    values: dict[str, Any] = {
        "deadline": bindparam("due"),
        "month": bindparam("in_month"),
        "breached_at": bindparam("breached"),
        **{name: bindparam(f"of_{name}") for name in versions},
        **_NO_COURSE,
        "closed": True,
    }
    connection.execute(update(_clocks).where(_same(_clocks)).values(values), rows)


def _take_over(connection: Connection, runs: Table, old: str, new: str) -> None:
    """The running sign-off clocks of a replaced run go on under its successor, from when they started."""
    running = and_(_clocks.c.run_id == old, _clocks.c.kind.in_(_SIGN_OFFS), _RUNNING)
    successor = connection.execute(select(runs).where(runs.c.run_id == new)).one()
    of_run = {name: getattr(successor, name) for name in ("tier", "configuration", "system", "source", "day")}
    for row in connection.execute(select(_clocks).where(running)).all():
        mine = and_(_clocks.c.run_id == new, _clocks.c.kind == row.kind, _clocks.c.about == row.about)
        carried = {name: getattr(row, name) for name in ("started_at", "breached_at", "finding")}
        there = connection.execute(select(_clocks.c.started_at).where(mine)).scalar_one_or_none()
        if there is None:
            fresh = {"run_id": new, "kind": row.kind, "about": row.about, "next_at": 0, "recorded": False}
            connection.execute(insert(_clocks).values(**fresh, **carried, **of_run, closed=False))
        elif row.started_at < there:
            connection.execute(update(_clocks).where(mine).values(carried))
        paused = select(literal(new), *(column for column in _pauses.c if column.name != "run_id"))
        paused = paused.where(and_(_pauses.c.run_id == old, _pauses.c.kind == row.kind, _pauses.c.about == row.about))
        names = ["run_id", *(column.name for column in _pauses.c if column.name != "run_id")]
        connection.execute(insert(_pauses).from_select(names, paused))
    over = {"taken_over_by": new, "closed": True, "deadline": _clocks.c.breached_at, **_NO_COURSE}
    connection.execute(update(_clocks).where(running).values(over))


class ClockIndex:
    """Questions about clocks, and the instants that were computed for them."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._connect = connect

    def due(self, now: int, limit: int) -> list[IndexedClock]:
        """At most so many clocks whose instant has come, those first that have waited longest."""
        query = select(*_FIELDS).where(_NOT_CLOSED, _clocks.c.next_at <= now).order_by(_clocks.c.next_at)
        return self._select(query.limit(limit))

    def running(self, run_id: str | None = None) -> list[IndexedClock]:
        """The clocks that run, of one run or of all, by their deadlines."""
        query = select(*_FIELDS).where(_RUNNING).order_by(_clocks.c.deadline, _clocks.c.run_id, _clocks.c.kind)
        return self._select(query if run_id is None else query.where(_clocks.c.run_id == run_id))

    def of_run(self, run_id: str) -> list[IndexedClock]:
        """Every clock of a run, in the order in which they started."""
        return self._select(select(*_FIELDS).where(_clocks.c.run_id == run_id).order_by(_clocks.c.started_at))

    def of_runs(self, run_ids: Iterable[str]) -> list[IndexedClock]:
        """Every clock of these runs, and of runs whose clocks they took over, in the order in which they started."""
        wanted, found = list(run_ids), list[IndexedClock]()
        for start in range(0, len(wanted), _MOST_VALUES):
            these = wanted[start : start + _MOST_VALUES]
            chosen = or_(_clocks.c.run_id.in_(these), _clocks.c.taken_over_by.in_(these))
            found += self._select(select(*_FIELDS).where(chosen).order_by(_clocks.c.started_at))
        return found

    def overdue(self, now: int) -> list[IndexedClock]:
        """The clocks that run although their time is used up, as far as their instants were computed."""
        return self._select(select(*_FIELDS).where(_RUNNING, _clocks.c.deadline < now).order_by(_clocks.c.deadline))

    def untold(self) -> list[IndexedClock]:
        """The clocks that run and whose instants nobody has computed, or could."""
        return self._select(select(*_FIELDS).where(_RUNNING, _clocks.c.deadline.is_(None)))

    def pauses(self, run_ids: Iterable[str]) -> dict[ClockKey, list[IndexedPause]]:
        """The pauses of the clocks of these runs, by clock, in the order in which they began."""
        wanted, found = list(run_ids), dict[ClockKey, list[IndexedPause]]()
        for start in range(0, len(wanted), _MOST_VALUES):
            of_these = _pauses.c.run_id.in_(wanted[start : start + _MOST_VALUES])
            for pause in self._paused(select(_pauses).where(of_these).order_by(_pauses.c.begin)):
                found.setdefault((pause.run_id, pause.kind, pause.about), []).append(pause)
        return found

    def pauses_between(self, begin: int, end: int) -> list[IndexedPause]:
        """Every pause that lasted within that time; one that lasts still ends with it."""
        lasted = and_(_pauses.c.begin < end, func.coalesce(_pauses.c.end, end) > begin)
        return self._paused(select(_pauses).where(lasted).order_by(_pauses.c.begin, _pauses.c.run_id))

    def set_course(self, courses: Sequence[Mapping[str, Any]]) -> None:
        """Leave computed instants: `run_id`, `kind`, `about`, and `half_at` to `next_at` as in `IndexedClock`."""
        if not courses:
            return
        names = ("half_at", "three_quarters_at", "deadline", "next_at")
        values: dict[str, Any] = {name: bindparam(f"its_{name}") for name in names}
        rows = [{**_key(course), **{f"its_{name}": course[name] for name in names}} for course in courses]
        with self._connect() as connection:
            connection.execute(update(_clocks).where(_same(_clocks), _NOT_CLOSED).values(values), rows)

    def noticed(self, source: str, about: str, begin: int, end: int) -> int:
        """How often the observer was told of this about changes of a source, after `begin` and until `end`."""
        within = and_(_clocks.c.started_at > begin, _clocks.c.started_at <= end)
        of_source = and_(_clocks.c.source == source, _clocks.c.about == about, _clocks.c.kind == _OBSERVATION)
        with self._connect() as connection:
            return connection.execute(select(func.count()).where(and_(of_source, within))).scalar_one()

    def attainment(self, month: str | None = None) -> list[Attainment]:
        """How clocks came out, by the month they were due in, kind and tier: closed ones, and late ones that run."""
        late = func.sum(case((_clocks.c.breached_at.is_not(None), 1), else_=0))
        groups = (_clocks.c.month, _clocks.c.kind, _clocks.c.tier)
        judged = and_(_clocks.c.month.is_not(None), _clocks.c.taken_over_by.is_(None))
        query = select(*groups, func.count().label("clocks"), late.label("late")).where(judged)
        query = query if month is None else query.where(_clocks.c.month == month)
        with self._connect() as connection:
            rows = connection.execute(query.group_by(*groups).order_by(*groups)).all()
        return [Attainment(row.month, row.kind, row.tier, row.clocks - row.late, row.late) for row in rows]

    def waiting(self, now: int) -> list[Waiting]:
        """The clocks that run, counted by kind."""
        late = func.sum(case((_clocks.c.deadline < now, 1), else_=0))
        ahead = func.min(case((_clocks.c.deadline >= now, _clocks.c.deadline)))
        query = select(_clocks.c.kind, func.count(), late, ahead).where(_RUNNING)
        with self._connect() as connection:
            rows = connection.execute(query.group_by(_clocks.c.kind).order_by(_clocks.c.kind)).all()
        return [Waiting(*row) for row in rows]

    def late_runs(self) -> set[str]:
        """The runs of which a sign-off or an observation was late, before they closed or after."""
        with self._connect() as connection:
            return set(connection.execute(select(_clocks.c.run_id).where(_clocks.c.breached_at.is_not(None))).scalars())

    def by_run(self, run_ids: Iterable[str]) -> dict[str, list[IndexedClock]]:
        """Every clock of these runs, by run, in the order in which they started."""
        wanted, found = list(run_ids), dict[str, list[IndexedClock]]()
        for start in range(0, len(wanted), _MOST_VALUES):
            of_these = _clocks.c.run_id.in_(wanted[start : start + _MOST_VALUES])
            for clock in self._select(select(*_FIELDS).where(of_these).order_by(_clocks.c.started_at, _clocks.c.kind)):
                found.setdefault(clock.run_id, []).append(clock)
        return found

    def _select(self, query: Select[Any]) -> list[IndexedClock]:
        with self._connect() as connection:
            rows = connection.execute(query).all()
        return [IndexedClock(**{**row._asdict(), "day": date.fromisoformat(row.day)}) for row in rows]

    def _paused(self, query: Select[Any]) -> list[IndexedPause]:
        with self._connect() as connection:
            return [IndexedPause(**row._asdict()) for row in connection.execute(query)]
