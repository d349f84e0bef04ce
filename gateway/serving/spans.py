"""What a trace is told of an exchange and of its attempts: OpenTelemetry's names, and ours where it has none.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/.  Of what was asked and answered there is nothing, nor
a query, nor a secret.  Tokens and what they cost stand in the exchange's span alone: sums over spans count them once.
"""

from __future__ import annotations

from gateway.dialects.operations import Operation
from gateway.messages import shown
from gateway.serving.attempt import Attempt
from gateway.serving.scrubbing import repeats_secret
from gateway.snapshot.backends import Backend
from gateway.telemetry.exchange_record import ExchangeNames, ExchangeRecord
from gateway.telemetry.gen_ai import operation_name, provider_name
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.traces import AttemptSpan, AttributeValue, Trace

_OK = "ok"

_OUR_FAULT = (Outcome.PROVIDER_FAILED, Outcome.GATEWAY_ERROR, Outcome.ANSWER_CUT)
"""The outcomes that are an error whatever the status."""


def tell_attempt(attempt: Attempt, span: AttemptSpan, outcome: str, status: int | None, now: float) -> None:
    """An attempt has ended.

    :param outcome: as in `llmgateway_attempts_total`.
    :param status: the provider's; None where there was none.
    :param now: clock time in seconds.
    """
    if not span.trace.is_recorded:
        return
    backend, destination = attempt.backend, attempt.backend.destination
    operation = operation_name(span.operation)
    told: dict[str, AttributeValue] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider_name(backend.provider_host, backend.dialect.name),
        "server.address": shown(destination.address),
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
    if status:
        told["http.response.status_code"] = status
    if outcome != _OK:
        told["error.type"] = str(status) if status is not None and status >= 400 else outcome
    _tell_answer(told, attempt)
    name = f"{operation} {span.model}" if span.model else operation
    failed = outcome not in (_OK, "cancelled")
    span.trace.tell(name, attempt.started, now, told, failed=failed, attempt=span)


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


def tell_exchange(
    trace: Trace,
    names: ExchangeNames,
    record: ExchangeRecord,
    operation: Operation | None,
    backend: Backend | None,
    shown_attempt: Attempt | None,
    began: float,
    ended: float,
) -> None:
    """An exchange has ended; `names` and `record` are what its line in the access log says.

    :param operation: None where nobody got to know.
    :param backend: who answered, or was asked last.
    :param shown_attempt: whose answer the client has seen the end of.
    :param began: clock time in seconds, as `ended` is.
    """
    name = operation_name(operation) if operation is not None else names.method
    model = record.asked_model or record.sent_model
    told: dict[str, AttributeValue] = {
        "http.request.method": names.method,
        "url.path": names.path,
        "http.response.status_code": record.code,
        "gen_ai.request.stream": record.stream,
        "llmgateway.request_id": record.request_id,
        "llmgateway.tenant": names.tenant,
        "llmgateway.outcome": record.outcome,
        "llmgateway.attempts": record.attempts,
    }
    texts = {
        "gen_ai.request.model": model,
        "gen_ai.response.model": record.answered_model,
        "llmgateway.client": names.client,
        "llmgateway.route": names.route,
        "llmgateway.rule": names.rule,
        "llmgateway.provider": names.provider,
    }
    told |= {key: text for key, text in texts.items() if text}
    if operation is not None:
        told["gen_ai.operation.name"] = name
    if backend is not None:
        told["gen_ai.provider.name"] = provider_name(backend.provider_host, backend.dialect.name)
    if shown_attempt is not None:
        _tell_answer(told, shown_attempt)
    numbers = {
        "gen_ai.usage.input_tokens": record.request_prompt_tokens,
        "gen_ai.usage.output_tokens": record.request_completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.cached_input_tokens,
        "gen_ai.usage.reasoning.output_tokens": record.reasoning_tokens,
        "llmgateway.cost": record.cost,
    }
    told |= {key: number for key, number in numbers.items() if number is not None}
    if record.time_to_first_token_ms is not None:
        told["gen_ai.response.time_to_first_chunk"] = record.time_to_first_token_ms / 1000
    if record.currency:
        told["llmgateway.currency"] = record.currency
    if record.usage_estimated:
        told["llmgateway.usage_estimated"] = True
    if record.outcome != Outcome.OK:
        told["error.type"] = record.error or record.outcome
    failed = record.outcome in _OUR_FAULT or record.code >= 500
    trace.tell(f"{name} {model}" if model else name, began, ended, told, failed=failed)
