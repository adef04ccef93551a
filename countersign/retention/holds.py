"""Legal holds, their release, and purging: each by two people, and each a register line before it is done.

What belongs here: what may be done, and doing it so that the same command repairs a crash between line and store. What
does not: who may approve (`approvals`).
"""

from collections.abc import Iterable, Sequence
from datetime import date

from countersign.clocks.instant import stamp
from countersign.errors import RetentionRefused
from countersign.evidence.lines import Draft
from countersign.retention.approvals import Act, Approval, Standing, require_two
from countersign.retention.keep import Archive
from countersign.retention.ledger import ACTOR, KeptDay
from countersign.retention.store import RetentionStore


def hold(
    archive: Archive,
    store: RetentionStore,
    days: Iterable[date],
    approvals: Sequence[Approval],
    reason: str,
    standing: Standing,
) -> list[KeptDay]:
    """Put days on legal hold. Raises RetentionRefused, and then nothing was changed; harmless to repeat."""
    return _set_hold(archive, store, days, Act("retention_held", reason=reason), approvals, standing)


def release(
    archive: Archive,
    store: RetentionStore,
    days: Iterable[date],
    approvals: Sequence[Approval],
    reason: str,
    standing: Standing,
) -> list[KeptDay]:
    """Take the hold off days. Raises RetentionRefused, and then nothing was changed; harmless to repeat."""
    return _set_hold(archive, store, days, Act("retention_released", reason=reason), approvals, standing)


def _set_hold(
    archive: Archive,
    store: RetentionStore,
    days: Iterable[date],
    act: Act,
    approvals: Sequence[Approval],
    standing: Standing,
) -> list[KeptDay]:
    on = act.what == "retention_held"
    chosen = _chosen(archive, store, days)
    act = Act(act.what, {"days": [{"day": kept.day.isoformat()} for kept in chosen]}, act.reason)
    by = require_two(act, approvals, standing)
    if any(kept.held is not on for kept in chosen):
        _record(archive, act, by)
    for kept in chosen:
        for stored in kept.objects.values():
            store.hold(stored.key, stored.version, on=on)
        kept.held = on
    return chosen


def purge(
    archive: Archive,
    store: RetentionStore,
    before: date,
    approvals: Sequence[Approval],
    reason: str,
    standing: Standing,
) -> list[KeptDay]:
    """Remove from the store the days before a date: all of them are past their time and on no hold, or none goes.

    A tombstone with their digests stays in the register; so does everything in the root. Raises RetentionRefused.
    """
    ledger, now = archive.ledger(), archive.clock()
    chosen = [kept for day, kept in sorted(ledger.days.items()) if day < before and kept.store == store.name]
    for kept in chosen:
        if kept.held:
            raise RetentionRefused(f"{kept.day}: on legal hold; two people release it first")
        if now < kept.until:
            raise RetentionRefused(f"{kept.day}: is kept until {stamp(kept.until)}; name an earlier --before")
    if not chosen:
        raise RetentionRefused(f"nothing from before {before} is in {store.name}")
    act = Act("purged", {"days": [_tombstone(kept) for kept in chosen]}, reason)
    by = require_two(act, approvals, standing)
    if any(not kept.purged for kept in chosen):
        _record(archive, act, by)
    for kept in chosen:
        for stored in kept.objects.values():
            store.remove(stored.key, stored.version)
    return chosen


def _chosen(archive: Archive, store: RetentionStore, days: Iterable[date]) -> list[KeptDay]:
    ledger = archive.ledger()
    chosen = []
    for day in sorted(set(days)):
        kept = ledger.days.get(day)
        if kept is None or kept.purged:
            raise RetentionRefused(f"{day}: is not in the store; `countersign retention status` lists what is")
        if kept.store != store.name:
            raise RetentionRefused(f"{day}: is in {kept.store}; the policy names {store.name}")
        chosen.append(kept)
    return chosen


def _tombstone(kept: KeptDay) -> dict[str, str]:
    digests = {half: stored.sha256 for half, stored in kept.objects.items()}
    return {"day": kept.day.isoformat(), "until": stamp(kept.until), **digests}


def _record(archive: Archive, act: Act, by: list[str]) -> None:
    """One line for the whole act, in the words that were approved."""
    archive.register.append_many([Draft(act.what, ACTOR, {**act.on, "by": by}, {"reason": act.reason})])
