"""Providers that do something wrong, and how long their clients put up with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.whole.documents import documents, provider
from tests.whole.providers import Answering, Conversation, Provider
from tests.whole.running import Gateway

COMPLETION = (
    '{"id": "c", "model": "small", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
)
EVENT = b'data: {"id": "c", "model": "small", "choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
SHORT = {"headers": "300ms", "idle": "300ms"}
"""Timeouts; each is met up to a quarter of a second late."""

AT_ONCE = 1.0
"""Seconds within which the other side must have heard that one side is gone."""


@contextmanager
def serving(
    gateway: Gateway, answering: Answering, timeouts: dict[str, str] | None = None
) -> Iterator[Provider]:
    """A new provider behind the host `provider.test`."""
    with Provider(answering) as running:
        gateway.apply({"a.yaml": documents(provider("provider.test", running.port, timeouts=timeouts))})
        yield running


def raw(data: bytes, then: Callable[[Conversation], None] = lambda conversation: None) -> Answering:
    """Answer everything with these bytes, then do this."""

    def converse(conversation: Conversation) -> None:
        conversation.send(data)
        then(conversation)

    return converse


def cut(data: bytes) -> Answering:
    """Answer everything with these bytes and close."""
    return raw(data, Conversation.hang_up)


class Departure:
    """Answers with some bytes, and measures how long the client of the provider stays then."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self.at = 0.0
        """When it left."""

    def __call__(self, conversation: Conversation) -> None:
        if self._data:
            conversation.send(self._data)
        assert conversation.wait_until_left()
        self.at = time.monotonic()
