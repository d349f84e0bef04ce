"""What answers cost, by the operator's prices or by a catalog of public ones.

The reactor only looks up what is known.  Of the models that are configured the catalog is asked when the configuration
is read; of other names, which clients or providers have thought up, in a thread, a few a second, from the moment that
a provider is asked for them: when it has answered, the price is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable
from functools import partial
from heapq import nlargest
from typing import TypeVar

from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.messages import TokenUsage
from gateway.policy.pricing import CatalogName, Price, Pricing, best_price, cost_of
from gateway.serving.in_thread import InThread
from gateway.serving.price_catalog import PriceCatalog

MOST_REMEMBERED = 4096
"""Names that are not configured, and prices that were decided; then the one goes that was not used for longest."""

LONGEST_NAME = 256
"""Characters; nothing that is longer has a price."""

MOST_ASKED = 16
"""Names of which the catalog is asked at once, some ten milliseconds of a thread."""

ASK_SECONDS = 1.0
"""Between the end of that and the next time."""

MOST_WANTED = 256
"""Names that wait for that.  What was wanted most often comes first: who thinks up names wants each once."""

_DAY = 86400.0
"""Seconds after which the catalog is asked anew."""

_FOR_EVER = float("inf")

_UNABLE = "the catalog of prices cannot be asked"

_Told = tuple[Price | None, float]
"""What the catalog says, and until when that holds, in seconds of Unix time."""


class Costs:
    """Tells what an answer has cost."""

    _log = Logger()

    def __init__(
        self,
        in_thread: InThread | None = None,
        wall_clock: Callable[[], float] = time.time,
        seconds: Callable[[], float] = time.monotonic,
        catalog: PriceCatalog | None = None,
    ) -> None:
        """Make one that knows no catalog's price yet.

        :param in_thread: where the catalog is asked; None where it never is.
        :param wall_clock: seconds of Unix time.
        """
        self._in_thread = in_thread
        self._wall_clock = wall_clock
        self._seconds = seconds
        self._catalog = catalog or PriceCatalog()
        self._configured: dict[CatalogName, _Told] = {}
        self._met: dict[CatalogName, _Told] = {}
        """Of other names, the one last that was used last."""
        self._decided: dict[tuple[int, tuple[str | None, ...]], tuple[Pricing, Price | None, float]] = {}
        """Prices by pricing and names, and until when they hold."""
        self._wanted: dict[CatalogName, int] = {}
        """How often each was wanted, the one last that was wanted last."""
        self._asking = False
        self._next_asking = 0.0

    def learn(self, names: Collection[CatalogName], pace: Callable[[], None]) -> None:
        """Ask the catalog for the models that are configured; in any thread, where it may take its time.

        :param names: with an empty model where only clients say which.
        :param pace: called after each; it may wait.
        """
        configured: dict[CatalogName, _Told] = {}
        try:
            if names:
                self._catalog.load()
            for name in names:
                told, now = self._configured.get(name), self._wall_clock()
                configured[name] = told if told is not None and now < told[1] else self._ask(name, now)
                pace()
        except Exception:
            self._log.failure(_UNABLE)
        self._configured = configured

    def expect(self, host: str, model: str | None) -> None:
        """A provider is asked for this model, and its price may be found in the catalog."""
        if model and len(model) <= LONGEST_NAME:
            self._told(CatalogName(host, model), self._wall_clock())

    def cost(self, pricing: Pricing, usage: TokenUsage, names: tuple[str | None, ...]) -> float | None:
        """What an answer with this usage costs, in the pricing's currency; None where nobody knows.

        :param names: what the model may be called, the best first.
        """
        now = self._wall_clock()
        key = id(pricing), names
        decided = self._decided.get(key)
        if decided is not None and decided[0] is pricing and now < decided[2]:
            price = decided[1]
        else:
            price = self._decide(pricing, names, now)
        return cost_of(usage, price) if price is not None else None

    def _decide(self, pricing: Pricing, names: tuple[str | None, ...], now: float) -> Price | None:
        usable = [name for name in names if name and len(name) <= LONGEST_NAME]
        until = _FOR_EVER

        def in_catalog(name: CatalogName) -> Price | None:
            nonlocal until
            price, holds_until = self._told(name, now)
            until = min(until, holds_until)
            return price

        price = best_price(pricing, usable, in_catalog)
        if until > now and len(usable) == sum(map(bool, names)):
            _remember(self._decided, (id(pricing), names), (pricing, price, until))
        return price

    def _told(self, name: CatalogName, now: float) -> _Told:
        """What the catalog has said, as far as it was asked; if it was not, or not lately, it will be."""
        told = self._configured.get(name)
        if told is None:
            told = self._met.pop(name, None)
            if told is not None:
                self._met[name] = told
        if told is None or now >= told[1]:
            self._want(name)
        return told if told is not None else (None, now)

    def _want(self, name: CatalogName) -> None:
        times = self._wanted.pop(name, 0) + 1
        if len(self._wanted) >= MOST_WANTED:
            del self._wanted[next(iter(self._wanted))]
        self._wanted[name] = times
        if self._in_thread is None or self._asking or self._seconds() < self._next_asking:
            return
        self._asking = True
        names = nlargest(MOST_ASKED, self._wanted, key=self._wanted.__getitem__)
        for each in names:
            del self._wanted[each]
        self._in_thread(partial(self._ask_all, names)).addBoth(self._asked)

    def _ask_all(self, names: list[CatalogName]) -> dict[CatalogName, _Told]:
        now = self._wall_clock()
        return {name: self._ask(name, now) for name in names}

    def _ask(self, name: CatalogName, now: float) -> _Told:
        return self._catalog.price(name.host, name.model, now), now + _DAY

    def _asked(self, told: dict[CatalogName, _Told] | Failure) -> None:
        self._asking = False
        self._next_asking = self._seconds() + ASK_SECONDS
        if isinstance(told, Failure):
            self._log.failure(_UNABLE, told)
            return
        for name, price in told.items():
            if name in self._configured:
                self._configured[name] = price
            else:
                _remember(self._met, name, price)


_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def _remember(memo: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    memo.pop(key, None)
    if len(memo) >= MOST_REMEMBERED:
        del memo[next(iter(memo))]
    memo[key] = value
