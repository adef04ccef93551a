"""Somebody works between the look at the register and the check of what it says: that is no fault."""

import errno
import os
from typing import Any

import pytest

from countersign.evidence.register import Register
from countersign.findings.log import FindingsLog
from countersign.findings.verification import check_findings
from countersign.runs.account import read_account
from countersign.runs.engine import Engine, job_of
from countersign.runs.intake import take_in_one
from countersign.runs.published import Published
from countersign.runs.sign_offs import SignOffDesk
from countersign.runs.verification import Verifier
from tests.conftest import PayloadFactory
from tests.domain.findings.conftest import occurrence


def test_a_head_that_is_out_of_date_is_asked_for_again_under_the_lock(engine: Engine, clean: PayloadFactory) -> None:
    outcome = take_in_one(engine, clean(), source="test", where="test", origin="submitted")
    seen = engine.index.run(outcome.run_id)
    assert seen is not None
    SignOffDesk(engine).record(outcome.rundir, "independent_review", "reviewer")
    report = engine.log_of(outcome.day, outcome.run_id).check(registered=seen.heads)
    assert report.ok
    assert report.head != seen.head


def test_a_run_that_goes_on_while_all_are_verified_is_no_fault(engine: Engine, clean: PayloadFactory) -> None:
    outcome = take_in_one(engine, clean(), source="test", where="test", origin="submitted")
    stale = read_account(engine.register).runs[outcome.run_id]
    SignOffDesk(engine).record(outcome.rundir, "independent_review", "reviewer", "rejected", "not convinced")
    list(engine.advance())
    assert list(Verifier(engine.root.path).verify_run(stale, Published(engine.root, stale.day))) == []


def test_a_run_that_is_opened_while_all_are_verified_is_no_fault(
    engine: Engine, clean: PayloadFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in_one(engine, clean(), source="test", where="test", origin="submitted")
    stale = read_account(engine.register)
    take_in_one(engine, clean(id="CHG-2"), source="test", where="test", origin="submitted")
    monkeypatch.setattr("countersign.runs.verification.read_account", lambda _: stale)
    assert Verifier(engine.root.path).verify().faults == []


def test_a_finding_that_is_opened_while_all_are_verified_is_no_fault(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FindingsLog(engine.root, clock=engine.clock, entropy=engine.entropy)
    log.open([occurrence()])
    stale = list(Register(engine.root).records())
    log.open([occurrence(subject="another")])
    monkeypatch.setattr("countersign.findings.verification.Register.records", lambda _: iter(stale))
    assert list(check_findings(engine.root)) == []


def test_a_process_that_cannot_open_a_log_registers_no_older_head_than_there_is(
    engine: Engine, clean: PayloadFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = take_in_one(engine, clean(), source="test", where="test", origin="submitted")
    SignOffDesk(engine).record(outcome.rundir, "independent_review", "reviewer")
    stale = [job_of(run) for run in engine.index.runs([outcome.run_id]).values()]
    list(engine.advance())
    there, before = os.open, engine.register.head

    def too_many(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("audit.jsonl"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return there(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", too_many)
        (failed,) = engine.work(stale)
    assert (failed.status, "Too many open files" in (failed.reason or "")) == ("FAILED", True)
    assert engine.register.head == before
    assert Verifier(engine.root.path).verify().faults == []


def test_a_log_cut_back_to_an_older_head_is_still_found(engine: Engine, clean: PayloadFactory) -> None:
    outcome = take_in_one(engine, clean(), source="test", where="test", origin="submitted")
    path = outcome.rundir / "audit.jsonl"
    before = path.read_bytes()
    SignOffDesk(engine).record(outcome.rundir, "independent_review", "reviewer")
    path.write_bytes(before)
    assert [fault.kind for fault in Verifier(engine.root.path).verify().faults] == ["head_differs"]
