"""The evidence root: where everything lies. What belongs here: paths and content-addressed keeping; no judgement."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path

from countersign.errors import EvidenceError, UnknownRunError
from countersign.evidence import durable
from countersign.evidence.lines import is_digest
from countersign.evidence.plain import read_plain

REGISTER = "register.jsonl"
LOG = "audit.jsonl"
FINDINGS = "findings.jsonl"
MONTHS = "datasets/clean_population_sample/month="  # and a month: the folder of its sample


class EvidenceRoot:
    """The folder layout of an evidence root."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    @classmethod
    def around(cls, path: Path) -> "EvidenceRoot | None":
        """The evidence root that a path lies in, or None."""
        absolute = Path(path).absolute()
        return next((cls(folder) for folder in absolute.parents if (folder / REGISTER).is_file()), None)

    @classmethod
    def of_run(cls, rundir: Path | str) -> "EvidenceRoot":
        """The evidence root that a run's folder lies in. Raises UnknownRunError where it lies in none."""
        root = cls.around(Path(rundir) / LOG)
        if root is None:
            raise UnknownRunError(f"{rundir}: not inside an evidence root; name a run's folder under <root>/runs")
        return root

    def create(self) -> None:
        """Make the root and its fixed folders, private; harmless when they are there."""
        for folder in (self.path, self.blobs, self.extracts, self.policies, self.datasets):
            durable.make_folder(folder)

    def existing(self) -> "EvidenceRoot":
        """Itself, for whoever makes none. Raises EvidenceError where there is none."""
        if not self.register.is_file():
            raise EvidenceError(f"{self.path}: no evidence root; `countersign run` makes one, --root names another")
        return self

    @property
    def writable(self) -> bool:
        """Whether whoever asks may write here; not on a read-only copy."""
        return os.access(self.path, os.W_OK)

    @property
    def register(self) -> Path:
        return self.path / REGISTER

    @property
    def findings(self) -> Path:
        return self.path / FINDINGS

    @property
    def seals(self) -> Path:
        return self.path / "seals"

    @property
    def index(self) -> Path:
        return self.path / "index.sqlite"

    @cached_property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @cached_property
    def extracts(self) -> Path:
        return self.path / "extracts"

    @cached_property
    def policies(self) -> Path:
        return self.path / "policies"

    @cached_property
    def datasets(self) -> Path:
        return self.path / "datasets"

    def rundir(self, day: date, run_id: str) -> Path:
        """The folder of a run that was opened on an intake day."""
        return Path(f"{self.path}/runs/{day.year:04}/{day.month:02}/{day.day:02}/{run_id}")

    def log(self, day: date, run_id: str) -> Path:
        """The one file of a run."""
        return Path(f"{self.path}/runs/{day.year:04}/{day.month:02}/{day.day:02}/{run_id}/{LOG}")

    def dataset(self, asset: str, day: str) -> Path:
        """The file of an asset and an intake day (ISO 8601)."""
        return self.datasets / asset / f"day={day}.parquet"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder for what is being fetched, gone afterwards; what is kept from it is moved out."""
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self.extracts) as folder:
            yield Path(folder)

    def keep_version(self, canonical: bytes) -> str:
        """Keep a version of policy or catalogue under its digest, for whoever performs a test again."""
        digest = durable.digest_of(canonical)
        path = self.policies / f"{digest}.json"
        if not path.exists():
            durable.replace_file(path, canonical)
        elif read_plain(path) != canonical:
            raise EvidenceError(f"{path}: the content is not what its name says; restore it from a copy")
        return digest

    def version(self, digest: str) -> bytes:
        """A kept version of policy or catalogue. Raises EvidenceError when it is missing or changed."""
        if not is_digest(digest):
            raise EvidenceError(f"{self.policies}: {digest!r} is no SHA-256, by which a version is named")
        path = self.policies / f"{digest}.json"
        try:
            content = read_plain(path)
        except EvidenceError as error:
            raise EvidenceError(f"{path}: this version is named by a log but is not kept here") from error
        if durable.digest_of(content) != digest:
            raise EvidenceError(f"{path}: the content is not what its name says")
        return content
