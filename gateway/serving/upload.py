"""A request body that is streamed through: as fast as the provider takes it, never kept.

Files for transcription or editing go this way.  What has been sent is gone, so it cannot be sent again.
"""

from __future__ import annotations

from gateway.wire.downstream import DownstreamConnection
from gateway.wire.upstream import UpstreamConnection


class Upload:
    """One streamed body, from the client's connection to the provider's."""

    __slots__ = ("_chunked", "_client", "_early", "_ended", "_over", "_provider", "complete", "spent")

    def __init__(self, client: DownstreamConnection, *, chunked: bool) -> None:
        """Begin.

        :param chunked: the length is not known, so the body is sent in chunks (RFC 9112 §7.1).
        """
        self._client = client
        self._chunked = chunked
        self._provider: UpstreamConnection | None = None
        self._early: list[bytes] = []
        self._ended = False
        """By the client."""
        self._over = False
        """For the provider."""
        self.complete = False
        """All of it was sent."""
        self.spent = False
        """Some of it was sent, so it cannot be sent again."""

    def received(self, data: bytes) -> None:
        """A piece of the body came from the client."""
        if self._provider is not None:
            self._send(self._provider, data)
        elif not self._over:
            # There is no connection to the provider yet: take no more than this read from the client.
            self._early.append(data)
            self._client.pause_body()

    def ended(self) -> None:
        """The client has sent all of it."""
        self._ended = True
        if self._provider is not None:
            self._finish(self._provider)

    def connected(self, provider: UpstreamConnection) -> None:
        """The request's head has been sent on this connection."""
        self._provider = provider
        # First of all, for the provider may be full again at once.
        self._client.resume_body()
        early, self._early = self._early, []
        for data in early:
            self._send(provider, data)
        if self._ended:
            self._finish(provider)

    def disconnected(self) -> None:
        """There is nobody to send it to for now; if some of it was sent, what still comes is thrown away."""
        self._provider = None
        self._over = self.spent

    def full(self) -> None:
        """The provider takes no more for now."""
        self._client.pause_body()

    def drained(self) -> None:
        """It takes more again."""
        self._client.resume_body()

    def _send(self, provider: UpstreamConnection, data: bytes) -> None:
        self.spent = True
        provider.send_body(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _finish(self, provider: UpstreamConnection) -> None:
        self.spent = self.complete = True
        if self._chunked:
            provider.send_body(b"0\r\n\r\n")
        provider.end_body()
