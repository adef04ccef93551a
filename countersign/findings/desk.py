"""Where people answer for findings: each is judged by the configuration in force, and by who made the change.

What belongs here: fetching what a judgement needs. What does not: the rules (`disposal`), and writing (`log`).
"""

from pathlib import Path

from countersign.changes.hands import Hands
from countersign.environment import Clock, Entropy, random_bytes, utc_now
from countersign.errors import UnknownFindingError
from countersign.evidence.root import EvidenceRoot
from countersign.findings.disposal import Answer
from countersign.findings.finding import Finding
from countersign.findings.log import FindingsLog
from countersign.runs.adoption import ConfigurationDesk
from countersign.runs.hands import hands_of


class FindingDesk:
    """Takes acknowledgements and dispositions in an evidence root. Raises EvidenceError where there is none."""

    def __init__(self, path: Path, *, clock: Clock = utc_now, entropy: Entropy = random_bytes) -> None:
        self._in_force = ConfigurationDesk(path, clock=clock, entropy=entropy).in_force()
        self._root = EvidenceRoot(path)
        self._log = FindingsLog(self._root, clock=clock, entropy=entropy)

    def acknowledge(self, finding_id: str, person: str, reason: str) -> Finding:
        """Somebody takes a finding on; returns it as it then stands. Raises FindingRefused; harmless to repeat."""
        self._log.acknowledge(finding_id, person, reason, self._in_force, self._hands(finding_id))
        return self._finding(finding_id)

    def dispose(self, finding_id: str, person: str, answer: Answer) -> Finding:
        """Somebody disposes of a finding; returns it as it then stands. Raises FindingRefused."""
        return self._log.dispose(finding_id, person, answer, self._in_force, self._hands(finding_id))

    def _hands(self, finding_id: str) -> Hands | None:
        """Who had a hand in the change that a finding is about; nobody where it is about none."""
        run_id = self._finding(finding_id).what.run_id
        return () if run_id is None else hands_of(self._root, run_id)

    def _finding(self, finding_id: str) -> Finding:
        finding = self._log.read().by_id.get(finding_id)
        if finding is None:
            raise UnknownFindingError(
                f"{finding_id}: no such finding in {self._root.path}; `countersign finding list` shows them"
            )
        return finding
