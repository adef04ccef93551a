"""Verification of the monthly samples: seeds, draws and conclusions, decided again from what was frozen and signed.

What belongs here: faults by name. What does not: the files' digests, the chain and the seals (`runs.verification`), and
populations, which an observer holds against the register with `verify_sample.py`.
"""

from collections.abc import Iterator
from typing import Any

from countersign.errors import CountersignError
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seals import RootFault
from countersign.runs.versions import VersionStore
from countersign.sampling import frozen
from countersign.sampling.draw import Seed, draw, seed
from countersign.sampling.ledger import DRAWN, OBSERVED, MonthLines, Said, read_months, require_sealed
from countersign.sampling.nonce import require_nonce_stands
from countersign.sampling.review import decided_again, require_results_stand
from countersign.sampling.sample import read_sample

_UNFIT = (CountersignError, OSError, KeyError, TypeError, ValueError)  # refused, gone, or not of its form


def check_samples(root: EvidenceRoot) -> Iterator[RootFault]:
    """Everything wrong with the samples of a root whose register is whole."""
    register = Register(root)
    versions, environment = VersionStore(root), register.environment()
    try:
        months = read_months(register.records())
    except _UNFIT as error:
        yield RootFault("sample_unreadable", str(root.register), f"lines about months of their form, not {error!r}")
        return
    for said in months.values():
        yield from _of_month(root, said, versions, environment)


def _of_month(root: EvidenceRoot, said: MonthLines, versions: VersionStore, environment: str) -> Iterator[RootFault]:
    nonce = None
    if said.nonce is not None:
        try:
            published = require_sealed(root, said.frozen)
            nonce = require_nonce_stands(said.nonce, said.frozen, published, environment, versions)
        except _UNFIT as error:
            yield _fault(root, "nonce_void", said.nonce, str(error))
            return
    for drawn in said.of(DRAWN):
        try:
            yield from _drawn_again(root, said, drawn, nonce, versions)
        except _UNFIT as error:
            yield _fault(root, "sample_unreadable", drawn, f"a draw as it is registered, not {error!r}")
    draws = {drawn.data.get("manifest"): drawn for drawn in said.of(DRAWN)}
    for observed in said.of(OBSERVED):
        try:
            drawn = draws[observed.data["manifest"]]
            require_results_stand(observed, drawn, environment, versions)
            if decided_again(root, observed, drawn, said.frozen, versions) != _evaluated(observed):
                yield _fault(root, "results_differ", observed, "the conclusion that follows from the results")
        except _UNFIT as error:
            yield _fault(root, "results_void", observed, f"results of a draw, by an observer: {error}")


def _drawn_again(
    root: EvidenceRoot, said: MonthLines, drawn: Said, nonce: str | None, versions: VersionStore
) -> Iterator[RootFault]:
    """A draw against the seed and the tickets that follow from what was frozen; later lists are not in it."""
    population = frozen.read(root, said.month)
    assert population is not None  # the register has its line
    rule = versions.at(said.frozen.configuration).policy.sample.nonce
    seeded: Seed = seed(bytes.fromhex(population.digest), nonce, rule)
    if (drawn.data["seed"], drawn.data["seeded_by"]) != (seeded.value.hex(), seeded.seeded_by):
        yield _fault(root, "seed_differs", drawn, f"the seed {seeded.value.hex()}, by the {seeded.seeded_by}")
        return
    sample = read_sample(root, drawn)
    for name, ids in sample.drawn().items():
        if sample.strata[name].population != population.strata()[name]:
            continue  # the late ones, drawn before the last of them came
        again = [item.change_id for item in draw(population.clean_ids(name), len(ids), seeded).items]
        if again != ids:
            yield _fault(root, "sample_differs", drawn, f"the {len(ids)} lowest tickets of {name}")


def _evaluated(observed: Said) -> dict[str, Any]:
    """What a line says, but for the file that it names."""
    return {name: value for name, value in observed.data.items() if name not in ("files", "results")}


def _fault(root: EvidenceRoot, kind: str, said: Said, detail: str) -> RootFault:
    return RootFault(kind, f"{root.register}:{said.index + 1}", detail)
