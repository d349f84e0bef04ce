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
from gateway.telemetry.outcomes import Outcome

_OUTCOMES = {outcome: place for place, outcome in enumerate(Outcome)}
_ATTEMPTS = {outcome: place for place, outcome in enumerate(("ok", "cancelled", *Fault), len(_OUTCOMES))}
_INPUT = len(_OUTCOMES) + len(_ATTEMPTS)
_OUTPUT = _INPUT + 1
_DURATION = slice(_OUTPUT + 1, _OUTPUT + 2 + len(families.BUCKETS))
_FIRST_TOKEN = slice(_DURATION.stop, _DURATION.stop + 1 + len(families.FIRST_TOKEN_BUCKETS))
_OVERHEAD = slice(_FIRST_TOKEN.stop, _FIRST_TOKEN.stop + 1 + len(families.OVERHEAD_BUCKETS))
"""Where each number stands: exchanges by outcome, attempts by outcome, tokens, and the buckets of three histograms."""

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
        """Exchanges and attempts that have ended: while these are the same, so is everything else."""
        numbers = list(_NOTHING[:_INPUT])
        _include_ended(numbers, self)
        return sum(numbers)


Pair: TypeAlias = tuple[Tally | None, Tally]
"""What was counted at one backend up to some moment, None where it was nothing yet, and up to a later one."""


def tally(
    outcomes: Mapping[Outcome, int],
    attempts: Mapping[str, int],
    *,
    tokens: tuple[int, int] = (0, 0),
    duration: Sequence[int] = (),
    first_token: Sequence[int] = (),
    overhead: Sequence[int] = (),
    costs: Mapping[str, float] = MappingProxyType({}),
) -> Tally:
    """Make one.

    :param outcomes: exchanges that have ended, by how they did; attempts likewise.
    :param tokens: of input and of output.
    :param duration: how many exchanges took up to each bound and longer than the one before, empty for none at all;
        likewise the next two.
    """
    numbers = list(_NOTHING)
    for outcome, number in outcomes.items():
        numbers[_OUTCOMES[outcome]] = number
    for name, number in attempts.items():
        numbers[_ATTEMPTS[name]] = number
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
        return sum(self._numbers[: len(_OUTCOMES)])

    @property
    def refused(self) -> int:
        """Those that the client got wrong, or left: they are held against nobody here."""
        return self._numbers[_OUTCOMES[Outcome.CLIENT_ERROR]] + self._numbers[_OUTCOMES[Outcome.CLIENT_LEFT]]

    @property
    def failed(self) -> int:
        """Those that went wrong and were not the client's doing."""
        return self.requests - self.refused - self._numbers[_OUTCOMES[Outcome.OK]]

    @property
    def attempts(self) -> dict[str, int]:
        """Attempts that have ended, by how they did."""
        return {name: number for name, place in _ATTEMPTS.items() if (number := self._numbers[place])}


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
    numbers, before = list(_NOTHING[:_INPUT]), list(_NOTHING[:_INPUT])
    for then, now in pairs:
        if then is not now:
            _include_ended(numbers, now)
            if then is not None:
                _include_ended(before, then)
    return Ended(_more(numbers, before))


def _include_ended(numbers: list[int], tally: Tally) -> None:
    for place, number in zip(tally.places, tally.numbers, strict=True):
        if place >= _INPUT:
            break
        numbers[place] += number


def _more(numbers: list[int], before: list[int]) -> list[int]:
    return [now - then if now > then else 0 for now, then in zip(numbers, before, strict=True)]
