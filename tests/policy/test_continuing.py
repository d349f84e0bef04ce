"""An answer that broke is whole again, or the client is told: at every cut, in every split, in any script."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.policy.continuing import (
    CaughtUp,
    Complete,
    Continuation,
    Disagreeing,
    FromStart,
    GiveUp,
    Prefill,
    Said,
    continuation,
    end,
    overlap_with,
    prefill_of,
    read,
    whole_letters,
    without_half,
)

ANSWER = " Here are two:\n\n- Grüße aus Köln 👋🏽\n- 你好，世界。\n\n```py\nif x:\n    return 1\n```\n"
TEXTS = st.text(st.sampled_from("ab \n-,é好👋\u0301"), max_size=24)
WORDS = st.text(max_size=60)


def spliced(said: str, pieces: Iterable[str], *, prefilled: bool = False) -> str | None:
    """What the client has after the second answer, which came in these pieces; None if the answers disagree."""
    overlap, has = overlap_with(said, prefilled=prefilled), said
    for piece in pieces:
        overlap, text = read(overlap, piece)
        has += text
        if isinstance(overlap, Disagreeing):
            assert not text
            assert read(overlap, "more") == end(overlap) == (overlap, "")
    ended, text = end(overlap)
    return has + text if isinstance(ended, CaughtUp) else None


def split_everywhere(text: str) -> Iterator[tuple[str, ...]]:
    """The text in one piece, in two at every place, in letters, and in pieces of three with empty ones between."""
    yield (text,)
    for at in range(len(text) + 1):
        yield text[:at], text[at:]
    yield tuple(text)
    yield tuple(itertools.chain.from_iterable((text[at : at + 3], "") for at in range(0, len(text), 3)))


def in_pieces(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:stop] for start, stop in itertools.pairwise(edges)]


@pytest.mark.parametrize(
    ("said", "on_break", "can_prefill", "prefill_refused", "expected"),
    [
        (Said("Hel"), "continue", True, False, Prefill()),
        (Said("Hel"), "continue", True, True, FromStart()),
        (Said("Hel"), "continue", False, False, FromStart()),
        (Said(""), "continue", True, False, FromStart()),
        (Said(" \n"), "continue", True, False, FromStart()),
        (Said("Hel"), "error", True, False, GiveUp()),
        (Said("Hel", tool_calls=True), "continue", True, False, GiveUp()),
        (Said("", tool_calls=True), "continue", False, False, GiveUp()),
        (Said("Hel", other=True), "continue", True, False, GiveUp()),
        (Said("Hello", finish_reason="stop"), "continue", True, False, Complete()),
        (Said("Hello", finish_reason="length"), "error", False, False, Complete()),
        (Said("", tool_calls=True, finish_reason="tool_calls"), "continue", True, False, Complete()),
    ],
)
def test_how_to_go_on(
    said: Said, on_break: str, can_prefill: bool, prefill_refused: bool, expected: Continuation
) -> None:
    assert on_break in ("continue", "error")
    decided = continuation(
        said,
        on_break="continue" if on_break == "continue" else "error",
        can_prefill=can_prefill,
        prefill_refused=prefill_refused,
    )
    assert decided == expected


class TestFromStart:
    def test_at_every_cut_in_every_split_the_answer_is_whole(self) -> None:
        for cut in range(len(ANSWER) + 1):
            for pieces in split_everywhere(ANSWER):
                assert spliced(ANSWER[:cut], pieces) == ANSWER

    @given(WORDS, WORDS, st.lists(st.integers(0, 120), max_size=9))
    def test_any_text_is_whole(self, said: str, rest: str, places: list[int]) -> None:
        assert spliced(said, in_pieces(said + rest, places)) == said + rest

    @given(TEXTS, TEXTS, st.lists(st.integers(0, 30), max_size=9))
    @example("a\n", "a\n b", [])
    @example(" ", "a", [])
    def test_another_answer_never_gives_a_word_twice_or_misses_one(
        self, said: str, answer: str, places: list[int]
    ) -> None:
        has = spliced(said, in_pieces(answer, places))
        if has is None:
            # As long as the answer begins with what the client has, or has all its words, they agree.
            assert not answer.startswith(said)
        else:
            assert has.startswith(said)
            assert has.split() == answer.split()

    @given(TEXTS, TEXTS, st.lists(st.integers(0, 30), max_size=9))
    def test_the_split_changes_nothing(self, said: str, answer: str, places: list[int]) -> None:
        for prefilled in (False, True):
            whole = spliced(said, [answer], prefilled=prefilled)
            assert spliced(said, in_pieces(answer, places), prefilled=prefilled) == whole
            assert spliced(said, answer, prefilled=prefilled) == whole

    def test_it_disagrees_at_the_first_letter_that_differs(self) -> None:
        overlap = overlap_with("The cat sat", prefilled=False)
        for letter in "The c":
            overlap, _ = read(overlap, letter)
            assert not isinstance(overlap, Disagreeing)
        overlap, _ = read(overlap, "o")
        assert isinstance(overlap, Disagreeing)

    @pytest.mark.parametrize("answer", ["", "The", "The cat sa", " \n"])
    def test_an_answer_that_ends_before_it_has_caught_up_disagrees(self, answer: str) -> None:
        assert spliced("The cat sat", [answer]) is None

    @pytest.mark.parametrize(
        ("said", "answer", "has"),
        [
            ("Hello", "\n\nHello you", "Hello you"),
            ("\n\nHello", "Hello you", "\n\nHello you"),
            ("\n", "Hello", "\nHello"),
            ("\n", "\n\n\nHello", "\n\n\nHello"),
            ("Done.\n", "Done.", "Done.\n"),
            ("One:\n", "One:\n\n- two", "One:\n\n- two"),
            ("One:\n\n", "One:\n- two", "One:\n\n- two"),
            ("Hello  ", "Hello you", "Hello  you"),
        ],
    )
    def test_white_space_that_matters_to_no_word_may_differ(self, said: str, answer: str, has: str) -> None:
        assert spliced(said, answer) == spliced(said, [answer]) == has

    @pytest.mark.parametrize(
        ("said", "answer"),
        [
            ("cat ", "caterpillar"),
            ("a cat", "a  cat"),
            ("One, ", "One,\ntwo"),
            ("if x:\n        ", "if x:\n    return"),
            ("Gru\u0308n", "Gr\u00fcn"),
        ],
    )
    def test_other_white_space_and_other_letters_disagree(self, said: str, answer: str) -> None:
        assert spliced(said, answer) is None
        assert spliced(said, [answer]) is None


class TestPrefill:
    def test_white_space_at_the_end_is_never_sent(self) -> None:
        assert prefill_of(" Hello you \n") == " Hello you"

    def test_at_every_cut_in_every_split_an_answer_that_goes_on_is_whole(self) -> None:
        for cut in range(len(ANSWER) + 1):
            said = ANSWER[:cut]
            for pieces in split_everywhere(ANSWER[len(prefill_of(said)) :]):
                assert spliced(said, pieces, prefilled=True) == ANSWER

    @pytest.mark.parametrize("trimmed", [False, True])
    def test_at_every_cut_in_every_split_an_answer_that_repeats_is_whole_or_disagrees(
        self, trimmed: bool
    ) -> None:
        for cut in range(len(ANSWER) + 1):
            said = ANSWER[:cut]
            told = 0 < len(said.strip()) < 8
            for pieces in split_everywhere(ANSWER.lstrip() if trimmed else ANSWER):
                has = spliced(said, pieces, prefilled=True)
                assert has == (None if told else ANSWER) or not said.strip()

    @given(WORDS, WORDS, st.lists(st.integers(0, 120), max_size=9))
    def test_any_text_that_goes_on_is_whole_unless_it_looks_like_a_repetition(
        self, said: str, rest: str, places: list[int]
    ) -> None:
        assume(not rest[:1].isspace() and not said[-1:].isspace())
        assume(not rest or rest[0] != said.strip()[:1])
        gap = said[len(prefill_of(said)) :]
        assert spliced(said, in_pieces(gap + rest, places), prefilled=True) == said + rest

    @given(TEXTS, TEXTS, st.lists(st.integers(0, 30), max_size=9))
    def test_an_answer_goes_on_repeats_or_disagrees_and_nothing_else(
        self, said: str, answer: str, places: list[int]
    ) -> None:
        assume(said.strip())
        has = spliced(said, in_pieces(answer, places), prefilled=True)
        if has is not None:
            assert has.startswith(said)
            went_on = (prefill_of(said) + answer).split()
            repeated = answer.split() if answer.strip().startswith(said.strip()) else None
            assert has.split() in (went_on, repeated)

    @pytest.mark.parametrize(
        ("said", "answer", "has"),
        [
            ("The cat", " sat", "The cat sat"),
            ("The ca", "t sat", "The cat sat"),
            ("The cat ", " sat", "The cat sat"),
            ("The cat sat", "", "The cat sat"),
            ("The cat sat\n", "", "The cat sat\n"),
            ("The cat", "The cat", None),
            ("The cat sat", "The cat sat down", "The cat sat down"),
            (" The cat sat", "The cat sat down", " The cat sat down"),
            ("\n\nThe cat sat", "\nThe cat sat down", "\n\nThe cat sat down"),
            ("The cat sat\n", "The cat sat\n\nIt", "The cat sat\n\nIt"),
            ("The cat sat.", " The cat sat.", "The cat sat. The cat sat."),
            ("The cat sat.\n", "\nThe cat sat.", "The cat sat.\nThe cat sat."),
            ("The cat sat", "The cat lay", None),
            ("The cat sat", "The cat", None),
            ("The cat sat on the m", "Tat", "The cat sat on the mTat"),
            ("The cat sat on the m", "T", "The cat sat on the mT"),
            ("The cat sat on the m", "Theb", "The cat sat on the mTheb"),
            ("ha", "ha ha", None),
            ("ha", " ha ha", "ha ha ha"),
            ("1", "1 is", None),
            ("1", "2 is", "12 is"),
            ("----------", "------------", None),
            ("----------", "-", "-----------"),
            ("Sure, here are", "Sure! Here", None),
            ("Sure", "Surely", None),
            ("cat ", "erpillar", None),
            ("One:\n\n", "\n- two", "One:\n\n- two"),
            ("if x:\n        ", "\n    return", None),
        ],
    )
    def test_answers_of_all_sorts(self, said: str, answer: str, has: str | None) -> None:
        assert spliced(said, [answer], prefilled=True) == has
        assert spliced(said, answer, prefilled=True) == has

    def test_an_answer_that_starts_anew_disagrees_where_it_differs(self) -> None:
        overlap = overlap_with("Sure, here is the list", prefilled=True)
        overlap, _ = read(overlap, "Sure, here ")
        assert not isinstance(overlap, Disagreeing)
        overlap, text = read(overlap, "are two")
        assert isinstance(overlap, Disagreeing)
        assert not text

    def test_new_words_are_not_held_back(self) -> None:
        overlap = overlap_with("Once upon", prefilled=True)
        overlap, text = read(overlap, " a")
        assert text == " a"
        assert read(overlap, " time") == (overlap, " time")


def test_a_long_answer_in_small_pieces_costs_what_its_length_costs() -> None:
    said = "word " * 40_000
    pieces = [said[at : at + 5] for at in range(0, len(said), 5)]
    assert spliced(said, [*pieces, "end"]) == said + "end"


@pytest.mark.parametrize(
    ("text", "whole", "half"),
    [
        ("", "", ""),
        ("Füchslein", "Füchslein", ""),
        ("a\ud83e\udd8a", "a🦊", ""),
        ("a\ud83e", "a", "\ud83e"),
        ("\ud83eb", "\ufffdb", ""),
        ("a\udd8a", "a\ufffd", ""),
    ],
)
def test_letters_whose_halves_came_apart(text: str, whole: str, half: str) -> None:
    assert whole_letters(text) == (whole, half)


def test_the_half_of_a_letter_that_the_client_has() -> None:
    assert without_half("🦊.", "\ud83e") == "\udd8a."
    assert without_half("🐺.", "\ud83e") is None
    assert without_half(".", "\ud83e") is None
