from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.errors import TamperedError
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.register import IntakeTotals, Opening, Pause, Refusal, newest_findings_head, registered_heads
from tests.domain.evidence.conftest import DAY, RUN, Stage, opening, pause

_OTHER = "change-00000000000000bb"
_counts = st.integers(0, 1000)
_totals = st.builds(IntakeTotals, _counts, _counts, _counts, _counts, _counts)


def test_an_opening_says_everything_about_the_run_with_the_day_as_text() -> None:
    said = Opening(RUN, "d" * 64, "CHG-1", "billing", "standard", DAY, "inbox", "submitted", None, "c" * 64)
    draft = said.draft()
    assert (draft.event, draft.data) == ("run_opened", {**asdict(said), "day": "2026-11-23"})


@pytest.mark.parametrize(("closed", "event"), [(False, "run_head"), (True, "run_closed")])
def test_a_pause_or_a_closing_says_head_and_status(closed: bool, event: str) -> None:
    draft = Pause(RUN, "1" * 64, "BLOCKED", None, "no quote", closed, ("sign_off", "audit_log")).draft()
    assert draft.event == event
    assert draft.data == {
        "run_id": RUN,
        "head": "1" * 64,
        "status": "BLOCKED",
        "pending": None,
        "reason": "no quote",
        "stages": ["sign_off", "audit_log"],
    }


def test_a_refusal_says_where_the_record_stood_and_why() -> None:
    refusal = Refusal("inbox", "a.json", None, "no id", "e" * 64)
    assert (refusal.draft().event, refusal.draft().data) == ("refused", asdict(refusal))


@given(_totals, _totals)
def test_totals_add_up_field_by_field(one: IntakeTotals, other: IntakeTotals) -> None:
    total = (one + other).as_dict()
    assert total == {name: count + other.as_dict()[name] for name, count in one.as_dict().items()}
    assert list(total) == ["read", "opened", "known", "refused", "out_of_scope"]


@pytest.mark.parametrize(
    ("totals", "reconciled"),
    [
        (IntakeTotals(), True),
        (IntakeTotals(10, 1, 2, 3, 4), True),
        (IntakeTotals(11, 1, 2, 3, 4), False),
        (IntakeTotals(9, 1, 2, 3, 4), False),
    ],
    ids=["nothing", "all-counted", "one-lost", "one-twice"],
)
def test_totals_reconcile_when_every_item_is_counted_once(totals: IntakeTotals, reconciled: bool) -> None:
    assert totals.reconciled is reconciled


def newest_head(stage: Stage) -> str:
    return (registered_heads(stage.root, RUN) or [""])[-1]


def test_the_registered_heads_of_a_run_are_all_that_name_it(stage: Stage) -> None:
    assert registered_heads(stage.root, RUN) == [ZERO]
    assert registered_heads(stage.root, _OTHER) is None
    signed = Draft("signed_off", "countersign", {"run_id": RUN, "key": "k", "decision": "approved", "head": "2" * 64})
    refused = Draft("sign_off_refused", "countersign", {"run_id": RUN, "why": "a bot"})
    other = [opening(_OTHER), pause(_OTHER, "9" * 64)]
    expected = ["1" * 64, "2" * 64, "2" * 64, "2" * 64, "3" * 64]
    for draft, head in zip(
        [pause(head="1" * 64), signed, refused, *other[:1], pause(head="3" * 64)], expected, strict=True
    ):
        stage.register.append_many([draft])
        assert newest_head(stage) == head
    stage.register.append_many(other[1:])
    assert registered_heads(stage.root, RUN) == [ZERO, "1" * 64, "2" * 64, "3" * 64]
    assert registered_heads(stage.root, _OTHER) == [ZERO, "9" * 64]


def test_a_run_that_is_opened_twice_has_no_heads(stage: Stage) -> None:
    stage.register.append_many([pause(head="1" * 64), opening(RUN)])
    with pytest.raises(TamperedError, match="is opened twice"):
        registered_heads(stage.root, RUN)


def test_a_run_id_inside_other_words_or_objects_is_not_that_run(stage: Stage) -> None:
    stage.register.append("note", "somebody", words=f'"run_id":"{RUN}"', head="7" * 64, inner={"run_id": RUN})
    assert registered_heads(stage.root, RUN) == [ZERO]


def test_half_a_line_at_the_end_is_not_yet_a_head(stage: Stage) -> None:
    stage.register.append_many([pause()])
    whole = stage.root.register.read_bytes()
    stage.root.register.write_bytes(whole[:-1])
    assert registered_heads(stage.root, RUN) == [ZERO]
    stage.root.register.write_bytes(b"")
    assert registered_heads(stage.root, RUN) is None


def test_a_line_about_the_run_that_cannot_be_read_is_tampering_and_not_absence(stage: Stage) -> None:
    stage.root.register.write_bytes(stage.root.register.read_bytes().replace(b'"tier":', b'"tier" :'))
    with pytest.raises(TamperedError, match=f"names {RUN} cannot be read"):
        registered_heads(stage.root, RUN)


def test_size_and_head_belong_together_and_are_found_again(stage: Stage) -> None:
    """Also where a line is longer than any block, and where a power cut left half a line."""
    given = [(0, ZERO), stage.register.size_and_head()]
    for draft in (pause(), Draft("note", "somebody", {"words": "x" * (200 << 10)}), pause()):
        head = stage.register.append_many([draft])
        given.append(stage.register.size_and_head())
        assert given[-1] == (stage.root.register.stat().st_size, head)
    with stage.root.register.open("ab") as file:
        file.write(b"torn")
    given.append(stage.register.size_and_head())
    assert given[-1][0] == stage.root.register.stat().st_size
    stage.register.append_many([pause()])
    assert [stage.register.head_at(size) for size, _ in given] == [head for _, head in given]
    assert stage.register.head_at(given[1][0] - 1) is None
    assert stage.register.head_at(stage.root.register.stat().st_size + 1) is None


def test_the_newest_head_of_the_findings_is_the_last_that_was_said(stage: Stage) -> None:
    assert newest_findings_head(stage.root.register) is None
    for head in ("1" * 64, "2" * 64):
        stage.register.append("findings_head", "countersign", size=1, head=head)
        stage.register.append("note", "somebody", inner={"event": "findings_head"}, words='"event":"findings_head"')
        assert newest_findings_head(stage.root.register) == head
    stage.root.register.write_bytes(b"")
    assert newest_findings_head(stage.root.register) is None


@pytest.mark.parametrize("torn_again", [0, 1, 2])
@pytest.mark.parametrize("cut", [1, 20])
def test_a_torn_line_is_no_head_before_it_is_recovered_and_after(stage: Stage, cut: int, torn_again: int) -> None:
    """Also where the recovery was torn too. A line that lacks only its end is a line after all."""
    stage.register.append_many([pause(head="1" * 64), Draft("findings_head", "countersign", {"head": "1" * 64})])
    whole = stage.root.register.read_bytes()
    for draft in (pause(head="2" * 64), Draft("findings_head", "countersign", {"head": "2" * 64})):
        stage.root.register.write_bytes(whole)
        stage.register.append_many([draft])
        stage.root.register.write_bytes(stage.root.register.read_bytes()[:-cut])
        assert newest_head(stage) == newest_findings_head(stage.root.register) == "1" * 64
        for _ in range(torn_again):
            with stage.register.writing():  # which heals it
                pass
            stage.root.register.write_bytes(stage.root.register.read_bytes()[:-20])
        stage.register.append("note", "somebody")
        kept = "2" * 64 if cut == 1 else "1" * 64
        heads = (newest_head(stage), newest_findings_head(stage.root.register))
        assert heads == ((kept, "1" * 64) if draft.event == "run_head" else ("1" * 64, kept))


def test_a_line_about_findings_that_cannot_be_read_is_tampering(stage: Stage) -> None:
    stage.register.append("findings_head", "countersign", size=1, head="1" * 64)
    stage.register.append_many([pause()])
    stage.root.register.write_bytes(stage.root.register.read_bytes().replace(b'"size":1', b'"size": 1'))
    with pytest.raises(TamperedError, match="names findings cannot be read"):
        newest_findings_head(stage.root.register)
