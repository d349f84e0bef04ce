"""The life of one request, phase by phase: the only file that knows the order.

    receive the head -> pin the snapshot -> know the tenant -> find the route, take the body -> choose the
    backend -> pursue an answer: `pursuit.py` -> settle, always

Phases are plain methods: each asks one floor one question and goes on with the answer.  A fault of our own that shows
in one is caught by the wire, which calls `break_down`: it ends its exchange, and no other.
"""

from __future__ import annotations

import msgspec

from gateway.dialects.dialect import AnswerFacts
from gateway.dialects.envelope import Envelope, open_body
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.serving.answer import Answer
from gateway.serving.mirroring import Mirrors
from gateway.serving.models import models_body
from gateway.serving.outgoing import Original
from gateway.serving.pursuit import Pursuit
from gateway.serving.recognition import client_of
from gateway.serving.routing import operation_of_body, operation_of_head, passes_through, route_of, rule_of
from gateway.serving.scrubbing import holds_secret
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.snapshot.clients import KnownClient
from gateway.snapshot.matching import sticky_value
from gateway.snapshot.tables import Backend, RouteTable, RuleTable, SeriesLabels
from gateway.telemetry.access_log import ExchangeRecord
from gateway.telemetry.metrics import NO_ROUTE
from gateway.telemetry.outcomes import Outcome, outcome_of_error
from gateway.wire.downstream import DownstreamConnection

_ASK_FOR_MODELS = (Operation.MODELS, Operation.MODEL)

ANONYMOUS = ""
"""The `client` that nobody knows."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_answer",
        "_chunks",
        "_client",
        "_connection",
        "_envelope",
        "_error",
        "_head",
        "_mirrors",
        "_operation",
        "_pursuit",
        "_received_bytes",
        "_request_id",
        "_route",
        "_rule",
        "_settled",
        "_started",
        "_surroundings",
        "_upload",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        mirrors: Mirrors,
        head: RequestHead,
        connection: DownstreamConnection,
        request_id: bytes,
    ) -> None:
        self._surroundings = surroundings
        self._mirrors = mirrors
        self._head = head
        self._connection = connection
        self._request_id = request_id
        self._answer = Answer(connection, request_id)
        self._started = surroundings.sweep.seconds()
        self._client: KnownClient | None = None
        self._route: RouteTable | None = None
        self._rule: RuleTable | None = None
        self._operation: Operation | None = None
        self._chunks: list[bytes] = []
        self._received_bytes = 0
        self._envelope: Envelope | None = None
        self._upload: Upload | None = None
        self._pursuit: Pursuit | None = None
        self._error: GatewayError | None = None
        self._settled = False
        surroundings.metrics.in_flight += 1

    # -- the head, the snapshot, the tenant, the route -------------------------------------------------

    def head_received(self) -> None:
        """Begin: find out from the head alone whose request this is and whether its body is wanted."""
        head, connection, surroundings = self._head, self._connection, self._surroundings
        try:
            snapshot = surroundings.current.snapshot
            self._client = client = client_of(snapshot, head, connection, surroundings.wall_clock)
            self._route = route_of(snapshot, head, connection.listener, surroundings.via, client)
            if snapshot is not None:
                self._answer.tells_more = snapshot.settings.attempt_headers is not False
            self._operation = operation_of_head(head)
            if self._operation in _ASK_FOR_MODELS:
                self._answer_models(self._route, self._operation)
                return
            if passes_through(self._operation, head):
                self._upload = Upload(connection, chunked=head.body_length is None)
                self._pursue(self._operation)
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
            self._pursue(self._operation)
        except GatewayError as error:
            self._refuse(error)

    def request_failed(self, error: GatewayError) -> None:
        """The body went wrong on its way in."""
        self._refuse(error)

    # -- choose, pursue ----------------------------------------------------------------------------------

    def _pursue(self, operation: Operation | None) -> None:
        """Find the rule, take a backend's turn, and leave the rest to the pursuit."""
        assert self._route is not None
        assert operation is not None
        surroundings, head, connection, client = (
            self._surroundings,
            self._head,
            self._connection,
            self._client,
        )
        self._rule = rule = rule_of(self._route, head, connection.listener, client, self._envelope)
        sticky = None
        if rule.sticky is not None:
            sticky = sticky_value(rule.sticky, head, client, connection.address)
        chosen = surroundings.live.turns.take(rule, sticky)
        original = Original(head, operation, self._envelope, self._request_id, surroundings.via)
        self._pursuit = Pursuit(surroundings, original, rule, chosen, self._answer, self, self._upload)
        self._pursuit.start()
        if rule.mirror is not None and self._envelope is not None:
            self._mirrors.consider(original, rule.mirror)

    def pursuit_ended(self, outcome: Outcome, error: GatewayError | None) -> None:
        """The client has been told all that it will be."""
        self._error = error
        self._settle(outcome)

    # -- the client's side -----------------------------------------------------------------------------

    def client_left(self) -> None:
        if self._settled:
            return
        if self._pursuit is not None:
            self._pursuit.client_left()
        else:
            self._settle(Outcome.CLIENT_LEFT)

    def client_full(self) -> None:
        if self._pursuit is not None:
            self._pursuit.client_full()

    def client_drained(self) -> None:
        if self._pursuit is not None:
            self._pursuit.client_drained()

    # -- settle ----------------------------------------------------------------------------------------

    def _refuse(self, error: GatewayError) -> None:
        if self._pursuit is not None:
            self._pursuit.abandon()
        self._error = error
        begun = self._answer.begun
        self._answer.refuse(error)
        self._settle(outcome_of_error(error, begun=begun))

    def break_down(self) -> None:
        """The gateway itself has failed, as the log says: end the exchange as far as it has not."""
        if not self._settled:
            self._refuse(GatewayError("internal_error", "The gateway failed at this request."))
        elif self._pursuit is not None:
            self._pursuit.abandon()

    def _settle(self, outcome: Outcome) -> None:
        """Count the exchange, once, however it ended."""
        self._settled = True
        surroundings, pursuit = self._surroundings, self._pursuit
        surroundings.metrics.in_flight -= 1
        seconds = surroundings.sweep.seconds() - self._started
        code = 499 if outcome is Outcome.CLIENT_LEFT else self._answer.status
        if pursuit is not None:
            facts, labels = pursuit.facts(), pursuit.backend.labels
        else:
            facts, labels = AnswerFacts(), self._refused_labels()
        if self._upload is not None:
            # The model stands in a body that nobody has read.
            labels = msgspec.structs.replace(labels, model="")
        client = self._client.name if self._client is not None else ANONYMOUS
        surroundings.metrics.series(labels, client).finished(code, outcome, seconds, facts.usage)
        if surroundings.access_log is not None:
            surroundings.access_log.write(self._record(labels, code, outcome, seconds, facts))
        # A pursuit and its owner know each other: let go, so that both are freed without the collector.
        self._pursuit = None

    def _refused_labels(self) -> SeriesLabels:
        if self._route is None:
            if self._client is None:
                return NO_ROUTE
            return msgspec.structs.replace(NO_ROUTE, tenant=self._client.tenant)
        return SeriesLabels(
            tenant=self._route.tenant,
            route=self._route.name,
            rule=self._rule.name if self._rule is not None else "",
            provider="",
            model="",
        )

    def _record(
        self, labels: SeriesLabels, code: int, outcome: Outcome, seconds: float, facts: AnswerFacts
    ) -> ExchangeRecord:
        head, answer, error, envelope = self._head, self._answer, self._error, self._envelope
        pursuit, asked, sent = self._pursuit, None, None
        backend = pursuit.backend if pursuit is not None else None
        content_at = pursuit.content_at if pursuit is not None else None
        if envelope is not None:
            asked = envelope.model
            if backend is not None:
                sent = envelope.model_to_send(backend.model, backend.overrides_model)
        return ExchangeRecord(
            request_id=self._request_id.decode(),
            tenant=labels.tenant,
            client=self._client.name if self._client is not None else ANONYMOUS,
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
            time_to_head_ms=round(
                (content_at - self._started if content_at is not None else seconds) * 1000, 3
            )
            if answer.begun
            else None,
            attempts=pursuit.attempts.number if pursuit is not None else 0,
            tried=pursuit.attempts.tried if pursuit is not None else [],
            provider_request_id=((pursuit and pursuit.provider_request_id) or b"").decode("latin-1"),
            detail=(error.detail or error.message) if error is not None else "",
        )


def _without_secrets(text: str, backend: Backend | None) -> str:
    """A provider's word for the log, unless it repeats what it must not."""
    return text if backend is None or not holds_secret([(b"", text.encode())], backend.secrets) else ""
