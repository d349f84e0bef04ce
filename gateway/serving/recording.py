"""What the access log, a trace and the list of recent failures are told of an exchange that has ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.serving.pace import NO_PACE
from gateway.serving.scrubbing import repeats_secret
from gateway.snapshot.backends import Backend
from gateway.telemetry.exchange_record import ExchangeNames, ExchangeRecord, Tried
from gateway.telemetry.trace_context import TRACEPARENT, read_trace_context

if TYPE_CHECKING:
    from gateway.serving.exchange import Exchange
    from gateway.serving.settling import Settled

_PARAMETERS = re.compile(rb";|%3b|%3f", re.IGNORECASE)

_WHOLE = 2.0**52
"""A number so large that a small one added to it becomes whole: times are written to the microsecond, and `round` would
cost ten times as much."""


def names_of(exchange: Exchange, settled: Settled) -> ExchangeNames:
    """Who asked whom: for a head that repeats, the same as the last time."""
    reading, pursuit = exchange.reading, exchange.pursuit
    if reading is None or pursuit is None:
        return _new_names(exchange, settled, None)
    backend = pursuit.backend
    names = reading.names.get(backend)
    if names is None:
        names = reading.names[backend] = _new_names(exchange, settled, backend)
    return names


def _new_names(exchange: Exchange, settled: Settled, backend: Backend | None) -> ExchangeNames:
    head, connection, labels = exchange.head, exchange.connection, settled.labels
    return ExchangeNames(
        tenant=labels.tenant,
        client=settled.client,
        route=labels.route,
        rule=labels.rule,
        provider=labels.provider,
        provider_host=backend.provider_host if backend is not None else "",
        method=head.method.decode(),
        path=shown_path(head.path),
        host=head.host,
        peer=connection.peer,
        listener=connection.listener,
    )


def shown_path(path: bytes) -> str:
    """A path as others are told of it: without the parameters in which clients put keys as they do in queries."""
    return _PARAMETERS.split(path, 1)[0].decode("latin-1")


def record_of(exchange: Exchange, settled: Settled) -> ExchangeRecord:
    """What came of it."""
    answer, error, envelope, pursuit = exchange.answer, exchange.error, exchange.envelope, exchange.pursuit
    usage, pace = settled.facts.usage, settled.pace
    duration = (settled.seconds * 1e6 + _WHOLE - _WHOLE) / 1e3
    sent_model = answered_model = currency = provider_request_id = code = detail = ""
    asked_model = "" if envelope is None else envelope.model or ""
    cost = first_token = per_token = None
    head_after = duration if answer.begun else None
    attempts: int = 0
    tried: tuple[Tried, ...] = ()
    if pursuit is not None:
        backend, shown = pursuit.backend, pursuit.shown
        attempts, tried = pursuit.attempts.number, pursuit.attempts.tried
        if envelope is not None:
            sent_model = envelope.model_to_send(backend.model, backend.overrides_model) or ""
        answered_model = settled.facts.answered_model or ""
        if answered_model != sent_model and repeats_secret(answered_model, backend.secrets):
            answered_model = ""
        if settled.cost is not None:
            cost, currency = round(settled.cost, 10), settled.currency
        if shown is not None and shown.answer.provider_request_id is not None:
            provider_request_id = shown.answer.provider_request_id.decode("latin-1")
        head_at = answer.early_head_at or pursuit.content_at
        if head_after is not None and head_at is not None:
            head_after = ((head_at - exchange.started) * 1e6 + _WHOLE - _WHOLE) / 1e3
    if pace is not NO_PACE:
        if pace.first_token is not None:
            first_token = (pace.first_token * 1e6 + _WHOLE - _WHOLE) / 1e3
        if pace.per_token is not None:
            per_token = (pace.per_token * 1e6 + _WHOLE - _WHOLE) / 1e3
    if error is not None:
        code, detail = error.code, error.detail or error.message
    # By position, for as keywords these cost as much as all the rest of a line.
    return ExchangeRecord(
        exchange.request_id.decode(),
        "" if exchange.trace is None and TRACEPARENT not in exchange.head.values else _trace_id(exchange),
        settled.code,
        settled.outcome,
        code,
        asked_model,
        sent_model,
        sent_model,
        answered_model,
        None if usage is None else usage.input,
        None if usage is None else usage.output,
        None if usage is None else usage.cached_input,
        None if usage is None else usage.reasoning,
        usage is not None and usage.estimated,
        cost,
        currency,
        answer.is_stream,
        exchange.received_bytes,
        answer.body_bytes,
        duration,
        (settled.overhead * 1e6 + _WHOLE - _WHOLE) / 1e3,
        head_after,
        first_token,
        per_token,
        attempts,
        tried,
        provider_request_id,
        detail,
    )


def _trace_id(exchange: Exchange) -> str:
    """Of the trace that the exchange is part of, be it only its client's."""
    if exchange.trace is not None:
        return exchange.trace.context.trace_id
    context = read_trace_context(exchange.head.header(TRACEPARENT), None)
    return context.trace_id if context is not None else ""
