"""Whether the datasets say what the logs say.

What belongs here: the rows of a day's files against rows made again from its runs. What does not: making the files
(`views`), and their digests (`evidence/contents`).
"""

from collections.abc import Iterator, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from countersign.errors import EvidenceError
from countersign.evidence.datasets import KEY
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault
from countersign.runs.state import RunState
from countersign.runs.views import datasets_of


class Published:
    """The datasets of an intake day, held against the completed runs of that day that were looked at."""

    def __init__(self, root: EvidenceRoot, day: date) -> None:
        self._day = day
        self._parts = [(dataset, row, []) for dataset, row in datasets_of(root)]  # type: ignore[var-annotated]
        self._unread: set[str] = set()

    def leave_out(self, run_id: str) -> None:
        """A run whose log is at fault has its own name for that; its rows are not judged."""
        self._unread.add(run_id)

    def take(self, state: RunState) -> None:
        """Make the rows of a completed run again."""
        for dataset, row, made in self._parts:
            made.append(dataset.batch([row(state)]))

    def compare(self, published: Mapping[str, set[str]], *, whole: bool) -> Iterator[RootFault]:
        """Rows that differ, or lack, or have no run; the latter only where the `whole` day was looked at.

        `published` are, for each asset whose file is the registered one, the runs that had closed before that, which
        it therefore has. Any other file is not read: nobody knows what is in it.
        """
        for dataset, _, made in self._parts:
            if dataset.asset not in published:
                continue
            path = dataset.path(self._day)
            expected = pa.Table.from_batches(made, schema=dataset.schema).sort_by(KEY)
            try:
                found = dataset.table(self._day).sort_by(KEY)
            except (EvidenceError, ValueError, pa.ArrowException) as error:
                yield RootFault("dataset_unreadable", str(path), str(error))
                continue
            there, ids = set(found.column(KEY).to_pylist()), set(expected.column(KEY).to_pylist())
            for run_id in sorted((ids & published[dataset.asset]) - there):
                yield RootFault("row_missing", str(path), f"a row of {run_id}")
            for run_id in sorted(there - ids - self._unread) if whole else ():
                yield RootFault("row_stranger", str(path), f"no row of {run_id}, which did not complete on that day")
            both = pa.array(sorted((there & ids) - self._unread), pa.string())
            if not _of(found, both).equals(_of(expected, both)):
                yield RootFault("row_differs", str(path), "the rows that follow from the logs")


def _of(table: pa.Table, run_ids: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table.column(KEY), value_set=run_ids)).combine_chunks()
