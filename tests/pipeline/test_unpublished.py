"""A worker that died between the register and the datasets leaves a gap that the sensor sees and `advance` closes."""

from countersign.policy import Key
from countersign.runs.daywork import work_day
from countersign.runs.engine import Engine, job_of
from countersign.runs.intake import take_in_one
from countersign.runs.sign_offs import SignOffDesk
from sensors.facts import recorded_sign_offs
from tests.conftest import PayloadFactory

SIGNERS = ((Key.INDEPENDENT_REVIEW, "reviewer"), (Key.MAKER_CHECKER, "checker"))


def completed_but_not_published(engine: Engine, clean: PayloadFactory) -> str:
    outcome = take_in_one(engine, clean(), source="test", where="test", origin="submitted")
    desk = SignOffDesk(engine)
    for key, signer in SIGNERS:
        desk.record(outcome.rundir, key, signer)
        run = engine.index.run(outcome.run_id)
        assert run is not None
        if key is Key.INDEPENDENT_REVIEW:
            list(engine.advance(outcome.day))
        else:
            engine.work([job_of(run)])  # and here the worker dies: nothing is published
    return outcome.run_id


def test_a_day_that_was_not_published_is_a_fact_until_it_is(engine: Engine, clean: PayloadFactory) -> None:
    completed_but_not_published(engine, clean)
    reopened = Engine(engine.root.path, engine.current.configuration, clock=engine.clock)
    fact = recorded_sign_offs(reopened)
    assert fact is not None
    assert fact.days == (reopened.today,)
    report = work_day(reopened, reopened.today)
    assert report.stages() == ["workpaper", "handoff_report"]
    assert recorded_sign_offs(reopened) is None


def test_a_published_day_is_no_fact(engine: Engine, clean: PayloadFactory) -> None:
    completed_but_not_published(engine, clean)
    engine.views.publish(engine.today)
    assert recorded_sign_offs(engine) is None
