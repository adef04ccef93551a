import shutil
from collections.abc import Callable

import pytest

from countersign.errors import TamperedError
from countersign.evidence.lines import BLOB_OVER, ZERO, Draft, Fault
from countersign.evidence.log import AuditLog
from countersign.evidence.register import registered_heads
from tests.domain.evidence.conftest import DAY, RUN, Stage, chained

_WORDED = Draft("signed_off", "checker", {"decision": "rejected"}, {"reason": "not tested"})


def fault_of(log: AuditLog) -> Fault:
    """The fault that check names; verify agrees with it."""
    report = log.check()
    assert report.fault is not None
    assert (report.ok, log.verify()) == (False, False)
    return report.fault


def test_a_lone_chain_verifies_as_a_chain_only(lone: AuditLog) -> None:
    head = lone.append("opened", "maker")
    report = lone.check()
    assert (report.ok, report.fault, report.events, report.head, report.trust) == (True, None, 1, head, "chain")


def test_a_log_whose_head_the_register_knows_verifies_as_registered(stage: Stage) -> None:
    stage.log.append_many([_WORDED, _WORDED])
    stage.note_head()
    report = stage.log.check()
    assert (report.ok, report.events, report.head, report.trust) == (True, 2, stage.log.head, "register")
    assert stage.log.check(registered=stage.log.head).ok
    assert stage.log.run_id == RUN


@pytest.mark.parametrize("registered", [False, True], ids=["lone", "in-a-root"])
def test_an_empty_log_is_false(stage: Stage, lone: AuditLog, registered: bool) -> None:
    log = stage.log if registered else lone
    log.path.touch()
    assert fault_of(log).kind == "empty"


def test_half_a_first_line_is_a_torn_tail(lone: AuditLog) -> None:
    lone.path.write_bytes(b'{"prev":"0000')
    assert fault_of(lone).kind == "torn_tail"


def _is_a_folder(log: AuditLog) -> None:
    log.path.unlink()
    log.path.mkdir()


@pytest.mark.parametrize(
    "break_it", [lambda log: log.path.unlink(), _is_a_folder, lambda log: log.root.register.unlink()],
    ids=["missing", "a-folder", "register-gone-meanwhile"],
)  # fmt: skip
def test_a_log_that_cannot_be_read_is_false(stage: Stage, break_it: Callable[[AuditLog], None]) -> None:
    stage.log.append("opened", "maker")
    stage.note_head()
    assert stage.log.verify()
    break_it(stage.log)
    assert fault_of(stage.log).kind == "unreadable"


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param(lambda c: b"".join(c.splitlines(True)[:2]), "head_differs", id="tail-cut"),
        pytest.param(lambda _: chained([_WORDED, Draft("other", "maker")]), "head_differs", id="rewritten"),
        pytest.param(lambda c: c.replace(b"opened", b"OPENED"), "head_differs", id="last-line-changed"),
        pytest.param(lambda c: c[:-1], "torn_tail", id="newline-lost"),
        pytest.param(lambda c: c[:-7], "torn_tail", id="torn"),
        pytest.param(lambda c: b"".join(c.splitlines(True)[:1]), "torn_tail", id="text-cut"),
        pytest.param(lambda c: c.replace(b"not tested", b"all tested"), "text_changed", id="text-changed"),
        pytest.param(lambda c: c + b"\n", "unreadable", id="blank-line"),
        pytest.param(lambda _: b"", "empty", id="emptied"),
    ],
)
def test_what_was_done_to_a_registered_log_is_named(stage: Stage, change: Callable[[bytes], bytes], kind: str) -> None:
    stage.log.append_many([_WORDED, Draft("opened", "maker")])
    stage.note_head()
    assert stage.log.verify()
    stage.log.path.write_bytes(change(stage.log.path.read_bytes()))
    assert fault_of(stage.log).kind == kind


def test_a_tail_that_the_register_does_not_know_is_named(stage: Stage) -> None:
    stage.log.append("opened", "maker")
    stage.note_head()
    stage.log.append("forged", "maker")
    fault = fault_of(stage.log)
    assert (fault.kind, fault.line) == ("unregistered_tail", 2)


def test_a_log_written_before_its_first_pause_is_registered_has_an_unregistered_tail(stage: Stage) -> None:
    stage.log.append("opened", "maker")
    assert registered_heads(stage.root, RUN) == [ZERO]
    assert fault_of(stage.log).kind == "unregistered_tail"


def test_a_run_copied_under_another_id_is_unregistered(stage: Stage) -> None:
    stage.log.append("opened", "maker")
    stage.note_head()
    copied = stage.root.log(DAY, "change-00000000000000bb")
    shutil.copytree(stage.log.path.parent, copied.parent)
    assert fault_of(AuditLog(copied)).kind == "unregistered"


def test_a_folder_with_a_name_of_any_bytes_is_unregistered_and_raises_nothing(stage: Stage) -> None:
    strange = stage.root.log(DAY, 'change-\udcff"')
    shutil.copytree(stage.log.path.parent, strange.parent)
    strange.write_bytes(chained([_WORDED]))
    assert fault_of(AuditLog(strange)).kind == "unregistered"


def test_a_changed_register_line_about_the_run_makes_it_false(stage: Stage) -> None:
    stage.log.append("opened", "maker")
    stage.note_head()
    content = stage.root.register.read_bytes()
    stage.root.register.write_bytes(content.replace(b'"status":"AWAITING', b'"status:"AWAITING'))
    assert fault_of(stage.log).kind == "unreadable"


@pytest.mark.parametrize("damage", ["missing", "changed", "a-folder"])
def test_a_text_among_the_blobs_that_is_not_what_was_written_is_named(stage: Stage, damage: str) -> None:
    stage.log.append_many([Draft("opened", "maker", {}, {"words": "x" * BLOB_OVER}), Draft("after", "maker")])
    stage.note_head()
    assert stage.log.verify()
    (blob,) = stage.root.blobs.iterdir()
    if damage == "changed":
        blob.write_bytes(b"other")
    else:
        blob.unlink()
        if damage == "a-folder":
            blob.mkdir()
    fault = fault_of(stage.log)
    assert (fault.kind, fault.line) == ("text_missing", 1)


@pytest.mark.parametrize(
    "data", [{}, {"voids": []}, {"voids": 0}, {"voids": [0, 7]}], ids=["none", "empty", "no-list", "others-too"]
)
def test_only_a_recovery_that_names_it_excuses_missing_words(lone: AuditLog, data: dict[str, object]) -> None:
    event = chained([_WORDED]).splitlines(keepends=True)[0]
    lone.path.write_bytes(event)
    head = lone.head
    for draft, ok in ((Draft("recovered", "x", data), False), (Draft("recovered", "x", {"voids": [0]}), True)):
        lone.path.write_bytes(event + chained([draft], prev=head, seq=1))
        assert lone.verify() is ok


def test_a_torn_tail_that_nobody_acknowledged_is_recovered_in_a_root(stage: Stage) -> None:
    stage.log.append("opened", "maker")
    stage.note_head()
    stage.log.append_many([_WORDED])
    stage.log.path.write_bytes(stage.log.path.read_bytes()[:-5])
    stage.log.append("after", "maker")
    stage.note_head()
    assert stage.log.verify()


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda c: b"".join(c.splitlines(True)[:1]) + b"to", id="the-event"),
        pytest.param(lambda c: b"".join(c.splitlines(True)[:2]), id="its-text-at-the-line"),
        pytest.param(lambda c: c[:-5], id="half-its-text"),
    ],
)
def test_a_run_that_lost_what_the_register_vouched_for_is_held(stage: Stage, cut: Callable[[bytes], bytes]) -> None:
    """A rejection that was acknowledged cannot be made void by cutting its reason off."""
    stage.log.append_many([Draft("opened", "maker"), _WORDED])
    stage.note_head()
    torn = cut(stage.log.path.read_bytes())
    stage.log.path.write_bytes(torn)
    with pytest.raises(TamperedError, match="which the log has lost; run held, SEV-1"):
        stage.log.append("after", "maker")
    assert stage.log.path.read_bytes() == torn
    assert fault_of(stage.log).kind == "torn_tail"


def test_a_lost_newline_after_an_acknowledged_event_is_recovered(stage: Stage) -> None:
    stage.log.append_many([_WORDED])
    stage.note_head()
    stage.log.path.write_bytes(stage.log.path.read_bytes()[:-1])
    stage.log.append("after", "maker")
    stage.note_head()
    assert stage.log.verify()
