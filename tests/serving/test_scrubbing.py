from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.scrubbing import Scrubber, holds_secret, scrubbed, shown_code

SECRETS = (b"sk-canary-1234", b"canary")


def scrub(pieces: list[bytes]) -> bytes:
    scrubber = Scrubber(SECRETS)
    return b"".join([*map(scrubber.feed, pieces), scrubber.flush()])


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (b"nothing to hide", b"nothing to hide"),
        (b"Incorrect key: sk-canary-1234.", b"Incorrect key: **************."),
        (b"sk-canary-1234sk-canary-1234", b"*" * 28),
        (b"ends in sk-can", b"ends in sk-can"),
        (b"sk-canary-123x", b"sk-******-123x"),
    ],
)
def test_a_secret_is_overwritten_at_every_split(text: bytes, scrubbed: bytes) -> None:
    for cut in range(len(text) + 1):
        assert scrub([text[:cut], text[cut:]]) == scrubbed
    assert scrub([bytes([byte]) for byte in text]) == scrubbed


def test_secrets_that_overlap_are_both_overwritten() -> None:
    scrubber = Scrubber([b"abc", b"cde"])
    assert scrubber.feed(b"xabc") + scrubber.feed(b"dey") + scrubber.flush() == b"x*****y"


@given(st.lists(st.binary(max_size=20)))
def test_the_length_never_changes(pieces: list[bytes]) -> None:
    assert len(scrub(pieces)) == sum(map(len, pieces))


def test_it_holds_back_less_than_a_secret() -> None:
    scrubber = Scrubber(SECRETS)
    assert len(scrubber.feed(b"x" * 1000)) == 1000
    assert len(scrubber.feed(b"sk-canary-123")) == 0
    assert scrubber.feed(b"4 and on") == b"**************" + b" and on"


def test_headers_are_searched() -> None:
    assert holds_secret([(b"x-debug", b"key=sk-canary-1234")], SECRETS)
    assert not holds_secret([(b"x-debug", b"key=sk-other")], SECRETS)
    assert not holds_secret([(b"x-debug", b"anything")], ())


def test_a_whole_text_is_overwritten_like_one_in_pieces() -> None:
    assert scrubbed(b"xabcdey", [b"abc", b"cde"]) == b"x*****y"


def test_a_providers_code_is_shown_if_it_is_a_plain_word() -> None:
    for code in ("rate_limit_exceeded", "429", "model.not-found", "a" * 64):
        assert shown_code(code, SECRETS) == code
    for code in ("", "two words", "a" * 65, "<b>", "é", "line\n", "x-sk-canary-1234"):
        assert shown_code(code, SECRETS) == ""
