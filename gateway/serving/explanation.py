"""What the gateway would do with a request, as a value: people read it as text, machines as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

_WIDTH = 10


@frozen
class Decision:
    """One thing that was decided on the way."""

    about: str
    """`tenant`, `route`, `rule`, `backend`, …"""
    text: str


@frozen
class PlannedRequest:
    """What would be sent to one backend, without what is secret in it."""

    to: str
    """Where, and how it is secured."""
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str | None
    """None where the client's body is handed through unread."""


@frozen
class Refusal:
    """What the client would be told instead."""

    status: int
    code: str
    """One of `gateway.errors.CODES`."""
    message: str


@frozen
class Explanation:
    """What would be decided, in that order, and what would be sent."""

    decisions: tuple[Decision, ...]
    requests: tuple[PlannedRequest, ...]
    """One for each backend that may be asked."""
    refusal: Refusal | None
    """None where the request would be served."""

    def text(self) -> str:
        """All of it, to be read."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for decision in self.decisions:
            yield f"{decision.about:<{_WIDTH}} {decision.text}"
        for request in self.requests:
            yield ""
            yield f"to {request.to}:"
            yield f"  {request.method} {request.target} HTTP/1.1"
            for name, value in request.headers:
                yield f"  {name}: {value}"
            yield ""
            yield "  (the client's body, unread)" if request.body is None else f"  {request.body}"
        if self.refusal is not None:
            yield f"{'refused':<{_WIDTH}} {self.refusal.status} {self.refusal.code}: {self.refusal.message}"
