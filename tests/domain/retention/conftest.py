"""What the retention tests share: a root whose days are over, both stores, and an S3 server on loopback."""

import base64
import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from countersign.evidence import durable
from countersign.evidence.register import KeptExtract
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.sealing import Sealer
from countersign.evidence.witnessing import countersign
from countersign.policy import Policy
from countersign.retention import local as local_store
from countersign.retention.check import Lost, check
from countersign.retention.keep import Archive, NotKept, keep
from countersign.retention.ledger import KeptDay
from countersign.retention.local import LocalStore
from countersign.retention.s3 import S3Store
from countersign.retention.store import RetentionStore
from tests.conftest import Counted, StepClock, payload_with
from tests.domain.runs.conftest import Bench
from tests.keys import make_key

DAY = date(2026, 11, 23)
NEXT = date(2026, 11, 24)
LONG_AFTER = datetime(2035, 1, 1, tzinfo=UTC)


class Keeping:
    """A root with two days of runs, on the day after them, and a store beside it."""

    def __init__(self, bench: Bench, store: RetentionStore) -> None:
        self.bench, self.clock, self.store = bench, bench.clock, store
        self.root = EvidenceRoot(bench.root)
        self.archive = Archive(self.root, bench.run.engine.current, clock=bench.clock, entropy=Counted())

    def keep(self) -> list[KeptDay | NotKept]:
        return list(keep(self.archive, self.store))

    def kept(self) -> list[date]:
        """Keep, and expect that every day could be."""
        done = self.keep()
        assert not [each for each in done if isinstance(each, NotKept)]
        return [each.day for each in done]

    def check(self, *, read: bool = False) -> list[Lost]:
        return list(check(self.archive, self.store, read=read))

    def kinds(self) -> set[tuple[str, str]]:
        return {(lost.part, lost.kind) for lost in self.check()}

    def incidents(self) -> set[tuple[str, str]]:
        return {(lost.part, lost.kind) for lost in self.check() if lost.incident}

    def day(self, day: date = DAY) -> KeptDay:
        return self.archive.ledger().days[day]

    def object(self, half: str = "chain", day: date = DAY) -> tuple[str, str]:
        """Key and version of one half."""
        stored = self.day(day).objects[half]
        return stored.key, stored.version


def worked(bench: Bench, key: Path) -> None:
    """Two days of work, each with two completed changes, an extract, and a seal that an observer has signed too.

    The last change has an attachment.
    """
    observers = make_key(key.with_name("observer-key"))
    for day in (DAY, NEXT):
        for number in range(2):
            payload = payload_with(id=f"CHG-{day.day}{number}")
            payload["evidence"]["approval"]["text"] = f"CHG-{day.day}{number} approved for deployment."
            if (day, number) == (NEXT, 1):
                payload["evidence"]["tests"]["attachments"] = [attachment(b"a protocol")]
            bench.complete(payload)
        root = EvidenceRoot(bench.root)
        number = Sealer(root, key, clock=bench.clock).seal("c" * 64).number
        countersign(root, number, witness="observer", key=observers, held=None, allowed_signers=None, clock=bench.clock)
        digest = durable.keep_by_digest(root.extracts, f"what the source gave on {day}".encode())
        extract = KeptExtract("inbox", "files/1", "all of it", digest, 32, 2)
        bench.run.engine.register.append_many([extract.draft()])
        bench.clock.move(days=1)


def attachment(content: bytes) -> dict[str, str]:
    digest, encoded = hashlib.sha256(content).hexdigest(), base64.b64encode(content).decode("ascii")
    return {"name": "protocol.txt", "sha256": digest, "bytes": encoded}


def worked_with(policy: Policy, folder: Path, clock: StepClock) -> Bench:
    """A root under another policy on which one change waits, with a register that says so, two days later."""
    bench = Bench(folder, policy, clock)
    bench.execute()
    clock.move(days=2)
    return bench


@pytest.fixture(scope="session")
def worked_root(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> tuple[Path, datetime]:
    """A root after `worked`, to be copied, and the instant at which it was left."""
    clock = StepClock(datetime(2026, 11, 23, 14, tzinfo=UTC))
    folder = tmp_path_factory.mktemp("worked")
    bench = Bench(folder / "evidence", policy, clock)
    worked(bench, make_key(folder / "key"))
    return bench.root, clock.now


@pytest.fixture
def bench(worked_root: tuple[Path, datetime], root: Path, policy: Policy, clock: StepClock) -> Bench:
    made, clock.now = worked_root
    shutil.copytree(made, root)
    return Bench(root, policy, clock)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a real HTTP server that speaks S3."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


_buckets = count(1)


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket that locks."""
    name = f"evidence-worm-{next(_buckets)}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A boto3 client; its credentials come from the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return client_of(server)


def client_of(address: str) -> Any:
    patience = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", config=patience)


@pytest.fixture
def local(tmp_path: Path, clock: StepClock) -> Iterator[LocalStore]:
    folder = tmp_path / "worm"
    yield LocalStore(folder, clock=clock)
    loosen(folder)


def loosen(folder: Path) -> None:
    """Take the immutable flag off everything, as a root who wants to remove it would."""
    for path in folder.rglob("*"):
        local_store._set_immutable(path, on=False)


@pytest.fixture
def in_folder(bench: Bench, local: LocalStore) -> Keeping:
    return Keeping(bench, local)


@pytest.fixture
def in_bucket(bench: Bench, s3: Any, bucket: str) -> Keeping:
    return Keeping(bench, S3Store(s3, bucket, "root/"))


@pytest.fixture(params=["in_folder", "in_bucket"])
def keeping(request: pytest.FixtureRequest) -> Keeping:
    """The same in either store."""
    made: Keeping = request.getfixturevalue(request.param)
    return made
