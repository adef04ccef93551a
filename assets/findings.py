"""The assets beside the evidence chain: what went wrong, and how everything stands."""

from collections.abc import Iterator

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, asset

from assets.checks import log_evaluations
from assets.evidence_chain import OWNER, POOL
from assets.metadata import findings_metadata, report_metadata
from assets.sample_review import record_late
from resources.evidence import Evidence, WallClock

GROUP = "operations"
FINDING = "finding"


@asset(
    name=FINDING,
    deps=["sign_off", "handoff_report"],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"json"},
    pool=POOL,
    description="What went wrong and nobody has disposed of: breaches of clocks, blocks, exceptions, incidents. Each "
    "is recorded once, whoever looks and whenever; `countersign finding` takes it on and disposes of it.",
)
def finding(context: AssetExecutionContext, evidence: Evidence, clock: WallClock) -> Iterator[MaterializeResult[None]]:
    engine = evidence.engine(clock)
    record_late(engine, evidence.findings(engine))
    watched = evidence.look(engine, send=True)
    yield MaterializeResult(metadata=findings_metadata(evidence.findings(engine).read(), watched.looked_at))
    log_evaluations(context.op_execution_context, engine, evidence, ())  # after it, so that the UI shows them as of it


@asset(
    name="ops_report",
    deps=[FINDING],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"json"},
    pool=POOL,
    description="How everything stands now: clean runs against issues, whose turn it is, how clocks came out by month. "
    "Without partitions, since it is about an instant; its history holds the days before.",
)
def ops_report(evidence: Evidence, clock: WallClock) -> MaterializeResult[None]:
    from countersign.findings.report import report  # noqa: PLC0415  (brings pyarrow; definitions load without)

    engine = evidence.engine(clock)
    evidence.look(engine, send=False)
    return MaterializeResult(metadata=report_metadata(report(engine, evidence.findings(engine).read())))


def operations() -> list[AssetsDefinition]:
    """Both of them."""
    return [finding, ops_report]
