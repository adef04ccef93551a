"""Keeping: everything that a finished day names, once, read back before the register says so."""

from tests.domain.retention.conftest import DAY, NEXT, Keeping


def test_finished_days_are_kept_once_and_nothing_is_lost(keeping: Keeping) -> None:
    assert keeping.kept() == [DAY, NEXT]
    assert keeping.kept() == []
    assert keeping.check() == []
    assert keeping.check(read=True) == []
    assert [(kept.runs, kept.faults, kept.held) for kept in keeping.archive.ledger().standing()] == [(2, 0, False)] * 2
    assert keeping.bench.faults() == []
