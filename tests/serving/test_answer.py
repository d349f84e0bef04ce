"""What of a provider's answer reaches the client."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

from gateway.errors import GatewayError
from gateway.serving import provider_answer
from tests.fakes.conf import provider, route, route_to
from tests.fakes.house import (
    ANSWER,
    CHAT,
    HELLO,
    KEY,
    LAST_CHUNK,
    ONCE,
    STREAM,
    USAGE,
    ConversationTestCase,
    House,
    answer,
    event,
    parts,
    post,
    unchunked,
    words,
)

BREAKING = ONCE.replace("retries:", "onStreamBreak: error, retries:")
"""And a stream that breaks is not continued."""


class StreamTests(ConversationTestCase):
    ASKED = {**HELLO, "stream": True}  # noqa: RUF012

    def test_events_are_relayed_as_they_come(self) -> None:
        house, client = self.open()
        client.sends(post(self.ASKED))
        sent = json.loads(parts(house.provider.received())[2])
        self.assertEqual(sent["stream_options"], {"include_usage": True})
        house.provider.answers(STREAM)
        self.assertEqual(client.received(), b"", "nothing is told before there is something to tell")
        house.provider.answers(event(words("Hel")))
        status, headers, body = parts(client.received())
        self.assertEqual(status, b"HTTP/1.1 200 OK")
        self.assertEqual(headers[b"content-type"], b"text/event-stream")
        self.assertEqual(unchunked(body), b"data: %b\n\n" % json.dumps(words("Hel")).encode())
        for word in ("lo", "!"):
            house.provider.answers(event(words(word)))
            self.assertEqual(unchunked(client.received()), b"data: %b\n\n" % json.dumps(words(word)).encode())
        house.provider.answers(event(b"[DONE]") + LAST_CHUNK)
        self.assertEqual(unchunked(client.received()), b"data: [DONE]\n\n<end>")
        self.assertEqual(house.counted, {("200", "ok"): 1})
        self.assertTrue(house.record.stream)
        self.assertEqual(house.record.answered_model, "answered-1")

    def stream(self, request: Mapping[str, object], *events: bytes) -> tuple[House, bytes]:
        house, client = self.open()
        client.sends(post(request))
        house.provider.answers(STREAM + b"".join(events) + LAST_CHUNK)
        return house, unchunked(parts(client.received())[2])

    def test_the_usage_chunk_is_kept_from_who_did_not_ask(self) -> None:
        house, seen = self.stream(self.ASKED, event(words("x")), event(USAGE), event(b"[DONE]"))
        self.assertNotIn(b"prompt_tokens", seen)
        self.assertTrue(seen.endswith(b"data: [DONE]\n\n<end>"))
        self.assertEqual((house.record.request_prompt_tokens, house.record.request_completion_tokens), (7, 3))
        self.assertEqual(house.number("llmgateway_tokens_total", type="output"), 3)

    def test_a_stream_of_a_known_length_is_shorter_then(self) -> None:
        house, client = self.open()
        client.sends(post(self.ASKED))
        said = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(USAGE).encode()
        house.provider.answers(answer(said, kind=b"text/event-stream"))
        _, headers, body = parts(client.received())
        self.assertNotIn(b"content-length", headers)
        self.assertEqual(unchunked(body), b"data: [DONE]\n\n<end>")

    def test_and_given_to_who_did(self) -> None:
        asked = {**self.ASKED, "stream_options": {"include_usage": True}}
        house, seen = self.stream(asked, event(words("x")), event(USAGE), event(b"[DONE]"))
        self.assertIn(b'"prompt_tokens": 7', seen)
        self.assertEqual(house.record.request_prompt_tokens, 7)

    def test_bytes_of_the_body_are_those_that_the_client_got(self) -> None:
        house, seen = self.stream(self.ASKED, event(words("x")), event(USAGE), event(b"[DONE]"))
        self.assertEqual(house.record.bytes_out, len(seen.removesuffix(b"<end>")))

    def test_a_media_type_is_known_in_any_case(self) -> None:
        house, client = self.open()
        client.sends(post(self.ASKED))
        house.provider.answers(
            STREAM.replace(b"text/event-stream", b"Text/Event-Stream; charset=utf-8")
            + event(USAGE) + event(b"[DONE]") + LAST_CHUNK
        )  # fmt: skip
        self.assertNotIn(b"prompt_tokens", client.received())
        self.assertTrue(house.record.stream)


class ProvidersErrorsTests(ConversationTestCase):
    """What a provider says goes on, less what is ours or only between it and us."""

    def answered(self, said: bytes, conf: str = ONCE) -> tuple[House, bytes, dict[bytes, bytes], bytes]:
        house, client = self.open(conf)
        client.sends(post(HELLO))
        house.provider.answers(said)
        return (house, *parts(client.received()))

    def test_an_error_is_passed_on_with_our_secret_overwritten(self) -> None:
        said = b'{"error": {"message": "Incorrect API key: sk-of-the-provider"}}'
        house, status, headers, body = self.answered(
            answer(said, b"Retry-After: 20", status=b"429 Calm Down")
        )
        self.assertEqual(status, b"HTTP/1.1 429 Too Many Requests")
        self.assertEqual(headers[b"x-llmgateway-error-source"], b"provider")
        self.assertEqual(headers[b"retry-after"], b"20")
        self.assertEqual(body, said.replace(KEY, b"*" * len(KEY)))
        self.assertEqual(house.counted, {("429", "provider_error"): 1})
        self.assertEqual(house.record.bytes_out, len(said))

    def test_in_every_split(self) -> None:
        said = b'{"error": "no: sk-of-the-provider."}'
        whole = answer(said, status=b"401 Unauthorized")
        for at in range(len(whole) - len(said), len(whole)):
            house, client = self.open()
            client.sends(post(HELLO))
            house.provider.answers(whole[:at])
            house.provider.answers(whole[at:])
            self.assertEqual(parts(client.received())[2], said.replace(KEY, b"*" * len(KEY)))

    def test_headers_that_are_not_for_the_client(self) -> None:
        _, _, headers, _ = self.answered(
            answer(
                b"{}",
                b"Set-Cookie: session=1",
                b"Location: https://elsewhere.example/",
                b"Server: nginx",
                b"Via: 1.1 someone",
                b"Strict-Transport-Security: max-age=1",
                b"Openai-Organization: ours",
                b"X-Debug: sent with sk-of-the-provider",
                b"X-Llmgateway-Error-Source: gateway",
                b"X-Llmgateway-Attempts: 9",
                b"X-Ratelimit-Remaining: 9",
                b"Connection: keep-alive, x-hop",
                b"X-Hop: 1",
            )
        )
        self.assertEqual(
            headers.keys(),
            {
                *(b"content-type", b"content-length", b"date", b"x-request-id", b"x-ratelimit-remaining"),
                *(b"x-llmgateway-attempts", b"x-llmgateway-backend"),
            },
        )
        self.assertEqual(headers[b"x-llmgateway-attempts"], b"1")
        self.assertEqual(headers[b"date"], b"Thu, 01 Jan 1970 00:00:00 GMT")

    def test_a_redirect_is_not_followed_and_leads_nowhere(self) -> None:
        house, status, headers, body = self.answered(
            answer(b"moved", b"Location: https://elsewhere.example/", status=b"307 Temporary Redirect")
        )
        self.assertEqual((status, body), (b"HTTP/1.1 307 Temporary Redirect", b"moved"))
        self.assertNotIn(b"location", headers)
        self.assertEqual(len(house.network.providers), 1)
        self.assertEqual(house.counted, {("307", "ok"): 1})

    def test_an_answer_without_a_body(self) -> None:
        house, status, _, body = self.answered(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual((status, body), (b"HTTP/1.1 204 No Content", b""))
        self.assertEqual(house.counted, {("204", "ok"): 1})

    def test_an_answer_that_is_no_json_is_not_read(self) -> None:
        house, *_ = self.answered(answer(json.dumps(CHAT).encode(), kind=b"audio/mpeg"))
        self.assertIsNone(house.record.request_prompt_tokens)

    def test_an_answer_that_lies_about_its_type_is_no_answer(self) -> None:
        house, status, _, body = self.answered(answer(b"not json"))
        self.assertEqual(status, b"HTTP/1.1 502 Bad Gateway")
        self.assertEqual(json.loads(body)["error"]["code"], "provider_answer_cut")
        self.assertEqual(house.record.answered_model, "")

    def test_an_error_with_a_short_key_is_left_alone(self) -> None:
        conf = ONCE.replace("sk-of-the-provider", "e")
        _, _, headers, body = self.answered(answer(b"here", status=b"500 Oops"), conf)
        self.assertEqual(body, b"here")
        self.assertIn(b"content-type", headers)

    def test_what_is_compressed_although_it_was_not_asked_for_is_handed_on_unread(self) -> None:
        house, _, headers, body = self.answered(
            answer(b"\x1f\x8b...", b"Content-Encoding: br", kind=b"text/event-stream")
        )
        self.assertEqual((headers[b"content-encoding"], body), (b"br", b"\x1f\x8b..."))
        self.assertFalse(house.record.stream)

    def test_an_error_in_a_stream_is_scrubbed_too(self) -> None:
        house, client = self.open(BREAKING)
        client.sends(post({**HELLO, "stream": True}))
        error = {"error": {"message": "no such key: sk-of-the-provider"}}
        house.provider.answers(STREAM + event(words("x")) + event(error) + LAST_CHUNK)
        seen = unchunked(parts(client.received())[2])
        self.assertNotIn(KEY, seen)
        self.assertIn(b"no such key: " + b"*" * len(KEY), seen)

    def test_an_error_before_any_content_is_an_error(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post({**HELLO, "stream": True}))
        error = {"error": {"message": "no such key: sk-of-the-provider", "code": "bad_key"}}
        house.provider.answers(STREAM + event(words("")) + event(error) + LAST_CHUNK)
        status, headers, body = parts(client.received())
        self.assertEqual(status, b"HTTP/1.1 502 Bad Gateway")
        self.assertEqual(headers[b"x-llmgateway-error-source"], b"provider")
        self.assertEqual(headers[b"content-type"], b"application/json")
        told = json.loads(body)["error"]
        self.assertEqual((told["message"], told["code"]), ("no such key: " + "*" * len(KEY), "bad_key"))

    def test_no_word_of_an_error_tells_our_secret(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post({**HELLO, "stream": True}))
        words_of_it = ("message", "type", "code")
        error = {"error": dict.fromkeys(words_of_it, "sk-of-the-provider")}
        house.provider.answers(STREAM + event(error) + LAST_CHUNK)
        told = json.loads(parts(client.received())[2])["error"]
        self.assertEqual([told[word] for word in words_of_it], ["*" * len(KEY)] * 3)

    def test_an_error_that_ends_a_stream_without_an_empty_line_is_scrubbed_too(self) -> None:
        house, client = self.open(BREAKING)
        client.sends(post({**HELLO, "stream": True}))
        last = b'data: {"error": "sk-of-the-provider"}'
        said = event(words("x")) + b"%x\r\n%b\r\n" % (len(last), last)
        house.provider.answers(STREAM + said + LAST_CHUNK)
        seen = parts(client.received())[2]
        self.assertIn(b'{"error": "' + b"*" * len(KEY), seen)
        self.assertNotIn(KEY, seen)

    def test_an_error_that_is_compressed_is_replaced(self) -> None:
        house, status, headers, body = self.answered(
            answer(b"\x1f\x8b sk-of", b"Content-Encoding: br", status=b"401 No")
        )
        self.assertEqual(status, b"HTTP/1.1 401 Unauthorized")
        self.assertNotIn(b"content-encoding", headers)
        self.assertEqual(headers[b"x-llmgateway-error-source"], b"provider")
        self.assertIn("is compressed", json.loads(body)["error"]["message"])
        self.assertEqual(house.record.bytes_out, len(body))

    def test_every_value_from_outside_and_every_spelling_of_it_is_overwritten(self) -> None:
        spec = """
        configs: {defaultConfig: {openAIConfig: {apiKey: "${KEY}", headers: {x-extra: "Token ${EXTRA}"}}}}
        """
        house = self.house(
            provider("a", spec) + route_to("a"), environment={"KEY": "sk/slash/key", "EXTRA": "canary-extra"}
        )
        client = house.client()
        client.sends(post(HELLO))
        house.provider.answers(answer(b"sk\\/slash\\/key canary-extra sk/slash/key", status=b"403 No"))
        self.assertEqual(parts(client.received())[2], b"%b %b %b" % (b"*" * 14, b"*" * 12, b"*" * 12))

    def test_what_is_gzipped_is_opened_and_read(self) -> None:
        whole = json.dumps(CHAT).encode()
        house, _, headers, body = self.answered(answer(gzip.compress(whole), b"Content-Encoding: gzip"))
        self.assertEqual(body, whole)
        self.assertNotIn(b"content-encoding", headers)
        self.assertEqual(house.record.request_prompt_tokens, 5)
        said = b'{"error": {"message": "no: sk-of-the-provider"}}'
        _, _, _, body = self.answered(
            answer(gzip.compress(said), b"Content-Encoding: gzip", status=b"401 No")
        )
        self.assertEqual(body, said.replace(KEY, b"*" * len(KEY)))

    def test_what_is_no_gzip_is_no_answer(self) -> None:
        for said in (b"not gzip", gzip.compress(b"{}")[:-12], gzip.compress(b"0" * 20_000_000)):
            _, status, _, body = self.answered(answer(said, b"Content-Encoding: gzip"))
            self.assertEqual(status, b"HTTP/1.1 502 Bad Gateway")
            self.assertEqual(json.loads(body)["error"]["code"], "provider_answer_cut")

    def test_identity_is_no_compression(self) -> None:
        house, *_ = self.answered(answer(json.dumps(CHAT).encode(), b"Content-Encoding: identity"))
        self.assertEqual(house.record.request_prompt_tokens, 5)

    def test_an_answer_beyond_reason_is_relayed_and_only_its_ends_are_kept(self) -> None:
        self.patch(provider_answer, "ANSWER_BYTES", 30)
        house, _, _, body = self.answered(ANSWER)
        self.assertEqual(json.loads(body), CHAT)
        self.assertEqual(house.record.request_prompt_tokens, 5)
        self.assertEqual(house.record.answered_model, CHAT["model"])

    def test_a_secret_that_ends_the_body_is_overwritten_and_its_beginning_is_let_go(self) -> None:
        for said, seen in ((b"no: " + KEY, b"no: " + b"*" * len(KEY)), (b"no: sk-of", b"no: sk-of")):
            _, _, _, body = self.answered(answer(said, status=b"401 No", kind=b"text/plain"))
            self.assertEqual(body, seen)

    def test_a_request_id_that_holds_a_secret_is_not_logged(self) -> None:
        house, *_ = self.answered(answer(b"{}", b"X-Request-Id: " + KEY))
        self.assertEqual(house.record.provider_request_id, "")


class RuleHeadersTests(ConversationTestCase):
    HEADERS = "{response: {set: {Cache-Control: no-store, x-shown: '${SHOWN}'}, add: {x-tag: ours}, remove: [X-Limit]}}"
    CONF = provider("a") + route(
        "demo",
        f"rules: [{{headers: {HEADERS}, retries: {{attempts: 1}}, backendRefs: [{{providerHost: a.example}}]}}]",
    )
    LINES = (b"Cache-Control: private", b"X-Tag: theirs", b"X-Limit: 5", b"X-Rest: 1")

    def told(self, received: bytes) -> list[bytes]:
        """The header lines of an answer that do not belong to the wire."""
        lines = parts_of_head(received)
        self.assertEqual(sum(line.startswith(b"x-request-id: ") for line in lines), 1)
        return [
            line
            for line in lines
            if line.startswith((b"cache-", b"x-tag", b"x-limit", b"x-rest", b"x-shown"))
        ]

    OURS = [  # noqa: RUF012
        b"x-tag: theirs",
        b"x-rest: 1",
        b"cache-control: no-store",
        b"x-shown: from-outside",
        b"x-tag: ours",
    ]

    def test_they_change_what_a_provider_answers_whole_streamed_or_as_an_error(self) -> None:
        for answered in (
            answer(b"{}", *self.LINES),
            answer(b"{}", *self.LINES, status=b"429 Too Many Requests"),
            STREAM.removesuffix(b"\r\n")
            + b"".join(line + b"\r\n" for line in self.LINES)
            + b"\r\n"
            + event(words("x"))
            + event(b"[DONE]")
            + LAST_CHUNK,
        ):
            house, client = self.open(self.CONF, environment={"SHOWN": "from-outside"})
            client.sends(post({**HELLO, "stream": True}))
            house.provider.answers(answered)
            self.assertEqual(self.told(client.received()), self.OURS)

    def test_they_leave_our_own_refusals_alone(self) -> None:
        house, client = self.open(self.CONF, environment={"SHOWN": "from-outside"})
        house.network.fails_with = GatewayError("provider_connect_failed", "No.")
        self.assertEqual(self.told(client.sends(post(HELLO))), [])


def parts_of_head(received: bytes) -> list[bytes]:
    """The header lines of an answer, names in lower case."""
    lines = received.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [line.partition(b":")[0].lower() + b":" + line.partition(b":")[2] for line in lines]
