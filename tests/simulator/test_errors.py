from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import pytest

from gateway.resources.drills import Drill
from gateway.simulator.errors import bad_drill, error_event, prefill_refused, simulated_error
from gateway.simulator.replies import Whole

NOW = 1767225600.0


def made(drill: Drill) -> Whole:
    assert drill.status is not None
    return simulated_error(drill, drill.status, [(b"x-request-id", b"1")], NOW)


def error_of(body: bytes) -> Any:
    return msgspec.json.decode(body)["error"]


@pytest.mark.parametrize(
    ("drill", "kind", "code"),
    [
        (Drill(status=503), "server_error", None),
        (Drill(status=400), "invalid_request_error", None),
        (Drill(status=401), "invalid_request_error", "invalid_api_key"),
        (Drill(status=402), "insufficient_quota", "insufficient_quota"),
        (Drill(status=403), "invalid_request_error", "unsupported_country_region_territory"),
        (Drill(status=429), "requests", "rate_limit_exceeded"),
        (Drill(status=429, code="insufficient_quota"), "requests", "insufficient_quota"),
    ],
)
def test_an_error_that_was_asked_for(drill: Drill, kind: str, code: str | None) -> None:
    answered = made(drill)
    assert answered.status == drill.status
    assert (b"x-request-id", b"1") in answered.headers
    assert (error_of(answered.body)["type"], error_of(answered.body)["code"]) == (kind, code)


@pytest.mark.parametrize(
    ("drill", "headers"),
    [
        (Drill(status=429), {}),
        (Drill(status=429, retry_after=0), {b"retry-after": b"0"}),
        (Drill(status=503, retry_after=7), {b"retry-after": b"7"}),
        (Drill(status=429, retry_after_ms=700), {b"retry-after-ms": b"700"}),
    ],
)
def test_when_to_come_again(drill: Drill, headers: dict[bytes, bytes]) -> None:
    assert dict(made(drill).headers[2:]) == headers


def test_when_to_come_again_as_a_date() -> None:
    date = dict(made(Drill(status=429, retry_after_date=90.0)).headers)[b"retry-after"].decode()
    assert parsedate_to_datetime(date).timestamp() == NOW + 90
    assert date.endswith(" GMT")


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [(0.02, b"20ms"), (1.0, b"1s"), (1.5, b"1.5s"), (60.0, b"1m0s"), (360.0, b"6m0s"), (90.25, b"1m30.25s")],
)
def test_when_to_come_again_as_openai_says_it(seconds: float, spelled: bytes) -> None:
    headers = dict(made(Drill(status=429, ratelimit_reset=seconds)).headers)
    for each in (b"requests", b"tokens"):
        assert headers[b"x-ratelimit-reset-" + each] == spelled
        assert headers[b"x-ratelimit-remaining-" + each] == b"0"


def test_a_bad_drill_is_a_bad_request() -> None:
    answered = bad_drill("'typo' is unknown").as_answer([])
    assert answered.status == 400
    assert error_of(answered.body)["message"] == "This cannot be simulated: 'typo' is unknown"


def test_the_words_of_a_model_that_wants_no_prefill() -> None:
    answered = prefill_refused().as_answer([])
    assert answered.status == 400
    assert "does not support assistant message prefill" in error_of(answered.body)["message"]


def test_an_error_within_a_stream_is_one_event() -> None:
    event = error_event(Drill(error_after=1, code="overloaded"))
    assert event.endswith(b"\n\n")
    assert error_of(event.removeprefix(b"data: "))["code"] == "overloaded"
