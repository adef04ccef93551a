"""Commits of a git repository as changes, read through git itself.

A payload here is a projection of one commit object, which never changes; what points at it (branches, tags) is left
out. Bytes that are not UTF-8 become backslash escapes, so that any name survives.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from countersign.changes.sources.git_command import git, git_into, refuse_shallow
from countersign.changes.sources.interface import BY_HAND, Item, Raw, Record, Unreadable
from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import SourceError
from countersign.evidence import durable
from countersign.policy import Policy, Trailer

# hash, author, author time, committer, committer time, trailers, message; NUL cannot occur in any of them
_FIELDS = ("%H", "%an <%ae>", "%at", "%cn <%ce>", "%ct", "%(trailers:only=true,unfold=true)", "%B")
_KINDS = {"approval": "approval", "test": "test", "ticket": "ticket"}
_SHORT = 12
# what a query says after the command itself, which is the whole of it in roots made before
_SAID = re.compile(
    r"git log .*? --(?:, since (?P<since>\S+))?(?:, until (?P<until>\S+))?, system (?P<system>.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class _Commit:
    sha: str
    author: str
    authored: datetime
    committer: str
    committed: datetime
    trailers: list[tuple[str, str]]
    message: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reading of a repository was asked for: its system, and committer times in [since, until)."""

    system: str
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, query: str) -> Self | None:
        """As a query on record says it; None for one that was written before queries did."""
        said = _SAID.fullmatch(query)
        if said is None:
            return None
        since, until = (parse_instant(said[end]) if said[end] else None for end in ("since", "until"))
        return cls(said["system"], since, until)

    def query(self, command: Sequence[str]) -> str:
        """What `of` reads."""
        ends = {"since": self.since, "until": self.until}
        said = [f"{end} {stamp(at)}" for end, at in ends.items() if at is not None]
        return ", ".join([" ".join(command), *said, f"system {self.system}"])

    def holds(self, committed: datetime) -> bool:
        """Whether a commit of that time is in the range."""
        return not (self.since and committed < self.since) and not (self.until and committed >= self.until)


class GitSource:
    """Commits, or merges only, whose committer time lies in [since, until)."""

    adapter = "git"
    extractor = "git/1"

    def __init__(
        self,
        path: Path,
        policy: Policy,
        *,
        system: str,
        merge_deploys: bool,
        name: str = BY_HAND + adapter,
        since: datetime | None = None,
        until: datetime | None = None,
        merges_only: bool = False,
        revision: str = "HEAD",
    ) -> None:
        self.name = name
        self._path = path
        self._trailers = {key.casefold(): trailer for key, trailer in policy.trailers.items()}
        self._asked = Asked(system, since, until)
        self._merge_deploys = merge_deploys
        self._merges_only = merges_only
        self._revision = revision
        self._rows = 0

    def state(self) -> str | None:
        asked = ("rev-parse", "--verify", "--end-of-options", f"{self._revision}^{{commit}}")
        return git(self._path, *asked).decode().strip()

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        refuse_shallow(self._path)
        form = "%x00".join(_FIELDS)
        command = ["log", "-z", "--no-color", "--encoding=UTF-8", f"--format=tformat:{form}", *self._selection()]
        raw = scratch / "git-log"
        with durable.new_file(raw) as file:
            git_into(self._path, ["-c", "log.showSignature=false", *command], file)
        return [Raw(raw, self._asked.query(["git", *command]))]

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        (log,) = kept
        for fields in self._commits(log):
            where = f"{self._path}@{fields[0].strip()[:_SHORT]}"
            try:
                commit = _commit(fields)
            except (ValueError, OverflowError, OSError) as error:
                reason = f"the commit has a time that is none ({error}); git fsck says more"
                self._rows += 1
                yield Unreadable(where, self._change_id(fields[0].strip()), reason, "\0".join(fields).encode())
                continue
            if self._asked.holds(commit.committed):
                self._rows += 1
                yield Record(where, self._payload(commit))

    def rows(self) -> Sequence[int]:
        """The commits of the range: git gives those around it too, and they are none of this reading."""
        return [self._rows]

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        """What `git rev-list --count` says; None for a range of dates, which git would judge by other rules."""
        if self._asked.since or self._asked.until:
            return None
        counted = git(self._path, "rev-list", "--count", *self._selection())
        return int(counted)

    def _selection(self) -> list[str]:
        # the closing `--` says that the revision is no path, whatever files lie there
        return [*(["--merges"] if self._merges_only else []), "--end-of-options", self._revision, "--"]

    def _commits(self, log: Path) -> Iterator[list[str]]:
        """The fields of every commit in a fetched log, newest first."""
        fields: list[str] = []
        with log.open("rb") as file:
            for field in _split(file):
                fields.append(field.decode("utf-8", "backslashreplace"))
                if len(fields) == len(_FIELDS):
                    yield fields
                    fields = []
        if fields:
            raise SourceError(f"{self._path}: git stopped in the middle of a commit")

    def _change_id(self, sha: str) -> str:
        return f"{self._asked.system.replace('/', ':')}@{sha}"

    def _payload(self, commit: _Commit) -> dict[str, Any]:
        evidence: dict[str, Any] = {}
        contributors: list[str] = []
        committed = stamp(commit.committed)
        kind = "deployment" if self._merge_deploys else "ticket"
        evidence["commit"] = {"kind": kind, "text": _describe(commit), "by": commit.committer, "at": committed}
        counts: dict[str, int] = {}
        for key, value in commit.trailers:
            trailer = self._trailers.get(key.casefold())
            if trailer is None or not value:
                continue
            if trailer.means == "contributor":
                if value not in (commit.author, *contributors):
                    contributors.append(value)
                continue
            name = key.casefold()
            counts[name] = counts.get(name, 0) + 1
            evidence[f"{name}-{counts[name]}"] = _trailer_item(key, value, trailer, committed)
        payload: dict[str, Any] = {
            "id": self._change_id(commit.sha),
            "system": self._asked.system,
            "summary": commit.message.strip().split("\n", 1)[0].strip() or "(no message)",
            "author": commit.author,
            "contributors": contributors,
            "revision": commit.sha,
            "evidence": evidence,
        }
        if self._merge_deploys:
            payload |= {"deployed_by": commit.committer, "deployed_at": committed}
        return payload


def _trailer_item(key: str, value: str, trailer: Trailer, committed: str) -> dict[str, Any]:
    """A trailer as evidence: the line itself. It was there when the commit was made, so no later than that."""
    item = {"kind": _KINDS[trailer.means], "text": f"{key}: {value}", "at": committed}
    return item if trailer.means == "ticket" else {**item, "by": value}


def _describe(commit: _Commit) -> str:
    return (
        f"commit {commit.sha}\nAuthor: {commit.author}\nAuthored: {stamp(commit.authored)}\n"
        f"Committer: {commit.committer}\nCommitted: {stamp(commit.committed)}\n\n{commit.message}"
    )


def _commit(fields: list[str]) -> _Commit:
    """Raises ValueError, OverflowError or OSError where a time is none."""
    sha, author, authored, committer, committed, trailers, message = fields
    pairs = []
    for line in trailers.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            pairs.append((key.strip(), value.strip()))
    times = [datetime.fromtimestamp(int(seconds), UTC) for seconds in (authored, committed)]
    return _Commit(sha.strip(), author, times[0], committer, times[1], pairs, re.sub(r"\s+\Z", "\n", message))


def _split(stream: BinaryIO) -> Iterator[bytes]:
    """NUL-terminated fields of a stream."""
    rest = b""
    while block := stream.read(1 << 16):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
    if rest.strip():
        yield rest
