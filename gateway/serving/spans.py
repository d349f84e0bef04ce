"""What a trace is told of an exchange and of its attempts: OpenTelemetry's names, and ours where it has none.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/.  Of what was asked and answered there is nothing, nor
a query, nor a secret.

Tokens stand under OpenTelemetry's names where the convention has them, in the spans of attempts, and what the client
has of them under ours in that of the exchange: a sum over spans counts them once.  Names of spans are configured ones,
for collectors make metrics of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.messages import shown
from gateway.policy.retrying import Fault
from gateway.serving.attempt import Attempt
from gateway.serving.scrubbing import repeats_secret
from gateway.telemetry.exchange_record import ExchangeNames, ExchangeRecord, Used
from gateway.telemetry.gen_ai import operation_name, provider_name
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.traces import AttemptSpan, AttributeValue, Trace

if TYPE_CHECKING:
    from gateway.serving.exchange import Exchange
    from gateway.serving.settling import Settled

_OK, _CANCELLED = "ok", "cancelled"

_OUR_FAULT = (Outcome.PROVIDER_FAILED, Outcome.GATEWAY_ERROR, Outcome.ANSWER_CUT)
"""The outcomes that are an error whatever the status."""


def tell_exchange(
    trace: Trace,
    exchange: Exchange,
    settled: Settled,
    names: ExchangeNames,
    record: ExchangeRecord,
    now: float,
) -> None:
    """An exchange has ended, and with it all its attempts.

    :param trace: is recorded.
    :param names: with `record` what its line in the access log says.
    :param now: clock time in seconds.
    """
    pursuit, operation = exchange.pursuit, exchange.operation
    name = operation_name(operation) if operation is not None else names.method
    model = settled.labels.model
    told: dict[str, AttributeValue] = {
        "http.request.method": names.method,
        "url.scheme": "https" if exchange.connection.is_secure else "http",
        "url.path": names.path,
        "http.response.status_code": record.code,
        "gen_ai.request.stream": record.stream,
        "llmgateway.request_id": record.request_id,
        "llmgateway.outcome": record.outcome,
        "llmgateway.attempts": record.attempts,
    }
    texts = {
        "gen_ai.request.model": model,
        "gen_ai.response.model": record.answered_model,
        "llmgateway.asked_model": record.asked_model,
        "llmgateway.tenant": names.tenant,
        "llmgateway.client": names.client,
        "llmgateway.route": names.route,
        "llmgateway.rule": names.rule,
        "llmgateway.provider": names.provider,
        "llmgateway.currency": record.currency,
    }
    told |= {key: text for key, text in texts.items() if text}
    if operation is not None:
        told["gen_ai.operation.name"] = name
    if pursuit is not None:
        told["gen_ai.provider.name"] = provider_name(
            pursuit.backend.provider_host, pursuit.backend.dialect.name
        )
        if pursuit.shown is not None:
            _tell_answer(told, pursuit.shown)
        passed_over = tuple(tried.provider for tried in record.tried if tried.outcome == Fault.OPEN)
        if passed_over:
            told["llmgateway.passed_over"] = passed_over
        _tell_attempts(exchange, settled)
    numbers = {
        "llmgateway.usage.input_tokens": record.request_prompt_tokens,
        "llmgateway.usage.output_tokens": record.request_completion_tokens,
        "llmgateway.usage.cached_input_tokens": record.cached_input_tokens,
        "llmgateway.usage.reasoning_tokens": record.reasoning_tokens,
        "llmgateway.cost": record.cost,
    }
    told |= {key: number for key, number in numbers.items() if number is not None}
    if settled.pace.first_token is not None:
        told["gen_ai.response.time_to_first_chunk"] = round(settled.pace.first_token, 6)
    if record.usage_estimated:
        told["llmgateway.usage_estimated"] = True
    if record.outcome != Outcome.OK:
        told["error.type"] = record.error or record.outcome
    failed = record.outcome in _OUR_FAULT or record.code >= 500
    of_what = model or names.route
    trace.tell(
        f"{name} {of_what}" if of_what and operation is not None else name,
        exchange.started,
        now,
        told,
        failed=failed,
        why=record.detail,
    )


def _tell_attempts(exchange: Exchange, settled: Settled) -> None:
    pursuit = exchange.pursuit
    assert pursuit is not None
    used_by = {id(attempt): tried.usage for attempt, tried in pursuit.attempts.ended}
    for attempt in pursuit.attempts.begun:
        used = used_by.get(id(attempt))
        if not isinstance(used, Used):
            used = _all_of(settled) if len(pursuit.attempts.begun) == 1 else None
        if attempt.span is not None:
            tell_attempt(attempt, attempt.span, used)


def _all_of(settled: Settled) -> Used | None:
    """What an exchange has used is what its only attempt has."""
    usage, cost = settled.facts.usage, settled.cost
    if usage is None:
        return None
    return Used(
        usage.input,
        usage.output,
        usage.cached_input,
        usage.reasoning,
        usage.estimated,
        None if cost is None else round(cost, 10),
        settled.currency,
        "",
    )


def tell_attempt(attempt: Attempt, span: AttemptSpan, used: Used | None) -> None:
    """An attempt has ended.

    :param used: None where nobody knows.
    """
    if not span.trace.is_recorded:
        return
    backend, destination, outcome = attempt.backend, attempt.backend.destination, span.outcome
    operation = operation_name(span.operation)
    told: dict[str, AttributeValue] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider_name(backend.provider_host, backend.dialect.name),
        "gen_ai.request.stream": span.stream,
        "server.address": shown(destination.address),
        "llmgateway.tenant": backend.labels.tenant,
        "llmgateway.provider": backend.provider,
        "llmgateway.attempt.purpose": span.purpose,
        "llmgateway.attempt.outcome": outcome,
    }
    if destination.port:
        told["server.port"] = destination.port
    if span.model:
        told["gen_ai.request.model"] = span.model
    if attempt.key.name:
        told["llmgateway.key"] = attempt.key.name
    if span.status:
        told["http.response.status_code"] = span.status
    if outcome != _OK:
        told["error.type"] = str(span.status) if span.status is not None and span.status >= 400 else outcome
    if attempt.answer.disagrees:
        told["llmgateway.attempt.disagrees"] = True
    if span.content_at is not None:
        told["gen_ai.response.time_to_first_chunk"] = round(span.content_at - attempt.started, 6)
    _tell_answer(told, attempt)
    if used is not None:
        _tell_usage(told, used)
    failed = outcome not in (_OK, _CANCELLED)
    configured = backend.labels.model if span.model else ""
    span.trace.tell(
        f"{operation} {configured or backend.provider}",
        attempt.started,
        span.ended_at,
        told,
        failed=failed,
        why=_why(attempt) if failed else "",
        attempt=span,
    )


def _tell_answer(told: dict[str, AttributeValue], attempt: Attempt) -> None:
    """What the provider says of its answer, as far as it has come."""
    answer, secrets = attempt.answer, attempt.backend.secrets
    watcher = answer.watcher
    if watcher is not None:
        said = {"id": watcher.id, "model": watcher.answered_model}
        reason = watcher.finish_reason
    elif answer.ended:
        facts = answer.facts()
        said = {"id": facts.id, "model": facts.answered_model}
        reason = facts.finish_reason
    else:
        return
    for name, text in said.items():
        if text and not repeats_secret(text, secrets):
            told[f"gen_ai.response.{name}"] = text
    if reason and not repeats_secret(reason, secrets):
        told["gen_ai.response.finish_reasons"] = (reason,)


def _tell_usage(told: dict[str, AttributeValue], used: Used) -> None:
    told["gen_ai.usage.input_tokens"] = used.input_tokens
    told["gen_ai.usage.output_tokens"] = used.output_tokens
    told["gen_ai.usage.cache_read.input_tokens"] = used.cached_input_tokens
    told["gen_ai.usage.reasoning.output_tokens"] = used.reasoning_tokens
    if used.estimated:
        told["llmgateway.attempt.usage_estimated"] = True
    if used.cost is not None:
        told["llmgateway.attempt.cost"] = used.cost
        told["llmgateway.attempt.currency"] = used.currency
    if used.discarded:
        told["llmgateway.attempt.discarded"] = used.discarded


def _why(attempt: Attempt) -> str:
    """The provider's own word for what is wrong; empty where it has none that may be shown."""
    error = attempt.answer.error
    code = error.code if error is not None else None
    return code if code and not repeats_secret(code, attempt.backend.secrets) else ""
