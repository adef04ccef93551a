"""Tags of a git repository as deployments, where the policy says that such a tag deploys a system.

An annotated tag says who deployed and when; a lightweight one has nobody, and the time of its commit. A tag that was
moved is another deployment under the same id, which intake refuses.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from countersign.changes.deployment import change_id_of, read_deployment
from countersign.changes.sources.git_command import git, git_into, refuse_shallow
from countersign.changes.sources.interface import BY_HAND, Item, Raw, Skipped, Unreadable
from countersign.clocks.instant import stamp
from countersign.errors import PayloadError, SourceError
from countersign.evidence import durable

# tag, what it points at, and what that points at if it is a tag object; %00 cannot occur in any of them
_FIELDS = (
    "%(refname:strip=2)",
    *("%(objecttype)", "%(objectname)", "%(committerdate:unix)"),
    *("%(*objecttype)", "%(*objectname)", "%(taggername) %(taggeremail)", "%(taggerdate:unix)"),
)


class GitTagsSource:
    """The tags that match a pattern of git (`release-*`, `prod/*`), each a deployment of one system."""

    adapter = "git_tags"
    extractor = "git_tags/1"

    def __init__(self, path: Path, *, system: str, tags: str, environment: str, name: str = BY_HAND + adapter) -> None:
        self.name = name
        self._path = path
        self._system = system
        self._tags = tags
        self._environment = environment
        self._count = 0

    def state(self) -> str | None:
        return hashlib.sha256(git(self._path, *self._asked())).hexdigest()

    def fetch(self, scratch: Path) -> Sequence[Raw]:
        refuse_shallow(self._path)
        raw = scratch / "git-tags"
        with durable.new_file(raw) as file:
            git_into(self._path, self._asked(), file)
        return [Raw(raw, " ".join(["git", *self._asked()]))]

    def items(self, kept: Sequence[Path]) -> Iterator[Item]:
        (listed,) = kept
        text = listed.read_bytes().decode("utf-8", "backslashreplace")
        if text and not text.endswith("\n"):
            raise SourceError(f"{self._path}: git stopped in the middle of a tag")
        for line in text.split("\n")[:-1]:
            self._count += 1
            yield self._item(line.split("\0"), line.encode())

    def rows(self) -> Sequence[int]:
        return [self._count]

    def joined(self) -> int:
        return 0

    def declared(self) -> int | None:
        return None

    def _asked(self) -> list[str]:
        return ["for-each-ref", f"--format={'%00'.join(_FIELDS)}", "--sort=refname", f"refs/tags/{self._tags}"]

    def _item(self, fields: list[str], content: bytes) -> Item:
        tag, kind, named, committed, inner_kind, inner, tagger, tagged = fields
        where = f"{self._path}@{tag}"
        annotated = kind == "tag"
        if (inner_kind if annotated else kind) != "commit":
            return Skipped(where, change_id_of(tag), "the tag names no commit")
        row: dict[str, str | None] = {
            "id": tag,
            "environment": self._environment,
            "system": self._system,
            "revision": inner if annotated else named,
            "by": tagger if annotated else None,
        }
        try:
            at = stamp(datetime.fromtimestamp(int(tagged if annotated else committed), UTC))
            return read_deployment({**row, "at": at}, where, required=row.keys() - {"by"})
        except PayloadError as error:
            return Unreadable(where, error.change_id, str(error), content)
        except (ValueError, OverflowError, OSError) as error:
            return Unreadable(where, change_id_of(tag), f"the tag has a time that is none ({error})", content)
