import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from countersign.errors import EvidenceError
from countersign.evidence import durable
from countersign.evidence.root import EvidenceRoot
from tests.domain.evidence.conftest import DAY, RUN


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_private_and_made_with_their_parents(tmp_path: Path) -> None:
    durable.make_folder(tmp_path / "a" / "b")
    durable.make_folder(tmp_path / "a" / "b")
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    (tmp_path / "a").chmod(0o755)
    durable.make_folder(tmp_path / "a")
    assert mode(tmp_path / "a") == 0o755


def test_two_that_make_the_same_folder_at_once_both_succeed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(durable.make_folder, [tmp_path / "a" / "b" / "c"] * 64))
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_short_write_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: real(handle, bytes(content)[:3]))
    durable.replace_file(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_replaced_file_is_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    durable.replace_file(tmp_path / "a", b"old")
    durable.replace_file(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes(), mode(path)) for path in tmp_path.iterdir()] == [("a", b"new", 0o600)]


def test_a_file_is_whole_and_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")
    steps: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        steps.append(f"{'folder' if folder else 'file'}, name says {(tmp_path / 'a').read_text()}")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    durable.replace_file(tmp_path / "a", b"new")
    assert steps == ["file, name says old", "folder, name says new"]


def test_a_failed_sync_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        durable.replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_bytes_are_kept_under_their_digest_and_the_same_again_is_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    digest = durable.keep_by_digest(folder, b"words")
    assert durable.keep_by_digest(folder, b"words") == digest == hashlib.sha256(b"words").hexdigest()
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [(digest, b"words")]


def test_other_bytes_under_a_digest_are_refused_and_left(tmp_path: Path) -> None:
    digest = durable.keep_by_digest(tmp_path, b"words")
    (tmp_path / digest).write_bytes(b"other")
    with pytest.raises(EvidenceError, match="not what its name says"):
        durable.keep_by_digest(tmp_path, b"words")
    assert (tmp_path / digest).read_bytes() == b"other"


def test_threads_that_keep_the_same_bytes_at_once_do_not_meet(tmp_path: Path) -> None:
    """Two changes of one batch may carry the same attachment."""
    with ThreadPoolExecutor(8) as threads:
        for number in range(40):
            content = bytes([number]) * 200_000
            digests = set(threads.map(lambda kept: durable.keep_by_digest(tmp_path, kept), [content] * 8))
            assert digests == {hashlib.sha256(content).hexdigest()}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in tmp_path.iterdir())


def test_what_somebody_else_kept_a_moment_ago_is_durable_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.keep_by_digest(tmp_path, b"words")
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    durable.keep_by_digest(tmp_path, b"words")
    assert synced == [tmp_path]


@pytest.fixture
def evidence(root: Path) -> EvidenceRoot:
    made = EvidenceRoot(root)
    made.create()
    made.create()
    return made


def test_a_root_and_everything_kept_in_it_is_private(evidence: EvidenceRoot) -> None:
    digest = evidence.keep_version(b'{"version":"1"}')
    durable.keep_by_digest(evidence.blobs, b"words")
    folders = {path for path in [evidence.path, *evidence.path.rglob("*")] if path.is_dir()}
    files = {path for path in evidence.path.rglob("*") if path.is_file()}
    assert {mode(path) for path in folders} == {0o700}
    assert {mode(path) for path in files} == {0o600}
    assert evidence.policies / f"{digest}.json" in files
    assert {evidence.blobs, evidence.policies, evidence.datasets} < folders


def test_a_run_lies_under_its_intake_day(evidence: EvidenceRoot) -> None:
    assert evidence.log(DAY, RUN) == evidence.path / "runs/2026/11/23" / RUN / "audit.jsonl"


def test_the_root_around_a_path_is_the_nearest_folder_with_a_register(evidence: EvidenceRoot) -> None:
    log = evidence.log(DAY, RUN)
    assert EvidenceRoot.around(log) is None
    evidence.register.touch()
    found = EvidenceRoot.around(log)
    assert found is not None
    assert found.path == evidence.path
    assert EvidenceRoot.around(evidence.path) is None


def test_a_version_is_kept_under_its_digest_and_read_back(evidence: EvidenceRoot) -> None:
    digest = evidence.keep_version(b'{"version":"1"}')
    assert evidence.keep_version(b'{"version":"1"}') == digest
    assert evidence.version(digest) == b'{"version":"1"}'


def test_a_version_that_was_changed_is_neither_read_nor_kept_over(evidence: EvidenceRoot) -> None:
    digest = evidence.keep_version(b'{"version":"1"}')
    path = evidence.policies / f"{digest}.json"
    path.write_bytes(b'{"version":"2"}')
    with pytest.raises(EvidenceError, match="not what its name says"):
        evidence.version(digest)
    with pytest.raises(EvidenceError, match="not what its name says"):
        evidence.keep_version(b'{"version":"1"}')
    path.unlink()
    with pytest.raises(EvidenceError, match="is not kept here"):
        evidence.version(digest)
