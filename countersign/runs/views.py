"""Workpapers and handoff reports as datasets: views that follow the logs.

What belongs here: which completed runs a day's files lack, and adding them. A run that a crash kept out of its file
is read from its log the next time its day is touched.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import chain
from typing import Any

import pyarrow as pa

from countersign.evidence.datasets import Dataset, Waiting, schema_of
from countersign.evidence.index import Index
from countersign.evidence.log import AuditLog
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.runs import handoff, workpaper
from countersign.runs.fold import read_state
from countersign.runs.state import RunState, Status

_READ_AT_ONCE = 200
Row = Callable[[RunState], dict[str, Any]]


def datasets_of(root: EvidenceRoot) -> list[tuple[Dataset, Row]]:
    """The datasets of an evidence root, and what makes a completed run's row of each."""
    return [
        (Dataset(root, workpaper.DATASET, schema_of(workpaper.COLUMNS)), workpaper.workpaper_row),
        (Dataset(root, handoff.DATASET, schema_of(handoff.COLUMNS)), handoff.handoff_row),
    ]


class Views:
    """The datasets of an evidence root; rows wait until their day is published."""

    def __init__(self, root: EvidenceRoot, register: Register, index: Index) -> None:
        self._root = root
        self._register = register
        self._index = index
        self._parts = datasets_of(root)
        self._waiting: dict[tuple[str, date], Waiting] = {}
        self._added: Counter[tuple[str, date]] = Counter()

    def collect(self, day: date, states: Sequence[RunState]) -> None:
        """Remember the rows of completed runs until `publish`."""
        completed = [state for state in states if state.closed_as is Status.COMPLETED]
        if completed:
            for dataset, row in self._parts:
                key = dataset.asset, day
                if key not in self._waiting:
                    self._waiting[key] = dataset.waiting()
                self._waiting[key].add(dataset.batch([row(state) for state in completed]))

    def publish(self, day: date) -> dict[str, int]:
        """Bring a day's files up to date with the register; returns the rows of each asset's file.

        A file that is not the one that the register knows is made anew from the logs, so that no row in it is taken
        over, whether a crash kept its digest out of the register or somebody wrote it.
        """
        rows = {}
        for dataset, row in self._parts:
            with dataset.locked(day):
                self._index.sync()
                dataset.keep_only(day, self._index.dataset_digest(dataset.asset, day))
                waiting = self._waiting.pop((dataset.asset, day), None)
                known = dataset.run_ids(day) | (waiting.run_ids if waiting else set())
                missing = [run_id for run_id in self._index.completed(day) if run_id not in known]
                batches = chain(waiting.batches() if waiting else (), self._from_logs(day, missing, dataset, row))
                before = dataset.rows(day)
                draft = dataset.merge(day, batches)
                if draft is not None:
                    self._added[dataset.asset, day] += dataset.rows(day) - before
                    self._register.append_many([draft])
                rows[dataset.asset] = dataset.rows(day)
        self._index.sync()
        return rows

    def make_anew(self, day: date) -> None:
        """Make a day's files anew from the logs, where there are any: what they were made from has changed.

        Only after an erasure: nothing else ever changes under a row.
        """
        for dataset, _ in self._parts:
            if dataset.path(day).exists():
                with dataset.locked(day):
                    dataset.keep_only(day, None)
        self.publish(day)

    def _from_logs(self, day: date, run_ids: Sequence[str], dataset: Dataset, row: Row) -> Iterator[pa.RecordBatch]:
        """The rows of these runs, read from their logs."""
        for start in range(0, len(run_ids), _READ_AT_ONCE):
            states = [self._read(day, run_id) for run_id in run_ids[start : start + _READ_AT_ONCE]]
            yield dataset.batch([row(state) for state in states])

    def take_added(self, day: date) -> dict[str, int]:
        """How many rows each asset's file of a day has gained since this was last asked."""
        return {dataset.asset: self._added.pop((dataset.asset, day), 0) for dataset, _ in self._parts}

    def unpublished(self) -> list[date]:
        """Days whose files a crash kept from following their logs."""
        return self._index.unpublished_days([dataset.asset for dataset, _ in self._parts])

    def _read(self, day: date, run_id: str) -> RunState:
        return read_state(run_id, AuditLog(self._root.log(day, run_id), root=self._root).records(), self._root.blobs)
