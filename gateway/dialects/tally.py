"""How the counts of tokens that one stream tells add up.

Providers tell them in one of four ways, and none says in which:

- once, beside no choice, for the whole answer (OpenAI);
- beside words, all so far (DashScope, Gemini, xAI);
- beside words, all so far of that choice (vLLM, SGLang; Moonshot once, within the choice);
- beside words, those of the event alone.

A count of 0 is none: many write it where they have not counted.
"""

from __future__ import annotations

from gateway.messages import MOST_TOKENS, TokenUsage

_LONGEST_TOKENS = 5
"""Bytes that the tokens of a text have on average, at most: four are usual."""


class Tally:
    """Adds up the counts of one stream."""

    __slots__ = ("_cached_input", "_choices", "_grows", "_input", "_last", "_reasoning", "_total", "covered")

    def __init__(self) -> None:
        self._input = 0
        self._cached_input = 0
        self._total: TokenUsage | None = None
        self._choices: dict[int, _Choice] = {}
        self._last = 0
        """Whichever choice it was beside."""
        self._reasoning = 0
        self._grows = True
        """So far each count beside words was larger than the one before."""
        self.covered = 0
        """How long all was that a user waits for when output was counted last, in UTF-8 bytes."""

    def take_total(self, usage: TokenUsage, size: int) -> None:
        """Take a count beside no choice: it is of the whole answer, and holds whatever was told before.

        :param size: how long all is so far, in UTF-8 bytes.
        """
        self._take_input(usage)
        if usage.output:
            self._total, self.covered = usage, size

    def take(self, usage: TokenUsage, choice: int, words: int, size: int, *, within: bool) -> None:
        """Take a count beside a choice.

        :param words: how long what the event says is, in UTF-8 bytes.
        :param size: how long all is so far, this included.
        :param within: the count stands within the choice, so it is of no other.
        """
        self._take_input(usage)
        made = usage.output
        if not made:
            return
        if words:
            self._total = None  # for more has come behind it, with a count of its own
        last = self._last
        if within or made < last or (words and made == last):
            self._grows = False
        self._last, self._reasoning = made, usage.reasoning or self._reasoning
        counted = self._choices.get(choice)
        if counted is None:
            counted = self._choices[choice] = _Choice()
        counted.take(usage, words, size - self.covered)
        self.covered = size

    def _take_input(self, usage: TokenUsage) -> None:
        """What was asked is the same for all choices; whoever counts it again, counts it better."""
        if usage.input:
            self._input = usage.input
            self._cached_input = usage.cached_input or self._cached_input

    def usage(self) -> TokenUsage | None:
        """What all counts so far come to; a number of 0 was not told, None if neither was."""
        made, reasoning = self._of_choices()
        if self._total is not None:
            made, reasoning = self._total.output, self._total.reasoning or reasoning
        elif self._grows and len(self._choices) > 1:
            made, reasoning = self._last, self._reasoning  # it is of all choices
        if made > MOST_TOKENS:
            made = 0
        if not (self._input or made):
            return None
        return TokenUsage(self._input, made, min(self._cached_input, self._input), min(reasoning, made))

    def _of_choices(self) -> tuple[int, int]:
        """Tokens, and those of them that are reasoning."""
        made = reasoning = 0
        for choice in self._choices.values():
            more, thought = choice.output()
            made += more
            reasoning += thought
        return made, reasoning


class _Choice:
    """The counts beside one choice."""

    __slots__ = ("_alone", "_doubtful", "_last", "_reasoning", "_size", "_sum", "_sum_of_reasoning")

    def __init__(self) -> None:
        self._last = 0
        self._reasoning = 0
        self._sum = 0
        self._sum_of_reasoning = 0
        self._size = 0
        """Of what they count, in UTF-8 bytes."""
        self._alone = False
        """Each is of its event alone, beyond doubt, and all that follow are, too."""
        self._doubtful = False
        """Each may be."""

    def take(self, usage: TokenUsage, words: int, size: int) -> None:
        made = usage.output
        if made <= self._last:
            if not words:
                # It is corrected at the end, or what ends the answer is counted.
                self._doubtful = self._doubtful or made < self._last
            elif made < self._last:
                self._alone = True  # what is counted so far never becomes less
            elif made <= words:
                self._doubtful = True  # more has come, perhaps not a whole token; or as many as before
        self._last = made
        self._reasoning = usage.reasoning or self._reasoning
        if words or made < self._sum:
            self._sum += made
            self._sum_of_reasoning += usage.reasoning
        else:
            # As many as all together, and no word: it is their sum.
            self._sum, self._sum_of_reasoning = made, usage.reasoning or self._sum_of_reasoning
        self._size += size

    def output(self) -> tuple[int, int]:
        """Tokens, and those of them that are reasoning.

        Where counts can be read in both ways bytes decide: the last is too few for all that has come, and the sum is
        not too many, for no token is shorter than a byte.
        """
        size = self._size
        if self._alone or (self._doubtful and self._sum <= size and size > _LONGEST_TOKENS * self._last):
            return self._sum, self._sum_of_reasoning
        return self._last, self._reasoning
