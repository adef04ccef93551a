"""Legal holds, their release, and purging: by two people, and on record before it is done.

What belongs here: what may be done, and doing it so that the same command repairs a crash between line and store. What
does not: whose approval stands (`approvals`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from countersign.clocks.instant import stamp
from countersign.errors import RetentionRefused
from countersign.retention.keep import Archive, alone
from countersign.retention.ledger import HELD, PURGED, RELEASED, KeptDay, Ledger
from countersign.retention.store import RetentionStore
from countersign.runs.approvals import Act, Approver, Done, settle, why_not_by_two
from countersign.runs.owners import OWNERS, require_owner
from countersign.runs.versions import VersionStore


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an approval: `done` says whether it was the second one, and the act is done."""

    act: Act
    days: list[KeptDay]
    by: list[str]
    done: bool

    @property
    def waits_for(self) -> str | None:
        """What is missing, in words."""
        return None if self.done else f"another of the roles {', '.join(OWNERS)} than {', '.join(self.by)}"


def hold(archive: Archive, store: RetentionStore, days: Iterable[date], approver: Approver) -> Answer:
    """Approve that days go on legal hold; with the second approval they are.

    Raises RetentionRefused, and BusyError while another process is at work.
    """
    return _set_hold(archive, store, days, approver, HELD)


def release(archive: Archive, store: RetentionStore, days: Iterable[date], approver: Approver) -> Answer:
    """Approve that the hold is taken off days; with the second approval it is.

    Raises RetentionRefused, and BusyError while another process is at work.
    """
    return _set_hold(archive, store, days, approver, RELEASED)


def _set_hold(archive: Archive, store: RetentionStore, days: Iterable[date], approver: Approver, what: str) -> Answer:
    with alone(archive.root.path):  # so that two second approvals at once are not two acts
        ledger = archive.ledger()
        chosen = [_in_store(ledger, store, day) for day in sorted(set(days))]
        act = Act(what, {"days": [{"day": kept.day.isoformat()} for kept in chosen]})
        on = what == HELD
        # what is on hold only in the store is no release that broke off, so two people lift that too
        needed = any(kept.held is not on for kept in chosen) or not (on or _on_record(ledger, act))
        by, done = _approved(archive, ledger, act, approver, needed=needed)
        if done:
            for kept in chosen:
                for stored in kept.objects.values():
                    store.hold(stored.key, stored.version, on=on)
    return Answer(act, chosen, by, done)


def purge(archive: Archive, store: RetentionStore, before: date, approver: Approver) -> Answer:
    """Approve that the days before a date leave the store; with the second approval they do.

    All of them are past their time and on no hold, or none goes. A tombstone with their digests stays in the register,
    and everything stays in the root. Raises RetentionRefused, and BusyError while another process is at work.
    """
    with alone(archive.root.path):
        ledger, now = archive.ledger(), archive.clock()
        past = [kept for day, kept in sorted(ledger.days.items()) if day < before and kept.store == store.name]
        # purged days are looked at again only where no other is left: then a purge that broke off is finished
        chosen = [kept for kept in past if not kept.purged] or past
        _require_over(chosen, store, before, now)
        act = Act(PURGED, {"days": [_tombstone(kept) for kept in chosen]})
        by, done = _approved(archive, ledger, act, approver, needed=any(not kept.purged for kept in chosen))
        if done:
            for kept in past:
                for stored in kept.objects.values():
                    store.remove(stored.key, stored.version)
    return Answer(act, chosen, by, done)


def _require_over(chosen: Sequence[KeptDay], store: RetentionStore, before: date, now: datetime) -> None:
    if not chosen:
        raise RetentionRefused(f"nothing from before {before} is in {store.name}")
    for kept in chosen:
        if kept.held:
            raise RetentionRefused(f"{kept.day}: on legal hold; two people release it first")
        if now < kept.until:
            raise RetentionRefused(f"{kept.day}: is kept until {stamp(kept.until)}; name an earlier --before")


def _in_store(ledger: Ledger, store: RetentionStore, day: date) -> KeptDay:
    kept = ledger.days.get(day)
    if kept is None or kept.purged:
        raise RetentionRefused(f"{day}: is not in the store; `countersign retention status` lists what is")
    if kept.store != store.name:
        raise RetentionRefused(f"{day}: is in {kept.store}; the policy names {store.name}")
    return kept


def _on_record(ledger: Ledger, act: Act) -> bool:
    return any(done.act.canonical == act.canonical for done in ledger.done)


def _tombstone(kept: KeptDay) -> dict[str, str]:
    digests = {half: stored.sha256 for half, stored in kept.objects.items()}
    return {"day": kept.day.isoformat(), "until": stamp(kept.until), **digests}


def _approved(
    archive: Archive, ledger: Ledger, act: Act, approver: Approver, *, needed: bool
) -> tuple[list[str], bool]:
    """Put an approval on record, and the act with it where it is the second; who approved, and whether it may be done.

    Where the register says already that the act was done, nothing is `needed`, and the store follows for any owner.
    """
    versions, register = archive.versions, archive.register
    if not needed:
        require_owner(approver.by, versions, register.now(), RetentionRefused)
        return [], True
    waiting = [approval for approval, _ in ledger.waiting.get(act.canonical, [])]
    return settle(act, approver, waiting, versions, register, ledger.settled(act))


def unapproved(archive: Archive, ledger: Ledger) -> Iterator[tuple[Done, str]]:
    """Acts in the register that two people did not approve, each judged by the configuration of then; and why not."""
    versions, environment = VersionStore(archive.root), archive.register.environment()
    for done in ledger.done:
        if why := why_not_by_two(done, versions, environment):
            yield done, why
