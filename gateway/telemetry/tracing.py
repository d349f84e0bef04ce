"""Whether there is tracing: what the Gateway document's `tracing` says, brought about.

The SDK takes a quarter of a second to be imported, so it is only where somebody wants it, and beside the reactor
where requests run.  A collector that is down is mentioned now and then, and nothing else comes of it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from gateway.messages import shown
from gateway.resources.tracing import TracingSettings
from gateway.telemetry.traces import CurrentTracer, Tracer

if TYPE_CHECKING:
    from gateway.telemetry.otlp import Pipeline

COMPLAINT_SECONDS = 60.0
"""A failing collector is mentioned in the gateway's log at most this often."""

STOP_SECONDS = 2.0
"""How long a gateway that stops waits for the collector to take the last spans."""

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
        self._pipeline: Pipeline | None = None
        self._next_complaint = 0.0

    def adopt(self, settings: TracingSettings | None, *, at_once: bool) -> None:
        """Trace like this from now on.  Spans of before go where they were to go.

        :param at_once: nobody is kept waiting while the SDK is imported.
        """
        if settings == self._settings:
            return
        self._settings = settings
        pipeline = self._end()
        if pipeline is not None:
            _in_thread(pipeline.close)
        if settings is None:
            return
        if at_once or _BORDER in sys.modules:
            self._begin(settings)
        else:
            _in_thread(lambda: self._load(settings))

    def stop(self) -> Deferred[None]:
        """Trace no more; fires once the collector has the last spans, or is too slow."""
        self._settings = None
        pipeline = self._end()
        if pipeline is None:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        too_slow = self._reactor.callLater(STOP_SECONDS, stopped.callback, None)

        def closed() -> None:
            if too_slow.active():
                too_slow.cancel()
                stopped.callback(None)

        def close() -> None:
            pipeline.close()
            self._reactor.callFromThread(closed)

        _in_thread(close)
        return stopped

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
        self._pipeline = pipeline = Pipeline(
            settings,
            lambda spans, complaint: self._reactor.callFromThread(
                self.batch_ended, endpoint, spans, complaint
            ),
        )
        self.current.tracer = Tracer(settings.sample_ratio, pipeline.send)
        self._log.info("tracing: spans go to {endpoint}", endpoint=endpoint)

    def _end(self) -> Pipeline | None:
        self.current.tracer = None
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            # Nobody asks it again.
            self.spans_lost += pipeline.dropped
        return pipeline

    def batch_ended(self, endpoint: str, spans: int, complaint: str | None) -> None:
        """So many spans were sent, or are lost.

        :param endpoint: as people may read it.
        :param complaint: why they are lost; None where they are not.
        """
        pipeline, lost = self._pipeline, 0
        if complaint is None:
            self.spans_exported += spans
        else:
            lost = spans
        if pipeline is not None:
            lost += pipeline.dropped
            pipeline.dropped = 0
        if not lost:
            return
        self.spans_lost += lost
        now = self._reactor.seconds()
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAINT_SECONDS
            self._log.error(
                "tracing: the collector {endpoint} does not take all spans, {lost} are lost so far: {reason}",
                endpoint=endpoint,
                lost=self.spans_lost,
                reason=complaint or "it is too slow",
            )


def _in_thread(call: Any) -> None:
    """A thread of its own, which the process does not wait for at its end: the collector may keep it."""
    Thread(target=call, name="tracing", daemon=True).start()
