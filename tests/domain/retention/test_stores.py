"""What every store promises, shown on each of them; and what only one of them can get wrong."""

import hashlib
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import StoreError
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Policy, S3StoreSpec
from countersign.retention import local as local_store
from countersign.retention.local import IMMUTABLE, READ_ONLY, LocalStore
from countersign.retention.opening import open_store
from countersign.retention.s3 import S3Store, connect
from countersign.retention.store import RetentionStore
from tests.conftest import StepClock
from tests.domain.retention.conftest import client_of, loosen

UNTIL = datetime(2034, 4, 1, 4, tzinfo=UTC)
KEY = "days/2026-11-23/chain.tar"


@dataclass
class Shelf:
    """A store and something to put into it."""

    store: RetentionStore
    file: Path

    def put(self, content: bytes = b"evidence", until: datetime = UNTIL, key: str = KEY) -> str:
        self.file.write_bytes(content)
        return self.store.put(key, self.file, hashlib.sha256(content).hexdigest(), until)

    def read(self, version: str) -> bytes:
        return b"".join(self.store.read(KEY, version))


@pytest.fixture
def bucket_store(s3: Any, bucket: str) -> S3Store:
    return S3Store(s3, bucket)


@pytest.fixture(params=["local", "bucket_store"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return Shelf(request.getfixturevalue(request.param), tmp_path / "given")


def test_what_is_put_is_read_back_locked_until_its_time(shelf: Shelf) -> None:
    version = shelf.put()
    assert shelf.read(version) == b"evidence"
    stat = shelf.store.stat(KEY, version)
    assert stat is not None
    assert (stat.size, stat.until, stat.held, stat.over) == (8, UNTIL, False, None)
    assert stat.mode == shelf.store.modes[0]
    assert stat.digest in (None, hashlib.sha256(b"evidence").hexdigest())


def test_the_same_again_is_harmless_and_other_content_is_refused(shelf: Shelf) -> None:
    version = shelf.put()
    assert shelf.put() == version
    with pytest.raises(StoreError, match="other content is kept"):
        shelf.put(b"something else")
    assert shelf.read(version) == b"evidence"


def test_a_lock_only_grows_longer(shelf: Shelf) -> None:
    version = shelf.put()
    longer = UNTIL + timedelta(days=365)
    for until, expected in ((longer, longer), (UNTIL, longer)):
        assert shelf.put(until=until) == version
        stat = shelf.store.stat(KEY, version)
        assert stat is not None
        assert stat.until == expected


def test_a_locked_version_refuses_to_go(shelf: Shelf) -> None:
    version = shelf.put()
    with pytest.raises(StoreError):
        shelf.store.remove(KEY, version)
    assert shelf.read(version) == b"evidence"


def test_what_is_on_hold_says_so_until_it_is_released(shelf: Shelf) -> None:
    version = shelf.put()
    for on in (True, True, False, False):
        shelf.store.hold(KEY, version, on=on)
        stat = shelf.store.stat(KEY, version)
        assert stat is not None
        assert stat.held is on


def test_what_was_never_put_is_known_not_to_be_there(shelf: Shelf) -> None:
    shelf.put(key="other/a.tar")
    assert shelf.store.stat("days/nothing", "1") is None
    assert shelf.store.find("days/") == []
    with pytest.raises(StoreError, match="cannot be read"):
        list(shelf.store.read("days/nothing", "1"))


def test_keys_are_found_by_their_beginning(shelf: Shelf) -> None:
    version = shelf.put()
    shelf.put(key="other/b.tar")
    shelf.store.hold(KEY, version, on=True)
    assert shelf.store.find("days/") == [(KEY, version)]
    assert [key for key, _ in shelf.store.find("")] == [KEY, "other/b.tar"]


# ---- a folder


def test_a_file_can_be_removed_after_its_time_unless_it_is_on_hold(
    local: LocalStore, tmp_path: Path, clock: StepClock
) -> None:
    shelf = Shelf(local, tmp_path / "given")
    shelf.put()
    clock.now = UNTIL
    local.hold(KEY, "1", on=True)
    with pytest.raises(StoreError, match="on hold"):
        local.remove(KEY, "1")
    local.hold(KEY, "1", on=False)
    for _ in range(2):
        local.remove(KEY, "1")
        assert local.stat(KEY, "1") is None
    assert local.find("") == []


def test_an_object_can_be_written_by_nobody_and_says_how_it_is_locked(local: LocalStore, tmp_path: Path) -> None:
    Shelf(local, tmp_path / "given").put()
    path = tmp_path / "worm" / KEY
    assert path.stat().st_mode & 0o777 == 0o400
    stat = local.stat(KEY, "1")
    assert stat is not None
    if stat.mode == IMMUTABLE:
        with pytest.raises(PermissionError):
            path.unlink()
    loosen(tmp_path / "worm")
    for mode, expected in ((0o400, READ_ONLY), (0o600, "WRITABLE")):
        path.chmod(mode)
        stat = local.stat(KEY, "1")
        assert stat is not None
        assert stat.mode == expected


def test_without_the_flag_a_file_is_read_only(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that knows no such flag, or without the right to set it."""
    monkeypatch.setattr(local_store, "_SET_FLAGS", 0)
    Shelf(local, tmp_path / "given").put()
    stat = local.stat(KEY, "1")
    assert stat is not None
    assert stat.mode == READ_ONLY


@pytest.mark.parametrize("content", [b"", b"soon", None])
def test_a_lock_that_cannot_be_read_locks_nothing_and_lets_nothing_go(
    local: LocalStore, tmp_path: Path, clock: StepClock, content: bytes | None
) -> None:
    Shelf(local, tmp_path / "given").put()
    loosen(tmp_path / "worm")
    lock = tmp_path / "worm" / f"{KEY}.lock"
    lock.unlink()
    if content is not None:
        lock.write_bytes(content)
    stat = local.stat(KEY, "1")
    assert stat is not None
    assert stat.until is None
    clock.now = UNTIL
    with pytest.raises(StoreError, match="kept until None"):
        local.remove(KEY, "1")


@pytest.mark.parametrize("mount_point", [True, False])
def test_a_disk_that_is_not_mounted_is_no_answer(local: LocalStore, tmp_path: Path, mount_point: bool) -> None:
    Shelf(local, tmp_path / "given").put()
    (tmp_path / "worm").rename(tmp_path / "unmounted")
    if mount_point:
        (tmp_path / "worm").mkdir()
    asked: list[Callable[[], object]] = [
        lambda: local.stat(KEY, "1"),
        lambda: local.find(""),
        lambda: local.remove(KEY, "1"),
        lambda: local.read(KEY, "1").__next__(),
        lambda: local.hold(KEY, "1", on=True),
    ]
    for ask in asked:
        with pytest.raises(StoreError):
            ask()
    with pytest.raises(StoreError, match="is its disk mounted"):
        local.stat(KEY, "1")
    if mount_point:
        (tmp_path / "worm").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "worm")
    assert local.stat(KEY, "1") is not None


def test_only_what_is_put_makes_the_folder(tmp_path: Path, clock: StepClock) -> None:
    store = LocalStore(tmp_path / "new", clock=clock)
    with pytest.raises(StoreError, match="is its disk mounted"):
        store.stat(KEY, "1")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="was not kept: Not a directory"):
        Shelf(LocalStore(tmp_path / "file" / "worm", clock=clock), tmp_path / "given").put()


# ---- a bucket


@pytest.fixture
def unlocked(s3: Any) -> Callable[[str, bool], str]:
    """Make a bucket that does not lock, with versioning or without."""

    def make(name: str, versioned: bool) -> str:
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    return make


def test_a_bucket_that_would_not_keep_is_refused(s3: Any, unlocked: Callable[[str, bool], str]) -> None:
    with pytest.raises(StoreError, match="versioning is off"):
        S3Store(s3, unlocked("plain-bucket", False))
    with pytest.raises(StoreError, match="ObjectLockConfigurationNotFoundError"):
        S3Store(s3, unlocked("versioned-bucket", True))
    with pytest.raises(StoreError, match="NoSuchBucket"):
        S3Store(s3, "no-such-bucket")


def test_a_bucket_is_opened_as_the_policy_names_it(s3: Any, server: str, bucket: str, tmp_path: Path) -> None:
    spec = S3StoreSpec(kind="s3", bucket=bucket, prefix="root/", region="us-east-1", endpoint=server)
    shelf = Shelf(connect(spec), tmp_path / "given")
    version = shelf.put()
    assert shelf.store.name == f"s3://{bucket}/root/"
    assert s3.get_object(Bucket=bucket, Key=f"root/{KEY}", VersionId=version)["Body"].read() == b"evidence"
    assert shelf.store.find("") == [(KEY, version)]


def test_the_store_that_a_policy_names_is_opened(
    s3: Any, server: str, bucket: str, policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: StepClock
) -> None:
    root = EvidenceRoot(tmp_path / "evidence")
    assert open_store(policy, tmp_path, root, clock=clock) is None
    spec = S3StoreSpec(kind="s3", bucket=bucket, region="us-east-1", endpoint=server)
    named = policy.model_copy(update={"retention_store": spec})
    opened = open_store(named, tmp_path, root, clock=clock)
    assert opened is not None
    assert opened.name == f"s3://{bucket}/"
    monkeypatch.setitem(sys.modules, "countersign.retention.s3", None)
    with pytest.raises(StoreError, match=r"pip install 'countersign\[s3\]'"):
        open_store(named, tmp_path, root, clock=clock)


def test_an_endpoint_that_is_none_is_said() -> None:
    spec = S3StoreSpec(kind="s3", bucket="evidence", region="us-east-1", endpoint="nowhere")
    with pytest.raises(StoreError, match="nowhere"):
        connect(spec)


def test_a_delete_marker_and_another_version_are_seen(
    s3: Any, bucket: str, bucket_store: S3Store, tmp_path: Path
) -> None:
    version = Shelf(bucket_store, tmp_path / "given").put()
    s3.delete_object(Bucket=bucket, Key=KEY)
    for over in ("delete_marker", "other_version"):
        stat = bucket_store.stat(KEY, version)
        assert stat is not None
        assert (stat.size, stat.over) == (8, over)
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"something else")


def test_an_object_that_one_call_cannot_put_is_refused(
    bucket_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countersign.retention.s3._MOST_BYTES", 7)
    with pytest.raises(StoreError, match="one object can have 7"):
        Shelf(bucket_store, tmp_path / "given").put()


def test_a_server_that_is_away_is_never_an_answer(s3: Any, bucket: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    store = S3Store(s3, bucket)
    store._client = client_of(nobody)
    shelf = Shelf(store, tmp_path / "given")
    asked: list[Callable[[], object]] = [
        shelf.put,
        lambda: shelf.read("1"),
        lambda: store.stat(KEY, "1"),
        lambda: store.hold(KEY, "1", on=True),
        lambda: store.remove(KEY, "1"),
        lambda: store.find(""),
    ]
    for ask in asked:
        with pytest.raises(StoreError, match="nothing was lost, try again"):
            ask()


def test_a_refusal_is_never_an_answer(bucket_store: S3Store, tmp_path: Path) -> None:
    bucket_store._bucket = "no-such-bucket"
    for ask in (Shelf(bucket_store, tmp_path / "given").put, lambda: bucket_store.find("")):
        with pytest.raises(StoreError, match="NoSuchBucket"):
            ask()
