"""What words say. In doubt they say nothing: an approval or a pass is never read into a text."""

import pytest

from countersign.controls.quote import MIN_QUOTE, find, fold_quote
from countersign.controls.wording import Reader, Says, first_quote, names_another_change
from countersign.policy import Policy, load_policy
from tests.conftest import POLICY

READER = Reader(load_policy(POLICY).wording)

APPROVES = """
Approved.
Approved for deployment to production.
APPROVED
CHG-1001 approved for deployment.
Reviewed and approved, no further comments.
Approved. No objections.
Approved with no objections
I approve this change.
We hereby approve CHG-1001.
Approve
Decision: approve
Approving this now
I'm approving for the release window
Approval granted for CHG-1001
Approval: granted
CAB approval has been granted
Change approved by the board on 2026-11-19
The change is approved for the Friday window
This was authorised by the change board
Authorised for release
Authorized to deploy
I authorise this deployment.
Emergency change authorised by phone at 02:10
LGTM
lgtm, ship it
LGTM 👍
Looks good to me, approved
Signed off by release management
signed-off
Status: approved
State=Approved
Approved ✅
Approved, go ahead
Fully approved
Ａｐｐｒｏｖｅｄ for production
We approve the rollback plan and the change
Approved-by: Checker <checker@example.com>
Reviewed-by: Reviewer <reviewer@example.com>
Acked-by: checker@example.com
owner:service#12: APPROVED by checker (MEMBER) at 2026-11-20T09:00:00Z on 4f2a9c1d7e
""".strip().splitlines()

WITHHOLDS = """
not approved
Not yet approved
NOT APPROVED
This has not been formally approved
I do not approve this
I don't approve
I don’t approve of this, approved only the first one
I didn't approve this
isn't approved
hasn't been approved
I cannot approve this, the last one was approved
Won't approve until fixed
Nobody approved this
No one has approved this
None of this is approved
neither approved nor tested
without being approved
There is no approval for this
never approved
unapproved change
un‑approved
Disapproved by CAB
approve once the tests pass
Approve once the rollback plan is attached.
Approved once the rollback plan is attached
Once QA is done this is approved
Approved if tests are green
Approved subject to CAB
Conditionally approved
Partially approved
Approved except for the database part
Approved modulo nits
Approved, but do not deploy
approved; do not deploy yet
LGTM with nits - fix before merge
LGTM if CI is green
LGTM?
Not LGTM
approved?
Who approved this?
I think CAB approved it
Please approve
Could you get this approved
Will approve tomorrow
To be approved
should be approved by CAB
must be approved first
Needs to be approved
Ready to be approved
awaiting: approved or rejected by Friday
Approval pending, normally approved by CAB
rejected, was approved by mistake
Approved in error
Approved; I now revoke this
Approved yesterday, taking it back: approval withdrawn
[ ] Approved by CAB
Approve/Reject: approved / rejected
Approved: no
approved = false
approved, NOT!
Approved by:
Approved by: ____
Approved-by: none
Approved-by: TBD
Approved-by: N/A
Reviewed-by: nobody
Reviewed-by: <reviewer@example.com>
The approved budget is 10k
Only authorised users may log in
Pre-approved template
approved for the test environment only
Not signed off
Needs to be signed off
NACK, approved the wrong one
Code-Review -2 (approved earlier)
> Approved, says the other one
n\u200bot approved
ｎｏｔ approved
""".strip().splitlines()  # fmt: skip

UNCLEAR = """
go ahead
Go ahead!
ok
Looks fine to me
+1
👍
ship it
No objections
Thanks, deploying now
The approver is on leave
Approval process: see the wiki
Approve the request in the tool
Update authorized_keys
Signed-off-by: Maker <maker@example.com>
genehmigt
""".strip().splitlines()


def quoted(text: str) -> str:
    """Long enough to be quoted, by a line that says nothing."""
    return f"{text}\n\nSent from the change board, room 12"


@pytest.mark.parametrize("text", APPROVES)
def test_words_that_approve(text: str) -> None:
    reading = READER.approval(quoted(text))
    assert reading.says is Says.APPROVED
    assert reading.quote is not None
    assert text in reading.quote


@pytest.mark.parametrize("text", [*WITHHOLDS, *UNCLEAR], ids=ascii)
def test_words_that_withhold_an_approval_or_leave_it_open(text: str) -> None:
    text = text.encode().decode("unicode_escape") if "\\u" in text else text
    assert READER.approval(quoted(text)).says is Says.NOTHING


@pytest.mark.parametrize("text", WITHHOLDS, ids=ascii)
def test_an_approval_beside_words_that_withhold_one_decides_nothing(text: str) -> None:
    assert READER.approval(f"Approved for production.\n\n{text}\n").says is Says.NOTHING


@pytest.mark.parametrize(
    "text",
    ["This change is not\napproved", "Nobody has so far\r\nformally\r\napproved it", "It is not\u2028approved",
     "Approved, but\nnot before the tests", "I will\x0bapprove\nApproved by me then"],
)  # fmt: skip
def test_a_sentence_over_several_lines_withholds_too(text: str) -> None:
    assert READER.approval(quoted(text)).says is Says.NOTHING


PASSES = """
All tests passed
Tests pass
48 passed, 0 failed
Regression suite: 48 passed, 0 failed.
12 passed, 3 skipped
12 passing
all 12 checks have passed
CI is green, all checks passed
Result: PASS
PASSED
Smoke test passed
Build succeeded
Test run successful
UAT successfully completed
Tests completed successfully
0 failures, 120 passed
0 failed 48 passed
passed: 12, failed: 0, skipped: 0
errors=0 failures=0 passed=12
No test failed; 40 passed
no failures; all passing
12 tests passed without failures
tests passed with zero errors
Failures: none, passed: 12
100% tests passed, 0 tests failed out of 12
Tests run: 12, Failures: 0, Errors: 0, Skipped: 0 - passed
Failover test passed
Tests passed on staging, 2026-11-19
Verified, the suite passed in 3.2s
conclusion: success
check ci / build: conclusion success at 2026-11-20T08:00:00Z on 4f2a9c1d7e
check ci / error handling: conclusion success at 2026-11-20T08:00:00Z on 4f2a9c1d7e
check failed-login tests: conclusion success at 2026-11-20T08:00:00Z on 4f2a9c1d7e
Tested-by: Observer <observer@example.com>
LUCI-TryBot-Result: builder <builder@project.iam.gserviceaccount.com>
""".strip().splitlines()

FAILS = """
3 failed, 45 passed
1 failure
10 failed
20 tests failed
12 passed, one failed
12 passed; some failures remain
12 passed, 1 error
tests failed
Tests FAILED
test fails
Build failed
Failures: 3
errors=1
0 failed, 3 errors
failed: 2, passed: 46
passed locally, CI failed
Tests did not pass
Tests didn't pass
The suite has not passed
not passed
unsuccessful
check ci: conclusion failure at 2026-11-20T08:00:00Z on 4f2a9c1d7e
check ci: conclusion timed_out at 2026-11-20T08:00:00Z on 4f2a9c1d7e
check ci: conclusion cancelled at 2026-11-20T08:00:00Z on 4f2a9c1d7e
check success: conclusion failure at 2026-11-20T08:00:00Z on 4f2a9c1d7e
check x: conclusion success at a on b: conclusion failure at 2026-11-20T08:00:00Z on 4f2a9c1d7e
ｆａｉｌｅｄ
""".strip().splitlines()

BYPASSES = """
TryBot-Bypass: the builder is down
tests were skipped
Tests bypassed, all passed before
CI skipped
bypassing CI
skipping the tests
waived the tests
[skip ci] small fix
untested, but the old one passed
not tested
never tested
""".strip().splitlines()

DOUBTFUL = """
0 passed
0 tests passed
No tests passed
none passed
nothing passed
None of the tests passed
No tests run, success
0 tests, success
Tests run: 0, success
No tests were run
tests not executed; assumed passed
should pass
will pass once fixed
expected to pass
tests must pass before merge
Please make tests pass
unable to pass
almost passed
partially passed
11/12 passed
11 of 12 tests passed
only 3 of 40 passed
97% of the tests passed
pass rate: 50%
All but one passed
passed except the login test
passed but flaky
passed?
if it passed, deploy
no success
without success
not successful
The suite was aborted, success unknown
crashed; the first half passed
passed the parameter to the handler
pass the parameter by value
password updated
exit code 1
in progress
Tested-by: nobody
Tested-by: TBD
see attachment
""".strip().splitlines()


@pytest.mark.parametrize(
    ("says", "text"),
    [(Says.PASSED, text) for text in PASSES]
    + [(Says.FAILED, text) for text in FAILS]
    + [(Says.BYPASSED, text) for text in BYPASSES]
    + [(Says.NOTHING, text) for text in DOUBTFUL],
)
def test_words_about_tests(says: Says, text: str) -> None:
    reading = READER.test(quoted(text))
    assert reading.says is says
    assert (reading.quote is None) is (says is Says.NOTHING)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("48 passed\n3 failed", Says.FAILED),
        ("3 failed\nTests bypassed", Says.BYPASSED),
        ("unit: 48 passed\nsmoke: all checks passed", Says.PASSED),
        ("48 passed\nThe second half was aborted", Says.NOTHING),
        ("The tests did not\npass", Says.NOTHING),
        ("All tests passed\nexcept the last", Says.NOTHING),
        ("unit test: 12 passed\nfailures: 0", Says.PASSED),
        ("", Says.NOTHING),
    ],
    ids=["failed_beats_passed", "bypassed_beats_failed", "both_passed", "doubt_elsewhere", "sentence_over_lines",
         "exception_on_the_next_line", "harmless_on_the_next_line", "empty"],
)  # fmt: skip
def test_the_worst_line_of_a_test_text_counts(text: str, says: Says) -> None:
    assert READER.test(text).says is says


QUOTES: dict[str, tuple[str, str | None]] = {
    "the_line": ("Hello\nApproved for production\nBye", "Approved for production"),
    "with_what_follows_while_too_short": ("Hello\nLGTM\nship it", "LGTM\nship it"),
    "from_before_where_nothing_follows": ("All of it\nLGTM", "All of it\nLGTM"),
    "line_ends_of_another_system": ("Hello\r\nLGTM\r\nship it", "LGTM\nship it"),
    "too_short": ("LGTM", None),
    "exactly_twelve": ("LGTM, go on!", "LGTM, go on!"),
    "eleven": ("LGTM, go on", None),
    "invisible": ("Appro\u200bved for production", None),
    "the_next_that_can_be_quoted": ("Appro\u200bved for production\n\nApproved for all", "Approved for all"),
}


@pytest.mark.parametrize("case", QUOTES)
def test_the_quote_is_one_that_the_gate_takes(case: str) -> None:
    text, quote = QUOTES[case]
    reading = READER.approval(text)
    assert (reading.says, reading.quote) == (Says.APPROVED, quote)
    if quote is not None:
        assert find(quote, text) is not None
        assert len(fold_quote(quote)) >= MIN_QUOTE


@pytest.mark.parametrize("before", [0, 390, 1000])
def test_the_quote_of_a_very_long_line_holds_the_words_that_count(before: int) -> None:
    text = "x " * (before // 2) + "Approved for production " + "y " * 1000
    quote = READER.approval(text).quote
    assert quote is not None
    assert "Approved" in quote
    assert len(quote) <= 400
    assert quote in text


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Deployed to production", "Deployed to production"),
        ("ok\nDeployed.", "ok\nDeployed."),
        ("done", None),
        ("de\u200bployed to production\nby the deployer", "by the deployer"),
        ("x" * 500, "x" * 400),
        ("", None),
    ],
    ids=["line", "lines", "short", "invisible", "long", "empty"],
)
def test_first_words_to_quote(text: str, quote: str | None) -> None:
    assert first_quote(text) == quote


IDS = load_policy(POLICY).change_ids
HASH = "4f2a9c1d7e" + "0" * 30
OTHER = "5f2a9c1d7e" + "0" * 30

NAMES: dict[str, tuple[str, str, str | None]] = {
    "itself": ("CHG-1001", "CHG-1001 approved", None),
    "itself_in_small_letters": ("CHG-1001", "chg-1001 approved", None),
    "itself_with_another_sign": ("CHG-1001", "CHG 1001 approved", None),
    "itself_with_another_dash": ("CHG-1001", "CHG‑1001 approved", None),
    "no_change": ("CHG-1001", "approved", None),
    "another": ("CHG-1001", "CHG-1002 approved", "chg-1002"),
    "another_and_itself": ("CHG-1001", "CHG-1001 approved, CHG-1002 follows", None),
    "another_and_itself_with_another_sign": ("CHG-1001", "CHG-1002 and CHG#1001 approved", None),
    "one_that_begins_alike": ("CHG-1001", "CHG-10010 approved", "chg-10010"),
    "one_that_itself_begins_with": ("CHG-1001", "CHG-10 approved", "chg-10"),
    "another_in_full_width": ("CHG-1001", "ＣＨＧ-1002 approved", "chg-1002"),
    "another_with_another_dash": ("CHG-1001", "CHG‑1002 approved", "chg-1002"),
    "another_with_zero_width": ("CHG-1001", "CHG-\u200b1002 approved", "chg-1002"),
    "another_of_another_kind": ("CHG-1001", "RFC 7 and RFC 2001 approved", "rfc 2001"),
    "like_an_id_inside_a_word": ("CHG-1001", "XCHG-1002 approved", None),
    "issue_key": ("PAY-12", "PAY-13 approved", "pay-13"),
    "pull_request": ("owner:service#12", "owner:service#13: APPROVED", "owner:service#13"),
    "pull_request_itself": ("owner:service#12", "owner:service#12: APPROVED", None),
    "commit": (f"service@{HASH}", f"service@{OTHER} approved", f"service@{OTHER}"),
    "commit_abbreviated": (f"service@{HASH}", f"service@{HASH[:12]} approved", None),
    "commit_named_by_nothing": (f"service@{HASH}", "approved", None),
    "longer_own_id": ("CHG-1001-hotfix", "CHG-1001 approved", "chg-1001"),
    "own_id_without_number": ("the-migration", "CHG-1002 approved", "chg-1002"),
    "own_id_only_a_number": ("4711", "4711 approved", None),
}


@pytest.mark.parametrize("case", NAMES)
def test_which_other_change_an_approval_names(case: str) -> None:
    change_id, text, expected = NAMES[case]
    assert names_another_change(change_id, text, IDS) == expected


def test_without_patterns_only_ids_of_the_same_shape_are_known(policy: Policy) -> None:
    assert names_another_change("PAY-12", "CHG-1002 approved", []) is None
    assert names_another_change("PAY-12", "PAY-13 approved", []) == "pay-13"
