"""A bench with an observer on it, who has keys, and a key that seals: what the tests of the observer's side share."""

import subprocess
from pathlib import Path
from typing import Any

from countersign.evidence.keyring import KeyRing
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import Seal
from countersign.evidence.sealing import Sealer
from countersign.policy import Policy
from countersign.sampling.nonce import NAMESPACE as NONCES
from countersign.sampling.nonce import NonceDesk
from tests.conftest import StepClock
from tests.domain.runs.conftest import Bench, policy_with
from tests.keys import key_entry, make_key

MONTH = "2026-10"
NONCE = "5f0c7e6a1b2d3c4e5f60718293a4b5c6"


class Observing(Bench):
    """An evidence root whose observer signs: `folder` has a key for each namespace they sign in, and `seal`."""

    def __init__(self, root: Path, policy: Policy, clock: StepClock, folder: Path, **sample: Any) -> None:
        self.folder = folder
        folder.mkdir()
        make_key(folder / "seal")
        super().__init__(root, self._observed(policy, sample), clock)

    def _observed(self, policy: Policy, sample: dict[str, Any]) -> Policy:
        people = policy.model_dump(mode="json")["people"]
        for person in people:
            if person["id"] == "observer":
                person["keys"] = [key_entry(self.key(namespace), namespace) for namespace in (NONCES,)]
        return policy_with(policy, people=people, sample={**policy.sample.model_dump(mode="json"), **sample})

    def key(self, namespace: str) -> Path:
        """The observer's key for a namespace."""
        path = self.folder / f"observer.{namespace.partition('@')[0]}"
        return path if path.exists() else make_key(path)

    @property
    def keys(self) -> KeyRing:
        return KeyRing(folder=self.folder)

    @property
    def evidence(self) -> EvidenceRoot:
        return self.run.engine.root

    @property
    def nonces(self) -> NonceDesk:
        return NonceDesk(self.run.engine, self.keys)

    def seal(self) -> Seal:
        return Sealer(self.evidence, self.folder / "seal", clock=self.clock).seal("c" * 64)

    def says_frozen(self, digest: str = "d" * 64, month: str = MONTH) -> None:
        """A register line as a freeze leaves it, without a population behind it."""
        self.run.engine.register.append("population_frozen", "countersign", month=month, digest=digest)

    def elsewhere(self, content: bytes, namespace: str, key: Path | None = None) -> bytes:
        """What stock ssh-keygen makes of a file, on a machine that has none of this software."""
        command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key or self.key(namespace)), "-n", namespace]
        done = subprocess.run(command, input=content, capture_output=True, check=True)
        return done.stdout
