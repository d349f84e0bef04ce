"""The life of one request, phase by phase: the only file that knows the order.

    receive the head -> pin the snapshot -> know the tenant -> find the route, take the body -> choose the
    backend -> pursue an answer: `pursuit.py` -> settle, always

Phases are plain methods: each asks one floor one question and goes on with the answer.  A fault of our own that shows
in one is caught by the wire, which calls `break_down`: it ends its exchange, and no other.
"""

from __future__ import annotations

from gateway.dialects.envelope import Envelope, open_body
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.serving.acquaintance import HeadReading, acquaintance_with
from gateway.serving.answer import Answer
from gateway.serving.capturing import CapturedAnswer
from gateway.serving.effort import Effort
from gateway.serving.held_bodies import NOT_COUNTED
from gateway.serving.mirroring import Mirrors
from gateway.serving.models import models_body
from gateway.serving.outgoing import Original
from gateway.serving.pursuit import Pursuit
from gateway.serving.recognition import client_of
from gateway.serving.routing import operation_of_body, operation_of_head, passes_through, route_of, rule_of
from gateway.serving.settling import settle
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.snapshot.clients import KnownClient
from gateway.snapshot.matching import sticky_value
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.tables import RouteTable, RuleTable
from gateway.telemetry.gen_ai_counts import ChunkTimes
from gateway.telemetry.outcomes import Outcome, outcome_of_error
from gateway.telemetry.traces import Trace
from gateway.wire.downstream import DownstreamConnection

_ASK_FOR_MODELS = (Operation.MODELS, Operation.MODEL)


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_mirrors",
        "_settled",
        "_surroundings",
        "answer",
        "captured",
        "chunks",
        "client",
        "connection",
        "effort",
        "envelope",
        "error",
        "head",
        "held_bytes",
        "operation",
        "pursuit",
        "reading",
        "received_bytes",
        "request_id",
        "route",
        "rule",
        "started",
        "trace",
        "upload",
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
        self.head = head
        self.connection = connection
        self.request_id = request_id
        self.answer = Answer(connection, request_id)
        self.captured: CapturedAnswer | None = None
        """The answer, where it is kept."""
        self.started = surroundings.sweep.seconds()
        self.effort = Effort(self.started)
        self.client: KnownClient | None = None
        self.reading: HeadReading | None = None
        """None where the head was refused."""
        self.route: RouteTable | None = None
        self.rule: RuleTable | None = None
        self.operation: Operation | None = None
        self.chunks: list[bytes] = []
        self.received_bytes = 0
        self.held_bytes = 0
        """What of them is counted as held."""
        self.envelope: Envelope | None = None
        self.upload: Upload | None = None
        self.pursuit: Pursuit | None = None
        self.error: GatewayError | None = None
        self._settled = False
        tracer = surroundings.tracing.tracer
        self.trace: Trace | None = None
        """None where there is no tracing."""
        if tracer is not None:
            self.trace = tracer.begin(head, surroundings.wall_clock() - self.started)
        if surroundings.metrics.gen_ai.generations:
            self.effort.chunks = ChunkTimes()
        surroundings.metrics.in_flight += 1

    # -- the head, the snapshot, the tenant, the route -------------------------------------------------

    def head_received(self) -> None:
        """Begin: find out from the head alone whose request this is and whether its body is wanted."""
        head, connection, surroundings = self.head, self.connection, self._surroundings
        try:
            snapshot, known = surroundings.current.snapshot, acquaintance_with(connection)
            self.client = client = client_of(snapshot, head, connection, known, surroundings.wall_clock)
            reading = known.reading
            if reading is None or not reading.holds(snapshot, client, head):
                reading = known.reading = self._read_head(snapshot, client)
            self.reading = reading
            self.route = reading.route
            self.operation = operation = reading.operation
            if reading.capture is not None and surroundings.chance() < reading.capture.share:
                self.answer = self.captured = CapturedAnswer(connection, self.request_id, reading.capture)
            self.answer.tells_more = reading.tells_more
            if operation in _ASK_FOR_MODELS:
                self._answer_models(reading.route, operation)
                return
            if reading.passes_through:
                self.upload = Upload(connection, chunked=head.body_length is None)
                self._pursue(operation)
            connection.accept_body()
        except GatewayError as error:
            self._refuse(error)
        self.effort.pause(surroundings.sweep.seconds())

    def _read_head(self, snapshot: Snapshot | None, client: KnownClient | None) -> HeadReading:
        head, surroundings = self.head, self._surroundings
        self.route = route = route_of(snapshot, head, self.connection.listener, surroundings.via, client)
        assert snapshot is not None
        operation = operation_of_head(head)
        return HeadReading(
            identity=snapshot.identity,
            values=head.values,
            client=client,
            tells_more=snapshot.settings.attempt_headers is not False,
            route=route,
            operation=operation,
            passes_through=passes_through(operation, head),
            capture=snapshot.tenants[route.tenant].capture if surroundings.redactor is not None else None,
        )

    def _answer_models(self, route: RouteTable, operation: Operation) -> None:
        body = models_body(route, operation, self.head.path)
        self.connection.accept_body()
        self.answer.respond(200, [(b"content-type", b"application/json")], body)
        self._settle(Outcome.OK)

    def body_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self.upload is None:
            if self.received_bytes <= NOT_COUNTED or self._may_hold():
                self.chunks.append(data)
            return
        effort, seconds = self.effort, self._surroundings.sweep.seconds
        effort.begin(seconds())
        self.upload.received(data)
        effort.pause(seconds())

    def _may_hold(self) -> bool:
        """Count what has come of a large body; refuse the request where there is no room for more."""
        surroundings, more = self._surroundings, self.received_bytes - self.held_bytes
        snapshot = surroundings.current.snapshot
        assert snapshot is not None
        if surroundings.bodies.take(more, snapshot.settings.all_bodies_bytes):
            self.held_bytes += more
            return True
        self.chunks.clear()
        self._refuse(GatewayError("overloaded", "The gateway holds as much of requests' bodies as it may."))
        return False

    def body_ended(self) -> None:
        if self.upload is not None:
            self.upload.ended()
            return
        effort, seconds = self.effort, self._surroundings.sweep.seconds
        effort.since = seconds()
        try:
            self.envelope = open_body(b"".join(self.chunks))
            self.chunks.clear()
            self.operation = operation_of_body(self.operation, self.head, self.envelope)
            self._pursue(self.operation)
        except GatewayError as error:
            self._refuse(error)
        effort.pause(seconds())

    def request_failed(self, error: GatewayError) -> None:
        """The body went wrong on its way in."""
        self._refuse(error)

    # -- choose, pursue ----------------------------------------------------------------------------------

    def _pursue(self, operation: Operation | None) -> None:
        """Find the rule, take a backend's turn, and leave the rest to the pursuit."""
        surroundings, head, connection, reading = (
            self._surroundings,
            self.head,
            self.connection,
            self.reading,
        )
        assert reading is not None
        assert operation is not None
        self.rule = rule = reading.rule or self._find_rule(reading)
        sticky = None
        if rule.sticky is not None:
            sticky = sticky_value(rule.sticky, head, self.client, connection.address)
        chosen = surroundings.live.turns.take(rule, sticky)
        trace = self.trace
        heads = reading.heads if trace is None else reading.traced_heads
        original = Original(head, operation, self.envelope, self.request_id, surroundings.via, heads, trace)
        self.pursuit = Pursuit(
            surroundings, original, rule, chosen, self.answer, self, self.effort, self.upload
        )
        self.pursuit.start()
        if rule.mirror is not None and self.envelope is not None:
            self._mirrors.consider(original, rule.mirror)

    def _find_rule(self, reading: HeadReading) -> RuleTable:
        listener = self.connection.listener
        rule = rule_of(reading.route, self.head, listener, self.client, self.envelope)
        if not reading.route.reads_bodies:
            reading.rule = rule
        return rule

    def pursuit_ended(self, outcome: Outcome, error: GatewayError | None) -> None:
        """The client has been told all that it will be."""
        self.error = error
        self._settle(outcome)

    # -- the client's side -----------------------------------------------------------------------------

    def client_left(self) -> None:
        if self._settled:
            return
        self.answer.client_left()
        if self.pursuit is not None:
            self.pursuit.client_left()
        else:
            self._settle(Outcome.CLIENT_LEFT)

    def client_full(self) -> None:
        if self.pursuit is not None:
            self.pursuit.client_full()

    def client_drained(self) -> None:
        if self.pursuit is not None:
            self.pursuit.client_drained()

    # -- settle ----------------------------------------------------------------------------------------

    def _refuse(self, error: GatewayError) -> None:
        self.error = error
        begun = self.answer.begun
        if self.pursuit is not None:
            self.pursuit.abandon()
            self.answer.refuse(error, self.pursuit.attempts.headers_of_failure())
        else:
            self.answer.refuse(error)
        self._settle(outcome_of_error(error, begun=begun))

    def break_down(self) -> None:
        """The gateway itself has failed, as the log says: end the exchange as far as it has not."""
        if not self._settled:
            self._refuse(GatewayError("internal_error", "The gateway failed at this request."))
        elif self.pursuit is not None:
            self.pursuit.abandon()

    def _settle(self, outcome: Outcome) -> None:
        """Tell how it ended, once."""
        self._settled = True
        self._surroundings.metrics.in_flight -= 1
        if self.held_bytes:
            self._surroundings.bodies.give_back(self.held_bytes)
        settle(self, self._surroundings, outcome)
        # A pursuit and its owner know each other: let go, so that both are freed without the collector.
        self.pursuit = None
