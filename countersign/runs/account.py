"""What the register says of a root: its runs, its datasets and other files, its configurations, what was erased.

What belongs here: that reading, in one pass, and the files beside the logs held against it. What does not: the logs
(`verification`), and the rows of the datasets (`published`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from countersign.clocks.instant import parse_instant
from countersign.errors import TamperedError
from countersign.evidence.contents import check_contents, check_files
from countersign.evidence.lines import ZERO, Entry
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault
from countersign.runs.erasure import Erasures


@dataclass(slots=True)
class Registered:
    """What the register says of a run, and the number of the line that says it."""

    run_id: str
    digest: str
    day: date
    configuration: str
    in_force: str
    head: str = ZERO
    status: str = ""
    line: int = 0
    deployed_at: str | None = None
    clean: bool | None = None
    heads: list[tuple[str, datetime]] = field(default_factory=list)

    def saw(self, head: str, order: Mapping[str, int]) -> datetime | None:
        """When the register first knew what follows a head of the log; `order` numbers the log's heads."""
        after = order.get(head, len(order))
        return next((at for known, at in self.heads if order.get(known, -1) > after), None)


@dataclass(slots=True)
class Account:
    """What the register says: runs by id, and by asset and day the dataset's digest and the line that says it.

    `files` are others that it names by their path, each with its digest.
    """

    runs: dict[str, Registered] = field(default_factory=dict)
    genesis: str = ""
    in_force: str = ""
    datasets: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    erasures: Erasures = field(default_factory=Erasures)
    files: dict[str, str] = field(default_factory=dict)

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
    account.files.update(data.get("files", {}))
    if entry.event in ("root_opened", "configuration_adopted"):
        account.in_force = data["configuration"]
        account.genesis = account.genesis or account.in_force
    elif entry.event == "dataset":
        account.datasets[data["asset"], data["day"]] = (data["digest"], entry.line)
    elif entry.event == "run_opened":
        day = date.fromisoformat(data["day"])
        opened = Registered(data["run_id"], data["digest"], day, data["configuration"], account.in_force)
        opened.line, opened.deployed_at = entry.line, data["deployed_at"]
        account.runs[data["run_id"]] = opened
    elif entry.event in ("run_head", "run_closed", "signed_off", "breached") and "head" in data:
        run = account.runs[data["run_id"]]
        run.head, run.line = data["head"], entry.line
        run.heads.append((data["head"], parse_instant(entry.ts)))
        run.status, run.clean = data.get("status", run.status), data.get("clean", run.clean)


def faults_of_files(root: EvidenceRoot, account: Account) -> Iterator[RootFault]:
    """Everything wrong with what lies beside the logs, but for the digests of datasets: modes, links, other digests."""
    erased = {digest for done in account.erasures.done for digest in done.act.on["digests"]}
    yield from check_contents(root, account.datasets, erased)
    yield from check_files(root, account.files)
