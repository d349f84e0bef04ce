from __future__ import annotations

import json

from bench.answers import Answer, BrokenAnswerError
from bench.load import REQUEST_BODY, STREAM_BODY, Run, judged, request_bytes


def answer(read: bytes) -> Answer:
    return Answer((read,), (1,), 0)


def test_the_bodies_are_json_and_of_the_announced_size() -> None:
    assert len(REQUEST_BODY) == 294
    assert "stream" not in json.loads(REQUEST_BODY)
    assert json.loads(STREAM_BODY)["stream_options"] == {"include_usage": True}


def test_a_request_is_framed_by_its_length() -> None:
    request = request_bytes("h.bench", b"{}", (("x-bench-events", 3),))
    assert request.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h.bench\r\n")
    assert request.endswith(b"\r\nContent-Length: 2\r\nx-bench-events: 3\r\n\r\n{}")


def test_broken_answers_count_as_failed_and_for_nothing_else() -> None:
    def check(one: Answer) -> None:
        if one.reads == (b"bad",):
            raise BrokenAnswerError("bad indeed")

    finished = Run(
        [answer(b"good"), answer(b"bad"), answer(b"good")], seconds=2.0, unfinished=0, most_at_once=3
    )
    result = judged(finished, check, lambda _: [4000, 2000], worth=52)
    assert (result.completed, result.failed, result.complaint) == (104, 1, "bad indeed")
    assert (result.p50_us, result.p99_us, result.per_second) == (2.0, 4.0, 52.0)


def test_a_run_with_no_answer_at_all_is_told() -> None:
    result = judged(Run([], 1.0, 32, 32), lambda _: None, lambda _: [], worth=1)
    assert (result.completed, result.failed, result.complaint) == (0, 32, "32 did not end")
