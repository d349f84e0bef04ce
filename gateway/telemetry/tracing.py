"""Whether there is tracing: what the Gateway document's `tracing` says, brought about.

The SDK takes a quarter of a second to be imported, so it is only where somebody wants it, and beside the reactor
where requests run.  A collector that is down is mentioned now and then, and nothing else comes of it.  What is changed
counts for exchanges that begin: the spans of those under way go where they were to go.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import ref

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.messages import shown
from gateway.resources.tracing import TracingSettings
from gateway.telemetry.span_losses import SpanLosses
from gateway.telemetry.traces import CurrentTracer, Span, Tracer

if TYPE_CHECKING:
    from gateway.telemetry.otlp import Pipeline

LATE_SECONDS = 600.0
"""How long the way to a collector that is no longer wanted stays open for exchanges that began before.  The spans of
one that takes longer are lost: each such way is a thread."""

STOP_SECONDS = 2.0
"""How long a gateway that stops waits for the collector to take the last spans."""

_TOO_LATE = f"`tracing` was changed more than {LATE_SECONDS:g} s before their exchanges ended"

_BORDER = "gateway.telemetry.otlp"


class Tracing:
    """Tracing as it is switched on and off."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        """Begin without any.

        :param reactor: Twisted's, with time and threads.
        """
        self.current = CurrentTracer()
        self.spans_exported = 0
        """How many a collector has taken, since the start."""
        self.spans_lost = 0
        """How many none has taken."""
        self._reactor = reactor
        self._settings: TracingSettings | None = None
        self._way: _Way | None = None
        """Where spans go; None while there is no tracing."""
        self._left: set[_Way] = set()
        """Those that only the exchanges of before still take, or that are just being closed."""

    def adopt(self, settings: TracingSettings | None, *, at_once: bool) -> None:
        """Trace like this from now on.  Spans of exchanges that are under way go where they were to go.

        :param at_once: nobody is kept waiting while the SDK is imported.
        """
        before, self._settings = self._settings, settings
        if settings == before:
            return
        tracer = self.current.tracer
        if settings and before and tracer and _destination(settings) == _destination(before):
            tracer.record_share(settings.sample_ratio)
            return
        self._leave()
        if settings is None:
            return
        if at_once or _BORDER in sys.modules:
            self._begin(settings)
        else:
            _in_thread(lambda: self._load(settings))

    def stop(self) -> Deferred[None]:
        """Trace no more; fires once the collector has the last spans, or is too slow."""
        self._settings = self.current.tracer = None
        if self._way is not None:
            self._left.add(self._way)
            self._way = None
        if not self._left:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        too_slow = self._reactor.callLater(STOP_SECONDS, self._stopped, stopped)

        def closed(_: None) -> None:
            if not self._left and too_slow.active():
                too_slow.cancel()
                stopped.callback(None)

        for way in tuple(self._left):
            self._close(way).addCallback(closed)
        return stopped

    def _stopped(self, stopped: Deferred[None]) -> None:
        """There is no more time."""
        for way in tuple(self._left):
            way.pipeline.give_up()
            self._closed(way)
        stopped.callback(None)

    def _load(self, settings: TracingSettings) -> None:
        with suppress(ImportError):  # `_begin` finds it, too
            import_module(_BORDER)
        self._reactor.callFromThread(self._loaded, settings)

    def _loaded(self, settings: TracingSettings) -> None:
        if settings is self._settings:
            self._begin(settings)

    def _begin(self, settings: TracingSettings) -> None:
        endpoint = shown(settings.endpoint)
        try:
            from gateway.telemetry.otlp import Pipeline
        except ImportError as error:
            self._log.error("no tracing: the OpenTelemetry SDK cannot be imported: {error}", error=str(error))
            return
        losses = SpanLosses(endpoint, self._reactor, self._count_lost)
        pipeline = Pipeline(settings, partial(self._reactor.callFromThread, self._batch_ended, losses))
        self._way = way = _Way(pipeline, losses)
        self.current.tracer = tracer = Tracer(settings.sample_ratio, way.send)
        # Exchanges hold their tracer: it goes with the last of them.
        way.tracer = ref(tracer, lambda _: self._reactor.callFromThread(self._deserted, way))
        self._log.info("tracing: spans go to {endpoint}", endpoint=endpoint)

    def _batch_ended(self, losses: SpanLosses, spans: int, complaint: str | None) -> None:
        if complaint is None:
            self.spans_exported += spans
        losses.batch_ended(spans, complaint)

    def _count_lost(self, spans: int) -> None:
        self.spans_lost += spans

    # -- a way that is no longer wanted ------------------------------------------------------------------

    def _leave(self) -> None:
        """Begin no exchange with it any more."""
        way, self._way = self._way, None
        if way is not None:
            self._left.add(way)
            way.open_until = self._reactor.callLater(LATE_SECONDS, self._close, way)
        # Where there is no exchange under way this is the tracer's end.
        self.current.tracer = None

    def _deserted(self, way: _Way) -> None:
        """Nobody can send anything on it any more."""
        if way in self._left:
            self._close(way)

    def _close(self, way: _Way) -> Deferred[None]:
        """Take nothing more; fires once what waits is sent or lost."""
        if way.open_until is not None and way.open_until.active():
            way.open_until.cancel()
        if way.closed is None:
            closed: Deferred[None] = Deferred()
            way.closed = closed.addCallback(lambda _: self._closed(way))

            def close() -> None:
                way.pipeline.close()
                self._reactor.callFromThread(closed.callback, None)

            _in_thread(close)
        return way.closed

    def _closed(self, way: _Way) -> None:
        """Whatever waits still is lost."""
        if way in self._left:
            self._left.remove(way)
            if way.pipeline.waiting:
                way.losses.lose(way.pipeline.waiting)
            way.losses.close()


class _Way:
    """The way of spans to a collector, and what is lost on it."""

    def __init__(self, pipeline: Pipeline, losses: SpanLosses) -> None:
        self.pipeline = pipeline
        self.losses = losses
        self.tracer: ref[Tracer] | None = None
        """Tells when nobody has spans for it any more."""
        self.open_until: IDelayedCall | None = None
        """Closes it; None as long as it is wanted."""
        self.closed: Deferred[None] | None = None
        """Fires when all has been sent; None as long as it takes spans."""

    def send(self, span: Span) -> None:
        """Take a span, if there is room."""
        if self.closed is not None:
            self.losses.lose(1, _TOO_LATE)
        elif not self.pipeline.send(span):
            self.losses.lose(1)


def _destination(settings: TracingSettings) -> tuple[object, ...]:
    """Whom spans go to, as whom."""
    return settings.endpoint, settings.headers


def _in_thread(call: Callable[[], object]) -> None:
    """A thread of its own, which the process does not wait for at its end: the collector may keep it."""
    Thread(target=call, name="tracing", daemon=True).start()
