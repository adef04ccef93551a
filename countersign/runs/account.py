"""What the register says of a root: its runs, its datasets and other files, its configurations, what was erased.

What belongs here: that reading, in one pass, and the files beside the logs held against it. What does not: the logs
(`verification`), and the rows of the datasets (`published`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from countersign.changes.payload import run_id_of
from countersign.clocks.instant import parse_instant
from countersign.errors import TamperedError
from countersign.evidence.contents import check_contents
from countersign.evidence.lines import ZERO, Entry, is_digest
from countersign.evidence.plain import is_plain
from countersign.evidence.register import Register, claim_of, files_of
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault
from countersign.runs.erasure import Erasures
from countersign.runs.handoff import DATASET as HANDOFFS
from countersign.runs.workpaper import DATASET as WORKPAPERS

_GRACE = timedelta(minutes=1)
# names in the register become paths, so none may be of any other form
_DATASETS = (WORKPAPERS, HANDOFFS)
_RUN_ID = re.compile(r"change-[0-9a-f]{16}")
# what of an opening puts a run into a queue, on a clock and into a month's population; not its source, since whoever
# hands a payload in again goes on with a run whose log was never begun
COUNTED = ("change_id", "system", "tier", "supersedes", "deployed_at")


def counted(said: Mapping[str, Any]) -> bytes:
    """As what a run is counted, as a digest."""
    return claim_of("run_opened", said)


def could_be_in_force(adopted: Sequence[tuple[datetime, str]], at: datetime) -> set[str]:
    """The configurations, each with when it was adopted, under which something could be written at an instant.

    These are the one in force then, and one that was replaced within the minute before: whoever wrote had just read it.
    """
    ends = [*(since for since, _ in adopted[1:]), datetime.max.replace(tzinfo=UTC) - _GRACE]
    return {digest for (since, digest), end in zip(adopted, ends, strict=False) if since <= at < end + _GRACE}


@dataclass(slots=True)
class Registered:
    """What the register says of a run, and the numbers of the lines that say it.

    `counted` is as what it was opened (`counted`), `line` that of its newest head, `opened_in` of its opening; `claims`
    are what lines say of the run as it stood at a head (`claim_of`), `disorder` what they cannot say one after the
    other, `adopted` when each configuration was.
    """

    run_id: str
    digest: str
    day: date
    configuration: str
    in_force: str
    head: str = ZERO
    line: int = 0
    opened_in: int = 0
    opened_at: datetime | None = None
    counted: bytes = b""
    abandoned: bool = False
    closed: bool = False
    heads: list[tuple[str, datetime]] = field(default_factory=list)
    claims: list[tuple[str, bytes]] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    adopted: Sequence[tuple[datetime, str]] = ()

    def saw(self, head: str, order: Mapping[str, int]) -> datetime | None:
        """When the register first knew what follows a head of the log; `order` numbers the log's heads."""
        after = order.get(head, len(order))
        return next((at for known, at in self.heads if order.get(known, -1) > after), None)

    def know(self, head: str, at: datetime, line: int) -> None:
        """Take a head in. One of 64 zeros says that the log could not be begun, so it comes before every other.

        Two processes that come to the end of a run together both say that it is over, of the same head.
        """
        if head != self.head and (self.closed or head == ZERO):
            self.disorder.append(f"no other head than {self.head}, as in line {line}")
        if head != self.head:  # said again, nothing is known later than before
            self.head, self.line = head, line
        self.heads.append((head, at))


@dataclass(slots=True)
class Account:
    """What the register says: runs by id, and by asset and day the dataset's digest and the line that says it.

    `files` are others that it names by their path, each with the digest that it had first, `disorder` is what its lines
    cannot say of these one after the other, `extracts` the digests of what sources gave.
    """

    runs: dict[str, Registered] = field(default_factory=dict)
    datasets: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    erasures: Erasures = field(default_factory=Erasures)
    files: dict[str, str] = field(default_factory=dict)
    disorder: list[str] = field(default_factory=list)
    extracts: set[str] = field(default_factory=set)
    adopted: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def genesis(self) -> str:
        """The digest of the first configuration; empty before there is one."""
        return self.adopted[0][1] if self.adopted else ""

    @property
    def in_force(self) -> str:
        """The digest of the configuration adopted last; empty before there is one."""
        return self.adopted[-1][1] if self.adopted else ""

    def published(self) -> dict[str, dict[str, set[str]]]:
        """By day and asset, the runs that were there when its file was registered last."""
        days: dict[str, list[Registered]] = {}
        for run in self.runs.values():
            days.setdefault(run.day.isoformat(), []).append(run)
        found: dict[str, dict[str, set[str]]] = {}
        for (asset, day), (_, line) in self.datasets.items():
            found.setdefault(day, {})[asset] = {run.run_id for run in days.get(day, ()) if run.line < line}
        return found


def read_account(register: Register) -> Account:
    """What the register's own lines say. Raises TamperedError for one that is broken, or has a line of no form."""
    account = Account()
    for entry in register.records():
        try:
            _take(account, entry)
        except (KeyError, ValueError, TypeError) as error:
            where = f"{register.path}: line {entry.line}"
            raise TamperedError(f"{where}: {entry.event} is not of its form: {error!r}") from error
    return account


def _take(account: Account, entry: Entry) -> None:
    data = entry.data
    account.erasures.take(entry, account.in_force)
    for name, digest in files_of(entry.event, data).items():
        if digest != (known := account.files.setdefault(name, digest)):
            account.disorder.append(f"no other digest of {name} than {known}, as in line {entry.line}")
    match entry.event:
        case "root_opened" | "configuration_adopted":
            account.adopted.append((parse_instant(entry.ts), _digest(data, "configuration")))
        case "dataset":
            if (asset := _text(data, "asset")) not in _DATASETS:
                raise ValueError(f"asset is {asset!r}")
            account.datasets[asset, _day(data).isoformat()] = (_digest(data, "digest"), entry.line)
        case "extract":
            account.extracts.add(_digest(data, "digest"))
        case "run_opened":
            _open(account, entry)
        case "abandoned":
            account.runs[data["run_id"]].abandoned = True
        case "run_head" | "run_closed" | "signed_off":
            run = account.runs[data["run_id"]]
            run.know(_text(data, "head"), parse_instant(entry.ts), entry.line)
            run.claims.append((_text(data, "head"), claim_of(entry.event, data)))
            run.closed = run.closed or entry.event == "run_closed"
        case "breached" if "head" in data:
            account.runs[data["run_id"]].know(_text(data, "head"), parse_instant(entry.ts), entry.line)


def _text(data: Mapping[str, Any], name: str) -> str:
    """A field that has to be text, without what no path holds. Raises KeyError and TypeError."""
    value = data[name]
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{name} is {value!r}")
    return value


def _digest(data: Mapping[str, Any], name: str) -> str:
    """A field that has to be a SHA-256, since it names a file. Raises KeyError and ValueError."""
    if not is_digest(data[name]):
        raise ValueError(f"{name} is {data[name]!r}")
    return str(data[name])


def _day(data: Mapping[str, Any]) -> date:
    """The day of a line, in the one form that it is written in. Raises KeyError, ValueError and TypeError."""
    day = date.fromisoformat(data["day"])
    if day.isoformat() != data["day"]:
        raise ValueError(f"day is {data['day']!r}")
    return day


def _open(account: Account, entry: Entry) -> None:
    data = entry.data
    run_id, digest = _text(data, "run_id"), _digest(data, "digest")
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"run_id is {run_id!r}")
    if run_id in account.runs:
        account.runs[run_id].disorder.append(f"one line that opens it, and line {entry.line} is another")
        return
    opened = Registered(run_id, digest, _day(data), _digest(data, "configuration"), account.in_force)
    opened.line = opened.opened_in = entry.line
    opened.opened_at = parse_instant(entry.ts)
    opened.adopted = account.adopted  # which grows as the register is read on
    opened.counted = counted({name: data[name] for name in COUNTED})
    if run_id != run_id_of(digest):
        opened.disorder.append(f"the id {run_id_of(digest)}, which follows from its digest")
    account.runs[run_id] = opened


def faults_of_files(root: EvidenceRoot, account: Account) -> Iterator[RootFault]:
    """Everything wrong with what lies beside the logs, but for the digests of datasets: modes, links, other digests."""
    yield from (RootFault("register_order", str(root.register), detail) for detail in account.disorder)
    erased = {digest for done in account.erasures.done for digest in done.act.on["digests"]}
    yield from check_contents(root, account.datasets, account.files, erased)
    for digest in sorted(account.extracts):
        path = root.extracts / digest
        if not is_plain(path):
            yield RootFault("file_missing", str(path), "what a source gave; restore it from the retention store")
