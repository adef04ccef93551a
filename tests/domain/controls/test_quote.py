"""A quote is found verbatim but for case, white space and compatibility forms, and its offsets are the original's."""

import re
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countersign.changes.invisible import has_invisible, without_invisible
from countersign.controls.quote import find, fold_quote, fold_text

INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b\u200d\u200e\u202e\u2060\u2069\u3164\ufeff\uffa0\U000e0041"
# marks that compose and reorder, Hangul in parts, ligatures, letters that casefold to several, kana with voiced marks
DIFFICULT = (
    "ßẞİıſŉﬁﬃΐΣςᾳ\u0345\u0301\u0327\u0338=각ᄀ\u1161\u11a8가ｶﾞﾊﾟ\uff9eﷺ㍿①Ⅳ…´\u0f73\u0f71Å \t\n\u2028\u00a0\u3000\x1c"
)

TEXTS = st.text(
    st.sampled_from(DIFFICULT + INVISIBLE + "aAfiI ")
    | st.characters(exclude_categories=["Cs"])
    | st.characters(max_codepoint=0x7F),
    max_size=40,
)


def folded(text: str) -> str:
    """The definition: NFKC and casefold over the whole text at once, white space collapsed, nothing invisible."""
    text = unicodedata.normalize("NFKC", without_invisible(text)).casefold()
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text))


@settings(deadline=None)
@given(TEXTS)
@example("e\u200b\u0301")
@example("ﬁ\u0301 \u200b ﬁ")
def test_folding_piece_by_piece_is_folding_the_whole(text: str) -> None:
    assert fold_text(text).text == folded(text)


@settings(deadline=None)
@given(TEXTS)
def test_every_folded_character_has_its_place_in_the_original(text: str) -> None:
    result = fold_text(text)
    assert len(result.text) == len(result.starts) == len(result.ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(result.starts, result.ends, strict=True))
    assert result.starts == sorted(result.starts)
    assert result.ends == sorted(result.ends)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_any_slice_is_found_and_its_span_folds_to_words_that_hold_the_quote(text: str, data: st.DataObject) -> None:
    """Exactly the quote where it begins and ends between letters; a quote that cuts a ligature gets the whole of it."""
    start = data.draw(st.integers(0, len(text)))
    quote = text[start : data.draw(st.integers(start, len(text)))]
    whole = fold_text(text)
    wanted = fold_quote(quote)
    span = find(quote, text)
    if not wanted or (wanted not in whole.text and quote not in text):
        assert span is None
        return
    assert span is not None
    covered = folded(text[slice(*span)])
    assert wanted in covered
    if len(set(whole.starts)) == len(whole.starts):  # no sign of several letters that the quote could cut
        assert covered.strip() == wanted


@settings(deadline=None)
@given(TEXTS, st.data())
def test_what_does_not_stand_in_the_text_is_not_found(text: str, data: st.DataObject) -> None:
    quote = data.draw(TEXTS)
    if fold_quote(quote) not in fold_text(text).text and quote not in text:
        assert find(quote, text) is None


FOUND: dict[str, tuple[str, str, str]] = {
    "verbatim": ("approved", "it is approved today", "approved"),
    "case": ("APPROVED for Production", "approved for production", "approved for production"),
    "white_space": ("approved for\n\tproduction", "so: approved   for production", "approved   for production"),
    "white_space_around": ("  approved ", "it is approved today", "approved"),
    "no_break_space": ("approved for", "it is approved\u00a0for", "approved\u00a0for"),
    "at_the_start": ("Change approved", "change approved by all", "change approved"),
    "at_the_end": ("BY ALL.", "change approved by all.", "by all."),
    "the_whole": ("CHANGE APPROVED", "change approved", "change approved"),
    "first_of_two": ("Approved", "approved, approved", "approved"),
    "full_width": ("approved", "ＡＰＰＲＯＶＥＤ!", "ＡＰＰＲＯＶＥＤ"),
    "full_width_quote": ("ＡＰＰＲＯＶＥＤ", "was approved", "approved"),
    "ligature": ("office fixed", "the oﬃce ﬁxed it", "oﬃce ﬁxed"),
    "ligature_quoted": ("oﬃce", "the office", "office"),
    "sharp_s": ("GROSSE Straße", "große STRASSE", "große STRASSE"),
    "turkish_i": ("İSTANBUL", "in i\u0307stanbul", "i\u0307stanbul"),
    "final_sigma": ("ΟΔΟΣ", "η οδος", "οδος"),
    "hangul_in_parts": ("각하", "\u1100\u1161\u11a8하 승인", "\u1100\u1161\u11a8하"),
    "hangul_composed": ("\u1112\u1161\u11ab", "대한민국", "한"),
    "half_width_voiced": ("ガパ", "ｶﾞﾊﾟ", "ｶﾞﾊﾟ"),
    "accent_in_parts": ("refusé", "refuse\u0301 net", "refuse\u0301"),
    "zero_width_inside_a_word": ("approved", "app\u200bro\u00adved now", "app\u200bro\u00adved"),
    "zero_width_between_letter_and_accent": ("é", "e\u200b\u0301", "e\u200b\u0301"),
    "bidi_control": ("approved", "\u202eapproved\u202c", "\u202eapproved\u202c"),
    "inside_a_sign_of_several_letters": ("株式会", "㍿の承認", "㍿"),
}


@pytest.mark.parametrize("case", FOUND)
def test_quote_is_found_with_offsets_into_the_original(case: str) -> None:
    quote, text, expected = FOUND[case]
    span = find(quote, text)
    assert span is not None
    assert without_invisible(text[slice(*span)]) == without_invisible(expected)


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("approved", "approve d"),
        ("approved for", "approvedfor"),
        ("approved", ""),
        ("", "approved"),
        (" \u200b\n", "approved"),
        ("approved by all of them", "approved by all"),
        ("x" * 500_000, "x" * 499_999),
        ("가", "각"),
        ("resume", "résumé"),
        ("аpproved", "approved"),
        ("approved\u0301", "approved"),
    ],
    ids=["space_inserted", "space_left_out", "in_nothing", "nothing", "nothing_seen", "longer", "too_long",
         "hangul_without_final", "accent_left_out", "cyrillic_letter", "accent_added"],
)  # fmt: skip
def test_other_words_are_not_found(quote: str, text: str) -> None:
    assert find(quote, text) is None


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"U+{ord(character):04X}")
def test_invisible_characters_are_known(character: str) -> None:
    assert has_invisible(f"appro{character}ved")
    assert fold_text(f"appro{character}ved").text == "approved"


@pytest.mark.parametrize("text", ["approved", "genehmigt für Zürich", "승인", "a\tb\n", "", "é", "🚀"])
def test_visible_text_holds_nothing_invisible(text: str) -> None:
    assert not has_invisible(text)


def test_folding_the_longest_accepted_evidence_takes_no_more_than_linear_time() -> None:
    """1 MiB of the worst that a payload may hold: thirty marks out of order after each letter."""
    worst = "a" + "\u0301\u0323" * 15
    started = time.process_time()
    fold_text(worst * (2**19 // len(worst)))
    assert time.process_time() - started < 5
