"""What is taken out of a text before anybody keeps it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.redacting import MOST_FOUND, Redaction

BUILT_IN = Redaction()


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ann.lee+x@mail.example.org, please", "write to [email], please"),
        ("my key is sk-proj-AbC_123-def456ghi.", "my key is [key]."),
        ("AKIAIOSFODNN7EXAMPLE AIzaSyA1234567890abcdefghijk ghp_abcdefghijklmnop", "[key] [key] [key]"),
        ("Authorization: Bearer abc.def-123456", "[secret] abc.def-123456"),
        ("curl -H 'authorization; bearer abc.def-123456'", "curl -H 'authorization; [bearer]'"),
        ('{"api_key": "hunter22"}', '{"[secret]"}'),
        ("password=correct-horse; next", "[secret]; next"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[jwt]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE-abc\n-----END RSA PRIVATE KEY-----\nrest",
            "[private_key]\nrest",
        ),
        ("-----BEGIN PRIVATE KEY-----\nwhat was cut off", "[private_key]"),
        ("pay with 4111 1111 1111 1111 today", "pay with [card] today"),
        ("4111111111111111, 5500-0000-0000-0004", "[card], [card]"),
        ("order 12 4111 1111 1111 1111", "order [card]"),
        ("call +49 (0)30 123456-78!", "call [phone]!"),
        ("名前は ann@example.jp です", "名前は [email] です"),
    ],
)
def test_what_is_found(text: str, redacted: str) -> None:
    assert BUILT_IN.redacted(text.encode()).decode() == redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing to see here",
        "4111111111111112 is no card, for its last digit is wrong",
        "in 2026 there were 1234567 of them at 10:30:00",
        "a sketch of sk-learn and risk-based work",
        "the bearer of bad news",
        "x @ y . z",
    ],
)
def test_what_is_left(text: str) -> None:
    assert BUILT_IN.redacted(text.encode()) == text.encode()


def test_an_operators_own_patterns() -> None:
    redaction = Redaction((r"ACME-\d+", "(?i)project (?:falcon|eagle)", "(a)(b)c"))
    text = b"ACME-77 is about Project Falcon, abc and me@example.org"
    assert redaction.redacted(text) == b"[redacted] is about [redacted], [redacted] and [email]"


def test_there_is_an_end_to_it() -> None:
    text = b"me@example.org " * (MOST_FOUND + 50)
    assert BUILT_IN.redacted(text) == b" ".join([b"[email]"] * MOST_FOUND)


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_key_is_found_wherever_it_stands(before: str, behind: str) -> None:
    text = f"{before} sk-canary-1234567890 {behind}".encode()
    assert b"canary" not in BUILT_IN.redacted(text)


@given(st.text(alphabet='4123 -@.a+\\"', max_size=100))
def test_whatever_comes_stays_utf_8(text: str) -> None:
    BUILT_IN.redacted(text.encode()).decode()
