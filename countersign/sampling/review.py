"""Taking the observer's results: signed, evaluated by stratum, and recorded.

What belongs here: the order of it. What does not: reading the file (`results`), the statistics (`evaluate`), until when
results are due (`standing`), and the findings that follow, which are `findings`.

Order of writes: the file, then the register's line. A correction is another file and another line: nothing is taken
back, and the last one counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import rfc8785

from countersign.changes.hands import Hands
from countersign.clocks.instant import parse_instant, stamp
from countersign.errors import SampleRefused
from countersign.evidence import durable
from countersign.evidence.durable import digest_of
from countersign.evidence.keyring import KeyRing
from countersign.evidence.plain import read_plain
from countersign.evidence.root import EvidenceRoot
from countersign.policy import Policy
from countersign.runs.engine import Engine
from countersign.runs.hands import hands_of
from countersign.runs.versions import VersionStore
from countersign.sampling import frozen
from countersign.sampling.evaluate import Evaluation, evaluate
from countersign.sampling.ledger import OBSERVED, MonthLines, Said, read_month
from countersign.sampling.month import Month
from countersign.sampling.results import Examined, examine, read_results, refuse_hands
from countersign.sampling.sample import Sample, planned, read_sample, terms_of
from countersign.sampling.statements import Signed, parse, require_good, sign

SCHEMA = "countersign/results/1"
NAMESPACE = "results@countersign"
HandsOf = Callable[[EvidenceRoot, str], Hands | None]
FIELDS = ("schema", "environment", "month", "population", "manifest", "results", "by", "decided_at")


@dataclass(frozen=True, slots=True)
class Observed:
    """Results that are on disk, as the register has them; `repeated` says that they were there already."""

    said: Said
    repeated: bool = False

    @property
    def month(self) -> str:
        return str(self.said.data["month"])

    @property
    def first_day(self) -> date:
        """Of the month."""
        return Month.parse(self.month).first

    @property
    def complete(self) -> bool:
        """Whether the population was, as far as its tests could show."""
        return bool(self.said.data["complete"])

    @property
    def conclusion(self) -> str:
        return str(self.said.data["conclusion"])

    @property
    def strata(self) -> dict[str, dict[str, Any]]:
        """By stratum what was found, and what it shows."""
        return dict(self.said.data["strata"])

    @property
    def deviations(self) -> list[tuple[str, int, int, bool]]:
        """Each stratum with how many deviate of how many, and whether the rate that they leave open is intolerable."""
        return [
            (name, one["deviations"], one["n"], one["conclusion"] == "not supported")
            for name, one in self.strata.items()
        ]


class ReviewDesk:
    """Takes results for the months of an engine's evidence root, under the configuration in force."""

    def __init__(self, engine: Engine, keys: KeyRing | None = None, hands: HandsOf = hands_of) -> None:
        self._engine = engine
        self._keys = keys or KeyRing()
        self._hands = hands

    def record(self, month: Month, by: str, name: str, content: bytes) -> Observed:
        """Have an observer sign a results file, evaluate it and take it. Raises SampleRefused.

        `name` says whether it is CSV or Parquet. The same file again is harmless.
        """
        said, sample = self._drawn(month)
        known = _known(said, by, content)
        if known is not None:
            return Observed(known, repeated=True)
        self._examined(sample, name, content)  # before anybody signs
        signed_at = self._engine.clock()
        statement = self._content(sample, by, content, stamp(signed_at))
        return self._take(
            month, name, content, sign(statement, by, NAMESPACE, self._engine.current, self._keys, signed_at)
        )

    def request(self, month: Month, by: str, name: str, content: bytes) -> bytes:
        """What an observer would sign for a results file, for signing it elsewhere. Raises SampleRefused."""
        _, sample = self._drawn(month)
        self._examined(sample, name, content)
        return self._content(sample, by, content, stamp(self._engine.clock()))

    def submit(self, name: str, content: bytes, statement: bytes, signature: bytes) -> Observed:
        """Take a results file that was signed for elsewhere; the same again is harmless. Raises SampleRefused."""
        fields = parse(statement, SCHEMA, "results", FIELDS)
        month = Month.parse(fields["month"])
        known = _known(self._drawn(month)[0], fields["by"], content)
        if known is not None:
            return Observed(known, repeated=True)
        return self._take(month, name, content, Signed(statement, signature))

    def _drawn(self, month: Month) -> tuple[MonthLines, Sample]:
        said = read_month(self._engine.register.records(), month)
        if said.frozen and said.drawn is None:
            raise SampleRefused(f"{month}: nothing is drawn yet, so there is nothing to observe")
        assert said.drawn is not None
        return said, read_sample(self._engine.root, said.drawn)

    def _examined(self, sample: Sample, name: str, content: bytes) -> list[Examined]:
        now, rows = self._engine.clock(), read_results(content, name)
        current, root = self._engine.current, self._engine.root
        examined = examine(rows, sample.rows(), sample.said.at, current, now)
        refuse_hands(examined, lambda run_id: self._hands(root, run_id), current.people)
        return examined

    def _content(self, sample: Sample, by: str, content: bytes, decided_at: str) -> bytes:
        environment = self._engine.register.environment()
        return _what_is_signed(sample.said, digest_of(content), by, environment, decided_at)

    def _take(self, month: Month, name: str, content: bytes, signed: Signed) -> Observed:
        """Judge and write results."""
        fields, now = parse(signed.content, SCHEMA, "results", FIELDS), self._engine.clock()
        by, (said, sample) = fields["by"], self._drawn(month)
        expected = self._content(sample, by, content, fields["decided_at"])
        if signed.content != expected or parse_instant(fields["decided_at"]) > now:
            raise SampleRefused(f"what {by!r} signed is about another root, draw or file; request it again")
        if any(one.texts["statement"] == signed.content.decode() for one in said.of(OBSERVED)):
            raise SampleRefused("these results were taken before, and others after them; sign them anew")
        require_good(signed, by, NAMESPACE, self._engine.current, now)
        policy = self._engine.versions.at(said.frozen.configuration).policy
        evaluated = _evaluate(policy, sample, self._examined(sample, name, content))
        with self._engine.register.writing() as writer:
            if len(read_month(writer.entries(), month).lines) != len(said.lines):
                raise SampleRefused(f"{month}: something about it was recorded in the meantime; hand it in again")
            # under the lock, so that nobody else keeps a file of this number
            kept = self._keep(month, name, content, len(said.of(OBSERVED)) + 1)
            data = {**_facts(policy, sample, evaluated), "results": digest_of(content), "files": kept}
            writer.append([signed.draft(OBSERVED, by, data)])
            taken = read_month(writer.entries(), month).observed
        assert taken is not None
        return Observed(taken)

    def _keep(self, month: Month, name: str, content: bytes, number: int) -> dict[str, str]:
        folder = frozen.folder_of(self._engine.root, month)
        path = folder / f"results-{number}{'.parquet' if name.endswith('.parquet') else '.csv'}"
        durable.replace_file(path, content)
        return {str(path.relative_to(self._engine.root.path)): digest_of(content)}


def require_results_stand(observed: Said, drawn: Said, environment: str, versions: VersionStore) -> None:
    """Judge the signature of results again as it was when they came. Raises SampleRefused."""
    signed, by = Signed.read(observed), observed.actor
    decided_at = parse(signed.content, SCHEMA, "results", FIELDS)["decided_at"]
    if signed.content != _what_is_signed(drawn, observed.data["results"], by, environment, decided_at):
        raise SampleRefused(f"what {by!r} signed is about something else")
    require_good(signed, by, NAMESPACE, versions.at(observed.configuration), observed.at)


def decided_again(
    root: EvidenceRoot, observed: Said, drawn: Said, frozen_at: Said, versions: VersionStore
) -> dict[str, Any]:
    """What the register would say of kept results, computed anew. Raises SampleRefused, OSError without the file."""
    ((name, _),) = observed.data["files"].items()
    content = read_plain(root.path / name)
    if digest_of(content) != observed.data["results"]:
        raise SampleRefused(f"{name}: another file than {observed.actor!r} signed")
    sample, policy = read_sample(root, drawn), versions.at(frozen_at.configuration).policy
    rows = read_results(content, name)
    examined = examine(rows, sample.rows(), drawn.at, versions.at(observed.configuration), observed.at)
    return _facts(policy, sample, _evaluate(policy, sample, examined))


def _what_is_signed(drawn: Said, results: str, by: str, environment: str, decided_at: str) -> bytes:
    """RFC 8785 bytes of results; `environment` is the evidence root they are for."""
    return rfc8785.dumps(
        {
            "schema": SCHEMA,
            "environment": environment,
            "month": drawn.data["month"],
            "population": drawn.data["digest"],
            "manifest": drawn.data["manifest"],
            "results": results,
            "by": by,
            "decided_at": decided_at,
        }
    )


def _known(said: MonthLines, by: str, content: bytes) -> Said | None:
    """The line of these results, where they are the last ones of the draw that counts."""
    last = said.observed
    same = last is not None and (last.actor, last.data["results"]) == (by, digest_of(content))
    return last if same else None


def _evaluate(policy: Policy, sample: Sample, examined: list[Examined]) -> list[tuple[Evaluation, list[str]]]:
    """What each stratum shows, with the runs that deviate."""
    evaluated = []
    plans = {one.tier: one for one in planned(policy, {name: one.population for name, one in sample.strata.items()})}
    for name, drawn in sample.drawn().items():
        found = [one for one in examined if one.stratum == name]
        shown = evaluate(plans[name], drawn, [one.result for one in found], terms_of(policy))
        deviating = set(shown.deviations)
        evaluated.append((shown, [one.run_id for one in found if one.change_id in deviating]))
    return evaluated


def _facts(policy: Policy, sample: Sample, evaluated: list[tuple[Evaluation, list[str]]]) -> dict[str, Any]:
    """What the register says of results; rates as decimals in text, since a line holds no floats."""
    strata = {
        shown.tier: {
            "population": shown.population,
            "n": shown.n,
            "deviations": len(shown.deviations),
            "deviating": runs,
            "conclusion": shown.conclusion,
            "limit": "0" if shown.limit is None else f"{shown.limit.limit:.10g}",
            "formula": "" if shown.limit is None else shown.limit.formula,
            "expansion": shown.expansion
            and {
                "further": shown.expansion.further,
                "total": shown.expansion.total,
                "risk": f"{shown.expansion.risk:.10g}",
            },
        }
        for shown, runs in evaluated
    }
    supported = all(shown.conclusion != "not supported" for shown, _ in evaluated)
    return {
        "month": sample.said.data["month"],
        "digest": sample.said.data["digest"],
        "manifest": sample.digest,
        "complete": sample.complete,
        "seeded_by": sample.seeded_by,
        "confidence": f"{policy.sample.confidence:.10g}",
        "tolerable": f"{policy.sample.tolerable:.10g}",
        "conclusion": "supported" if supported else "not supported",
        "strata": strata,
    }
