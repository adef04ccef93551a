"""Verification of the monthly samples: sizes, seeds, draws, conclusions, decided again from what was frozen and signed.

What belongs here: faults by name. What does not: the files' digests, the chain and the seals (`runs.verification`), and
populations, which an observer holds against the register with `verify_sample.py`.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from countersign.errors import CountersignError, SampleRefused, SignatureError
from countersign.evidence.register import Register
from countersign.evidence.root import EvidenceRoot
from countersign.evidence.seal import sealing_keys
from countersign.evidence.seals import RootFault
from countersign.evidence.signers import PublicKey
from countersign.runs.versions import VersionStore
from countersign.sampling import frozen
from countersign.sampling.draw import Seed, draw, seed
from countersign.sampling.drawing import refuse_unfounded, sizes_of
from countersign.sampling.frozen import FROZEN
from countersign.sampling.ledger import DRAWN, OBSERVED, MonthLines, Said, read_months, require_sealed
from countersign.sampling.nonce import require_nonce_stands
from countersign.sampling.plan import StratumPlan
from countersign.sampling.review import decided_again, require_results_stand
from countersign.sampling.sample import planned, read_sample

_UNFIT = (CountersignError, OSError, AttributeError, KeyError, TypeError, ValueError)  # refused, gone, of no form


def check_samples(root: EvidenceRoot) -> Iterator[RootFault]:
    """Everything wrong with the samples of a root whose register is whole."""
    register = Register(root)
    versions, environment, keys = VersionStore(root), register.environment(), sealing_keys(root)
    try:
        months = read_months(register.records())
    except _UNFIT as error:
        yield RootFault("sample_unreadable", str(root.register), f"lines about months of their form, not {error!r}")
        return
    for said in months.values():
        yield from _of_month(root, said, versions, environment, keys)


def _of_month(
    root: EvidenceRoot, said: MonthLines, versions: VersionStore, environment: str, keys: Container[PublicKey]
) -> Iterator[RootFault]:
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
            yield from _drawn_again(root, said.before(drawn), drawn, nonce, versions)
            yield from _signed(root, drawn, keys)
        except _UNFIT as error:
            yield _fault(root, "sample_unreadable", drawn, f"a draw as it is registered, not {error!r}")
    draws = {drawn.data.get("manifest"): drawn for drawn in said.of(DRAWN)}
    taken = set()
    for observed in said.of(OBSERVED):
        try:
            if observed.texts["statement"] in taken:
                raise SampleRefused("the same, signed once, were taken before")
            taken.add(observed.texts["statement"])
            drawn = draws[observed.data["manifest"]]
            require_results_stand(observed, drawn, environment, versions)
            if decided_again(root, observed, drawn, said.frozen, versions) != _evaluated(observed):
                yield _fault(root, "results_differ", observed, "the conclusion that follows from the results")
        except _UNFIT as error:
            yield _fault(root, "results_void", observed, f"results of a draw, by an observer: {error}")


def _drawn_again(
    root: EvidenceRoot, said: MonthLines, drawn: Said, nonce: str | None, versions: VersionStore
) -> Iterator[RootFault]:
    """A draw against sizes, seed and tickets that follow from what was `said` before it: frozen, drawn and found."""
    policy, lists = versions.at(said.frozen.configuration).policy, len(said.of(FROZEN))
    population = frozen.read(root, said.month, lists)
    assert population is not None  # the register has its line
    seeded: Seed = seed(bytes.fromhex(population.digest), nonce, policy.sample.nonce)
    if (drawn.data["seed"], drawn.data["seeded_by"]) != (seeded.value.hex(), seeded.seeded_by):
        yield _fault(root, "seed_differs", drawn, f"the seed {seeded.value.hex()}, by the {seeded.seeded_by}")
        return
    if (drawn.data["digest"], drawn.data["complete"]) != (population.digest, population.complete):
        yield _fault(root, "sample_differs", drawn, f"a draw of the frozen population {population.digest}")
    try:
        sizes = _sizes(root, said, drawn, planned(policy, population.strata()))
    except SampleRefused as refusal:
        yield _fault(root, "sample_differs", drawn, f"a draw that there is a reason for: {refusal}")
        return
    if drawn.data["strata"] != sizes:
        yield _fault(root, "sample_differs", drawn, f"the strata {sizes}")
        return
    for name, ids in read_sample(root, drawn).drawn().items():
        n = sizes[name]["n"]
        if ids != [item.change_id for item in draw(population.clean_ids(name), n, seeded).items]:
            yield _fault(root, "sample_differs", drawn, f"the {n} lowest tickets of {name}")


def _sizes(root: EvidenceRoot, said: MonthLines, drawn: Said, plans: Sequence[StratumPlan]) -> dict[str, Any]:
    """The strata of a draw as they are planned, or larger for its finding. Raises SampleRefused where there is none."""
    least = sizes_of(plans, said.drawn, {})
    more = {name: size["n"] for name, size in drawn.data["strata"].items() if size["n"] > least[name]["n"]}
    refuse_unfounded(root, said, drawn.data["finding"], more)
    return sizes_of(plans, said.drawn, more)


def _signed(root: EvidenceRoot, drawn: Said, keys: Container[PublicKey]) -> Iterator[RootFault]:
    """A draw against its manifest, and that against the keys that may have signed it."""
    sample = read_sample(root, drawn)
    if not sample.truly_said:
        yield _fault(root, "sample_differs", drawn, "a draw as its manifest says it")
    try:
        good = sample.signed_by() in keys
    except SignatureError:
        good = False
    if not good:
        yield _fault(root, "manifest_signature", drawn, "a manifest signed by a key that seals this root")


def _evaluated(observed: Said) -> dict[str, Any]:
    """What a line says, but for the file that it names."""
    return {name: value for name, value in observed.data.items() if name not in ("files", "results")}


def _fault(root: EvidenceRoot, kind: str, said: Said, detail: str) -> RootFault:
    return RootFault(kind, f"{root.register}:{said.index + 1}", detail)
