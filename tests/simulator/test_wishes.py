from __future__ import annotations

from hashlib import sha256

import pytest

from gateway.messages import RequestHead
from gateway.simulator.courses import Caller
from gateway.simulator.wishes import caller_of, wishes
from tests.simulator.requests import CHAT, HELLO, head, json


def test_everything_that_holds_is_one_list() -> None:
    body = json(model="m+cut-after=3+30%status=429&retry-after=1", messages=HELLO)
    asked = head(CHAT, body, x_simulate="words=5, ,chunks=2", x_llmgateway_misbehave="delay=1s")
    assert wishes(asked, body, ("stall",)) == (
        "stall", "delay=1s", "words=5", "chunks=2", "cut-after=3", "30%status=429&retry-after=1",
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"+", b'{"model": "m"}', b'{"model": 1, "x": "+"}', b'["+"]'])
def test_a_body_without_directives(body: bytes) -> None:
    assert wishes(head(CHAT, body), body, ()) == ()


def test_the_callers_provider_is_the_one_that_the_gateway_names_or_the_host() -> None:
    assert caller_of(head(CHAT)) == Caller("simulator", None)
    assert caller_of(head(CHAT, x_llmgateway_provider="acme/first")) == Caller("acme/first", None)


@pytest.mark.parametrize(
    "asked",
    [
        head(CHAT, authorization="Bearer sk-one"),
        head(CHAT, authorization="bearer  sk-one"),
        head(CHAT, authorization="sk-one"),
        head(CHAT, x_api_key="sk-one"),
        head(CHAT, api_key="sk-one"),
    ],
    ids=["bearer", "blanks", "bare", "x-api-key", "api-key"],
)
def test_a_key_is_known_by_its_hash(asked: RequestHead) -> None:
    assert caller_of(asked).key == sha256(b"sk-one").hexdigest()
