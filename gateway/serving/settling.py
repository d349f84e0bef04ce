"""What is told of an exchange that has ended: to the metrics always, to logs and traces where there are any.

Whatever its answer says of itself, an exchange is counted once: what cannot be told of its usage is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from twisted.logger import Logger

from gateway.dialects.dialect import AnswerFacts
from gateway.serving.capturing import CapturedAnswer
from gateway.serving.pace import NO_PACE, Pace, pace_of
from gateway.serving.pursuit import Pursuit
from gateway.serving.recording import names_of, record_of
from gateway.serving.spans import tell_exchange
from gateway.serving.spending import Spending, cost_of, in_all, spendings_of
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.capture_log import CaptureRecord
from gateway.telemetry.gen_ai_counts import ChunkTimes, asked
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.series import NO_ROUTE

if TYPE_CHECKING:
    from gateway.serving.exchange import Exchange

_log = Logger()

ANONYMOUS = ""
"""The `client` that nobody knows."""


_NO_FACTS = AnswerFacts()

_NO_SPENDINGS: Sequence[Spending] = ()


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
    """Of what the client has, in `currency`; None where nobody knows, or it is in several."""
    currency: str
    spendings: Sequence[Spending]
    """What each attempt has used; empty where the only one has all."""


def settle(exchange: Exchange, surroundings: Surroundings, outcome: Outcome) -> None:
    """Count an exchange, and tell whoever wants to know of it."""
    now = surroundings.sweep.seconds()
    settled = _sum_up(exchange, surroundings, outcome, now)
    _count(exchange, surroundings, settled)
    failures = surroundings.recent_failures if outcome is not Outcome.OK else None
    trace = exchange.trace if exchange.trace is not None and exchange.trace.is_recorded else None
    if surroundings.access_log is not None or failures is not None or trace is not None:
        names, record = names_of(exchange, settled), record_of(exchange, settled)
        if trace is not None:
            tell_exchange(trace, exchange, settled, names, record, now)
        if failures is not None:
            failures.remember(names, record)
        if surroundings.access_log is not None:
            surroundings.access_log.write(names, record)
    if exchange.captured is not None:
        _keep_content(exchange, surroundings, exchange.captured, settled)


def _sum_up(exchange: Exchange, surroundings: Surroundings, outcome: Outcome, now: float) -> Settled:
    pursuit, answer = exchange.pursuit, exchange.answer
    facts, pace, cost, currency, spendings = _NO_FACTS, NO_PACE, None, "", _NO_SPENDINGS
    if pursuit is not None:
        labels, shown = pursuit.attempts.labels_of(pursuit.backend), pursuit.shown
        try:
            if shown is not None:
                facts = shown.answer.facts()
            if pursuit.attempts.ended:
                spendings = spendings_of(pursuit, surroundings.costs)
                usage, cost, currency = in_all(spendings)
                facts = msgspec.structs.replace(facts, usage=usage)
            elif pursuit.backend.pricing is not None and shown is not None:
                cost = cost_of(shown.answer, facts, surroundings.costs)
                currency = pursuit.backend.pricing.currency
            if answer.is_stream and pursuit.stream_begun_at is not None:
                usage = facts.usage if outcome is Outcome.OK else None
                pace = pace_of(exchange.started, pursuit.stream_begun_at, now, usage)
        except Exception:
            _log.failure("what an exchange has used cannot be told")
    else:
        labels = _refused_labels(exchange)
    return Settled(
        labels,
        exchange.client.name if exchange.client is not None else ANONYMOUS,
        499 if outcome is Outcome.CLIENT_LEFT else answer.status,
        outcome,
        now - exchange.started,
        exchange.effort.pause(now),
        facts,
        pace,
        cost,
        currency,
        spendings,
    )


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
    spendings = settled.spendings
    usage = settled.facts.usage if not spendings else None
    series.finished(settled.code, settled.outcome, settled.seconds, usage, settled.overhead)
    series.request_bytes += exchange.received_bytes
    series.response_bytes += exchange.answer.body_bytes
    if pace is not NO_PACE:
        series.streamed(pace.first_token, pace.per_token)
    if spendings:
        assert pursuit is not None
        _count_spendings(pursuit, surroundings, settled)
    elif settled.cost is not None:
        series.spent(settled.cost, settled.currency)
    if pursuit is not None and exchange.effort.chunks is not None:
        _count_gen_ai(exchange, surroundings, pursuit, exchange.effort.chunks, settled)


def _count_spendings(pursuit: Pursuit, surroundings: Surroundings, settled: Settled) -> None:
    """Count what each attempt has used at its own backend."""
    metrics, client = surroundings.metrics, settled.client
    for spent in settled.spendings:
        labels, cost, currency = pursuit.attempts.labels_of(spent.backend), spent.cost, spent.currency
        if spent.discarded is not None:
            metrics.discarded(labels, client, spent.discarded, spent.usage, cost, currency)
            continue
        series = metrics.series(labels, client)
        series.used(spent.usage)
        if cost is not None:
            series.spent(cost, currency)


def _count_gen_ai(
    exchange: Exchange, surroundings: Surroundings, pursuit: Pursuit, chunks: ChunkTimes, settled: Settled
) -> None:
    """Count it as OpenTelemetry does, too."""
    gen_ai, error, pace = surroundings.metrics.gen_ai, exchange.error, settled.pace
    assert exchange.operation is not None
    what = asked(exchange.operation, pursuit.backend, settled.labels.model)
    said = error.code if error is not None else str(settled.code) if settled.code >= 400 else ""
    gen_ai.finished(what, said, settled.seconds, settled.facts.usage if not settled.spendings else None)
    for spent in settled.spendings:
        if spent.discarded is None:
            model = pursuit.attempts.labels_of(spent.backend).model
            gen_ai.used(asked(exchange.operation, spent.backend, model), spent.usage)
    if pace.first_token is not None:
        gen_ai.streamed(what, pace.first_token, pace.per_token, chunks)


def _keep_content(
    exchange: Exchange, surroundings: Surroundings, captured: CapturedAnswer, settled: Settled
) -> None:
    redactor, envelope, labels = surroundings.redactor, exchange.envelope, settled.labels
    assert redactor is not None
    record = CaptureRecord(
        request_id=exchange.request_id.decode(),
        tenant=labels.tenant,
        client=settled.client,
        route=labels.route,
        rule=labels.rule,
        provider=labels.provider,
        model=labels.model,
        outcome=settled.outcome,
        stream=exchange.answer.is_stream,
        time=redactor.log.time(),
    )
    asked_for = b"".join(exchange.chunks) if envelope is None else envelope.body
    looked_for = captured.looked_for(exchange.head, surroundings.current.snapshot)
    redactor.take(captured.gathered(record, asked_for, looked_for))
