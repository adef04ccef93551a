"""Which revisions are one, and that those which are can be looked up by their stem."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countersign.revisions import same_revision, stem

HASH = "4f2a9c1d7e" + "0" * 30


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (HASH, HASH, True),
        (HASH, HASH.upper(), True),
        (HASH, HASH[:7], True),
        (HASH[:7], HASH, True),
        (HASH, HASH[:6], False),
        (HASH, "5" + HASH[1:], False),
        (HASH[:7], HASH[:10], True),
        ("1234567" + "0" * 33, "1234567", True),
        ("1234567", "12345678", False),
        ("release-1", "release-10", False),
        ("2026.11.1", "2026.11.10", False),
        ("v1", "v1", True),
        ("v1", "", False),
    ],
    ids=["equal", "case", "abbreviated", "abbreviated_first", "too_short", "other", "both_abbreviated",
         "abbreviated_without_letters", "build_numbers", "names", "dates", "equal_and_short", "empty"],
)  # fmt: skip
def test_which_revisions_are_one(one: str, other: str, same: bool) -> None:
    assert same_revision(one, other) is same


_revisions = st.one_of(
    st.text("0aF", min_size=1, max_size=12),
    st.just(HASH),
    st.integers(5, 12).map(lambda n: HASH[:n].upper()),
    st.text(),
)


@settings(deadline=None, derandomize=True)
@example("STRASSE", "straße")
@given(_revisions, _revisions)
def test_revisions_that_are_one_share_their_stem_whichever_comes_first(one: str, other: str) -> None:
    assert same_revision(one, other) is same_revision(other, one)
    assert not same_revision(one, other) or stem(one) == stem(other)
