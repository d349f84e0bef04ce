"""The page and its updates.  Readings are taken all the time, now and then; all else happens while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from time import time

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http

from gateway import __version__
from gateway.serving.page.document import page
from gateway.serving.page.history import History
from gateway.serving.page.inventory import NOTHING, Inventory, inventory_of
from gateway.serving.page.overview import Seen, overview
from gateway.serving.page.reading import Reading
from gateway.serving.page.sampler import InThread, Sampler
from gateway.serving.page.sections import Sections, parts, sections
from gateway.serving.page.viewers import Events, Viewers
from gateway.serving.status import Status
from gateway.snapshot.snapshot import Snapshot
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent_failures import RecentFailures
from gateway.telemetry.sources import Sources

MOST_HOSTS = 50
"""That the form suggests."""


class LivePage:
    """The page of one gateway."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        metrics: Metrics,
        sources: Sources,
        status: Status,
        failures: RecentFailures,
        in_thread: InThread,
        wall_clock: Callable[[], float] = time,
    ) -> None:
        """Be ready to start.

        :param sources: what the metrics ask when somebody scrapes.
        :param in_thread: where readings are taken and the page is made.
        :param wall_clock: seconds of Unix time.
        """
        self._sources = sources
        self._status = status
        self._failures = failures
        self._in_thread = in_thread
        self._wall_clock = wall_clock
        self._history = History()
        self._sampler = Sampler(reactor, metrics, sources, in_thread, wall_clock, self._taken)
        self._viewers = Viewers(lambda: self._sampler.watched(len(self._viewers) > 0))
        self._known: tuple[Snapshot, Inventory] | None = None
        self._sections: Sections = {}
        """As everybody who looks on has them."""
        self._is_rendering = False

    def start(self) -> None:
        """Take readings from now on."""
        self._sampler.start()

    def stop(self) -> None:
        """Take no more, and let go of everybody who looks on."""
        self._sampler.stop()
        self._viewers.end()

    def document(self, *, can_sign_out: bool) -> Deferred[bytes]:
        """The whole page as it is now."""
        look = self._look()

        def made() -> bytes:
            seen = look()
            return page(
                __version__, parts(overview(seen)), _hosts(seen.inventory), can_sign_out=can_sign_out
            ).encode()

        return self._in_thread(made)

    @property
    def is_full(self) -> bool:
        """So many look on that nobody else can."""
        return self._viewers.is_full

    def follow(self, request: http.Request) -> None:
        """Send this one everything from now on; its head is written already."""
        self._viewers.add(request)

    def _taken(self, reading: Reading) -> None:
        self._history.add(reading)
        if self._viewers and not self._is_rendering:
            self._is_rendering, look = True, self._look()
            self._in_thread(lambda: sections(overview(look()))).addBoth(self._rendered)

    def _rendered(self, result: Sections | Failure) -> None:
        self._is_rendering = False
        if isinstance(result, Failure):
            self._log.failure("The live page cannot be made", result)
        else:
            self._tell(result)

    def _tell(self, now: Sections) -> None:
        before, self._sections = self._sections, now
        changed = {name: text for name, text in now.items() if text != before.get(name)}
        point = self._history.newest_point()
        self._viewers.tell((("sections", changed), ("points", [point] if point else [])), self._everything)

    def _everything(self) -> Events:
        return ("sections", self._sections), ("history", self._history.points())

    def _look(self) -> Callable[[], Seen]:
        """Gather what there is to be seen, here; it is put together wherever the callable is called."""
        status, sources, known = self._status, self._sources, self._known
        generation, recent = status.generation, self._history.recent
        draining, (ready, reasons) = status.draining, status.ready()
        failures, unix = tuple(self._failures.newest_first()), self._wall_clock()

        def seen() -> Seen:
            snapshot = generation.snapshot if generation is not None else None
            inventory = NOTHING
            if snapshot is not None:
                inventory = known[1] if known is not None and known[0] is snapshot else inventory_of(snapshot)
                self._known = (snapshot, inventory)
            names = generation.tenants if generation is not None else {}
            return Seen(
                version=__version__,
                time=unix,
                draining=draining,
                ready=ready,
                reasons=tuple(reasons),
                generation=generation,
                since={name: since for name in names if (since := status.since(name)) is not None},
                inventory=inventory,
                standings=tuple(sources.keys()),
                recent=recent,
                failures=failures,
            )

        return seen


def _hosts(inventory: Inventory) -> list[str]:
    """Hosts that can be asked, those of written routes first."""
    named = [shown.route for shown in inventory.rules if "*" not in shown.route.host]
    hosts = dict.fromkeys(route.host for route in sorted(named, key=lambda route: not route.name))
    return list(hosts)[:MOST_HOSTS]
