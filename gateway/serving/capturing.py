"""What a tenant wants kept of its exchanges: gathered beside the answer, redacted when all is over.

What is gathered is bounded, and what is kept was redacted first and cut then, so that no half of a key is left at the
edge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from gateway.dialects.dialect import JoinedStream
from gateway.serving.answer import Answer
from gateway.serving.refusals import CLIENT_DIALECT
from gateway.serving.scrubbing import scrubbed
from gateway.snapshot.captures import CaptureTable
from gateway.snapshot.stable_names import SeriesLabels
from gateway.snapshot.tables import RuleTable
from gateway.telemetry.capture_log import CaptureRecord
from gateway.wire.downstream import DownstreamConnection

JSON_BYTES = 256 * 1024
"""JSON up to this is opened and redacted text by text; of more only the beginning is looked at."""

EDGE_BYTES = 4096
"""What is dropped at the end of a text of which there was more: the half of something to be redacted."""


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
                self._joined = CLIENT_DIALECT.joined_stream(JSON_BYTES)
            self._joined.feed(data)
        else:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self._table.response and self._body_bytes <= JSON_BYTES:
            self._body.append(data)
            self._body_bytes += len(data)

    def record(
        self, client: str, labels: SeriesLabels, outcome: str, body: bytes, rule: RuleTable | None
    ) -> CaptureRecord:
        """What is kept of the exchange.

        :param body: the client's; empty where it was not read.
        :param rule: None where none was found.
        """
        backends = rule.every_backend if rule is not None else ()
        secrets = [secret for backend in backends for secret in backend.secrets]
        request, request_cut = self._request(body, secrets)
        response, response_cut = self._response(secrets)
        return CaptureRecord(
            request_id=self._request_id.decode(),
            tenant=labels.tenant,
            client=client,
            route=labels.route,
            rule=labels.rule,
            provider=labels.provider,
            model=labels.model,
            outcome=outcome,
            stream=self.is_stream,
            request=request,
            request_cut=request_cut,
            response=response,
            response_cut=response_cut,
        )

    def _request(self, body: bytes, secrets: Sequence[bytes]) -> tuple[str | None, bool]:
        """What is kept of the client's body, and whether there was more."""
        return _kept(body, self._table, secrets) if body and self._table.request else (None, False)

    def _response(self, secrets: Sequence[bytes]) -> tuple[str | None, bool]:
        """What is kept of the answer, and whether there was more."""
        if self._joined is not None:
            text, cut = _kept_value(self._joined.whole(), self._table, secrets)
            return text, cut or self._joined.cut
        return _kept(b"".join(self._body), self._table, secrets) if self._body else (None, False)


def _kept(body: bytes, table: CaptureTable, secrets: Sequence[bytes]) -> tuple[str, bool]:
    if len(body) <= JSON_BYTES:
        try:
            return _kept_value(_decode(body), table, secrets)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
    beginning = body[: table.max_bytes + EDGE_BYTES]
    is_all = len(beginning) == len(body)
    if b"\0" in beginning:
        return f"[{len(body)} bytes that are no text]", True
    # As plain text: what JSON escapes could not be found.
    plain = _ESCAPED.sub(_unescaped, beginning.decode(errors="ignore"))
    clean = _cleaning(table, secrets)(plain).encode(errors="replace")
    return _cut(clean if is_all else clean[: max(0, len(clean) - EDGE_BYTES)], table.max_bytes, not is_all)


def _kept_value(value: object, table: CaptureTable, secrets: Sequence[bytes]) -> tuple[str, bool]:
    return _cut(_encode(_cleaned(value, _cleaning(table, secrets))), table.max_bytes)


def _cut(text: bytes, longest: int, cut: bool = False) -> tuple[str, bool]:
    return text[:longest].decode(errors="ignore"), cut or len(text) > longest


def _cleaning(table: CaptureTable, secrets: Sequence[bytes]) -> Callable[[str], str]:
    """What takes our secrets, and what is to be redacted, out of a text."""

    def clean(text: str) -> str:
        data = text.encode(errors="replace")
        if any(secret in data for secret in secrets):
            data = scrubbed(data, secrets)
        return table.redaction.redacted(data).decode()

    return clean


def _cleaned(value: object, clean: Callable[[str], str]) -> object:
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(name): _cleaned(member, clean) for name, member in value.items()}
        case list():
            return [_cleaned(item, clean) for item in value]
        case int() if abs(value) > _SURELY_HARMLESS:
            written = str(value)
            found = clean(written)
            return value if found == written else found
        case _:
            return value


_SURELY_HARMLESS = 10**6
"""A number up to this is nobody's card or telephone."""

_ESCAPED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
"""What JSON escapes (RFC 8259 §7)."""

_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _PLAIN.get(match[2], match[2])


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
