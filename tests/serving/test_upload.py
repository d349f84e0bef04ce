"""Request bodies that are streamed through."""

from __future__ import annotations

import json

from gateway.serving.upload import Upload
from gateway.wire.limits import DownstreamLimits
from tests.fakes.client import Client
from tests.fakes.conf import provider, route
from tests.fakes.house import (
    ANSWER,
    HELLO,
    ConversationTestCase,
    answer,
    error,
    get,
    parts,
    post,
)


class UploadTests(ConversationTestCase):
    """Files are streamed through, as fast as the provider takes them."""

    PATH = b"/v1/audio/transcriptions"
    FORM = b"Content-Type: multipart/form-data; boundary=x"

    def begin(self, client: Client, *lines: bytes) -> None:
        head = b"".join(line + b"\r\n" for line in (b"Host: demo", self.FORM, *lines))
        self.assertEqual(client.sends(b"POST " + self.PATH + b" HTTP/1.1\r\n" + head + b"\r\n"), b"")

    def test_of_a_known_length(self) -> None:
        house, client = self.open()
        self.begin(client, b"Content-Length: 6")
        first, headers, body = parts(house.provider.received())
        self.assertEqual((first, body), (b"POST /v1/audio/transcriptions HTTP/1.1", b""))
        self.assertEqual(headers[b"content-type"], b"multipart/form-data; boundary=x")
        self.assertEqual(headers[b"content-length"], b"6")
        client.sends(b"abc")
        self.assertEqual(house.provider.received(), b"abc")
        client.sends(b"def")
        self.assertEqual(house.provider.received(), b"def")
        house.provider.answers(ANSWER)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(house.record.bytes_in, 6)
        self.assertEqual(house.record.request_prompt_tokens, 5)
        for name in ("requests", "tokens", "attempts"):
            self.assertNotEqual(house.number(f"llmgateway_{name}_total", model=""), 0, name)

    def test_in_chunks(self) -> None:
        house, client = self.open()
        self.begin(client, b"Transfer-Encoding: chunked")
        self.assertEqual(parts(house.provider.received())[1][b"transfer-encoding"], b"chunked")
        client.sends(b"3\r\nabc\r\n")
        client.sends(b"0\r\n\r\n")
        self.assertEqual(house.provider.received(), b"3\r\nabc\r\n0\r\n\r\n")
        house.provider.answers(ANSWER)

    def test_while_there_is_no_connection_the_client_is_not_read(self) -> None:
        house, client = self.open()
        house.network.hangs = True
        self.begin(client, b"Content-Length: 9")
        client.sends(b"abc")
        self.assertFalse(client.is_read)
        house.network.goes_on()
        self.assertTrue(client.is_read)
        self.assertTrue(house.provider.received().endswith(b"\r\n\r\nabc"))
        client.sends(b"defghi")
        self.assertEqual(house.provider.received(), b"defghi")
        house.provider.answers(ANSWER)

    def test_a_whole_body_that_waited(self) -> None:
        house, client = self.open()
        house.network.hangs = True
        self.begin(client, b"Transfer-Encoding: chunked")
        client.sends(b"3\r\nabc\r\n0\r\n\r\n")
        house.network.goes_on()
        house.clock.advance(0)
        self.assertTrue(house.provider.received().endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
        house.provider.answers(ANSWER)

    def test_a_provider_that_takes_no_more_stops_the_client(self) -> None:
        house, client = self.open()
        self.begin(client, b"Content-Length: 9")
        house.provider.takes_no_more()
        client.sends(b"abc")
        self.assertFalse(client.is_read)
        house.provider.takes_more()
        self.assertTrue(client.is_read)
        client.sends(b"defghi")
        house.provider.answers(ANSWER)

    def test_an_answer_before_the_end_of_the_body(self) -> None:
        house, client = self.open()
        self.begin(client, b"Content-Length: 9")
        client.sends(b"abc")
        house.provider.answers(answer(b"too large", status=b"413 No"))
        self.assertTrue(client.received().startswith(b"HTTP/1.1 413 "))
        self.assertEqual(house.provider.end, "aborted", "the rest of the body would be the next request")
        self.assertEqual(house.counted, {("413", "provider_error"): 1})
        client.sends(b"defghi")
        client.sends(get(b"/v1/models"))
        self.assertEqual(house.counted[("200", "ok")], 1)

    def test_it_is_not_risked_on_a_kept_connection_and_never_sent_twice(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        client.received()
        self.begin(client, b"Content-Length: 9")
        self.assertEqual(len(house.network.providers), 2)
        client.sends(b"abc")
        house.provider.resets()
        self.assertEqual(error(client.received())["code"], "provider_reset")
        self.assertEqual(len(house.network.providers), 2)

    def test_a_client_that_leaves_in_the_middle(self) -> None:
        house, client = self.open()
        self.begin(client, b"Content-Length: 9")
        client.sends(b"abc")
        client.leaves()
        self.assertEqual(house.provider.end, "aborted")
        self.assertEqual(house.counted, {("499", "client_left"): 1})

    def test_a_body_that_stalls(self) -> None:
        house, client = self.open(limits=DownstreamLimits(body_seconds=2.0))
        self.begin(client, b"Content-Length: 9")
        client.sends(b"abc")
        self.assertEqual(error(client.waits(3))["code"], "request_timeout")
        self.assertEqual(house.provider.end, "aborted")
        self.assertEqual(house.counted, {("408", "client_error"): 1})

    def test_json_at_such_a_path_is_read(self) -> None:
        house, client = self.open()
        client.sends(post({"file": "x"}, b"Content-Type: application/json", path=self.PATH))
        self.assertEqual(json.loads(parts(house.provider.received())[2])["model"], "plain")
        house.provider.answers(ANSWER)

    def test_no_rule(self) -> None:
        only = "rules: [{matches: [{headers: {x: {}}}], backendRefs: [{providerHost: a.example}]}]"
        _, client = self.open(provider("a") + route("demo", only))
        received = client.sends(post(b"abc", self.FORM, path=self.PATH))
        self.assertEqual(error(received)["code"], "no_route")


class Recorder:
    """Stands for the client's connection and the provider's: notes what is asked of both, in order."""

    def __init__(self, full_after: int = 99) -> None:
        self.asked: list[str] = []
        self.upload: Upload | None = None
        self._full_after = full_after

    def pause_body(self) -> None:
        self.asked.append("pause")

    def resume_body(self) -> None:
        self.asked.append("resume")

    def send_body(self, data: bytes) -> None:
        self.asked.append(data.decode())
        self._full_after -= 1
        if self._full_after == 0 and self.upload is not None:
            self.upload.full()

    def end_body(self) -> None:
        self.asked.append("end")


def upload(*, full_after: int = 99, chunked: bool = False) -> tuple[Upload, Recorder]:
    recorder = Recorder(full_after)
    recorder.upload = Upload(recorder, chunked=chunked)  # type: ignore[arg-type]
    return recorder.upload, recorder


def test_a_provider_that_is_full_of_what_came_early_keeps_the_client_paused() -> None:
    body, recorder = upload(full_after=1)
    body.received(b"early")
    body.connected(recorder)  # type: ignore[arg-type]
    assert recorder.asked == ["pause", "resume", "early", "pause"]
    body.drained()
    assert recorder.asked[-1] == "resume"


def test_what_comes_when_nobody_wants_it_any_more_is_thrown_away() -> None:
    body, recorder = upload()
    body.connected(recorder)  # type: ignore[arg-type]
    body.received(b"early")
    body.disconnected()
    body.received(b"late")
    body.ended()
    assert recorder.asked == ["resume", "early"]


def test_what_was_not_sent_at_all_waits_for_the_next_connection() -> None:
    body, recorder = upload()
    body.connected(recorder)  # type: ignore[arg-type]
    body.disconnected()
    before = body.spent
    body.received(b"late")
    body.connected(recorder)  # type: ignore[arg-type]
    assert (before, body.spent) == (False, True)
    assert recorder.asked == ["resume", "pause", "resume", "late"]


def test_chunks_are_framed() -> None:
    body, recorder = upload(chunked=True)
    body.connected(recorder)  # type: ignore[arg-type]
    body.received(b"x" * 17)
    body.ended()
    assert recorder.asked == ["resume", "11\r\n" + "x" * 17 + "\r\n", "0\r\n\r\n", "end"]
