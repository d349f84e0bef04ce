"""An OTLP/HTTP collector on a real socket, which takes what it is sent apart with the published protobuf."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from attrs import frozen
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.whole.running import wait_until

SERVER, CLIENT = 2, 3
"""`Span.SpanKind` of opentelemetry/proto/trace/v1/trace.proto."""

ERROR = 2
"""`Status.StatusCode`."""


@frozen
class Received:
    """A span as it came."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for none."""
    began: float
    """Unix time in seconds."""
    ended: float
    status: int
    why: str
    """Of the status."""
    state: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Collector:
    """What was sent, and how it is answered."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.headers: list[dict[str, str]] = []
        """Of each batch, names in lower case."""
        self.paths: list[str] = []
        self.raw = b""
        """Every batch as it came."""
        self.status = 200
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def trace(self, trace_id: str, spans: int) -> list[Received]:
        """The spans of a trace, the exchange's first, then by when they began; waits until there are so many."""
        wait_until(lambda: len(self._of(trace_id)) >= spans)
        found = self._of(trace_id)
        assert len(found) == spans
        return sorted(found, key=lambda span: (span.kind != SERVER, span.began))

    def _of(self, trace_id: str) -> list[Received]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Note a batch."""
        self.paths.append(path)
        self.headers.append(headers)
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            resource = _values(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Received(
                            span.name,
                            span.kind,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.start_time_unix_nano / 1e9,
                            span.end_time_unix_nano / 1e9,
                            span.status.code,
                            span.status.message,
                            span.trace_state,
                            _values(span.attributes),
                            resource,
                        )
                    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def collecting(context: ssl.SSLContext | None = None) -> Iterator[Collector]:
    """A collector on a port of its own; a context makes it speak TLS."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.status == 200:
                collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_address[1]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
