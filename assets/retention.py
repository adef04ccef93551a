"""The inventory of what is kept elsewhere, and the check that nothing of it left early."""

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    asset,
    asset_check,
)

from assets.evidence_chain import OWNER, POOL
from assets.findings import GROUP
from assets.metadata import table
from countersign.clocks.instant import stamp
from countersign.findings.losses import record_losses
from countersign.retention.check import check
from countersign.retention.keep import NotKept, keep
from countersign.retention.ledger import Ledger
from resources.evidence import Evidence, WallClock
from resources.retention import Retention

INVENTORY, NOTHING_LEFT_EARLY = "retention_inventory", "nothing_left_early"
NOWHERE = "the policy names no retention_store, so nothing is kept elsewhere"
_MOST_ROWS = 50


@asset(
    name=INVENTORY,
    deps=["audit_log"],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"tar"},
    pool=POOL,
    description="Finished days kept write-once outside of the evidence root, each read back before the register says "
    "so. Materialising again keeps what is left; nothing local is ever removed.",
)
def retention_inventory(evidence: Evidence, clock: WallClock, retention: Retention) -> MaterializeResult[None]:
    engine = evidence.engine(clock)
    store, archive = retention.store(engine), retention.archive(engine)
    if store is None:
        return MaterializeResult(metadata={"kept": MetadataValue.int(0), "store": MetadataValue.text(NOWHERE)})
    done = list(keep(archive, store))
    failed = [each for each in done if isinstance(each, NotKept)]
    metadata = {
        "kept_now": MetadataValue.int(len(done) - len(failed)),
        "store": MetadataValue.text(store.name),
        **_inventory(archive.ledger()),
    }
    if failed:
        rows = table(("day", "why"), [(each.day, each.why) for each in failed])
        raise Failure(f"{len(failed)} days are not kept yet; the next run tries again", {"not_kept": rows, **metadata})
    return MaterializeResult(metadata=metadata)


def _inventory(ledger: Ledger) -> dict[str, MetadataValue]:
    """The newest days, and sums over all of them."""
    standing = ledger.standing()
    rows = [
        (kept.day, kept.runs, sum(each.bytes for each in kept.objects.values()), stamp(kept.until)[:10], kept.held)
        for kept in reversed(standing[-_MOST_ROWS:])
    ]
    return {
        "days": MetadataValue.int(len(standing)),
        "on_hold": MetadataValue.int(sum(kept.held for kept in standing)),
        "purged": MetadataValue.int(len(ledger.days) - len(standing)),
        "newest_days": table(("day", "runs", "bytes", "until", "on hold"), rows),
    }


@asset_check(
    asset=INVENTORY,
    name=NOTHING_LEFT_EARLY,
    description="Every kept day is in the store with its bytes, its lock and its hold, and in the evidence root. What "
    "left before its time is a control failure of its own, SEV-1: see ESCALATION.md.",
    blocking=False,
    pool=POOL,
)
def nothing_left_early(evidence: Evidence, clock: WallClock, retention: Retention) -> AssetCheckResult:
    engine = evidence.engine(clock)
    store = retention.store(engine)
    archive = retention.archive(engine)
    if store is None:
        gone = bool(archive.ledger().standing())  # it named one before, and what is there is looked after by nobody
        severity = AssetCheckSeverity.ERROR if gone else AssetCheckSeverity.WARN
        return AssetCheckResult(passed=False, severity=severity, description=NOWHERE)
    lost = list(check(archive, store))
    incidents = [each.subject for each in lost if each.incident]
    record_losses(evidence.findings(engine), incidents, engine.clock(), engine.current.policy)
    rows = [(each.day, each.part, each.kind, each.detail) for each in lost]
    return AssetCheckResult(
        passed=not lost,
        severity=AssetCheckSeverity.ERROR if incidents else AssetCheckSeverity.WARN,
        description=f"{len(incidents)} parts of kept days left early or changed" if incidents else "nothing left early",
        metadata={"faults": table(("day", "part", "fault", "expected"), rows) if rows else MetadataValue.md("none")},
    )


def retention_assets() -> list[AssetsDefinition]:
    """The inventory."""
    return [retention_inventory]


def retention_checks() -> list[AssetChecksDefinition]:
    """Its check."""
    return [nothing_left_early]
