from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.interfaces import ISystemHandle, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from gateway.errors import Progress
from gateway.messages import Destination, ResponseHead, Timeouts, TlsSettings
from gateway.wire.limits import LINGER_SECONDS, SWEEP_SECONDS
from gateway.wire.sweep import Sweep, Swept
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.attempts import RecordingReceiver
from tests.fakes.upstreams import PLAIN, Provider, RecordingHome

REQUEST = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\n"

HEARD_AT_ONCE = ["head body end"]

SECURED = Destination(
    owner="acme",
    provider="a",
    address="api.example.com",
    port=443,
    tls=TlsSettings(server_name="api.example.com", names=("api.example.com",)),
)


class UpstreamTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sweep = Sweep(self.clock, self.clock.seconds)
        self.sweep.start()
        self.provider = Provider(self.sweep)
        self.connection = self.provider.connection
        self.receiver = RecordingReceiver()

    def send(self, timeouts: Timeouts | None = None, **options: Any) -> None:
        self.connection.send(REQUEST, self.receiver, timeouts=timeouts or Timeouts(), **options)

    def assert_failed(self, code: str, progress: Progress) -> None:
        self.assertEqual(self.receiver.outcome, code)
        self.assertEqual(self.receiver.events[-1], "answer_failed")
        self.assertEqual(self.receiver.events.count("answer_failed"), 1)
        assert self.receiver.error is not None
        self.assertEqual(self.receiver.error.progress, progress)
        self.assertEqual(self.provider.home.gone, 1)


class AnswerTests(UpstreamTestCase):
    def test_an_answer_in_one_read(self) -> None:
        self.send()
        self.assertEqual(self.provider.received(), REQUEST)
        self.provider.answers(ANSWER)
        self.assertEqual(self.receiver.events, HEARD_AT_ONCE)
        self.assertEqual(self.receiver.head, ResponseHead(200, [], 2))
        self.assertEqual(self.receiver.body, b"hi")

    def test_every_read_of_a_stream_is_told_at_once_and_as_one_piece(self) -> None:
        self.send()
        self.provider.answers(STREAM)
        self.provider.answers(b"1\r\na\r\n2\r\nbc\r\n")
        self.provider.answers(b"1\r\nd\r\n0\r\n\r\n")
        self.assertEqual(
            self.receiver.events,
            ["head", "body", "body end"],
        )
        self.assertEqual(self.receiver.body, b"abcd")

    def test_nothing_is_told_of_half_a_head(self) -> None:
        self.send()
        self.provider.answers(ANSWER[:30])
        self.assertEqual(self.receiver.events, [])
        self.provider.answers(ANSWER[30:])
        self.assertEqual(self.receiver.events, HEARD_AT_ONCE)

    def test_an_answer_to_head_has_no_body_and_the_next_request_is_answered(self) -> None:
        self.send(expects_no_body=True)
        self.provider.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n")
        self.assertEqual(self.receiver.events, ["head end"])
        self.receiver = RecordingReceiver()
        self.send()
        self.provider.answers(ANSWER)
        self.assertEqual(self.receiver.body, b"hi")

    def test_a_malformed_answer_is_aborted(self) -> None:
        self.send()
        self.provider.answers(b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n")
        self.assert_failed("provider_malformed_answer", Progress.HEAD_RECEIVED)
        self.assertEqual(self.receiver.events, ["answer_failed"])
        self.assertEqual(self.provider.end, "aborted")

    def test_what_stood_before_a_malformed_chunk_is_told(self) -> None:
        self.send()
        self.provider.answers(STREAM + b"2\r\nhi\r\nx\r\n")
        self.assertEqual(self.receiver.events, ["head body", "answer_failed"])
        self.assert_failed("provider_malformed_answer", Progress.HEAD_RECEIVED)
        self.assertEqual(self.receiver.body, b"hi")


class ReuseTests(UpstreamTestCase):
    def assert_kept(self, *, kept: bool, end: str = "") -> None:
        self.assertEqual(self.receiver.outcome, "ended")
        self.assertEqual((self.provider.home.usable, self.provider.home.gone), (2, 0) if kept else (1, 1))
        self.assertEqual(self.provider.end, end)

    def test_a_new_connection_is_usable_and_has_carried_nothing(self) -> None:
        self.assertEqual(self.provider.home.usable, 1)
        self.assertFalse(self.connection.reused)

    def test_a_connection_carries_answer_after_answer(self) -> None:
        for _ in range(3):
            self.receiver = RecordingReceiver()
            self.send()
            self.provider.answers(ANSWER)
            self.assertEqual(self.receiver.events, HEARD_AT_ONCE)
            self.assertTrue(self.connection.reused)
        self.assertEqual(self.provider.home.usable, 4)

    def test_connection_close_is_not_kept(self) -> None:
        self.send()
        self.provider.answers(b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n")
        self.assert_kept(kept=False, end="closed")

    def test_http_1_0_is_not_kept(self) -> None:
        self.send()
        self.provider.answers(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        self.assert_kept(kept=False, end="closed")

    def test_bytes_behind_an_answer_are_not_kept_and_reach_nobody(self) -> None:
        self.send()
        self.provider.answers(ANSWER + ANSWER)
        self.assertEqual(self.receiver.events, HEARD_AT_ONCE)
        self.assert_kept(kept=False, end="aborted")

    def test_bytes_on_an_idle_connection_end_it(self) -> None:
        self.send()
        self.provider.answers(ANSWER)
        self.provider.answers(ANSWER)
        self.assertEqual(self.receiver.events, HEARD_AT_ONCE)
        self.assertEqual((self.provider.home.gone, self.provider.end), (1, "aborted"))

    def test_a_close_of_an_idle_connection_is_told_to_its_home(self) -> None:
        self.provider.closes()
        self.assertEqual(self.provider.home.gone, 1)
        self.assertFalse(self.connection.open)

    def test_an_answer_before_the_request_is_sent_is_told_and_not_kept(self) -> None:
        self.send(more=True)
        self.provider.answers(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        self.assert_kept(kept=False, end="aborted")
        self.provider.received()
        self.connection.send_body(b"more")
        self.connection.end_body()
        self.assertEqual(self.provider.received(), b"")

    def test_an_answer_while_the_socket_still_holds_the_request_is_not_kept(self) -> None:
        self.provider.takes_no_more()
        self.send()
        self.provider.answers(ANSWER)
        self.assert_kept(kept=False, end="aborted")

    def test_a_whole_streamed_request_is_kept(self) -> None:
        self.send(more=True)
        self.connection.send_body(b"more")
        self.connection.end_body()
        self.assertEqual(self.provider.received(), REQUEST + b"more")
        self.provider.answers(ANSWER)
        self.assert_kept(kept=True)

    def test_a_receiver_that_aborts_at_the_end_keeps_nothing(self) -> None:
        self.receiver = RecordingReceiver({"head body end": self.connection.abort})
        self.send()
        self.provider.answers(ANSWER)
        self.assert_kept(kept=False, end="aborted")


class LossTests(UpstreamTestCase):
    def test_lost_before_any_byte_of_an_answer(self) -> None:
        self.send()
        self.provider.closes()
        self.assert_failed("provider_reset", Progress.SENT)

    def test_lost_before_the_request(self) -> None:
        self.provider.closes()
        self.send()
        self.assert_failed("provider_reset", Progress.NOT_SENT)
        self.assertEqual(self.provider.received(), b"")

    def test_reused_tells_whether_it_may_be_sent_again(self) -> None:
        self.send()
        self.provider.answers(ANSWER)
        self.receiver = RecordingReceiver()
        self.send()
        self.provider.resets()
        self.assert_failed("provider_reset", Progress.SENT)
        self.assertTrue(self.connection.reused)

    def test_the_home_hears_of_a_loss_before_the_receiver(self) -> None:
        gone: list[int] = []
        self.receiver = RecordingReceiver({"answer_failed": lambda: gone.append(self.provider.home.gone)})
        self.send()
        self.provider.resets()
        self.assertEqual(gone, [1])

    def test_lost_within_the_head(self) -> None:
        self.send()
        self.provider.answers(b"HTTP/1.1 200 OK\r\n")
        self.provider.closes()
        self.assert_failed("provider_answer_cut", Progress.HEAD_RECEIVED)

    def test_lost_behind_an_informational_answer(self) -> None:
        self.send()
        self.provider.answers(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.provider.closes()
        self.assert_failed("provider_answer_cut", Progress.HEAD_RECEIVED)

    def test_lost_within_a_body_of_known_length(self) -> None:
        self.send()
        self.provider.answers(ANSWER[:-1])
        self.provider.closes()
        self.assert_failed("provider_answer_cut", Progress.HEAD_RECEIVED)
        self.assertEqual(self.receiver.body, b"h")

    def test_lost_before_the_last_chunk(self) -> None:
        self.send()
        self.provider.answers(STREAM + b"2\r\nhi\r\n")
        self.provider.closes()
        self.assert_failed("provider_answer_cut", Progress.HEAD_RECEIVED)

    def test_a_clean_close_ends_a_body_without_framing(self) -> None:
        self.send()
        self.provider.answers(UNTIL_CLOSE)
        self.provider.answers(b"hi")
        self.assertEqual(self.receiver.outcome, "")
        self.provider.closes()
        self.assertEqual((self.receiver.outcome, self.receiver.body), ("ended", b"hi"))
        self.assertEqual((self.provider.home.usable, self.provider.home.gone), (1, 1))

    def test_a_reset_cuts_a_body_without_framing(self) -> None:
        self.send()
        self.provider.answers(UNTIL_CLOSE + b"hi")
        self.provider.resets()
        self.assert_failed("provider_answer_cut", Progress.HEAD_RECEIVED)

    def test_a_client_certificate_refused_after_our_handshake_is_a_failure_of_tls(self) -> None:
        provider = Provider(self.sweep, SECURED)
        provider.connection.handshakeCompleted()
        provider.connection.send(REQUEST, self.receiver, timeouts=Timeouts())
        alert = SSL.Error([("SSL routines", "", "tlsv13 alert certificate required")])
        provider.connection.connectionLost(Failure(alert))
        assert self.receiver.error is not None
        self.assertEqual(
            (self.receiver.outcome, self.receiver.error.progress), ("provider_tls_failed", Progress.NOT_SENT)
        )


class AbortTests(UpstreamTestCase):
    def test_an_aborting_receiver_hears_nothing_more(self) -> None:
        for said in (ANSWER[:-1], STREAM + b"2\r\nhi\r\nno chunk"):
            with self.subTest(said):
                provider = Provider(self.sweep)
                receiver = RecordingReceiver({"head body": provider.connection.abort})
                provider.connection.send(REQUEST, receiver, timeouts=Timeouts())
                provider.answers(said)
                provider.answers(ANSWER[-1:])
                self.assertEqual((provider.home.gone, provider.end), (1, "aborted"))
                provider.closes()
                self.assertEqual((receiver.events, provider.home.gone), (["head body"], 1))

    def test_abort_while_waiting_for_the_head(self) -> None:
        self.send()
        self.connection.abort()
        self.provider.answers(ANSWER)
        self.provider.closes()
        self.clock.advance(1000)
        self.assertEqual(self.receiver.events, [])
        self.assertEqual((self.provider.home.gone, self.provider.end), (1, "aborted"))

    def test_abort_after_the_loss_touches_no_transport(self) -> None:
        self.send()
        self.provider.closes()
        self.connection.abort()
        self.assertEqual((self.provider.home.gone, self.provider.end), (1, ""))

    def test_a_polite_close_that_is_not_answered_becomes_an_abort(self) -> None:
        """`loseConnection` on TLS waits for a close_notify that may never come."""
        self.connection.close()
        self.assertEqual((self.provider.home.gone, self.provider.end), (1, "closed"))
        self.clock.advance(LINGER_SECONDS - SWEEP_SECONDS)
        self.assertEqual(self.provider.end, "closed")
        self.clock.advance(SWEEP_SECONDS)
        self.assertEqual(self.provider.end, "aborted")
        self.provider.resets()
        self.assertEqual(self.provider.home.gone, 1)

    def test_a_polite_close_unregisters_its_producer_so_that_tls_can_close(self) -> None:
        self.connection.close()
        self.assertIsNone(self.provider.transport.producer)


class RememberingSweep(Sweep):
    """A sweep that tells whom it would ask."""

    def __init__(self, reactor: Clock, seconds: Callable[[], float]) -> None:
        super().__init__(reactor, seconds)
        self.members: set[Swept] = set()

    def watch(self, member: Swept) -> None:
        self.members.add(member)

    def forget(self, member: Swept) -> None:
        self.members.discard(member)


class DeadlineTests(UpstreamTestCase):
    timeouts = Timeouts(headers=20.0, idle=5.0)

    def advance(self, seconds: float) -> None:
        self.clock.pump([SWEEP_SECONDS] * int(seconds / SWEEP_SECONDS))

    def test_a_silent_provider(self) -> None:
        self.send(self.timeouts)
        self.advance(19.75)
        self.assertEqual(self.receiver.outcome, "")
        self.advance(0.25)
        self.assert_failed("provider_headers_timeout", Progress.SENT)
        self.assertEqual(self.provider.end, "aborted")

    def test_a_head_that_drips_does_not_move_its_deadline(self) -> None:
        self.send(self.timeouts)
        for at in range(20):
            self.assertEqual(self.receiver.outcome, "")
            self.provider.answers(ANSWER[at : at + 1])
            self.advance(1)
        self.assert_failed("provider_headers_timeout", Progress.HEAD_RECEIVED)

    def test_a_stalled_body(self) -> None:
        self.send(self.timeouts)
        self.provider.answers(STREAM)
        for _ in range(10):
            self.advance(4)
            self.provider.answers(b"1\r\nx\r\n")
        self.assertEqual(self.receiver.outcome, "")
        self.advance(5)
        self.assert_failed("provider_idle_timeout", Progress.HEAD_RECEIVED)
        self.assertEqual(self.provider.end, "aborted")

    def test_none_waits_without_end(self) -> None:
        self.send(Timeouts(headers=None, idle=None))
        self.advance(1000)
        self.provider.answers(STREAM)
        self.advance(1000)
        self.assertEqual(self.receiver.outcome, "")

    def test_no_deadline_runs_between_requests(self) -> None:
        self.send(self.timeouts)
        self.provider.answers(ANSWER)
        self.advance(100)
        self.assertEqual((self.provider.home.gone, self.provider.end), (0, ""))

    def test_a_lost_connection_is_swept_no_more(self) -> None:
        sweep = RememberingSweep(self.clock, self.clock.seconds)
        provider = Provider(sweep)
        self.assertEqual(sweep.members, {provider.connection})
        provider.closes()
        self.assertEqual(sweep.members, set())

    def test_idle_does_not_run_while_paused(self) -> None:
        self.send(self.timeouts)
        self.provider.answers(STREAM)
        self.connection.pause()
        self.advance(100)
        self.assertEqual(self.receiver.outcome, "")
        self.connection.resume()
        self.advance(4.75)
        self.assertEqual(self.receiver.outcome, "")
        self.advance(0.25)
        self.assert_failed("provider_idle_timeout", Progress.HEAD_RECEIVED)

    def test_idle_does_not_run_when_the_receiver_pauses_in_the_middle_of_a_read(self) -> None:
        self.receiver = RecordingReceiver({"head body": self.connection.pause})
        self.send(self.timeouts)
        self.provider.answers(STREAM + b"1\r\nx\r\n")
        self.advance(100)
        self.assertEqual(self.receiver.outcome, "")

    def test_headers_begins_when_a_streamed_request_is_sent(self) -> None:
        self.send(self.timeouts, more=True)
        self.advance(100)
        self.connection.send_body(b"more")
        self.advance(100)
        self.connection.end_body()
        self.advance(19.75)
        self.assertEqual(self.receiver.outcome, "")
        self.advance(0.25)
        self.assert_failed("provider_headers_timeout", Progress.SENT)

    def test_a_provider_that_takes_no_request_is_as_silent_as_one_that_does_not_answer(self) -> None:
        self.send(self.timeouts, more=True)
        self.provider.takes_no_more()
        self.connection.send_body(b"more")
        self.advance(20)
        self.assert_failed("provider_headers_timeout", Progress.SENT)


class PaceTests(UpstreamTestCase):
    def test_a_slow_client_stops_the_reading_and_starts_it_again(self) -> None:
        self.send()
        self.provider.answers(STREAM)
        self.connection.pause()
        self.assertEqual(self.provider.transport.producerState, "paused")
        self.connection.resume()
        self.assertEqual(self.provider.transport.producerState, "producing")

    def test_an_answer_that_ends_while_paused_leaves_a_connection_that_reads(self) -> None:
        self.receiver = RecordingReceiver({"head": self.connection.pause})
        self.send()
        self.provider.answers(STREAM)
        self.assertEqual(self.provider.transport.producerState, "paused")
        self.provider.answers(b"0\r\n\r\n")  # TLS may still hold what was sent before the pause
        self.assertEqual(self.receiver.outcome, "ended")
        self.assertEqual(self.provider.transport.producerState, "producing")
        self.connection.resume()
        self.assertEqual(self.provider.home.usable, 2)

    def test_nobody_can_pause_an_idle_connection(self) -> None:
        self.connection.pause()
        self.assertEqual(self.provider.transport.producerState, "producing")

    def test_a_slow_provider_paces_the_request(self) -> None:
        self.send(more=True)
        self.provider.takes_no_more()
        self.connection.send_body(b"a")
        self.connection.send_body(b"b")
        self.assertEqual(self.receiver.events, ["upstream_full"])
        self.provider.takes_more()
        self.assertEqual(self.receiver.events, ["upstream_full", "upstream_drained"])
        self.provider.takes_no_more()
        self.connection.send_body(b"c")
        self.assertEqual(self.receiver.events[2:], ["upstream_full"])


class SocketTests(UpstreamTestCase):
    """On a TCP transport, whose socket eager sending takes."""

    def setUp(self) -> None:
        super().setUp()
        ours, self.theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.theirs.close)
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.no_delay: list[bool] = []
        self.tcp = cast(Any, StringTransport())
        self.tcp.getHandle = lambda: ours
        self.tcp.setTcpNoDelay = self.no_delay.append
        alsoProvides(self.tcp, ISystemHandle, ITCPTransport)
        self.connection = UpstreamConnection(PLAIN, self.sweep, RecordingHome())
        self.connection.makeConnection(self.tcp)

    def test_a_request_leaves_at_the_end_of_the_turn_as_one_write(self) -> None:
        self.send()
        self.clock.advance(0)
        self.assertEqual(self.theirs.recv(65536), REQUEST)
        self.assertEqual(self.tcp.value(), b"")

    def test_tcp_sends_without_delay(self) -> None:
        self.assertEqual(self.no_delay, [True])

    def test_headers_begins_when_the_socket_has_taken_the_request(self) -> None:
        self.connection.send(b"x" * 10_000_000, self.receiver, timeouts=Timeouts(headers=20.0))
        self.clock.advance(0)
        self.assertTrue(self.tcp.value())
        self.clock.advance(19)
        self.tcp.producer.resumeProducing()
        self.clock.advance(19)
        self.assertEqual(self.receiver.outcome, "")
        self.clock.advance(1)
        self.assertEqual(self.receiver.outcome, "provider_headers_timeout")


class TlsTests(UpstreamTestCase):
    def test_nothing_is_usable_before_the_handshake(self) -> None:
        provider = Provider(self.sweep, SECURED)
        self.assertEqual(provider.home.usable, 0)
        provider.connection.handshakeCompleted()
        self.assertEqual(provider.home.usable, 1)

    def test_a_loss_before_any_request_is_told_to_the_home(self) -> None:
        """A refused certificate arrives as connectionLost, with no request in sight."""
        provider = Provider(self.sweep, SECURED)
        refusal = Failure(SSL.Error([("SSL routines", "", "certificate verify failed")]))
        provider.connection.connectionLost(refusal)
        self.assertEqual((provider.home.gone, provider.home.reason), (1, refusal))
