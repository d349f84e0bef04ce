"""The life of one request, phase by phase: the only file that knows the order.

    receive the head -> pin the snapshot -> know the tenant -> find the route, take the body -> choose the
    backend -> build the attempt -> send -> commit and relay -> settle, always

Phases are plain methods: each asks one floor one question and goes on with the answer.  A fault of our own that shows
in one is caught by the wire, which calls `break_down`: it ends its exchange, and no other.
"""

from __future__ import annotations

import msgspec
from attrs import frozen

from gateway.dialects.dialect import AnswerFacts
from gateway.dialects.envelope import Envelope, open_body
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError, Progress
from gateway.live import Live
from gateway.messages import RequestHead, ResponseHead
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.models import models_body
from gateway.serving.outgoing import outgoing_request
from gateway.serving.routing import operation_of_body, operation_of_head, passes_through, route_of, rule_of
from gateway.serving.scrubbing import holds_secret
from gateway.serving.upload import Upload
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.tables import Backend, RouteTable, SeriesLabels
from gateway.telemetry.access_log import AccessLog, ExchangeRecord
from gateway.telemetry.metrics import NO_ROUTE, Metrics
from gateway.telemetry.outcomes import Outcome, outcome_of_answer, outcome_of_error
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.pools import Pools
from gateway.wire.sweep import Sweep

ANONYMOUS = ""
"""The `client` of a tenant that has none to tell apart."""


@frozen(eq=False)
class Surroundings:
    """What every exchange uses."""

    current: CurrentSnapshot
    live: Live
    pools: Pools
    metrics: Metrics
    access_log: AccessLog | None
    sweep: Sweep
    via: bytes
    """This gateway's own name in `Via`, by which it knows a request that it has sent itself."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_answer",
        "_attempt",
        "_backend",
        "_chunks",
        "_connection",
        "_deadline",
        "_envelope",
        "_error",
        "_head",
        "_head_seconds",
        "_operation",
        "_received_bytes",
        "_request_id",
        "_route",
        "_rule_name",
        "_settled",
        "_started",
        "_surroundings",
        "_upload",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        head: RequestHead,
        connection: DownstreamConnection,
        request_id: bytes,
    ) -> None:
        self._surroundings = surroundings
        self._head = head
        self._connection = connection
        self._request_id = request_id
        self._answer = Answer(connection, request_id)
        self._started = surroundings.sweep.seconds()
        self._head_seconds: float | None = None
        self._deadline: float | None = None
        self._route: RouteTable | None = None
        self._rule_name = ""
        self._operation: Operation | None = None
        self._chunks: list[bytes] = []
        self._received_bytes = 0
        self._envelope: Envelope | None = None
        self._upload: Upload | None = None
        self._backend: Backend | None = None
        self._attempt: Attempt | None = None
        self._error: GatewayError | None = None
        self._settled = False
        surroundings.metrics.in_flight += 1

    # -- the head, the snapshot, the tenant, the route -------------------------------------------------

    def head_received(self) -> None:
        """Begin: find out from the head alone whose request this is and whether its body is wanted."""
        head, connection, surroundings = self._head, self._connection, self._surroundings
        try:
            self._route = route_of(surroundings.current.snapshot, head, connection.listener, surroundings.via)
            self._operation = operation_of_head(head)
            if self._operation in (Operation.MODELS, Operation.MODEL):
                self._answer_models(self._route, self._operation)
                return
            if passes_through(self._operation, head):
                self._choose_backend()
                self._upload = Upload(connection, chunked=head.body_length is None)
                self._send(None)
            connection.accept_body()
        except GatewayError as error:
            self._refuse(error)

    def _answer_models(self, route: RouteTable, operation: Operation) -> None:
        body = models_body(route, operation, self._head.path)
        self._connection.accept_body()
        self._answer.respond(200, [(b"content-type", b"application/json")], body)
        self._settle(Outcome.OK)

    def body_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._upload is not None:
            self._upload.received(data)
        else:
            self._chunks.append(data)

    def body_ended(self) -> None:
        if self._upload is not None:
            self._upload.ended()
            return
        try:
            self._envelope = open_body(b"".join(self._chunks))
            self._chunks.clear()
            self._operation = operation_of_body(self._operation, self._head, self._envelope)
            self._choose_backend()
            self._send(self._envelope)
        except GatewayError as error:
            self._refuse(error)

    def request_failed(self, error: GatewayError) -> None:
        """The body went wrong on its way in."""
        if self._attempt is not None:
            self._attempt.cancel()
        self._refuse(error)

    # -- choose, build, send ---------------------------------------------------------------------------

    def _choose_backend(self) -> None:
        assert self._route is not None
        rule = rule_of(self._route, self._head, self._connection.listener)
        self._rule_name = rule.name
        self._backend = self._surroundings.live.take_turn(rule)

    def _send(self, envelope: Envelope | None) -> None:
        assert self._backend is not None
        assert self._operation is not None
        surroundings, backend = self._surroundings, self._backend
        request = outgoing_request(
            self._head, self._operation, envelope, backend, request_id=self._request_id, via=surroundings.via
        )
        if backend.timeouts.request is not None:
            self._deadline = self._started + backend.timeouts.request
            surroundings.sweep.watch(self)
        self._attempt = Attempt(surroundings.pools, request, self, self._upload)
        self._attempt.start()

    # -- commit, relay ---------------------------------------------------------------------------------

    def answer_begun(self, head: ResponseHead) -> None:
        assert self._backend is not None
        self._head_seconds = self._surroundings.sweep.seconds() - self._started
        wants_usage = self._envelope is not None and self._envelope.include_usage
        self._answer.begin(head, self._backend, keep_usage_chunk=wants_usage)

    def answer_body(self, data: bytes) -> None:
        if not self._settled:
            self._answer.body(data)

    def answer_paused(self) -> None:
        if not self._settled:
            self._answer.flush()

    def answer_ended(self) -> None:
        if not self._settled:
            self._answer.end()
            self._settle(outcome_of_answer(self._answer.status))

    def attempt_failed(self, error: GatewayError) -> None:
        if self._settled:
            return
        if not self._answer.begun:
            self._refuse(error)
            return
        self._error = error
        if self._answer.finished:
            # The stream had said all it had to say; only its last chunk is missing.
            self._answer.end()
            self._settle(Outcome.OK)
        else:
            self._answer.break_off(error)
            self._settle(Outcome.ANSWER_CUT)

    # -- the client's side -----------------------------------------------------------------------------

    def client_left(self) -> None:
        if self._settled:
            return
        if self._answer.finished:
            # It has read `[DONE]`.  The provider's last chunk may still come, so that its connection can be kept.
            self.client_drained()
            self._settle(Outcome.OK)
            return
        if self._attempt is not None:
            self._attempt.cancel()
        self._settle(Outcome.CLIENT_LEFT)

    def client_full(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def client_drained(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()

    def swept(self, now: float) -> None:
        """Look at the deadline of the exchange as a whole."""
        if self._deadline is not None and now >= self._deadline and not self._settled:
            assert self._attempt is not None
            self._attempt.cancel()
            progress = Progress.HEAD_RECEIVED if self._answer.begun else Progress.SENT
            self.attempt_failed(
                GatewayError(
                    "provider_request_timeout", "The provider took too long to answer.", progress=progress
                )
            )

    # -- settle ----------------------------------------------------------------------------------------

    def _refuse(self, error: GatewayError) -> None:
        self._error = error
        begun = self._answer.begun
        if begun:
            self._answer.break_off(error)
        else:
            self._answer.refuse(error)
        self._settle(outcome_of_error(error, begun=begun))

    def break_down(self) -> None:
        """The gateway itself has failed, as the log says: end the exchange as far as it has not."""
        if self._attempt is not None:
            self._attempt.cancel()
        if not self._settled:
            self._refuse(GatewayError("internal_error", "The gateway failed at this request."))

    def _settle(self, outcome: Outcome) -> None:
        """Count the exchange, once, however it ended."""
        self._settled = True
        surroundings, backend = self._surroundings, self._backend
        surroundings.metrics.in_flight -= 1
        if self._deadline is not None:
            surroundings.sweep.forget(self)
        seconds = surroundings.sweep.seconds() - self._started
        code = 499 if outcome is Outcome.CLIENT_LEFT else self._answer.status
        facts = self._answer.facts()
        labels = backend.labels if backend is not None else self._refused_labels()
        if self._upload is not None:
            # The model stands in a body that nobody has read.
            labels = msgspec.structs.replace(labels, model="")
        surroundings.metrics.series(labels, ANONYMOUS).finished(code, outcome, seconds, facts.usage)
        if surroundings.access_log is not None:
            surroundings.access_log.write(self._record(labels, code, outcome, seconds, facts))
        # An attempt and its observer know each other: let go, so that both are freed without the collector.
        self._attempt = None

    def _refused_labels(self) -> SeriesLabels:
        if self._route is None:
            return NO_ROUTE
        return SeriesLabels(
            tenant=self._route.tenant, route=self._route.name, rule=self._rule_name, provider="", model=""
        )

    def _record(
        self, labels: SeriesLabels, code: int, outcome: Outcome, seconds: float, facts: AnswerFacts
    ) -> ExchangeRecord:
        head, answer, error, envelope = self._head, self._answer, self._error, self._envelope
        backend, asked, sent = self._backend, None, None
        if envelope is not None:
            asked = envelope.model
            if backend is not None:
                sent = envelope.model_to_send(backend.model, backend.overrides_model)
        return ExchangeRecord(
            request_id=self._request_id.decode(),
            tenant=labels.tenant,
            client=ANONYMOUS,
            route=labels.route,
            rule=labels.rule,
            provider=labels.provider,
            provider_host=backend.provider_host if backend is not None else "",
            method=head.method.decode(),
            path=head.path.decode("latin-1"),
            host=head.host,
            peer=self._connection.peer,
            listener=self._connection.listener,
            code=code,
            outcome=outcome,
            error=error.code if error is not None else "",
            asked_model=asked or "",
            sent_model=sent or "",
            answered_model=_without_secrets(facts.answered_model or "", backend),
            request_prompt_tokens=facts.usage.input if facts.usage is not None else None,
            request_completion_tokens=facts.usage.output if facts.usage is not None else None,
            stream=answer.is_stream,
            bytes_in=self._received_bytes,
            bytes_out=answer.body_bytes,
            duration_ms=round(seconds * 1000, 3),
            time_to_head_ms=round((self._head_seconds or seconds) * 1000, 3) if answer.begun else None,
            attempts=self._attempt.connections if self._attempt is not None else 0,
            provider_request_id=(answer.provider_request_id or b"").decode("latin-1"),
            detail=(error.detail or error.message) if error is not None else "",
        )


def _without_secrets(text: str, backend: Backend | None) -> str:
    """A provider's word for the log, unless it repeats what it must not."""
    return text if backend is None or not holds_secret([(b"", text.encode())], backend.secrets) else ""
