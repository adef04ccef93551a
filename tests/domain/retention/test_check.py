"""The check: everything that left early, in the store or in the root, is named with its day."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import StoreError
from countersign.retention.local import LocalStore
from tests.conftest import StepClock
from tests.domain.retention.conftest import DAY, NEXT, Keeping, client_of, loosen

EARLY = datetime(2026, 12, 31, tzinfo=UTC)


@pytest.fixture
def named(s3: Any, bucket: str, in_bucket: Keeping) -> Callable[[], dict[str, str]]:
    """How boto3 names the version of the chain."""
    in_bucket.kept()

    def name() -> dict[str, str]:
        key, version = in_bucket.object()
        return {"Bucket": bucket, "Key": f"root/{key}", "VersionId": version}

    return name


def test_a_locked_version_refuses_deletion(s3: Any, in_bucket: Keeping, named: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(**named())
    assert in_bucket.check() == []


def test_a_plain_delete_is_found(s3: Any, in_bucket: Keeping, named: Callable[[], dict[str, str]]) -> None:
    """It removes nothing, and whoever reads without a version gets nothing."""
    where = named()
    s3.delete_object(Bucket=where["Bucket"], Key=where["Key"])
    (lost,) = in_bucket.check()
    assert (lost.day, lost.part, lost.kind, lost.incident) == (DAY, "chain", "delete_marker", True)
    assert lost.subject == "2026-11-23 chain: delete_marker"


def test_another_version_over_it_is_found(s3: Any, in_bucket: Keeping, named: Callable[[], dict[str, str]]) -> None:
    where = named()
    s3.put_object(Bucket=where["Bucket"], Key=where["Key"], Body=b"another")
    assert in_bucket.kinds() == {("chain", "changed")}


@pytest.mark.parametrize(
    ("mode", "until", "kinds"),
    [
        ("COMPLIANCE", EARLY, {"shortened"}),
        ("GOVERNANCE", datetime(2040, 1, 1, tzinfo=UTC), {"downgraded"}),
        ("GOVERNANCE", EARLY, {"shortened", "downgraded"}),
        ("COMPLIANCE", datetime(2040, 1, 1, tzinfo=UTC), set()),
    ],
)
def test_shortening_and_downgrade_are_found_where_the_server_lets_them_happen(
    s3: Any, in_bucket: Keeping, named: Callable[[], dict[str, str]], mode: str, until: datetime, kinds: set[str]
) -> None:
    s3.put_object_retention(**named(), Retention={"Mode": mode, "RetainUntilDate": until})
    assert {lost.kind for lost in in_bucket.check()} == kinds
    assert {lost.day for lost in in_bucket.check()} <= {DAY}


def test_a_version_that_is_gone_is_found(s3: Any, in_bucket: Keeping, named: Callable[[], dict[str, str]]) -> None:
    """A server that lets go what it promised to keep."""
    s3.put_object_retention(**named(), Retention={"Mode": "GOVERNANCE", "RetainUntilDate": EARLY})
    s3.delete_object(**named(), BypassGovernanceRetention=True)
    assert in_bucket.kinds() == {("chain", "missing")}


IN_FOLDER: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "removed": (lambda path: path.unlink(), {"missing"}),
    "changed": (lambda path: path.write_bytes(path.read_bytes()[::-1]), {"changed"}),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), {"changed"}),
    "shortened": (lambda path: _lock_of(path).write_text("2026-12-31T00:00:00Z"), {"shortened"}),
    "unlocked": (lambda path: _lock_of(path).unlink(), {"shortened"}),
    "writable": (lambda path: path.chmod(0o600), set()),
}


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@pytest.mark.parametrize("case", IN_FOLDER)
def test_what_is_done_to_a_folder_is_found(in_folder: Keeping, local: LocalStore, tmp_path: Path, case: str) -> None:
    """By somebody who could take the immutable flag away, which is a downgrade by itself where there was one."""
    act, kinds = IN_FOLDER[case]
    in_folder.kept()
    flagged = in_folder.day().objects["texts"].mode == "IMMUTABLE"
    loosen(tmp_path / "worm")
    act(tmp_path / "worm" / in_folder.object("texts")[0])
    found = {lost.kind for lost in in_folder.check() if (lost.day, lost.part) == (DAY, "texts")}
    downgraded = {"downgraded"} if "missing" not in kinds and (flagged or case == "writable") else set()
    assert found == kinds | downgraded


@pytest.mark.parametrize(
    "gone",
    [
        "runs/2026/11/23",
        "seals/000001.json.observer.sig",
        "seals/000001.json",
        "seals/000001.json.sig",
        "policies",
        "runs/2026/11/24",
    ],
)
def test_a_local_day_that_is_gone_is_found(in_folder: Keeping, gone: str) -> None:
    in_folder.kept()
    path = in_folder.root.path / gone
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    lost = in_folder.check()
    assert {(each.kind, each.part, each.incident) for each in lost} == {("local_missing", "root", True)}
    days = {NEXT} if gone.endswith("24") else {DAY, NEXT} if gone == "policies" else {DAY}
    assert {each.day for each in lost} == days
    more = " and 1 more files" if gone.startswith("runs") else ""
    assert all(each.detail.endswith(more) for each in lost)


def test_a_day_that_is_not_kept_for_long_is_said_and_is_no_incident(in_folder: Keeping) -> None:
    assert in_folder.check() == []
    in_folder.clock.move(days=2)
    (late,) = in_folder.check()
    assert (late.day, late.kind, late.incident) == (DAY, "not_kept", False)


def test_a_day_in_another_store_is_said(in_folder: Keeping, tmp_path: Path, clock: StepClock) -> None:
    in_folder.kept()
    in_folder.store = LocalStore(tmp_path / "other", clock=clock)
    assert in_folder.kinds() == {("store", "other_store")}


def test_a_store_that_cannot_be_asked_is_no_loss(in_bucket: Keeping) -> None:
    in_bucket.kept()
    in_bucket.store._client = client_of("http://127.0.0.1:9")  # type: ignore[attr-defined]
    with pytest.raises(StoreError):
        in_bucket.check()


def test_what_the_store_vouches_for_is_read_where_that_is_asked_for(
    in_bucket: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that keeps the digest and not the bytes."""
    in_bucket.kept()
    monkeypatch.setattr(type(in_bucket.store), "read", lambda *_: iter([b"nothing of it"]))
    assert in_bucket.check() == []
    assert {lost.kind for lost in in_bucket.check(read=True)} == {"changed"}


def test_evidence_past_its_time_is_still_looked_for_until_it_is_purged(in_folder: Keeping, tmp_path: Path) -> None:
    in_folder.kept()
    in_folder.clock.now = in_folder.day().until + timedelta(days=1)
    loosen(tmp_path / "worm")
    (tmp_path / "worm" / in_folder.object()[0]).unlink()
    assert ("chain", "missing") in in_folder.kinds()
