"""What is told of an exchange that has ended: to the metrics always, to logs and traces where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.dialects.dialect import AnswerFacts
from gateway.policy.pricing import Pricing
from gateway.serving.capturing import CapturedAnswer
from gateway.serving.pace import NO_PACE, Pace, pace_of
from gateway.serving.pursuit import Pursuit
from gateway.serving.recording import names_of, record_of
from gateway.serving.spans import tell_exchange
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.backends import Backend
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.gen_ai_counts import asked
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.series import NO_ROUTE

if TYPE_CHECKING:
    from gateway.serving.exchange import Exchange

ANONYMOUS = ""
"""The `client` that nobody knows."""


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What an exchange comes to."""

    labels: SeriesLabels
    """Of whoever answered or was asked last."""
    client: str
    code: int
    """The status that the client saw; 499 where it left."""
    outcome: Outcome
    seconds: float
    """From the end of the request's head to now."""
    overhead: float
    """Seconds of it that were the gateway's own work."""
    facts: AnswerFacts
    pace: Pace
    cost: float | None
    """In the currency of the backend's pricing; None where nobody knows."""


def settle(exchange: Exchange, surroundings: Surroundings, outcome: Outcome) -> None:
    """Count an exchange, and tell whoever wants to know of it."""
    now = surroundings.sweep.seconds()
    settled = _sum_up(exchange, surroundings, outcome, now)
    _count(exchange, surroundings, settled)
    failures = surroundings.recent_failures if outcome is not Outcome.OK else None
    trace = exchange.trace if exchange.trace is not None and exchange.trace.is_recorded else None
    if surroundings.access_log is not None or failures is not None or trace is not None:
        names, record, pursuit = names_of(exchange, settled), record_of(exchange, settled), exchange.pursuit
        if trace is not None:
            backend, shown = (pursuit.backend, pursuit.shown) if pursuit is not None else (None, None)
            tell_exchange(trace, names, record, exchange.operation, backend, shown, exchange.started, now)
        if failures is not None:
            failures.remember(names, record)
        if surroundings.access_log is not None:
            surroundings.access_log.write(names, record)
    if exchange.captured is not None:
        _keep_content(exchange, surroundings, exchange.captured, settled)


def _sum_up(exchange: Exchange, surroundings: Surroundings, outcome: Outcome, now: float) -> Settled:
    pursuit, answer = exchange.pursuit, exchange.answer
    pace, cost = NO_PACE, None
    if pursuit is not None:
        facts, labels = pursuit.facts(), pursuit.backend.labels
        if answer.is_stream and pursuit.stream_begun_at is not None:
            usage = facts.usage if outcome is Outcome.OK else None
            pace = pace_of(exchange.started, pursuit.stream_begun_at, now, usage)
        if pursuit.backend.pricing is not None:
            cost = _cost(exchange, surroundings, pursuit.backend, pursuit.backend.pricing, facts)
    else:
        facts, labels = AnswerFacts(), _refused_labels(exchange)
    if exchange.upload is not None:
        # The model stands in a body that nobody has read.
        labels = msgspec.structs.replace(labels, model="")
    return Settled(
        labels,
        exchange.client.name if exchange.client is not None else ANONYMOUS,
        499 if outcome is Outcome.CLIENT_LEFT else answer.status,
        outcome,
        now - exchange.started,
        exchange.effort.end(now),
        facts,
        pace,
        cost,
    )


def _cost(
    exchange: Exchange, surroundings: Surroundings, backend: Backend, pricing: Pricing, facts: AnswerFacts
) -> float | None:
    """What the answer costs by the model that gave it, else by the one that was asked for."""
    if facts.usage is None:
        return None
    sent = backend.model
    if exchange.envelope is not None:
        sent = exchange.envelope.model_to_send(backend.model, backend.overrides_model)
    return surroundings.costs.cost(pricing, facts.usage, (facts.answered_model, sent))


def _refused_labels(exchange: Exchange) -> SeriesLabels:
    """Of an exchange for which no backend was chosen, as far as it is known whose it was."""
    if exchange.route is None:
        if exchange.client is None:
            return NO_ROUTE
        return msgspec.structs.replace(NO_ROUTE, tenant=exchange.client.tenant)
    return SeriesLabels(
        tenant=exchange.route.tenant,
        route=exchange.route.name,
        rule=exchange.rule.name if exchange.rule is not None else "",
        provider="",
        model="",
    )


def _count(exchange: Exchange, surroundings: Surroundings, settled: Settled) -> None:
    metrics, pursuit, pace = surroundings.metrics, exchange.pursuit, settled.pace
    series = metrics.series(settled.labels, settled.client)
    series.finished(settled.code, settled.outcome, settled.seconds, settled.facts.usage, settled.overhead)
    series.request_bytes += exchange.received_bytes
    series.response_bytes += exchange.answer.body_bytes
    if pace is not NO_PACE:
        series.streamed(pace.first_token, pace.per_token)
    if pursuit is not None:
        if settled.cost is not None and pursuit.backend.pricing is not None:
            series.spent(settled.cost, pursuit.backend.pricing.currency)
        if exchange.effort.reads is not None:
            _count_gen_ai(exchange, surroundings, pursuit, exchange.effort.reads, settled)


def _count_gen_ai(
    exchange: Exchange, surroundings: Surroundings, pursuit: Pursuit, reads: list[float], settled: Settled
) -> None:
    """Count it as OpenTelemetry does, too.

    :param reads: when each piece of the answer came.
    """
    gen_ai, error, pace = surroundings.metrics.gen_ai, exchange.error, settled.pace
    assert exchange.operation is not None
    what = asked(exchange.operation, pursuit.backend, settled.labels.model)
    said = error.code if error is not None else str(settled.code) if settled.code >= 400 else ""
    gen_ai.finished(what, said, settled.seconds, settled.facts.usage)
    if pace.first_token is not None:
        begun_at = exchange.started + pace.first_token
        gen_ai.streamed(what, pace.first_token, pace.per_token, reads, begun_at)


def _keep_content(
    exchange: Exchange, surroundings: Surroundings, captured: CapturedAnswer, settled: Settled
) -> None:
    log, envelope = surroundings.capture_log, exchange.envelope
    assert log is not None
    asked_for = b"".join(exchange.chunks) if envelope is None else envelope.body
    log.write(captured.record(settled.client, settled.labels, settled.outcome, asked_for, exchange.rule))
