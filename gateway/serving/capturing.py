"""What a tenant wants kept of its exchanges, gathered beside the answer as it goes by; `redactor.py` does the rest."""

from __future__ import annotations

import msgspec

from gateway.dialects.dialect import JoinedStream
from gateway.messages import RequestHead
from gateway.policy.redacting.content import MARGIN_BYTES, Content, LookedFor, beginning_of
from gateway.serving.answer import Answer
from gateway.serving.refusals import CLIENT_DIALECT
from gateway.snapshot.captures import CaptureTable
from gateway.snapshot.clients import key_of
from gateway.snapshot.secrets import SHORTEST_SECRET
from gateway.snapshot.snapshot import Snapshot
from gateway.telemetry.capture_log import CaptureRecord
from gateway.wire.downstream import DownstreamConnection


class Gathered(msgspec.Struct, frozen=True, gc=False):
    """What is gathered of an exchange; nobody may read it yet."""

    record: CaptureRecord
    """Which exchange it is."""
    request: Content | None
    """The body that the client sent; None where it is not kept, or was not read."""
    response: Content | JoinedStream | None
    """What it was answered; None where that is not kept, or it was told nothing."""
    most: int
    """Bytes that are kept of each."""
    looked_for: LookedFor
    """What is to be taken out."""

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        sides = (self.request, self.response)
        return sum(
            len(each.data) if isinstance(each, Content) else self.most for each in sides if each is not None
        )


class CapturedAnswer(Answer):
    """An answer of which a copy is kept."""

    __slots__ = ("_body", "_body_bytes", "_joined", "_table")

    def __init__(self, connection: DownstreamConnection, request_id: bytes, table: CaptureTable) -> None:
        super().__init__(connection, request_id)
        self._table = table
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._joined: JoinedStream | None = None

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        super().respond(status, headers, body)
        self._keep(body)

    def _write(self, data: bytes) -> None:
        super()._write(data)
        if not self._table.response or not data:
            return
        if self.is_stream:
            if self._joined is None:
                self._joined = CLIENT_DIALECT.joined_stream(self._table.max_bytes + MARGIN_BYTES)
            self._joined.feed(data)
        else:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self._table.response and self._body_bytes <= self._table.max_bytes + MARGIN_BYTES:
            self._body.append(data)
            self._body_bytes += len(data)

    def gathered(self, record: CaptureRecord, asked: bytes, looked_for: LookedFor) -> Gathered:
        """All that is to be kept of the exchange, which has ended.

        :param record: which one it is.
        :param asked: the client's body; empty where it was not read.
        """
        table, most = self._table, self._table.max_bytes
        request = beginning_of(asked, most) if asked and table.request else None
        response: Content | JoinedStream | None = self._joined
        if response is None and self._body:
            response = beginning_of(b"".join(self._body), most)
        return Gathered(record, request, response, most, looked_for)

    def looked_for(self, head: RequestHead, snapshot: Snapshot | None) -> LookedFor:
        """What is to be taken out: as the tenant wants it, and the key that this client has shown."""
        shown = key_of(head) or b""
        return LookedFor(
            redaction=self._table.redaction,
            known=self._table.secrets,
            shown=shown if len(shown) >= SHORTEST_SECRET else b"",
            words=snapshot.credentials if snapshot is not None else frozenset(),
        )
