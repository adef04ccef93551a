"""What somebody who handed in a sign-off is told: which runs took it, and which did not.

What belongs here: those answers. What does not: taking a sign-off (`sign_offs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from countersign.errors import SignOffRefused


@dataclass(frozen=True, slots=True)
class Receipt:
    """A sign-off that is on disk; `repeated` says that it was there already, `waits` that the run has still to go on.

    `log_head` is the head of the run's log with this very sign-off, whatever came since.
    """

    run_id: str
    key: str
    by: str
    decision: str
    log_head: str
    repeated: bool
    waits: bool

    def document(self) -> dict[str, str | bool]:
        """As JSON documents show it."""
        return {
            "run_id": self.run_id,
            "key": str(self.key),
            "by": self.by,
            "decision": self.decision,
            "log_head": self.log_head,
            "repeated": self.repeated,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A run of a signed statement that did not take its sign-off, and why."""

    run_id: str
    reason: str

    def document(self) -> dict[str, str]:
        """As JSON documents show it."""
        return {"run_id": self.run_id, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a signed statement: each of its runs is in one of the two, in the statement's order."""

    taken: Sequence[Receipt] = field(default=())
    refused: Sequence[Refusal] = field(default=())

    def require_whole(self) -> Sequence[Receipt]:
        """Every receipt. Raises SignOffRefused naming each run that was refused; the others are taken all the same."""
        if self.refused:
            raise SignOffRefused("; ".join(f"{one.run_id}: {one.reason}" for one in self.refused))
        return self.taken
