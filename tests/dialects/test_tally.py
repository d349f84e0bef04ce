"""How counts add up: whoever tells them in whichever way, cut wherever."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.tally import Tally
from gateway.messages import MOST_TOKENS, TokenUsage


class Told(NamedTuple):
    """An event's words, and what it counts."""

    words: str
    output: int = 0
    input: int = 10
    cached_input: int = 0
    reasoning: int = 0
    choice: int | None = 0
    """None: it has no choice."""
    within: bool = False


def tally_of(*events: Told) -> Tally:
    tally, size = Tally(), 0
    for told in events:
        words = len(told.words.encode())
        size += words
        usage = TokenUsage(told.input, told.output, told.cached_input, told.reasoning)
        if told.choice is None:
            tally.take_total(usage, size)
        else:
            tally.take(usage, told.choice, words, size, within=told.within)
    return tally


def output(*events: Told) -> int:
    usage = tally_of(*events).usage()
    return 0 if usage is None else usage.output


W = "w "
HELLO = "hello world "


@pytest.mark.parametrize(
    ("events", "output_tokens"),
    [
        # All so far.
        ([Told("a ", 1), Told("b ", 2), Told("c ", 3), Told("", 3)], 3),
        ([Told("a b c ", 3), Told("d e f", 6), Told("", 6)], 6),
        ([Told("word ", 5), Told("word ", 5), Told("word ", 9)], 9),
        ([Told("a", 1), Told("", 42, input=0)], 42),
        ([Told(HELLO * 100, 500), Told(HELLO * 100, 1000), Told("to the end.", 1000)], 1000),
        ([Told("a", 1), Told("b", 1), Told("c", 2), Told("", 2)], 2),  # words are cut finer than tokens
        ([Told("a", 1), Told("b", 1), Told("c", 1), Told("", 1, choice=None)], 1),
        ([Told("a", 1), Told("b", 1), Told("c", 1)], 1),
        ([Told(letter, 1) for letter in "Hello"], 1),
        ([Told(HELLO, 50)] * 12, 50),  # it knew how many there would be
        ([Told("four", number) for number in range(1, 13)] + [Told("", 10)], 10),  # corrected at the end
        # Each alone.
        ([Told("a ", 1), Told("b ", 1), Told("c ", 1)], 3),
        ([Told("word ", 1)] * 3 + [Told("word ", 1, input=0)], 4),
        ([Told("aa bb cc dd ee ", 5)] + [Told("aa bb cc dd ee ", 5, input=0)] * 2, 15),
        ([Told(W * 20, 20), Told(W * 15, 15), Told(W * 18, 18)], 53),
        ([Told(W * 20, 20)] * 3, 60),
        ([Told(W * 20, 20)] * 3 + [Told("", 0)], 60),
        ([Told(W * 20, 20), Told("", 1)], 21),  # what ends it has a token, too
        (
            [Told(W * 20, 20), Told(W * 15, 15), Told(W * 18, 18), Told("", 53)],
            53,
        ),  # their sum, beside the end
        ([Told(W * 20, 20)] * 3 + [Told("", 60)], 60),
        ([Told(W * 4, 4)] * 3, 12),
        ([Told(W * 4, 4, input=0)] * 25 + [Told("", 0)], 100),
        ([Told("x", 1)] * 20, 20),
        ([Told("word ", 2), Told("word ", 1, input=0), Told("word ", 2, input=0)], 5),
        # Unseen thoughts in the first.
        ([Told("word", 500, reasoning=499), Told("word", 1), Told("word", 1)], 502),
        # The whole beside no choice.
        ([Told("a ", 1), Told("b ", 1), Told("c ", 1), Told("", 3, choice=None)], 3),
        ([Told(W * 20, 20), Told(W * 15, 15), Told("", 36, choice=None)], 36),
        ([Told("a", 9), Told("", 3, choice=None), Told("", 9)], 3),
        ([Told("", 1, choice=None), Told("a", 5), Told("b", 9)], 9),  # it was no whole
        ([Told("", 3, choice=None), Told("", 7, choice=None)], 7),
        # None at all.
        ([Told("abcd", 0), Told("", 0, choice=None)], 0),
        ([Told("abcd", 7), Told("", 0, choice=None)], 7),
    ],
)
def test_how_counts_add_up(events: list[Told], output_tokens: int) -> None:
    assert output(*events) == output_tokens


@pytest.mark.parametrize(
    ("events", "output_tokens"),
    [
        # vLLM's continuous usage: each choice's own.
        ([Told(W, number, choice=choice) for number in range(1, 11) for choice in (0, 1)], 20),
        ([Told(W, number, choice=choice) for choice in (0, 1) for number in range(1, 11)], 20),
        (
            [Told(W, number, choice=choice) for number in range(1, 11) for choice in (0, 1)]
            + [Told("", 19, choice=None)],
            19,
        ),
        # All choices' so far.
        ([Told(W, number, choice=number % 2) for number in range(1, 11)], 10),
        ([Told(W, number, choice=number % 2) for number in range(1, 11)] + [Told("", 10, choice=0)], 10),
        # Each event's alone.
        ([Told(W * 4, 4, choice=choice) for _ in range(3) for choice in (0, 1)], 24),
        # Moonshot's, once within each choice.
        ([Told("", 5, choice=0, within=True), Told("", 7, choice=1, within=True)], 12),
    ],
)
def test_several_choices(events: list[Told], output_tokens: int) -> None:
    assert output(*events) == output_tokens


def test_parts_add_up_like_what_they_are_part_of() -> None:
    alone = tally_of(*[Told(W, 1, reasoning=1)] * 10).usage()
    assert alone == TokenUsage(10, 10, reasoning=10)
    so_far = tally_of(Told("a b ", 2, reasoning=1), Told("c ", 3, reasoning=2), Told("d ", 4)).usage()
    assert so_far == TokenUsage(10, 4, reasoning=2)
    choices = tally_of(*(Told(W, 3, reasoning=2, choice=choice) for choice in (0, 1))).usage()
    assert choices == TokenUsage(10, 6, reasoning=4)
    total = tally_of(Told(W, 1, reasoning=1), Told("", 9, reasoning=5, choice=None)).usage()
    assert total == TokenUsage(10, 9, reasoning=5)


def test_what_was_asked_is_counted_once() -> None:
    first, *others = Told(W, 1, cached_input=4), *[Told(W, 1, input=0)] * 2
    assert tally_of(first, *others).usage() == TokenUsage(10, 3, cached_input=4)
    assert tally_of(*[first] * 3).usage() == TokenUsage(10, 3, cached_input=4)
    better = Told("", 3, input=12, choice=None)
    assert tally_of(first, better).usage() == TokenUsage(12, 3, cached_input=4)


def test_it_knows_how_much_was_counted() -> None:
    assert tally_of(Told("a", 1), Told("bcd", 2), Told("ef", 0)).covered == 4
    assert tally_of(Told("", 0)).covered == 0
    assert tally_of(Told("abc", 0), Told("", 7, choice=None)).covered == 3


def test_what_nobody_has_counted() -> None:
    assert tally_of().usage() is None
    assert tally_of(Told("a", 0, input=0), Told("", 0, input=0, choice=None)).usage() is None
    assert tally_of(Told("a", 0)).usage() == TokenUsage(10, 0)


def pieces(sizes: list[int], places: list[int]) -> list[tuple[str, int]]:
    """A text of tokens of these sizes, cut at these places, and how many tokens have begun so far in each piece."""
    ends = list(accumulate(sizes))
    cuts = [*sorted({place % ends[-1] for place in places} - {0}), ends[-1]]
    begins = [0, *ends[:-1]]
    return [
        ("x" * (cut - before), sum(begin < cut for begin in begins)) for before, cut in pairwise([0, *cuts])
    ]


TOKENS = st.lists(st.integers(1, 5), min_size=1, max_size=60)
PLACES = st.lists(st.integers(0, 300), max_size=60)


@given(TOKENS, PLACES, st.booleans())
def test_counts_of_all_so_far_come_to_their_last_wherever_they_are_cut(
    sizes: list[int], places: list[int], said_at_the_end: bool
) -> None:
    events = [Told(words, number) for words, number in pieces(sizes, places)]
    if said_at_the_end:
        events.append(Told("", len(sizes)))
    assert tally_of(*events).usage() == TokenUsage(10, len(sizes))


COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=40)


@given(COUNTS.filter(lambda counts: any(b < a for a, b in pairwise(counts))))
def test_counts_of_each_event_come_to_their_sum_once_one_is_smaller(counts: list[int]) -> None:
    assert output(*(Told(W * count, count) for count in counts)) == sum(counts)


@given(st.integers(1, 200), st.integers(3, 40), st.integers(2, 6))
def test_counts_of_each_event_come_to_their_sum_where_all_are_the_same(
    count: int, events: int, letters: int
) -> None:
    assert output(*[Told("x" * letters * count, count)] * events) == count * events


USAGES = st.builds(
    Told,
    words=st.sampled_from(["", "a", "word ", "x" * 1000]),
    output=st.one_of(st.integers(0, 30), st.integers(0, MOST_TOKENS)),
    input=st.integers(0, MOST_TOKENS),
    cached_input=st.integers(0, MOST_TOKENS),
    reasoning=st.integers(0, MOST_TOKENS),
    choice=st.sampled_from([None, 0, 0, 1, 7]),
    within=st.booleans(),
)


@given(st.lists(USAGES, max_size=30), st.integers(1, MOST_TOKENS), st.lists(USAGES, max_size=5))
def test_the_whole_beside_no_choice_always_counts(before: list[Told], total: int, behind: list[Told]) -> None:
    silent = [told._replace(words="", choice=0) for told in behind]
    assert output(*before, Told("", total, choice=None), *silent) == total


@given(st.lists(USAGES, max_size=30))
def test_whatever_is_told_no_count_is_beyond_what_is_possible(events: list[Told]) -> None:
    usage = tally_of(*events).usage()
    if usage is None:
        assert not any(told.input or told.output for told in events)
    else:
        assert 0 <= usage.cached_input <= usage.input <= MOST_TOKENS
        assert 0 <= usage.reasoning <= usage.output <= MOST_TOKENS
        assert not usage.estimated
