from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.speech import count_tokens, speak


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (18, 5)])
def test_a_token_is_four_bytes_and_the_last_one_counts_as_whole(size: int, tokens: int) -> None:
    assert count_tokens(size) == tokens


def test_one_piece_a_word() -> None:
    speech = speak("I am here.\n\nYou  too", words=None, most_tokens=None)
    assert list(speech.pieces(None)) == ["I ", "am ", "here.\n\n", "You  ", "too"]
    assert not speech.is_cut_short


def test_words_are_repeated_or_left_out() -> None:
    assert "".join(speak("one two", words=5, most_tokens=None).pieces(1)) == "one two one two one "
    assert "".join(speak("one two", words=1, most_tokens=None).pieces(1)) == "one "


def test_a_speech_larger_than_memory_begins_at_once() -> None:
    speech = speak("one two", words=1_000_000_000, most_tokens=None)
    assert speech.size == 4_000_000_000
    assert next(speech.pieces(None)) == "one "


def test_a_cut_speech_has_exactly_the_tokens_that_were_allowed() -> None:
    speech = speak("I am simulator-1.", words=None, most_tokens=2)
    assert "".join(speech.pieces(None)) == "I am sim"
    assert (speech.tokens, speech.is_cut_short) == (2, True)


def test_a_limit_that_is_just_enough_cuts_nothing() -> None:
    speech = speak("12345678", words=None, most_tokens=2)
    assert "".join(speech.pieces(None)) == "12345678"
    assert not speech.is_cut_short


def test_no_character_is_cut_in_two() -> None:
    speech = speak("请介绍你自己", words=None, most_tokens=2)
    assert "".join(speech.pieces(None)) == "请介"


@given(
    rest=st.text(max_size=60),
    words=st.none() | st.integers(1, 40),
    most_tokens=st.none() | st.integers(1, 20),
    number=st.none() | st.integers(1, 50),
)
def test_pieces_are_the_speech(
    rest: str, words: int | None, most_tokens: int | None, number: int | None
) -> None:
    speech = speak(f"I am. {rest}", words=words, most_tokens=most_tokens)
    pieces = list(speech.pieces(number))
    assert "".join(pieces) == "".join(speech.pieces(1))
    assert count_tokens(len("".join(pieces).encode())) == speech.tokens
    if number is not None and not speech.is_cut_short:
        assert len(pieces) == min(number, speech.count)
    if words is None and not speech.is_cut_short:
        assert "".join(pieces) == f"I am. {rest}"
