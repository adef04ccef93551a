"""The completeness review of a month: what the observer found, or until when they have; late, it is a finding."""

from typing import TYPE_CHECKING, Any

from dagster import AssetDep, AssetExecutionContext, AssetsDefinition, MaterializeResult, MetadataValue, asset
from dagster import PartitionsDefinition as Partitions

from assets.evidence_chain import OWNER, POOL
from assets.metadata import table
from assets.sample import GROUP, SAMPLE
from countersign.clocks.instant import stamp
from countersign.findings.log import FindingsLog
from countersign.findings.reviews import record_deviations, record_late_samples
from countersign.runs.engine import Engine
from countersign.sampling.month import Month
from resources.evidence import Evidence, WallClock

if TYPE_CHECKING:
    from countersign.sampling.ledger import Said
    from countersign.sampling.standing import Review

REVIEW = "completeness_review"


def review_asset(months: Partitions[str]) -> AssetsDefinition:
    """What the observer makes of a month's sample."""

    @asset(
        name=REVIEW,
        partitions_def=months,
        deps=[AssetDep(SAMPLE)],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"json"},
        pool=POOL,
        description="What the observer found in a month's sample, by stratum, and what it shows; or until when they "
        "have. No results by then is a breach that opens a completeness review, whoever looks and whenever.",
    )
    def completeness_review(
        context: AssetExecutionContext, evidence: Evidence, clock: WallClock
    ) -> MaterializeResult[None]:
        from countersign.sampling.standing import review_of  # noqa: PLC0415  (brings pyarrow; definitions load without)

        engine, month = evidence.engine(clock), Month.parse(context.partition_key)
        opened = record_late(engine, evidence.findings(engine))
        review = review_of(engine, month)
        if review is None:
            return MaterializeResult(metadata={"stands": MetadataValue.text(f"{month} is not frozen yet")})
        observed = review.lines.observed
        opened += _record_deviations(engine, evidence.findings(engine), month, observed) if observed else []
        return MaterializeResult(metadata=_metadata(engine, review, observed, opened))

    return completeness_review


def record_late(engine: Engine, log: FindingsLog) -> list[str]:
    """A finding for every month whose results had not come when they were due; returns the new ids."""
    from countersign.sampling.standing import reviews  # noqa: PLC0415  (brings pyarrow; definitions load without)

    now = engine.clock()
    late = [(each.month.first, each.due) for each in reviews(engine) if each.due and each.late(now)]
    return record_late_samples(engine, log, late)


def _record_deviations(engine: Engine, log: FindingsLog, month: Month, said: "Said") -> list[str]:
    """The same findings as where the results were taken, in case a crash came between the two."""
    from countersign.sampling.review import Observed  # noqa: PLC0415  (brings pyarrow; definitions load without)

    return record_deviations(engine, log, month.first, Observed(said).deviations, said.at)


def _metadata(engine: Engine, review: "Review", observed: "Said | None", opened: list[str]) -> dict[str, Any]:
    due = "cannot be told: the calendar ends before it" if review.due is None else stamp(review.due)
    metadata: dict[str, Any] = {
        "stands": MetadataValue.text(review.stands(engine.clock())),
        "due": MetadataValue.text(due),
        "findings_opened": MetadataValue.int(len(opened)),
    }
    if observed is None:
        return metadata
    rows = [
        (name, one["population"], one["n"], one["deviations"], one["conclusion"], _percent(one["limit"]))
        for name, one in observed.data["strata"].items()
    ]
    columns = ("stratum", "clean", "examined", "deviations", "conclusion", "upper limit")
    return metadata | {
        "conclusion": MetadataValue.text(observed.data["conclusion"]),
        "observed_by": MetadataValue.text(f"{observed.actor}, {stamp(observed.at)}"),
        "strata": table(columns, rows),
        "tolerable": MetadataValue.text(_percent(observed.data["tolerable"])),
    }


def _percent(share: str) -> str:
    return f"{100 * float(share):.2f} %"
