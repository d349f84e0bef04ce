"""A judged request head -> an Exchange; a head that the wire refused -> its answer."""

from __future__ import annotations

import re
from itertools import count
from os import urandom

from twisted.logger import Logger

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.serving.answer import Answer
from gateway.serving.exchange import Exchange
from gateway.serving.mirroring import Mirrors
from gateway.serving.recording import shown_path
from gateway.serving.settling import ANONYMOUS
from gateway.serving.surroundings import Surroundings
from gateway.telemetry.exchange_record import ExchangeNames, ExchangeRecord
from gateway.telemetry.outcomes import outcome_of_error
from gateway.telemetry.series import NO_ROUTE
from gateway.wire.downstream import DownstreamConnection

_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9_.-]{1,128}").fullmatch


class Reception:
    """Starts exchanges: what the wire of every listener is given."""

    _log = Logger()

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._mirrors = Mirrors(surroundings)
        # Unique among gateways by its beginning, within this one by its end; a tenth of the cost of a UUID.
        self._id_prefix = urandom(8).hex().encode()
        self._numbers = count(1)

    def exchange_started(self, head: RequestHead, connection: DownstreamConnection) -> Exchange:
        """Begin the exchange of a request whose head is whole."""
        given = head.header(b"x-request-id")
        request_id = given if given is not None and _ACCEPTED_ID(given) else self._new_id()
        exchange = Exchange(self._surroundings, self._mirrors, head, connection, request_id)
        try:
            exchange.head_received()
        except Exception:  # the wire does not know the exchange before this returns, so it could not tell it
            self._log.failure("exchange {request_id} failed at its head", request_id=request_id.decode())
            exchange.break_down()
        return exchange

    def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
        """Answer what never became an exchange, and count it all the same."""
        request_id = self._new_id()
        answer = Answer(connection, request_id)
        answer.refuse(error)
        surroundings, outcome = self._surroundings, outcome_of_error(error, begun=False)
        series = surroundings.metrics.series(NO_ROUTE, ANONYMOUS)
        series.finished(error.status, outcome, 0.0, None)
        series.response_bytes += answer.body_bytes
        if surroundings.access_log is not None:
            seen = connection.seen
            surroundings.access_log.write(
                ExchangeNames(
                    method=seen.method.decode(),
                    path=shown_path(seen.path),
                    host=seen.host.decode(),
                    peer=connection.peer,
                    listener=connection.listener,
                ),
                ExchangeRecord(
                    request_id=request_id.decode(),
                    code=error.status,
                    outcome=outcome,
                    error=error.code,
                    bytes_out=answer.body_bytes,
                    detail=error.detail or error.message,
                ),
            )

    def _new_id(self) -> bytes:
        return b"%b-%x" % (self._id_prefix, next(self._numbers))
