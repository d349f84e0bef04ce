"""What was counted, as it is kept and as the page reckons with it.

Kept are tallies, which never change: one for each backend, of which there may be a hundred thousand, in several
readings.  So they are small, and made of nothing that the collector of cycles looks at.  Sums and differences of them
are `Counts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, compress
from struct import pack, unpack
from types import MappingProxyType
from typing import TypeAlias

import msgspec
from attrs import define, field

from gateway.policy.retrying import Fault
from gateway.serving.page.quantiles import quantile
from gateway.telemetry import families
from gateway.telemetry.outcomes import BLAMES_REQUEST, Outcome, has_failed

_STATUSES = (
    *(400, 401, 402, 403, 404, 408, 409, 413, 422, 424, 429),
    *(500, 501, 502, 503, 504, 520, 524, 529),
)
"""With which providers fail; others are told together."""


def how_it_ended(outcome: str, status: int | None) -> str:
    """An attempt's outcome, with the status where that is what failed: `status 401`."""
    return f"status {status}" if outcome == Fault.STATUS and status is not None else outcome


_OK, _REFUSED, _FAILED = range(3)
ATTEMPTS = {
    how: place
    for place, how in enumerate(
        ("ok", "cancelled", *Fault, *(how_it_ended(Fault.STATUS, status) for status in _STATUSES)),
        _FAILED + 1,
    )
}
"""Where the attempts stand that have ended like this."""
_INPUT = _FAILED + 1 + len(ATTEMPTS)
_OUTPUT = _INPUT + 1
_DURATION = slice(_OUTPUT + 1, _OUTPUT + 2 + len(families.BUCKETS))
_FIRST_TOKEN = slice(_DURATION.stop, _DURATION.stop + 1 + len(families.FIRST_TOKEN_BUCKETS))
_OVERHEAD = slice(_FIRST_TOKEN.stop, _FIRST_TOKEN.stop + 1 + len(families.OVERHEAD_BUCKETS))
"""Where each number stands: exchanges by whether they failed, attempts, tokens, and the buckets of three histograms."""

_NOT_WAITED_FOR = frozenset({"cancelled", Fault.OPEN.value})
"""Attempts that nobody wanted to the end, or that were never made."""

FINE_ATTEMPTS = frozenset(
    {"ok", *_NOT_WAITED_FOR, *(how_it_ended(Fault.STATUS, status) for status in BLAMES_REQUEST)}
)
"""How attempts end that are held against no provider."""

_NOTHING = (0,) * _OVERHEAD.stop


class Tally(msgspec.Struct, frozen=True, gc=False):
    """What was counted up to one moment.  Most numbers are zero, and left out."""

    places: bytes
    """Where each of the numbers stands."""
    packed: bytes
    """The numbers, of four bytes each, or of eight where one needs them."""
    currencies: tuple[str, ...]
    """In which something was spent."""
    amounts: bytes
    """How much in each of them, as doubles."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those that are not zero."""
        number = len(self.places)
        return unpack(f"{number}{'I' if len(self.packed) == 4 * number else 'Q'}", self.packed)

    @property
    def costs(self) -> Iterable[tuple[str, float]]:
        """What was spent in each currency."""
        return zip(self.currencies, unpack(f"{len(self.currencies)}d", self.amounts), strict=True)

    @property
    def happened(self) -> int:
        """Exchanges and attempts that have ended, and tokens: while these are the same, so is everything else.

        An attempt may end long before its exchange, with which its tokens and cost are counted.
        """
        return sum(
            number for place, number in zip(self.places, self.numbers, strict=True) if place < _DURATION.start
        )


Pair: TypeAlias = tuple[Tally | None, Tally]
"""What was counted at one backend up to some moment, None where it was nothing yet, and up to a later one."""


def tally(
    answers: Mapping[tuple[int, Outcome], int],
    attempts: Mapping[str, int],
    *,
    tokens: tuple[int, int] = (0, 0),
    duration: Sequence[int] = (),
    first_token: Sequence[int] = (),
    overhead: Sequence[int] = (),
    costs: Mapping[str, float] = MappingProxyType({}),
) -> Tally:
    """Make one.

    :param answers: exchanges that have ended, by the status that the client saw and the outcome.
    :param attempts: those that have ended, by how they did.
    :param tokens: of input and of output.
    :param duration: how many exchanges took up to each bound and longer than the one before, empty for none at all;
        likewise the next two.
    """
    numbers = list(_NOTHING)
    for (code, outcome), number in answers.items():
        is_ok, failed = outcome is Outcome.OK, has_failed(code, outcome)
        numbers[_OK if is_ok else _FAILED if failed else _REFUSED] += number
    for how, number in attempts.items():
        numbers[ATTEMPTS[how]] = number
    numbers[_INPUT], numbers[_OUTPUT] = tokens
    for place, buckets in ((_DURATION, duration), (_FIRST_TOKEN, first_token), (_OVERHEAD, overhead)):
        if buckets:
            numbers[place] = buckets
    return _tally(numbers, costs)


def _tally(numbers: list[int], costs: Mapping[str, float]) -> Tally:
    kept = list(filter(None, numbers))
    size = "I" if max(kept, default=0) < 1 << 32 else "Q"
    return Tally(
        bytes(compress(range(len(numbers)), numbers)),
        pack(f"{len(kept)}{size}", *kept),
        _shared(tuple(costs)),
        pack(f"{len(costs)}d", *costs.values()),
    )


@lru_cache
def _shared(currencies: tuple[str, ...]) -> tuple[str, ...]:
    """The same tuple for all that are equal."""
    return currencies


@define
class Sizes:
    """How many of something there were, by size."""

    bounds: tuple[float, ...]
    numbers: list[int]
    """How many were up to each bound, smaller ones included; the last has no bound."""

    def since(self, before: Sizes) -> Sizes:
        """How many came since then; none where there were more then."""
        pairs = zip(self.numbers, before.numbers, strict=True)
        return Sizes(self.bounds, [max(0, now - then) for now, then in pairs])

    def quantile(self, share: float) -> float | None:
        """The size below which this share of them lies; None where there are none."""
        return quantile(share, self.bounds, self.numbers)


@define
class Ended:
    """How exchanges and attempts have ended at several backends, since the start or between two moments."""

    _numbers: list[int] = field(factory=lambda: list(_NOTHING))

    @property
    def requests(self) -> int:
        """Exchanges that have ended, however they did."""
        return sum(self._numbers[: _FAILED + 1])

    @property
    def refused(self) -> int:
        """Those that the client got wrong, or left."""
        return self._numbers[_REFUSED]

    @property
    def failed(self) -> int:
        """Those that went wrong, and not by the client's doing."""
        return self._numbers[_FAILED]

    @property
    def attempts(self) -> dict[str, int]:
        """Attempts that have ended, by how they did."""
        return {how: number for how, place in ATTEMPTS.items() if (number := self._numbers[place])}

    @property
    def made(self) -> int:
        """Attempts that were made, and waited for to their end."""
        return sum(number for how, number in self.attempts.items() if how not in _NOT_WAITED_FOR)

    @property
    def faults(self) -> dict[str, int]:
        """What went wrong with those that are held against the provider, by how they ended."""
        return {how: number for how, number in self.attempts.items() if how not in FINE_ATTEMPTS}


@define
class Counts(Ended):
    """All that was counted at several backends, since the start or between two moments."""

    costs: dict[str, float] = field(factory=dict)
    """By currency."""

    @property
    def input_tokens(self) -> int:
        """Tokens that were given."""
        return self._numbers[_INPUT]

    @property
    def output_tokens(self) -> int:
        """Tokens that were got."""
        return self._numbers[_OUTPUT]

    @property
    def duration(self) -> Sizes:
        """Seconds that exchanges took."""
        return Sizes(families.BUCKETS, list(accumulate(self._numbers[_DURATION])))

    @property
    def first_token(self) -> Sizes:
        """Seconds to the first content of streams."""
        return Sizes(families.FIRST_TOKEN_BUCKETS, list(accumulate(self._numbers[_FIRST_TOKEN])))

    @property
    def overhead(self) -> Sizes:
        """Seconds of the gateway's own work."""
        return Sizes(families.OVERHEAD_BUCKETS, list(accumulate(self._numbers[_OVERHEAD])))

    def tally(self) -> Tally:
        """The same, to be kept."""
        return _tally(self._numbers, self.costs)

    def include(self, tally: Tally) -> None:
        """Count all this, too."""
        numbers = self._numbers
        for place, number in zip(tally.places, tally.numbers, strict=True):
            numbers[place] += number
        for currency, cost in tally.costs:
            self.costs[currency] = self.costs.get(currency, 0.0) + cost


def total(tallies: Iterable[Tally]) -> Counts:
    """All of these together."""
    counts = Counts()
    for each in tallies:
        counts.include(each)
    return counts


def between(pairs: Iterable[Pair]) -> Counts:
    """What was counted between two moments.  What has been forgotten since does not count against anything."""
    changed = [(then, now) for then, now in pairs if then is not now]
    now, then = total(now for _, now in changed), total(then for then, _ in changed if then is not None)
    costs = {name: max(0.0, cost - then.costs.get(name, 0.0)) for name, cost in now.costs.items()}
    return Counts(_more(now._numbers, then._numbers), costs)


def ended_between(pairs: Iterable[Pair]) -> Ended:
    """As much of that as tells which rows of a table are worth showing."""
    changed = [(then, now) for then, now in pairs if then is not now]
    if not changed:
        return _NOTHING_ENDED
    numbers, before = list(_NOTHING[:_INPUT]), list(_NOTHING[:_INPUT])
    for then, now in changed:
        _include_ended(numbers, now)
        if then is not None:
            _include_ended(before, then)
    return Ended(_more(numbers, before))


_NOTHING_ENDED = Ended()


def _include_ended(numbers: list[int], tally: Tally) -> None:
    for place, number in zip(tally.places, tally.numbers, strict=True):
        if place >= _INPUT:
            break
        numbers[place] += number


def _more(numbers: list[int], before: list[int]) -> list[int]:
    return [now - then if now > then else 0 for now, then in zip(numbers, before, strict=True)]
