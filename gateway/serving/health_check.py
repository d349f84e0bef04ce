"""One health check under way: a cheap request of the operator's choice, and what its answer says.

It is made by what makes every connection to a provider: the same look-up, the same TLS that refuses the same
certificates, the same simulator in this process.  An HTTP client beside it would have to be taught all of that once
more.  But it has a connection of its own that is closed afterwards: it stands in no client's way where connections are
few, and it finds out each time whether the provider can be reached at all.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.errors import GatewayError
from gateway.messages import Headers, ResponseHead, Timeouts
from gateway.serving.outgoing import OutgoingRequest, outgoing_head
from gateway.snapshot.backends import ProviderKey
from gateway.snapshot.health_checks import HealthCheck
from gateway.telemetry.outcomes import CheckResult
from gateway.wire.pool import Connect
from gateway.wire.upstream import UpstreamConnection

READ_BYTES = 1024 * 1024
"""Of an answer; the longest lists of models have half of that.  Whoever says more than this lives."""

_HEADERS: Headers = [(b"accept-encoding", b"identity"), (b"connection", b"close")]
_USER_AGENT = (b"user-agent", b"llmgateway-health-check")
_JSON = (b"content-type", b"application/json")


class RunningCheck:
    """One question to one provider, on a connection of its own; of the answer only the status counts."""

    _log = Logger()

    def __init__(
        self, check: HealthCheck, key: ProviderKey, until: float, ended: Callable[[CheckResult, str], None]
    ) -> None:
        """Prepare it.

        :param until: when the answer must be whole, in seconds of the sweep's clock.
        :param ended: called once with the result and, unless it is a success, the reason in words.
        """
        self._check = check
        self._request = check_request(check, key)
        self._until = until
        self._told = ended
        self._connecting: Deferred[UpstreamConnection] | None = None
        self._connection: UpstreamConnection | None = None
        self._status = 0
        self._bytes = 0
        self._ended = False

    def begin(self, connect: Connect) -> None:
        """Connect and ask."""
        timeouts = self._check.backend.timeouts
        connecting = connect(self._check.backend.destination, timeouts)
        self._connecting = connecting
        connecting.addCallbacks(self._connected, self._not_connected)
        connecting.addErrback(self._broke)

    def swept(self, now: float) -> None:
        """Look at the deadline."""
        if now >= self._until:
            self.cancel()
            self._told(CheckResult.FAILURE, f"no whole answer within {self._check.timeout:g} s")

    def cancel(self) -> None:
        """End it; nobody hears of it."""
        self._ended = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.abort()

    def _connected(self, connection: UpstreamConnection) -> None:
        self._connecting = None
        self._connection = connection
        connection.home = self
        # Its deadline is the check's own.
        connection.send(self._request, self, timeouts=Timeouts(headers=None, idle=None))

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        error = failure.value
        if isinstance(error, GatewayError):
            self._end(CheckResult.FAILURE, _in_words(error))
        elif not isinstance(error, CancelledError):
            self._broke(failure)

    def _broke(self, failure: Failure) -> None:
        self._log.failure("a health check broke down", failure=failure)
        self.break_down()

    def _end(self, result: CheckResult, reason: str = "") -> None:
        if not self._ended:
            self._ended = True
            self._told(result, reason)

    # What the connection says, as to any receiver and any home.

    def answer_read(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        if head is not None:
            self._status = head.status
        self._bytes += len(body)
        if not ended and self._bytes <= READ_BYTES:
            return
        if not ended and self._connection is not None:
            self._connection.abort()
        if 200 <= self._status < 300:
            self._end(CheckResult.SUCCESS)
        else:
            result = CheckResult.FAILURE if self._status >= 500 else CheckResult.REFUSED
            self._end(result, f"status {self._status}")

    def answer_failed(self, error: GatewayError) -> None:
        self._end(CheckResult.FAILURE, _in_words(error))

    def upstream_full(self) -> None:
        """All of the request is written already."""

    def upstream_drained(self) -> None:
        """Nothing follows."""

    def break_down(self) -> None:
        self._end(CheckResult.FAILURE, "the gateway itself has failed")

    def connection_usable(self, connection: UpstreamConnection) -> None:
        connection.close()

    def connection_gone(self, connection: UpstreamConnection, reason: Failure | None) -> None:
        """Whoever has to know was told."""


def check_request(check: HealthCheck, key: ProviderKey) -> bytes:
    """What a provider is sent.  Reveals its secrets."""
    passed = list(_HEADERS)
    if _USER_AGENT[0] not in check.backend.header_names:
        passed.append(_USER_AGENT)
    if check.body is not None:
        passed.append(_JSON)
    body = check.body or b""
    method = b"GET" if check.body is None else b"POST"
    head = outgoing_head(method, check.target, check.backend, passed)
    return OutgoingRequest(head, key, [], body, len(body)).wire_bytes()


def _in_words(error: GatewayError) -> str:
    return f"{error.message} {error.detail}".rstrip()
