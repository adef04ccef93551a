"""Sealing a root under the configuration in force, as commands and jobs ask for it.

What belongs here: what a seal has to know of a configuration. What does not: making the seal (`evidence.sealing`).
"""

from pathlib import Path

from countersign.environment import Clock
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal
from countersign.evidence.sealing import Sealer
from countersign.policy import Configuration
from countersign.runs.signatures import RosterKeys


def make_seal(root: EvidenceRoot, in_force: Configuration, key: Path, *, clock: Clock, new_key: bool = False) -> Seal:
    """Seal a root, with a key that signs for nobody on the roster in force. Raises what `Sealer.seal` does."""
    people = RosterKeys(in_force).everybody
    return Sealer(root, key, clock=clock, people=people, new_key=new_key).seal(in_force.digest)
