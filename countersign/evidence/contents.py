"""What lies in a root beside its logs: every file private, no link, and the content that its name or the register says.

What belongs here: files against digests. A dataset is replaced while work goes on, so one that seems wrong is looked at
again under its lock. What does not belong here: what a dataset's rows mean (`runs/published`), chains, seals.
"""

import os
import re
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

from countersign.errors import EvidenceError
from countersign.evidence import durable
from countersign.evidence.chain import open_lines
from countersign.evidence.durable import digest_of_file
from countersign.evidence.plain import is_plain
from countersign.evidence.register import events_of
from countersign.evidence.root import LOG, MONTHS, EvidenceRoot
from countersign.evidence.seals import RootFault

_VERSION = re.compile(r"([0-9a-f]{64})\.json")
_BLOB = re.compile(r"([0-9a-f]{64})")
_NAMED = re.compile(rb'"([0-9a-f]{64})"')
_PASSING = re.compile(r"(\..*)?\.(lock|tmp)")  # what a writer, or a crash, leaves; DuckDB reads other hidden files


def check_contents(
    root: EvidenceRoot,
    datasets: Iterable[tuple[str, str]],
    files: Mapping[str, str],
    erased: Container[str] = (),
) -> Iterator[RootFault]:
    """Everything wrong with the files but for the content of `datasets`, by asset and day (`check_dataset`).

    `files` are those of months, by their paths in the root, with the digests that the register knows. `erased` are the
    texts among the blobs in whose place a mark may lie.
    """
    yield from _private(root.path)
    yield from _named_by_digest(root.policies, _VERSION)
    yield from _named_by_digest(root.blobs, _BLOB, erased)
    yield from _named_by_digest(root.extracts, _BLOB)
    yield from _of_months(root, files)
    known = {str(root.dataset(asset, day)) for asset, day in datasets} | {f"{root.path}/{name}" for name in files}
    yield from _strangers(root, known)


def check_dataset(root: EvidenceRoot, asset: str, day: str, digest: str) -> Iterator[RootFault]:
    """Whether a dataset file is the one that the register names."""
    path = root.dataset(asset, day)
    if not is_plain(path):
        yield RootFault("dataset_missing", str(path), "a file; the next materialisation of its day rebuilds it")
    elif digest_of_file(path) != digest:
        yield RootFault("dataset_differs", str(path), f"the SHA-256 that the register knows, {digest}")


def check_dataset_again(root: EvidenceRoot, asset: str, day: str) -> Iterator[RootFault]:
    """Whether a dataset file is the one that the register names last, while nobody replaces it."""
    path = root.dataset(asset, day)
    with durable.alone(lock_of(path)) if os.access(path.parent, os.W_OK) else nullcontext():
        lines = events_of(root.register, "dataset")
        named = [line["digest"] for line in lines if (line["asset"], line["day"]) == (asset, day)]
        yield from check_dataset(root, asset, day, named[-1])


def lock_of(dataset: Path) -> Path:
    """The file that whoever replaces a day's dataset locks."""
    return dataset.with_name(f".{dataset.name}.lock")


def _of_months(root: EvidenceRoot, files: Mapping[str, str]) -> Iterator[RootFault]:
    """Files of months that are not the registered ones."""
    for name, digest in files.items():
        path = root.path / name
        if not is_plain(path):
            yield RootFault("file_missing", str(path), "a file; restore it from the retention store")
        elif digest_of_file(path) != digest:
            yield RootFault("file_differs", str(path), f"the SHA-256 that the register knows, {digest}")


def _strangers(root: EvidenceRoot, known: Container[str]) -> Iterator[RootFault]:
    """What somebody who reads a folder of datasets would read too, though no register line names it."""
    for parent, _, names in sorted(os.walk(root.datasets)):
        of_month = parent.startswith(f"{root.path}/{MONTHS}")
        for path in (f"{parent}/{name}" for name in sorted(names) if not _PASSING.fullmatch(name)):
            if path not in known:
                detail = "a register line that names its digest"
                yield RootFault("file_unregistered" if of_month else "dataset_unregistered", path, detail)


def orphaned_blobs(root: EvidenceRoot) -> list[str]:
    """Blobs that no log, nor register or findings, names: what a crash between a blob and its line leaves."""
    names = {path.name for path in root.blobs.iterdir() if _BLOB.fullmatch(path.name)} if root.blobs.is_dir() else set()
    for path in (root.register, root.findings, *root.path.glob(f"runs/*/*/*/*/{LOG}")):
        with suppress(EvidenceError), open_lines(path) as file:  # what cannot be read is a fault elsewhere
            for line in file if names else ():
                names.difference_update(map(bytes.decode, _NAMED.findall(line)))
    return sorted(names)


def _private(folder: Path) -> Iterator[RootFault]:
    """Links, which could point anywhere, what is no file at all, and what others than the owner could read or write.

    A name that is gone when it is looked at was somebody's temporary file.
    """
    for parent, folders, files in os.walk(folder):
        for name in (".", *(name for name in (*folders, *files))):
            path = Path(parent, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISLNK(status.st_mode):
                yield RootFault("symlink", str(path), "a file or a folder of its own, not a link")
            elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                yield RootFault("special_file", str(path), "a file or a folder, not a FIFO, a socket or a device")
            elif name not in folders and status.st_mode & 0o077:
                mode = "0700" if name == "." else "0600"
                yield RootFault("permissions", str(path), f"mode {mode}, not {status.st_mode & 0o777:04o}")


def _named_by_digest(folder: Path, names: re.Pattern[str], erased: Container[str] = ()) -> Iterator[RootFault]:
    """Files whose content is not what their name says; a temporary one that a crash left starts with a dot."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        found = names.fullmatch(path.name)
        if found is None and not path.name.startswith("."):
            yield RootFault("stranger", str(path), "a name that is the SHA-256 of the content")
        elif found is not None and found[1] not in erased and is_plain(path) and digest_of_file(path) != found[1]:
            yield RootFault("content_differs", str(path), "the content that its name says; restore it from a copy")
