"""The monthly sample: frozen, sealed, and drawn as soon as it may be."""

import base64
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    BetaWarning,
    MaterializeResult,
    MetadataValue,
    PartitionsDefinition,
    TimeWindowPartitionMapping,
    asset,
)

from assets.evidence_chain import OWNER, POOL
from assets.metadata import table
from countersign.errors import SampleRefused
from countersign.findings.incompleteness import record_incompleteness
from countersign.runs.engine import Engine
from countersign.runs.sealing import make_seal
from countersign.sampling import pictures
from countersign.sampling.month import Month
from resources.evidence import Evidence, WallClock

if TYPE_CHECKING:
    from countersign.sampling.frozen import Frozen
    from countersign.sampling.sample import Sample

SAMPLE, GROUP = "clean_population_sample", "sample"
_MOST_ROWS = 50
_JUDGED = {True: "holds", False: "FAILS", None: "not judged"}


def sample_asset(months: PartitionsDefinition[str]) -> AssetsDefinition:
    """The population of a month with its sample."""

    @asset(
        name=SAMPLE,
        partitions_def=months,
        deps=[AssetDep("audit_log", partition_mapping=_days_of_a_month())],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet"},
        pool=POOL,
        description="Every change deployed in a month, by outcome, frozen and sealed; and the sample of its clean "
        "ones, drawn once the observer's nonce is there. Materialising again gives the same rows, whatever turned "
        "stale above; what came after the freeze is a late stratum, and never silently part of it.",
    )
    def clean_population_sample(
        context: AssetExecutionContext, evidence: Evidence, clock: WallClock
    ) -> MaterializeResult[None]:
        from countersign.sampling.freeze import freeze  # noqa: PLC0415  (brings pyarrow; definitions load without)

        engine, month = evidence.engine(clock), Month.parse(context.partition_key)
        while evidence.look(engine, send=False).did_something:
            pass  # who was late is not clean; a breach starts a clock of its own
        frozen = freeze(engine, month, evidence.sources(engine)).frozen
        log, policy = evidence.findings(engine), engine.current.policy
        opened = record_incompleteness(log, month.first, frozen.lacks(), engine.clock(), policy)
        sample, stands = _drawn(engine, month, evidence.seal_key)
        return MaterializeResult(metadata=_metadata(engine, frozen, sample, stands, opened))

    return clean_population_sample


def _drawn(engine: Engine, month: Month, seal_key: str) -> "tuple[Sample | None, str]":
    """The sample, drawn now or before, or None; and how it stands, in words."""
    from countersign.sampling.drawing import draw_month  # noqa: PLC0415  (brings pyarrow; definitions load without)

    if not seal_key:
        return None, "not drawn: no key seals this evidence root; name one with COUNTERSIGN_SEAL_KEY"
    try:
        _publish(engine, month, Path(seal_key))
        sample = draw_month(engine.root, month, key=Path(seal_key), clock=engine.clock)
        _publish(engine, month, Path(seal_key))
    except SampleRefused as refused:
        return None, f"not drawn: {refused}"
    was = "was drawn before" if sample.repeated else "is drawn"
    return sample, f"the sample {was}, {sample.seeded_by}-seeded"


def _days_of_a_month() -> TimeWindowPartitionMapping:
    """Every day of it that there is: the month in which the days begin may be older than they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)  # else it greets everybody who starts the product
        return TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)


def _publish(engine: Engine, month: Month, key: Path) -> None:
    """Seal the root where no seal covers everything that it says of the month: its digest, its nonce, its draw."""
    from countersign.sampling.ledger import read_month, require_sealed  # noqa: PLC0415  (brings pyarrow; definitions load without)

    newest = read_month(engine.register.records(), month).lines[-1]
    try:
        require_sealed(engine.root, newest)
    except SampleRefused:
        make_seal(engine.root, engine.current.configuration, key, clock=engine.clock)


def _metadata(
    engine: Engine, frozen: "Frozen", sample: "Sample | None", stands: str, opened: list[str]
) -> dict[str, Any]:
    """What there is of the month, whether anything is missing, how it was drawn from, and three pictures."""
    counts = [(stratum, outcome, count) for (stratum, outcome), count in frozen.counts.items()]
    tests = frozen.tests()
    judged = [(test.name.replace("_", " "), _JUDGED[test.passed], test.says) for test in tests]
    offenders = [(test.name.replace("_", " "), one) for test in tests for one in test.offenders]
    more = f"\n\n… and {len(offenders) - _MOST_ROWS} more" if len(offenders) > _MOST_ROWS else ""
    metadata: dict[str, Any] = {
        "complete": MetadataValue.bool(frozen.complete),
        "stands": MetadataValue.text(
            stands if frozen.complete else f"INCOMPLETE ({', '.join(frozen.lacks())}); {stands}"
        ),
        "changes": MetadataValue.int(sum(frozen.counts.values())),
        "clean": MetadataValue.int(sum(frozen.strata().values())),
        "population": table(("stratum", "outcome", "runs"), counts),
        "completeness": table(("test", "", "says"), judged),
        "offenders": MetadataValue.md(f"{table(('test', 'which'), offenders[:_MOST_ROWS]).md_str}{more}"),
        "findings_opened": MetadataValue.int(len(opened)),
        "population_digest": MetadataValue.text(frozen.digest),
        "folder": MetadataValue.path(str(frozen.folder)),
    }
    if sample is not None:
        drawn = [(name, one.population, one.n) for name, one in sample.strata.items()]
        metadata["sample"] = table(("stratum", "clean", "drawn"), drawn)
        metadata["manifest"] = MetadataValue.text(sample.digest)
    return metadata | _pictures(engine, frozen, sample)


def _pictures(engine: Engine, frozen: "Frozen", sample: "Sample | None") -> dict[str, Any]:
    from countersign.sampling.figures import figures  # noqa: PLC0415  (brings pyarrow; definitions load without)
    from countersign.sampling.ledger import read_months  # noqa: PLC0415  (brings pyarrow; definitions load without)

    shown = figures(frozen, sample, read_months(engine.register.records()))
    drawn = {
        "by_day": pictures.by_day(shown.by_day, shown.days),
        "sample_against_population": pictures.against(shown.population, shown.sample) if sample else "",
        "limits": pictures.limits(shown.limits) if shown.limits else "",
    }
    return {name: _picture(name, svg) for name, svg in drawn.items() if svg}


def _picture(name: str, svg: str) -> MetadataValue:
    encoded = base64.b64encode(svg.encode()).decode("ascii")
    return MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{encoded})")
