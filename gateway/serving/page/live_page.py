"""The page and its updates.  Readings are taken all the time, now and then; all else happens while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from time import time

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
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
from gateway.serving.page.sampler import WATCHED_SECONDS, Sampler
from gateway.serving.page.sections import SectionMaker, Sections
from gateway.serving.page.viewers import Events, Viewers
from gateway.serving.page.work import Work
from gateway.serving.status import Status
from gateway.snapshot.snapshot import Snapshot
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent_failures import RecentFailures
from gateway.telemetry.sources import Sources
from gateway.watcher.discarding import let_go

MOST_HOSTS = 50
"""That the form suggests."""


@frozen(eq=False)
class _Made:
    """What was made in another thread."""

    sections: Sections
    hosts: list[str]


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
        work: Work,
        wall_clock: Callable[[], float] = time,
    ) -> None:
        """Be ready to start.

        :param sources: what the metrics ask when somebody scrapes.
        :param work: how readings are taken and the page is made.
        :param wall_clock: seconds of Unix time.
        """
        self._reactor = reactor
        self._sources = sources
        self._status = status
        self._failures = failures
        self._work = work
        self._wall_clock = wall_clock
        self._history = History()
        self._sampler = Sampler(reactor, metrics, sources, work, wall_clock, self._taken)
        self._viewers = Viewers(lambda: self._sampler.watched(len(self._viewers) > 0))
        self._known = _Known()
        self._made = _Made({}, [])
        """As everybody who looks on has it."""
        self._made_until = 0.0
        """Clock time until which that need not be made anew for who comes."""
        self._waiting: list[Deferred[_Made]] = []
        """For what is being made; empty if nothing is."""

    def start(self) -> None:
        """Take readings from now on."""
        self._sampler.start()

    def stop(self) -> None:
        """Take no more, and let go of everybody who looks on."""
        self._sampler.stop()
        self._viewers.end()

    def adopted(self) -> None:
        """There is another snapshot; nothing of the one before is kept."""
        self._forget()
        self._made_until = 0.0

    def document(self, *, can_sign_out: bool) -> Deferred[bytes]:
        """The whole page as it is now."""
        looked = succeed(None) if self._is_made else self._sampler.look()
        made = looked.addCallback(lambda _: succeed(self._made) if self._is_made else self._make())
        return made.addCallback(
            lambda made: page(__version__, made.sections, made.hosts, can_sign_out=can_sign_out).encode()
        )

    @property
    def is_full(self) -> bool:
        """So many look on that nobody else can."""
        return self._viewers.is_full

    def follow(self, request: http.Request, may_look: Callable[[], bool]) -> None:
        """Send this one everything from now on; its head is written already.

        :param may_look: tells whether it still may; once it may not, it is let go of.
        """
        self._viewers.add(request, may_look, self._everything() if self._is_made else ())

    @property
    def _is_made(self) -> bool:
        if self._viewers and self._made.sections:
            return True
        return self._reactor.seconds() < self._made_until

    def _taken(self, reading: Reading) -> Deferred[_Made | None] | None:
        self._history.add(reading)
        if not self._is_made:
            self._forget()
        return self._make().addErrback(self._has_failed) if self._viewers else None

    def _forget(self) -> None:
        known, self._known = self._known, _Known()
        if not known.is_empty:
            self._work.do(known.let_go).addErrback(self._has_failed)

    def _has_failed(self, failure: Failure) -> None:
        self._log.failure("The live page cannot be made", failure)

    def _make(self) -> Deferred[_Made]:
        """Make it anew and tell everybody what has changed; who asks meanwhile gets the same."""
        waiting: Deferred[_Made] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._work.do(self._look()).addBoth(self._has_made)
        return waiting

    def _has_made(self, result: _Made | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        if not isinstance(result, Failure):
            self._tell(result)
        for each in waiting:
            each.callback(result)

    def _tell(self, made: _Made) -> None:
        before, self._made = self._made.sections, made
        self._made_until = max(self._reactor.seconds() + WATCHED_SECONDS, self._work.rested_at)
        changed = {name: str(html) for name, html in made.sections.items() if html != before.get(name)}
        point = self._history.newest_point()
        self._viewers.tell((("sections", changed), ("points", [point] if point else [])), self._everything)

    def _everything(self) -> Events:
        whole = {name: str(html) for name, html in self._made.sections.items()}
        return ("sections", whole), ("history", self._history.points())

    def _look(self) -> Callable[[], _Made]:
        """Gather what there is to be seen, here; the page is made of it wherever the callable is called."""
        status, sources, known = self._status, self._sources, self._known
        generation, recent = status.generation, self._history.recent
        draining, (ready, reasons) = status.draining, status.ready()
        failures, unix = tuple(self._failures.newest_first()), self._wall_clock()

        def made() -> _Made:
            inventory = known.inventory(generation.snapshot) if generation is not None else NOTHING
            names = generation.tenants if generation is not None else {}
            seen = Seen(
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
            return _Made(known.maker.sections(overview(seen)), _hosts(inventory))

        return made


class _Known:
    """What need not be found out again for as long as a snapshot runs; for one thread at a time."""

    def __init__(self) -> None:
        self.maker = SectionMaker()
        self._inventory: Inventory | None = None

    def inventory(self, snapshot: Snapshot) -> Inventory:
        """What this snapshot has, which is the only one ever asked about."""
        if self._inventory is None:
            self._inventory = inventory_of(snapshot)
        return self._inventory

    @property
    def is_empty(self) -> bool:
        """Nobody has asked."""
        return self._inventory is None

    def let_go(self) -> None:
        """Forget it piece by piece: the last reference to something big frees all of it in one go, and meanwhile no
        other thread runs."""
        inventory, self._inventory = self._inventory, None
        if inventory is not None:
            pieces: list[object] = [*inventory.rules, *inventory.providers.items(), *inventory.owners.items()]
            del inventory
            let_go(pieces, lambda: None)


def _hosts(inventory: Inventory) -> list[str]:
    """Hosts that can be asked, those of written routes first."""
    hosts = dict.fromkeys(shown.route.host for shown in inventory.rules if "*" not in shown.route.host)
    return list(hosts)[:MOST_HOSTS]
