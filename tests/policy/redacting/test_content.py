"""A content with all of that taken out which nobody should keep, and cut."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.redacting.allowance import MOST_FOUND, MOST_SECONDS, Allowance
from gateway.policy.redacting.content import MARGIN_BYTES, Content, LookedFor, beginning_of, kept
from gateway.policy.redacting.known_secrets import KnownSecrets, credential_words
from gateway.policy.redacting.patterns import Redaction

NOTHING_MORE = LookedFor()
MOST = 100_000


def kept_of(content: object, looked_for: LookedFor = NOTHING_MORE, most: int = MOST) -> tuple[str, bool]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return kept(beginning_of(data, most), most, looked_for, Allowance(lambda: 0.0))


def json_of(content: object, looked_for: LookedFor = NOTHING_MORE) -> Any:
    text, cut = kept_of(content, looked_for)
    assert not cut
    return json.loads(text)


class TestWhatIsFound:
    def test_in_every_text_and_name(self) -> None:
        content = {
            "me@example.org": ["x", {"a": "sk-abcdefghijklmnop"}],
            "b": "me@example.org, you@example.org",
        }
        assert json_of(content) == {"[email]": ["x", {"a": "[key]"}], "b": "[email], [email]"}

    def test_in_numbers_which_become_texts(self) -> None:
        content = (
            b'{"card":4111111111111111,"at":1795000000004,"f":0.4111111111111111,"n":[4111111111111111,1]}'
        )
        assert json_of(content) == {
            "card": "[card]",
            "at": 1795000000004,
            "f": 0.4111111111111111,
            "n": ["[card]", 1],
        }

    def test_whatever_json_escapes(self) -> None:
        content = (
            rb'{"a":"me\u0040example.org\nsk\u002dabcdefghijklmnop","b\\":"\"4111\u00a01111 1111 1111\""}'
        )
        assert json_of(content) == {"a": "[email]\n[key]", "b\\": '"[card]"'}

    def test_each_text_by_itself(self) -> None:
        looked_for = LookedFor(
            Redaction((r"^one$", r"secret: [^x]+", r"\Aend\z", r"(?s)from.*", r"two\sthree"))
        )
        content = [
            "one",
            "one more",
            "two",
            "three",
            "two\nthree",
            "secret: a",
            "b",
            "x",
            "end",
            "an end",
            "from",
            "z",
        ]
        found = "[redacted]"
        assert json_of(content, looked_for)[:8] == [found, "one more", "two", "three", found, found, "b", "x"]
        assert json_of(content, looked_for)[9:] == ["an end", found, "z"]

    def test_what_is_no_json(self) -> None:
        assert kept_of(b"<p>me@example.org</p>\x1b\n\xff") == ("<p>[email]</p> \n", False)
        assert kept_of(b'{no json me@example.org "sk-abcdefghijklmnop') == (
            '{no json "[email]" "[key]',
            False,
        )

    def test_what_is_no_text(self) -> None:
        assert kept_of(b"ID3\x00\x01\x02") == ("[6 bytes that are no text]", True)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            *(
                "api_key",
                "apiKey",
                "API-Key",
                "x-api-key",
                "openai_api_key",
                "apikey",
                "access_key",
                "private_key",
            ),
            *(
                "password",
                "passwd",
                "pass",
                "db_password",
                "newPassword",
                "passphrase",
                "pwd",
                "pin",
                "cvc",
                "otp",
            ),
            *(
                "secret",
                "clientSecret",
                "client_secret",
                "token",
                "access_token",
                "refreshToken",
                "x-auth-token",
            ),
            *(
                "Authorization",
                "proxy-authorization",
                "auth",
                "cookie",
                "Set-Cookie",
                "credentials",
                "p\\u0061ss",
            ),
        ],
    )
    def test_that_say_secret(self, name: str) -> None:
        content = f'{{"a":1,"{name}" : "x","b":[{{"{name}":["y","z",1],"{name}":12}}],"c":"x"}}'
        expected = (
            f'{{"a":1,"{name}" :"[secret]","b":[{{"{name}":["[secret]"],"{name}":"[secret]"}}],"c":"x"}}'
        )
        assert kept_of(content.encode()) == (expected.replace("\\u0061", "a"), False)

    @pytest.mark.parametrize(
        "name",
        ["max_tokens", "shipping", "compass", "keyboard", "author", "secretary", "key", "prompt_cache_key"],
    )
    def test_that_do_not(self, name: str) -> None:
        assert json_of({name: "x", "n": [name, {name: 5}]}) == {name: "x", "n": [name, {name: 5}]}

    def test_values_that_say_nothing(self) -> None:
        content = {
            "password": None,
            "token": True,
            "secret": "",
            "auth": {"type": "x"},
            "required": ["password"],
        }
        assert json_of(content) == content

    def test_the_tokens_of_logprobs(self) -> None:
        content = {"logprobs": {"content": [{"token": "word", "logprob": -0.1}]}, "auth_token": "x"}
        assert json_of(content) == {**content, "auth_token": "[secret]"}

    def test_a_value_that_is_cut(self) -> None:
        text, cut = kept_of(b'{"password":"hunter2' + b"x" * (MOST + MARGIN_BYTES))
        assert "hunter2" not in text
        assert cut


class TestSecrets:
    KNOWN = LookedFor(
        known=KnownSecrets((b'a b"c', b"12345678", b"longer-12345678", b"k/e+y=", "schlüssel".encode()))
    )

    def test_known_ones_within_words_too(self) -> None:
        content = {"a": 'xa b"cx', "b": "longer-12345678", "n": 12345678, "c": "k/e+y= Schlüssel schlüssel"}
        assert json_of(content, self.KNOWN) == {
            "a": "x[secret]x",
            "b": "[secret]",
            "n": "[secret]",
            "c": "[secret] Schlüssel [secret]",
        }

    def test_the_key_that_the_client_has_shown(self) -> None:
        assert json_of(["it is (.*)key!"], LookedFor(shown=b"(.*)key")) == ["it is [secret]!"]

    def test_many_of_them(self) -> None:
        secrets = [f"secret-number-{number}-x" for number in range(300)]
        looked_for = LookedFor(known=KnownSecrets(tuple(map(str.encode, secrets))))
        for each in secrets[::50]:
            assert json_of([each], looked_for) == ["[secret]"]

    def test_credentials_of_others(self) -> None:
        words = frozenset(
            credential_words([b"Bearer canary-provider-key-77", b"s3cr3t-s3cr3t-s3cr3t/4-5-6-7-8-9-a-b-c"])
        )
        content = [
            "canary-provider-key-77, xcanary-provider-key-77",
            "s3cr3t-s3cr3t-s3cr3t",
            "4-5-6-7-8-9-a-b-c",
        ]
        assert json_of(content, LookedFor(words=words)) == [
            "[secret], xcanary-provider-key-77",
            "[secret]",
            "[secret]",
        ]

    def test_but_not_what_somebody_may_say_by_chance(self) -> None:
        said = [
            b"the weather today",
            b"correct-horse-battery-staple",
            b"eu-central-1",
            b"1234567890123456",
            b"short-1",
        ]
        assert list(credential_words(said)) == []

    @pytest.mark.parametrize("before", [8 * 1024 - 10, 8 * 1024 - 1, 8 * 1024, 64 * 1024 - 3])
    def test_wherever_it_stands(self, before: int) -> None:
        words = frozenset({b"canary-provider-key-77"})
        text, _ = kept_of(b"." * before + b" canary-provider-key-77 .", LookedFor(words=words))
        assert "canary" not in text


class TestBounds:
    def test_more_is_cut(self) -> None:
        text, cut = kept_of(["y" * 2000], most=1000)
        assert (len(text), cut) == (1000, True)

    def test_it_is_redacted_before_it_is_cut(self) -> None:
        for before in range(950, 1000):
            text, _ = kept_of(["x" * before + " sk-canary-abcdefghijklmnop"], most=1000)
            assert "canary" not in text

    def test_no_half_of_a_key_is_left_where_reading_ended(self) -> None:
        shrinking = "x sk-" + "a" * 396 + " "  # so that the end is not cut off anyway
        for short in range(40):
            begun = shrinking * 12
            begun += "x" * (1000 + MARGIN_BYTES - len(begun) - short) + " sk-canary-abcdefghijklmnop "
            assert "canary" not in kept_of([begun + "x " * 5000], most=1000)[0]

    def test_texts_that_ended_before_they_were_whole(self) -> None:
        data = json.dumps({"a": ["x" * 5000 + " sk-cana", "y" * 5000 + " sk-cana", "short"], "n": 1}).encode()
        text, cut = kept(Content(data, len(data), texts_cut=True), MOST, NOTHING_MORE, Allowance(lambda: 0.0))
        one, two, short = json.loads(text)["a"]
        assert (len(one), len(two), short, cut) == (5008 - MARGIN_BYTES, 5008 - MARGIN_BYTES, "", True)

    @pytest.mark.parametrize("texts", [["me@example.org " * 1000], ["me@example.org"] * 1000])
    def test_the_allowance(self, texts: list[str]) -> None:
        text, cut = kept_of(texts)
        assert cut
        assert "example" not in text
        assert MOST_FOUND / 2 - 5 < text.count("[email]") <= MOST_FOUND

    def test_it_is_one_for_both_sides(self) -> None:
        allowance = Allowance(lambda: 0.0)
        data = json.dumps(["me@example.org " * 1000]).encode()
        kept(beginning_of(data, MOST), MOST, NOTHING_MORE, allowance)
        text, cut = kept(beginning_of(data, MOST), MOST, NOTHING_MORE, allowance)
        assert (text, cut) == ('["', True)
        harmless = b'{"messages":[]}'
        assert kept(beginning_of(harmless, MOST), MOST, NOTHING_MORE, allowance) == (harmless.decode(), True)

    def test_it_ends_with_time_too(self) -> None:
        times = iter([0.0, 0.0, MOST_SECONDS / 2, MOST_SECONDS, MOST_SECONDS])
        text, cut = kept(
            beginning_of(b"a@b.co c@d.co e@f.co g@h.co", MOST),
            MOST,
            NOTHING_MORE,
            Allowance(lambda: next(times)),
        )
        assert (text, cut) == ("[email] [email] ", True)

    def test_what_takes_objects_ages(self) -> None:
        for content in (b"[" * 50_000, b'{"a":' * 10_000, b"[1.2345678901234567890123e-307,", b"1" * 50_000):
            text, cut = kept_of(b"[" + content)
            assert (text, cut) == ("[" + content.decode(), False)


PIECES = st.sampled_from(
    [
        '"',
        "\\",
        "\\u0040",
        "@",
        "me@example.org",
        "sk-abcdefghijklmnop",
        "4111111111111111",
        "{",
        "}",
        "[",
        ":",
        ",",
        "\n",
        "é",
    ]
)


@given(st.lists(PIECES, max_size=20).map(lambda pieces: "{ " + " ".join(pieces)))
def test_whatever_comes(content: str) -> None:
    text, _ = kept_of(content.encode())
    assert "me@example.org" not in text
    assert "sk-abcdefghijklmnop" not in text


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
)
def test_json_stays_json(value: Any) -> None:
    msgspec.json.decode(kept_of({"me@example.org": value, "token": [value]})[0])
