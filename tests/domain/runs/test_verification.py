"""Verification by somebody who believes nothing: every forgery here has chains and heads that fit."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from countersign import Status
from countersign.errors import EvidenceError, UnknownRunError
from countersign.runs.run import RunResult
from countersign.runs.verification import Verifier
from tests.conftest import payload_with
from tests.domain.runs.conftest import SIGNERS, Bench, Forger, Line, changed_results, events, log_of
from tests.domain.runs.test_sign_offs import determined, undecided
from tests.evidence_script import script_faults

UNGROUNDED = payload_with(
    assertions=[
        {
            "control": "ITGC-CM-01",
            "text": "It was authorised.",
            "evidence": "approval",
            "quote": "the board approved it at once",
        }
    ]
)


def forge(bench: Bench, result: RunResult, *changes: Callable[[Forger], Any]) -> list[str]:
    """Forge a run and verify the root anew."""
    forger = Forger(bench, result)
    for change in changes:
        change(forger)
    forger.write()
    kinds = bench.kinds()
    # the script neither makes the workpaper's document again nor knows which kinds of evidence count for a control, and
    # what counts in a population is not its business
    blind = {"status_differs", "workpaper_differs", "determination_forged", "counted_otherwise"}
    assert set(kinds) <= blind or script_faults(bench.root)
    return kinds


def test_a_root_with_runs_of_every_status_has_no_fault(bench: Bench) -> None:
    done = bench.complete(payload_with())
    for payload in (
        payload_with(id="CHG-2"),
        payload_with(id="CHG-3", system="intranet"),
        payload_with(id="CHG-4", evidence={}),
        UNGROUNDED | {"id": "CHG-5"},
    ):
        bench.execute(payload)
    bench.complete(undecided() | {"system": "shipping"}, determined())
    verified = Verifier(bench.root).verify()
    assert (verified.ok, verified.checked, verified.faults) == (True, 6, [])
    seen: list[int] = []
    assert Verifier(bench.root).verify([done.run_id], seen.append).checked == sum(seen) == 1


@pytest.mark.parametrize("signed", [1, 2])
def test_a_recorded_sign_off_that_is_not_taken_up_yet_is_no_fault(bench: Bench, signed: int) -> None:
    for key, signer in SIGNERS[:signed]:
        bench.sign(bench.execute(), key, signer)
    assert bench.faults() == []


def test_a_folder_that_is_no_root_is_an_error_and_not_a_good_root(bench: Bench) -> None:
    with pytest.raises(EvidenceError, match="no evidence root"):
        Verifier(bench.root / "datasets")
    with pytest.raises(UnknownRunError):
        Verifier(bench.root).verify(["change-0000000000000000"])


def grounded(forger: Forger) -> None:
    gated = forger.line("gated")
    gated.event["decision"] = "passed"
    for row in gated.event["assertions"]:
        row |= {"span": row["span"] or [0, 20], "why": None}
    gated.texts = []
    gated.event.pop("texts")
    asked = {
        "key": "independent_review",
        "role": "reviewer",
        "to": ["reviewer"],
        "tier": "standard",
        "handed": {"log_head": gated.head, "controls": {}},
    }
    blocked = forger.line("blocked")
    owned = ("prev", "seq", "ts", "actor")
    blocked.event = {"event": "sign_off_requested", **{name: blocked.event[name] for name in owned}, **asked}
    blocked.event = {name: blocked.event[name] for name in ("prev", "seq", "ts", "event", "actor", *asked)}
    forger.log = [line for line in forger.log if line.name != "noticed"]
    for line in forger.of_run("run_closed"):
        pending = {"status": "AWAITING_APPROVAL", "pending": "independent_review", "reason": None}
        line.event |= {"event": "run_head", **pending, "asked_at": blocked.event["ts"]}
        line.event.pop("noticed")


def test_a_forged_gate_decision_is_found(bench: Bench) -> None:
    assert forge(bench, bench.execute(UNGROUNDED), grounded) == ["gate_forged"]


def test_a_forged_gate_decision_ends_in_no_workpaper(bench: Bench) -> None:
    """Even with both sign-offs given on it, the engine decides again before it concludes anything."""
    result = bench.execute(UNGROUNDED)
    forge(bench, result, grounded)
    bench.fresh()
    for key, signer in SIGNERS:
        bench.sign(result, key, signer)
        ended = bench.execute(UNGROUNDED)
    assert ended.status is Status.FAILED
    assert "gate decision does not follow" in (ended.reason or "")
    assert "workpaper" not in events(ended)
    assert not list((bench.root / "datasets").glob("*/*.parquet"))


def test_a_gate_that_the_log_has_passed_with_other_assertions_is_found(bench: Bench) -> None:
    def without_one(forger: Forger) -> None:
        forger.line("gated").event["assertions"].pop()

    assert "gate_forged" in forge(bench, bench.complete(), without_one)


def test_a_sign_off_moved_from_another_run_is_found(bench: Bench) -> None:
    other = bench.complete(payload_with(system="shipping"))
    result = bench.execute()
    moved = Forger(bench, other).line("signed_off")

    def insert(forger: Forger) -> None:
        now = {"ts": forger.register[-1].event["ts"]}
        forger.log.append(Line(moved.event | now, moved.texts))
        registered = next(line for line in forger.register if line.name == "signed_off")
        head = {**registered.event, "run_id": result.run_id, "head": "f" * 64} | now
        forger.register.append(Line(head))
        forger.log[-1].head = "f" * 64

    assert forge(bench, result, insert) == ["inconsistent"]


@pytest.mark.parametrize("field", ["request", "log_head"])
def test_a_sign_off_that_answers_something_else_is_found(bench: Bench, field: str) -> None:
    def other(forger: Forger) -> None:
        forger.line("signed_off").event[field] = "d" * 64

    assert forge(bench, bench.complete(), other) == ["inconsistent"]


@pytest.mark.parametrize(
    ("payload", "signer", "why"),
    [
        (payload_with(author="reviewer"), "reviewer", "is the author"),
        (payload_with(), "maker", "does not have the role"),
        (payload_with(), "nobody", "not on the roster"),
    ],
    ids=["author", "no-role", "unknown"],
)
def test_a_sign_off_by_somebody_who_may_not_is_void(
    bench: Bench, payload: dict[str, Any], signer: str, why: str
) -> None:
    """The review was given by somebody else; the forger writes another name over it."""
    result = bench.execute(payload)
    bench.sign(result, "independent_review", "second-reviewer")
    bench.execute(payload)

    def other_name(forger: Forger) -> None:
        forger.line("signed_off").event["actor"] = signer

    assert forge(bench, result, other_name) == ["sign_off_void"]
    assert why in bench.faults()[0].detail


@pytest.mark.parametrize(
    ("acting_for", "fault", "why"),
    [
        ("second-reviewer", "sign_off_void", "a sign-off of reviewer for themself"),
        ("nobody", "sign_off_void", "a sign-off of reviewer for themself"),
        (["reviewer"], "inconsistent", "whom it acts for is no id"),
        (None, "inconsistent", "whom it acts for is no id"),
    ],
)
def test_a_sign_off_for_somebody_the_roster_does_not_say_is_found(
    bench: Bench, acting_for: object, fault: str, why: str
) -> None:
    result = bench.execute()
    bench.sign(result, "independent_review", "reviewer")
    bench.execute()

    def for_another(forger: Forger) -> None:
        forger.line("signed_off").event["acting_for"] = acting_for

    assert forge(bench, result, for_another) == [fault]
    assert why in bench.faults()[0].detail


def test_a_sign_off_that_names_a_register_that_never_was_is_found(bench: Bench) -> None:
    bench.sign(bench.execute(), "independent_review", "reviewer")
    result = bench.execute()

    def elsewhere(forger: Forger) -> None:
        forger.line("signed_off").event["register"]["head"] = "e" * 64

    assert forge(bench, result, elsewhere) == ["sign_off_register"]


@pytest.mark.parametrize(
    ("event", "text"), [("ingested", "evidence/approval"), ("ingested", "summary")], ids=["evidence", "summary"]
)
def test_a_payload_whose_words_were_changed_is_found(bench: Bench, event: str, text: str) -> None:
    def other_words(forger: Forger) -> None:
        (line,) = (entry for entry in forger.line(event).texts if entry["text"] == text)
        line["value"] = line["value"].replace("1001", "1002").replace("limit", "floor")

    assert forge(bench, bench.complete(), other_words) == ["inconsistent"]


def test_a_payload_whose_people_were_changed_is_found(bench: Bench) -> None:
    def other_author(forger: Forger) -> None:
        forger.line("ingested").event["change"]["author"] = "somebody-else"

    assert forge(bench, bench.complete(), other_author) == ["inconsistent"]


def test_a_payload_of_another_digest_than_the_one_opened_is_found(bench: Bench) -> None:
    def other_digest(forger: Forger) -> None:
        for line in forger.of_run("run_opened"):
            line.event["digest"] = line.event["digest"][:16] + "0" * 48

    assert forge(bench, bench.execute(), other_digest) == ["digest_differs"]


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("run_head", {"status": "COMPLETED"}),
        ("run_head", {"pending": "maker_checker"}),
        ("run_head", {"asked_at": "2027-01-04T14:00:00.000000Z"}),
        ("run_head", {"pending": None, "asked_at": None}),
        ("run_head", {"noticed": {"block": "2026-11-23T14:00:00.000000Z"}}),
        ("run_closed", {"clean": False}),
        ("run_closed", {"status": "FAILED"}),
        ("run_closed", {"event": "run_head"}),
        ("signed_off", {"key": "maker_checker"}),
        ("signed_off", {"decision": "rejected"}),
    ],
)
def test_what_the_register_says_of_a_run_otherwise_than_its_log_is_found(
    bench: Bench, event: str, changes: dict[str, Any]
) -> None:
    """Clocks, months and everybody's queue go by these lines."""

    def said_otherwise(forger: Forger) -> None:
        next(iter(forger.of_run(event))).event.update(changes)

    # the chain made anew, sign-offs name a register that never was, and the workpaper says what they said
    assert set(forge(bench, bench.complete(), said_otherwise)) - {"sign_off_register", "workpaper_differs"} == {
        "status_differs"
    }


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("run_opened", {"deployed_at": "2026-10-31T23:59:59.000000Z"}),
        ("run_opened", {"deployed_at": None}),
        ("run_opened", {"change_id": "CHG-OTHER"}),
        ("run_opened", {"system": "other"}),
        ("run_opened", {"tier": "emergency"}),
    ],
)
def test_a_run_that_the_register_counts_into_another_population_is_found(
    bench: Bench, event: str, changes: dict[str, Any]
) -> None:
    def counted_otherwise(forger: Forger) -> None:
        for line in forger.of_run(event):
            assert set(changes) <= set(line.event)
            line.event.update(changes)

    assert forge(bench, bench.execute(), counted_otherwise) == ["counted_otherwise"]


def test_a_reason_that_was_changed_after_the_workpaper_is_found(bench: Bench) -> None:
    def other_reason(forger: Forger) -> None:
        forger.line("assessed").texts[0]["value"] = "approved by the board"

    assert forge(bench, bench.complete(), other_reason) == ["workpaper_differs"]


def test_a_workpaper_that_names_another_document_is_found(bench: Bench) -> None:
    def other_document(forger: Forger) -> None:
        forger.line("workpaper").event["document"] = "d" * 64

    assert "workpaper_differs" in forge(bench, bench.complete(), other_document)


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("workpaper", "clean", True),
        ("workpaper", "conclusion", "Clean: every applicable control was met"),
        ("workpaper", "exceptions", []),
        ("workpaper", "log_head", "d" * 64),
        ("handed_off", "clean", True),
        ("handed_off", "conclusion", "Clean: every applicable control was met"),
        ("handed_off", "workpaper", "d" * 64),
        ("handed_off", "log_head", "d" * 64),
    ],
)
def test_what_workpaper_and_handoff_say_follows_from_the_document(
    bench: Bench, event: str, field: str, value: Any
) -> None:
    """Datasets and the observer's report are made of these words: an exception must not be forged away in them."""
    result = bench.complete(payload_with(author="deployer"))

    def forged(forger: Forger) -> None:
        forger.line(event).event[field] = value

    assert forge(bench, result, forged) != []


def _determination(control: str, evidence: str, quote: list[int]) -> Callable[[Forger], None]:
    def add(forger: Forger) -> None:
        signed = forger.line("signed_off")
        text = f"determination/{control}"
        row = {"control": control, "result": "met", "reason": text, "evidence": evidence, "quote": quote}
        signed.event["determinations"] = [row]
        signed.texts = [{"text": text, "salt": "00" * 16, "value": "Seen on the screen."}]

    return add


@pytest.mark.parametrize(
    ("payload", "forged"),
    [
        (payload_with(author="deployer"), _determination("ITGC-CM-06", "deployment", [0, 20])),
        (undecided(), _determination("ITGC-CM-03", "deployment", [0, 20])),
        (undecided(), _determination("ITGC-CM-03", "tests", [0, 3])),
    ],
    ids=["exception-turned-into-met", "wrong-kind", "too-short"],
)
def test_a_determination_that_the_gate_would_not_pass_is_found(
    bench: Bench, payload: dict[str, Any], forged: Callable[[Forger], None]
) -> None:
    result = bench.execute(payload)
    bench.sign(result, "independent_review", "reviewer")
    result = bench.execute(payload)
    assert forge(bench, result, forged) != []


def test_a_result_that_cites_nothing_is_found(bench: Bench) -> None:
    """Without evidence there is nothing for the gate to judge, so a forged `met` would pass it unseen."""

    def met(forger: Forger) -> None:
        row = next(row for row in forger.line("assessed").event["controls"] if row["result"] == "not_applicable")
        row["result"] = "met"

    assert forge(bench, bench.execute(), met) == ["inconsistent"]


def test_an_assessment_that_lost_a_control_is_found(bench: Bench) -> None:
    """The gate judges what is asserted; a control that nobody asserts anything about has to be missed."""
    result = bench.execute(payload_with(author="deployer"))

    def without(forger: Forger) -> None:
        rows = forger.line("assessed").event["controls"]
        lost = [row for row in rows if row["result"] == "exception"]
        kept = [row["control"] for row in lost]
        assessed, gated = forger.line("assessed"), forger.line("gated")
        assessed.event["controls"] = [row for row in rows if row not in lost]
        assessed.texts = [text for text in assessed.texts if text["text"].split("/")[-1] not in kept]
        gated.event["assertions"] = [row for row in gated.event["assertions"] if row["control"] not in kept]

    assert forge(bench, result, without) != []


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda result: log_of(result).unlink(), "log_missing"),
        (lambda result: shutil.rmtree(result.rundir), "log_missing"),
        (lambda result: log_of(result).write_bytes(b""), "empty"),
        (lambda result: log_of(result).write_bytes(b"\x00\xff" * 40 + b"\n"), "unreadable"),
        (lambda result: log_of(result).write_bytes(b"{}\n"), "unreadable"),
        (lambda result: log_of(result).write_bytes(log_of(result).read_bytes() * 2), "broken_chain"),
        (lambda result: log_of(result).write_bytes(log_of(result).read_bytes()[:-1]), "torn_tail"),
        (
            lambda result: log_of(result).write_bytes(
                b"".join(log_of(result).read_bytes().splitlines(keepends=True)[:-1])
            ),
            "head_differs",
        ),
    ],
    ids=["log-deleted", "folder-deleted", "emptied", "noise", "no-events", "doubled", "torn", "last-event-cut"],
)
def test_a_damaged_log_is_found_and_the_other_runs_still_verify(
    bench: Bench, damage: Callable[[RunResult], Any], kind: str
) -> None:
    result = bench.complete()
    bench.complete(payload_with(system="shipping"))
    damage(result)
    (fault,) = bench.faults()
    assert (fault.run_id, fault.kind) == (result.run_id, kind)
    assert str(log_of(result)) in fault.where
    assert Verifier(bench.root).verify().checked == 2


def test_a_run_folder_copied_under_another_id_or_day_is_found(bench: Bench) -> None:
    result = bench.complete()
    elsewhere = result.rundir.parent.parent / "24" / result.run_id
    for copy in (result.rundir.with_name("change-0123456789abcdef"), elsewhere):
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(result.rundir, copy)
        (fault,) = bench.faults()
        assert (fault.run_id, fault.kind, fault.where) == (copy.name, "unregistered", str(copy / "audit.jsonl"))
        shutil.rmtree(copy)
    assert bench.faults() == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines[:1], lines[1].replace(b"CHG-1001", b"CHG-1002"), *lines[2:]],
        lambda lines: [*lines[:1], *lines[2:]],
        lambda lines: [*lines, b"noise\n"],
        lambda lines: [lines[0], b"\xff\xfe\n", *lines[1:]],
        lambda lines: lines[::-1],
    ],
    ids=["word-changed", "opening-removed", "noise-at-the-end", "noise-inside", "reversed"],
)
def test_a_broken_register_is_one_fault_of_the_root(bench: Bench, damage: Callable[[list[bytes]], list[bytes]]) -> None:
    bench.complete()
    bench.register.write_bytes(b"".join(damage(bench.register.read_bytes().splitlines(keepends=True))))
    verified = Verifier(bench.root).verify()
    assert [(fault.run_id, fault.kind, fault.where) for fault in verified.faults] == [
        (None, "register", str(bench.register))
    ]
    assert not verified.ok


def test_a_register_line_of_an_odd_form_is_a_fault_and_no_crash(bench: Bench) -> None:
    result = bench.complete()

    def odd(forger: Forger) -> None:
        for line in forger.of_run("run_opened"):
            line.event.pop("digest")

    assert forge(bench, result, odd) == ["register"]


def test_a_register_line_with_an_odd_day_is_a_fault_and_no_crash(bench: Bench) -> None:
    result = bench.complete()

    def odd(forger: Forger) -> None:
        for line in forger.of_run("run_opened"):
            line.event["day"] = "yesterday"

    assert forge(bench, result, odd) == ["register"]


def test_a_failed_run_verifies_and_an_unregistered_failure_does_not(bench: Bench) -> None:
    def broken(assessment: Any) -> Any:
        raise OSError("no model")

    bench.fresh(mapper=changed_results(broken))
    assert bench.execute().status is Status.FAILED
    assert bench.faults() == []
    bench.cut_register("run_head")
    assert bench.kinds() == ["unregistered_tail"]
