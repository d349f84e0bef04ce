"""Whether and how to go on with an answer that broke after the client had some of it.

Either the next provider is given the words so far and goes on where they end (a prefill), or it is asked from the start
and an `Overlap` drops what the client already has.  In both ways the client gets no word twice and misses none; where
that cannot be held, the answers disagree and the caller ends with an error.

An overlap is a value: `read` and `end` take it as it was and return it as it is next, with what the client gets.

What an answer to a prefill may look like, each of it reported of somebody:

- It goes on where the words end: Anthropic, DeepSeek, DashScope, vLLM.
- It repeats them first: llama.cpp with `echo` (ggml-org/llama.cpp pull request 23089), vLLM for a time
  (vllm-project/vllm issue 10111).  Text that really goes on does not say again, from its first letter, all that was
  said, unless that is very short (`ha`, `1`) or one thing over and over (`-----`); there the two cannot be told apart.
- It starts anew, where the words are taken for an earlier turn (cloudflare/agents pull request 1618): it repeats some
  of them, then differs.

White space at the end of a prefill makes Anthropic refuse it ("final assistant content cannot end with trailing
whitespace"), and chat templates strip it, some and some not (huggingface/transformers, `continue_final_message`).
So it is never sent: `prefill_of` leaves it out, and the answer has to begin with it, or with a gap of the same kind,
which the client then does not get again.  A provider that trims the beginning of such an answer cannot be told from one
that ends a word, `cat` and `erpillar`: where the client has a gap there, the answer disagrees; where it has none, the
provider is trusted, for `prefill` in its configuration says that it goes on exactly.
"""

from __future__ import annotations

from typing import Literal, assert_never

import msgspec
from attrs import frozen
from msgspec.structs import replace

_CHANCE = 4
"""An answer to a prefill that repeats fewer letters than this, and then differs, does so by chance."""
_TELLING = 8
"""One that repeats all letters, and not fewer than this, does so on purpose."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """What the client has of a broken answer."""

    text: str = ""
    """Text of choice 0."""
    tool_calls: bool = False
    """Whether any part of a tool call was sent."""
    other: bool = False
    """Whether anything else was sent that would have to be continued, a refusal, audio, or is still to come: other
    choices, of each of which some may be there already.  Reasoning is none of it: it is left as it is."""
    finish_reason: str | None = None


@frozen
class Complete:
    """Nothing is missing: the provider said why it stopped.  End as a whole answer."""


@frozen
class Prefill:
    """Give the words so far to a provider that goes on where they end."""


@frozen
class FromStart:
    """Ask again, and drop the words that the client already has."""


@frozen
class GiveUp:
    """End with an error that the client can see."""


Continuation = Complete | Prefill | FromStart | GiveUp


def continuation(
    said: Said, *, on_break: Literal["continue", "error"], can_prefill: bool, prefill_refused: bool
) -> Continuation:
    """Decide how to go on at the next provider.

    :param on_break: `onStreamBreak` of the rule.
    :param can_prefill: whether the provider's configuration says that it can go on with words given to it.
    :param prefill_refused: whether it refused to, or did, and its answer disagreed.
    """
    if said.finish_reason is not None:
        return Complete()
    # Half a tool call is nothing that another model could finish: arguments and ids are its own.
    if on_break == "error" or said.tool_calls or said.other:
        return GiveUp()
    if can_prefill and not prefill_refused and prefill_of(said.text):
        return Prefill()
    return FromStart()


def prefill_of(text: str) -> str:
    """The words to give to a provider that is to go on where they end."""
    return text.rstrip()


def whole_letters(text: str) -> tuple[str, str]:
    """A text with its letters put together, and the first half of one whose second half has not come.

    Servers that cut their text into units of UTF-16 send the two halves of a letter in two events (RFC 8259 §7 has them
    as `\\ud83e` and `\\udd8a`).  A half that stands alone elsewhere was no letter, and is replaced.
    """
    half = text[-1:] if "\ud800" <= text[-1:] < "\udc00" else ""
    whole = text.removesuffix(half)
    try:
        whole.encode()
    except UnicodeEncodeError:
        whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole, half


def without_half(text: str, half: str) -> str | None:
    """The text less the first half of its first letter, which the client has; None where that is another one."""
    first = text[0].encode("utf-16-le", "surrogatepass")
    if first[:2] != half.encode("utf-16-le", "surrogatepass"):
        return None
    return first[2:].decode("utf-16-le", "surrogatepass") + text[1:]


class Repeating(msgspec.Struct, frozen=True, gc=False):
    """The answer says again what the client already has, so far.  Nothing of it is sent."""

    lead: str
    """White space that the client's text begins with."""
    words: str
    """That text without white space around it."""
    gap: str
    """White space that it ends with."""
    prefilled: bool
    began: str = ""
    """White space that this answer began with."""
    at: int = 0
    """Letters of `words` that it has repeated."""


class Gap(msgspec.Struct, frozen=True, gc=False):
    """The words are all there; the white space after them may come again."""

    gap: str
    """White space that the client has there."""
    came: str = ""
    """White space that this answer had there."""
    after_words: bool = True
    """Whether there are any words: what a text begins with keeps nothing apart."""


class CaughtUp(msgspec.Struct, frozen=True, gc=False):
    """Everything from here on is new."""


class Disagreeing(msgspec.Struct, frozen=True, gc=False):
    """The answer is another one.  Nothing more of it may be sent."""


Overlap = Repeating | Gap | CaughtUp | Disagreeing


def overlap_with(text: str, *, prefilled: bool) -> Overlap:
    """The overlap of what the client already has with an answer of which nothing was read yet.

    :param prefilled: whether that answer was asked for with `prefill_of(text)`.
    """
    words = text.strip()
    if not words:
        return Gap(text, after_words=False)
    ahead = text.index(words)
    return Repeating(text[:ahead], words, text[ahead + len(words) :], prefilled)


def read(overlap: Overlap, piece: str) -> tuple[Overlap, str]:
    """Read the next piece of the answer, however it is split, and return what of it the client gets."""
    match overlap:
        case Repeating():
            return _read_repeated(overlap, piece)
        case Gap():
            return _read_gap(overlap, piece)
        case CaughtUp():
            return overlap, piece
        case Disagreeing():
            return overlap, ""
        case _:
            assert_never(overlap)


def end(overlap: Overlap) -> tuple[CaughtUp | Disagreeing, str]:
    """The answer ended, and says that it is whole.  Return whether the client then has it, and what it still gets.

    White space that the client has at its end and this answer has not is no disagreement: no word hangs on it.
    """
    match overlap:
        case Repeating(prefilled=True, at=at) if at < _CHANCE:
            # Short, and by chance like the beginning: it went on.
            after, text = _gone_on(overlap, "")
            ended, _ = end(after)
            return ended, text if isinstance(ended, CaughtUp) else ""
        case Repeating():
            return Disagreeing(), ""
        case Gap() | CaughtUp():
            return CaughtUp(), ""
        case Disagreeing():
            return overlap, ""
        case _:
            assert_never(overlap)


def _read_repeated(overlap: Repeating, piece: str) -> tuple[Overlap, str]:
    words, at, began = overlap.words, overlap.at, overlap.began
    rest = piece
    if at == 0:
        rest = piece.lstrip()
        began += piece[: len(piece) - len(rest)]
        if rest and overlap.prefilled and not overlap.lead.endswith(began):
            return _gone_on(overlap, piece)
    same = _same_letters(words, at, rest)
    read_on = replace(overlap, began=began, at=at + same)
    if read_on.at == len(words):
        if overlap.prefilled and not _tells(words):
            return Disagreeing(), ""
        return _read_gap(Gap(overlap.gap), rest[same:])
    if same == len(rest):
        return read_on, ""
    if overlap.prefilled and read_on.at < _CHANCE:
        return _gone_on(overlap, piece)
    return Disagreeing(), ""


def _gone_on(overlap: Repeating, piece: str) -> tuple[Overlap, str]:
    """What was held back was no repetition: read it, and the piece after it, as what comes after the words."""
    return _read_gap(Gap(overlap.gap), overlap.began + overlap.words[: overlap.at] + piece)


def _read_gap(overlap: Gap, piece: str) -> tuple[Overlap, str]:
    came = overlap.came + piece
    if came.startswith(overlap.gap):
        return CaughtUp(), came[len(overlap.gap) :]
    new = came.lstrip()
    white = came[: len(came) - len(new)]
    if not new:
        return replace(overlap, came=white), ""
    if not overlap.after_words or _kind(white) == _kind(overlap.gap):
        return CaughtUp(), new
    return Disagreeing(), ""


def _kind(white: str) -> tuple[bool, bool, str]:
    """What matters of white space: whether there is any, whether it breaks the line, and the indentation after that."""
    _, line_break, indentation = white.rpartition("\n")
    return bool(white), bool(line_break), indentation if line_break else ""


def _same_letters(words: str, at: int, piece: str) -> int:
    """How many letters at the beginning of a piece are those of the words from a place on."""
    if words.startswith(piece, at):
        return len(piece)
    same = 0
    while at + same < len(words) and words[at + same] == piece[same]:
        same += 1
    return same


def _tells(words: str) -> bool:
    """Tell whether all these words at the beginning of an answer can only be a repetition.

    A text is some shorter one over and over exactly if, written twice, it is also found between the two.
    """
    return len(words) >= _TELLING and words not in (words + words)[1:-1]
