"""What looks like something that nobody should keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.redacting.allowance import Allowance
from gateway.policy.redacting.draft import Draft
from gateway.policy.redacting.patterns import Redaction


def redacted(text: str, redaction: Redaction | None = None) -> str:
    draft = Draft(text.encode(), Allowance(lambda: 0.0), is_json=False)
    for search in (redaction or Redaction()).searches:
        draft.search(search)
    return draft.text.decode()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("my key is sk-proj-AbC_123-def456ghi.", "my key is [key]."),
        ("AKIAIOSFODNN7EXAMPLE AIzaSyA1234567890abcdefghijk ghp_abcdefghijklmnop", "[key] [key] [key]"),
        ("Authorization: Bearer abc.def-123456", "Authorization: [secret]"),
        ("Authorization: Basic dXNlcjpodW50ZXIy", "Authorization: [secret]"),
        ("curl -H 'authorization; bearer abc.def-123456'", "curl -H 'authorization; [bearer]'"),
        ('{"api_key": "hunter22"}', '{"api_key": "[secret]"}'),
        (r"{\"api_key\": \"pin\"}", r"{\"api_key\": \"[secret]\"}"),
        ("password='not one word'; next", "password='[secret]'; next"),
        ("OPENAI_API_KEY=abcdef7 DB_PASSWORD=hunter2", "OPENAI_API_KEY=[secret] DB_PASSWORD=[secret]"),
        ("password=correct-horse; next", "password=[secret]; next"),
        ("password=me@example.org next", "password=[secret] next"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[jwt]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE-abc\n-----END RSA PRIVATE KEY-----\nrest",
            "[private_key]\nrest",
        ),
        ("-----BEGIN PRIVATE KEY-----\nwhat was cut off", "[private_key]"),
        ("at postgres://app:s3cr3t@db.internal:5432/x", "at postgres://app:[secret]@db.internal:5432/x"),
        ('{"url":"redis://:hunter2@cache/0"}', '{"url":"redis://:[secret]@cache/0"}'),
    ],
)
def test_credentials(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ann.lee+x@mail.example.org, please", "write to [email], please"),
        ("bob.o'neil@ex-ample.co.uk", "[email]"),
        ("<ann@example.org>; (bob@example.org)", "<[email]>; ([email])"),
        ("bob@локал.рф and юзер@пример.рф", "[email] and [email]"),
        ("ünal@example.org", "[email]"),
        ("名前は ann@example.jp です", "名前は [email] です"),
        ("请发邮件到ann@example.com谢谢", "请发邮件到[email]谢谢"),
        ("写给 用户@例子.公司", "写给 [email]"),
        ("a@b.co c@d.co", "[email] [email]"),
    ],
)
def test_addresses(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("pay with 4111 1111 1111 1111 today", "pay with [card] today"),
        ("4111111111111111, 5500-0000-0000-0004", "[card], [card]"),
        ("4111.1111.1111.1111 and 3782.822463.10005", "[card] and [card]"),
        ("4111\u00a01111\u00a01111\u00a01111 4111\u20111111\u20111111\u20111111", "[card] [card]"),
        ("in 2026 4111 1111 1111 1111", "in 2026 [card]"),
        ("1001 1002 1003 4111 1111 1111 1111 1004", "1001 1002 1003 [card] 1004"),
        ("4222222222222 and 30569309025904", "[card] and [card]"),
        ("order 12 4111 1111 1111 1111", "order 12 [card]"),
        ("2026-11-22 4111 1111 1111 1111", "2026-11-22 [card]"),
        ("call +49 (0)30 123456-78!", "call [phone]!"),
    ],
)
def test_numbers(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing to see here",
        "4111111111111112 is no card, for its last digit is wrong",
        "0.4111111111111111 is a fraction, and 3.1415926535897932384626 too",
        "at 1795000000004 and 1795000000000000004, 2026-11-22 10:11:12",
        "in 2026 there were 1234567 of them at 10:30:00",
        "a sketch of sk-learn and risk-based work",
        "the bearer of bad news",
        "http://127.0.0.1:8080/a@b and https://example.org:443/x?to=a@b or ftp://ann@host/",
        "the secretary said: tokens are many, a password is none",
        "x @ y . z and a@b",
    ],
)
def test_what_is_left(text: str) -> None:
    assert redacted(text) == text


def test_an_operators_own_patterns() -> None:
    redaction = Redaction((r"ACME-\d+", "(?i)project (?:falcon|eagle)", "(a)(b)c"))
    text = "ACME-77 is about Project Falcon, abc and me@example.org"
    assert redacted(text, redaction) == "[redacted] is about [redacted], [redacted] and [email]"


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_key_is_found_wherever_it_stands(before: str, behind: str) -> None:
    assert "canary" not in redacted(f"{before} sk-canary-1234567890 {behind}")


@given(st.text(alphabet='4123 -@.a+\\"é名', max_size=100))
def test_whatever_comes_stays_utf_8(text: str) -> None:
    redacted(text)
