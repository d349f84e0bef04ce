from __future__ import annotations

import json

import pytest

from bench.answers import check_stream, unframed
from bench.upstream import CHUNK, DONE, USAGE, bulk_body_bytes, bulk_event, bulk_sends, paced_sends


def content(sends: list[bytes]) -> bytes:
    head, _, body = b"".join(sends).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return unframed(body)


def test_a_paced_stream_is_one_event_a_send_and_passes_its_own_check() -> None:
    sends = list(paced_sends(50))
    assert len(sends) == 52
    assert [send.count(b"data: ") for send in sends] == [1] * 52
    check_stream(content(sends), 50)


def test_events_are_json_of_usual_size() -> None:
    event = CHUNK % b"Hello"
    assert 160 <= len(event) <= 200
    assert json.loads(event.removeprefix(b"data: "))["usage"] is None
    assert json.loads(USAGE.removeprefix(b"data: "))["choices"] == []


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 1_000_000])
def test_the_enormous_answer_has_the_length_that_is_foretold(size: int) -> None:
    body = content(list(bulk_sends(size)))
    assert len(body) == bulk_body_bytes(size) >= size
    assert body.endswith(USAGE + DONE)
    assert len(bulk_event()) == 4096
