"""Re-performance: every control test of a run done again from retained evidence alone, and the workpaper compared.

The evidence is verified first. Then classification, assessment, gate and every step are taken again with the policy,
catalogue, calendar and roster of then, which lie in the evidence root: neither the policy in force nor any source is
asked. What belongs here: which runs, and what came of each. What does not: one log (`replay`), its clocks (`timing`),
and findings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path

from countersign.controls.assessment import Case
from countersign.controls.model.interface import Model, ModelFactory
from countersign.errors import CountersignError, EvidenceError, ModelUnavailable, NotReperformed
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.policy.model import ModelSpec
from countersign.runs.account import Registered
from countersign.runs.engine import chunks
from countersign.runs.replay import Difference, replay
from countersign.runs.state import RunState
from countersign.runs.timing import Timing
from countersign.runs.verification import RunFault, Verifier
from countersign.runs.versions import VersionStore

_TOGETHER = 1000


class Outcome(StrEnum):
    """What came of performing a run again."""

    IDENTICAL = "identical"
    DIFFERS = "differs"
    NOT_PERFORMED = "not_performed"


class LiveOutcome(StrEnum):
    """What came of asking a run's model again: its words, or only what they amount to, or neither, or no answer."""

    SAME_WORDS = "same_words"
    SAME_RESULTS = "same_results"
    OTHER_RESULTS = "other_results"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class Live:
    """The model's answer today beside the one of then; `difference` where the controls come out otherwise by it."""

    outcome: LiveOutcome
    why: str | None = None
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Reperformed:
    """One run performed again: `why` says what kept it from being so, `differences` what came out otherwise."""

    run_id: str
    day: date
    outcome: Outcome
    why: str | None = None
    system: str | None = None
    differences: tuple[Difference, ...] = ()
    live: Live | None = None


class Reperformer:
    """Performs runs of an evidence root again; nothing is written. `live` also asks models again, as it opens them.

    `faults` are what is wrong with register, seals and configurations. Raises EvidenceError where there is no root, or
    none whose register can be believed.
    """

    def __init__(self, path: Path, *, live: ModelFactory | None = None) -> None:
        self._root = EvidenceRoot(path)
        self._verifier = Verifier(path)
        self._ground = self._verifier.ground()
        if self._ground.account is None:
            raise EvidenceError(f"{self._root.register}: {self._ground.faults[0].detail}")
        self._versions = VersionStore(self._root, model=_not_asked)
        self._live = VersionStore(self._root, model=live) if live is not None else None
        self._timing = Timing(self._root, Register(self._root), self._versions)

    @property
    def faults(self) -> list[RunFault]:
        return self._ground.faults

    def run(self, run_id: str) -> list[Registered]:
        """One run. Raises UnknownRunError."""
        return self._ground.chosen([run_id], self._root.path)

    def opened(self, first: date, last: date) -> list[Registered]:
        """The runs of these intake days, in order. Raises EvidenceError where there are none."""
        assert self._ground.account is not None
        runs = [run.run_id for run in self._ground.account.runs.values() if first <= run.day <= last]
        if not runs:
            raise EvidenceError(f"{self._root.path}: no run was opened from {first} to {last}")
        return self._ground.chosen(runs, self._root.path)

    def perform(self, runs: Sequence[Registered]) -> Iterator[Reperformed]:
        """Each of these runs, in order; what one lacks does not stop the others."""
        for some in chunks(runs, _TOGETHER):
            self._timing.judge([run.run_id for run in some])
            for run in some:
                try:
                    yield self._performed(run)
                except (CountersignError, OSError) as error:
                    yield Reperformed(run.run_id, run.day, Outcome.NOT_PERFORMED, str(error))

    def _performed(self, run: Registered) -> Reperformed:
        read = self._verifier.read_run(run)
        if read.faults:
            first = read.faults[0]
            raise NotReperformed(f"does not verify: {first.kind}, {first.where}: expected {first.detail}")
        state = read.state
        if state is None or not state.ingested:
            raise NotReperformed("nothing was ingested yet; its payload, handed in again, begins it")
        again = replay(state, read.entries, self._versions.at(run.configuration))
        differences = (*again.differences, *self._timing.differences(state))
        outcome = Outcome.DIFFERS if differences else Outcome.IDENTICAL
        live = self._asked_again(state)
        return Reperformed(run.run_id, run.day, outcome, None, state.change.system, differences, live)

    def _asked_again(self, state: RunState) -> Live | None:
        """The same question to the same model, and what it would have come to; None where no model judged."""
        if self._live is None or state.asked is None or state.assessed_at is None:
            return None
        versions = self._live.at(state.configuration["digest"])
        assert versions.questions is not None  # verified: a model was asked where the policy names one
        case = Case(state.change, state.source, state.assessed_at)
        try:
            asked = versions.questions.ask(case)
        except ModelUnavailable as error:
            return Live(LiveOutcome.NO_ANSWER, str(error))
        if asked.said.failure is not None:
            return Live(LiveOutcome.NO_ANSWER, asked.said.failure)
        was = {judged.control: str(judged.result) for judged in state.judged}
        judged = versions.mapper(replace(case, asked=asked))
        now = {result.control: str(result.result) for result in judged.results}
        if now != was:
            return Live(LiveOutcome.OTHER_RESULTS, None, Difference("results by the model's answer", was, now))
        same = asked.said.text == state.asked.said.text
        return Live(LiveOutcome.SAME_WORDS if same else LiveOutcome.SAME_RESULTS)


def _not_asked(spec: ModelSpec) -> Model:
    raise ModelUnavailable(f"{spec.reader}: a re-performance reads what was answered, and asks nobody")
