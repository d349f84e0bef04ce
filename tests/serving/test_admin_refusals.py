"""Who is refused at the admin port, spoken to as a guesser would."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request

from gateway.messages import Secret
from gateway.serving.admin import AdminFactory
from gateway.serving.admin_access import AdminAccess
from gateway.serving.admin_pages import AdminPages
from gateway.serving.admin_refusals import (
    FIRST_DELAY,
    FORGET_SECONDS,
    LOG_SECONDS,
    LONGEST_DELAY,
    MOST_NAMED,
    MOST_WAITING,
    UNDELAYED,
    AdminRefusals,
)
from tests.serving.test_admin import FakeInquiries, FakeState

TOKEN = "token-of-the-admin-port"
WRONG = "wrong-token-of-somebody"
PEER = IPv4Address("TCP", "10.0.0.7", 1)


class NoPage:
    """A page that nobody sees."""

    is_full = False

    def document(self, *, can_sign_out: bool) -> Deferred[bytes]:
        return succeed(b"")

    def follow(self, request: Request, may_look: Callable[[], bool]) -> None:
        raise NotImplementedError


class RefusalTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory, self.refusals = self.port(Secret(TOKEN))
        self.captured = self.enterContext(capturedLogs())
        self.read = 0

    def port(self, token: Secret | None) -> tuple[AdminFactory, AdminRefusals]:
        refusals = AdminRefusals(self.clock, self.clock.seconds)
        pages = AdminPages(
            FakeState(),
            FakeInquiries(),
            CollectorRegistry(),
            lambda render: succeed(render()),
            NoPage(),
            AdminAccess(token, self.clock.seconds),
            refusals,
        )
        factory = AdminFactory(pages, Clock())
        factory.doStart()
        self.addCleanup(factory.doStop)
        return factory, refusals

    def send(
        self,
        more: str = "",
        path: str = "/config",
        method: str = "GET",
        body: str = "",
        host: str = "localhost",
        peer: IAddress = PEER,
    ) -> StringTransport:
        """Ask; the answer is what the transport has, now or later."""
        self.channel = channel = self.factory.buildProtocol(None)
        assert channel is not None
        transport = StringTransport(peerAddress=peer)
        channel.makeConnection(transport)
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
        channel.dataReceived((head + body).encode("latin-1"))
        return transport

    def guess(self, token: str = WRONG, peer: IAddress = PEER) -> StringTransport:
        return self.send(f"Authorization: Bearer {token}\r\n", peer=peer)

    def sign_in(self, token: str, more: str = "") -> StringTransport:
        form = f"token={token}"
        more += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
        return self.send(more, "/login", "POST", form)

    def counted(self) -> dict[str, int]:
        return {reason: number for reason, number in self.refusals.counts().items() if number}

    def said(self) -> list[str]:
        """What the log says since this was asked last."""
        new, self.read = self.captured[self.read :], len(self.captured)
        return [each["log_format"].format(**each) for each in new if "log_format" in each]


def status(transport: StringTransport) -> int | None:
    """Of the answer; None where there is none yet."""
    words = transport.value().split()
    return int(words[1]) if words else None


class CountingTests(RefusalTestCase):
    def test_every_reason_is_there_from_the_start(self) -> None:
        """Prometheus sees a counter rise only from a value that it has seen."""
        self.assertEqual(
            self.refusals.counts(),
            dict.fromkeys(("no_token", "wrong_token", "signed_out", "strange_host", "strange_origin"), 0),
        )

    def test_who_has_no_token(self) -> None:
        for more in (
            "",
            "Accept: text/html\r\n",
            "Authorization: Basic YTpi\r\n",
            "Authorization: Bearer\r\n",
        ):
            self.assertEqual(status(self.send(more)), 401)
        self.assertEqual(self.counted(), {"no_token": 4})

    def test_a_wrong_token(self) -> None:
        self.assertEqual(status(self.guess()), 401)
        self.assertEqual(status(self.sign_in(WRONG)), 403)
        self.assertEqual(self.counted(), {"wrong_token": 2})

    def test_a_cookie_that_nobody_was_given(self) -> None:
        self.assertEqual(status(self.send("Cookie: llmgateway-admin-12345=x\r\n")), 401)
        self.assertEqual(self.counted(), {"signed_out": 1})

    def test_strangers(self) -> None:
        self.assertEqual(status(self.send(path="/healthz", host="example.net")), 403)
        self.assertEqual(status(self.sign_in(TOKEN, "Origin: http://example.net\r\n")), 403)
        self.assertEqual(self.counted(), {"strange_host": 1, "strange_origin": 1})

    def test_who_may_is_not_counted(self) -> None:
        self.assertEqual(status(self.guess(TOKEN)), 200)
        signed_in = self.sign_in(TOKEN)
        self.assertEqual(status(signed_in), 303)
        cookie = signed_in.value().partition(b"Set-Cookie: ")[2].partition(b";")[0].decode()
        self.assertEqual(status(self.send(f"Cookie: {cookie}\r\n")), 200)
        self.assertEqual(status(self.send(path="/metrics")), 200)
        self.assertEqual(self.counted(), {})

    def test_a_request_is_one_guess(self) -> None:
        both = f"Authorization: Bearer {WRONG}\r\nAuthorization: Bearer {TOKEN}\r\n"
        self.assertEqual(status(self.send(both)), 401)
        self.assertEqual(self.counted(), {"wrong_token": 1})

    def test_where_there_is_no_token_there_is_none_to_guess(self) -> None:
        self.factory, self.refusals = self.port(None)
        self.assertEqual(status(self.guess()), 200)
        self.assertEqual(status(self.sign_in(WRONG)), 404)
        self.assertEqual(self.counted(), {})


class DelayTests(RefusalTestCase):
    def exhaust(self) -> None:
        """Guess until answers come as late as they ever do."""
        for _ in range(40):
            self.guess()
        self.clock.advance(LONGEST_DELAY)

    def waited(self) -> float:
        """Guess, and tell after how many seconds that is answered."""
        transport, seconds = self.guess(), 0.0
        while status(transport) is None:
            self.clock.advance(0.05)
            seconds += 0.05
        self.assertEqual(status(transport), 401)
        return seconds

    def test_the_first_are_answered_at_once(self) -> None:
        self.assertEqual([self.waited() for _ in range(UNDELAYED)], [0.0] * UNDELAYED)

    def test_the_next_are_answered_later_and_later(self) -> None:
        waited = [self.waited() for _ in range(UNDELAYED + 12)][UNDELAYED:]
        self.assertAlmostEqual(waited[0], FIRST_DELAY, delta=0.1)
        self.assertTrue(all(earlier <= later + 0.05 for earlier, later in pairwise(waited)))
        self.assertTrue(all(seconds > LONGEST_DELAY - 0.1 for seconds in waited[-6:]))
        self.assertTrue(all(seconds < LONGEST_DELAY + 0.1 for seconds in waited))

    def test_a_form_too(self) -> None:
        self.exhaust()
        transport = self.sign_in(WRONG)
        self.assertIsNone(status(transport))
        self.clock.advance(LONGEST_DELAY)
        self.assertEqual(status(transport), 403)

    def test_a_right_token_never_waits(self) -> None:
        self.exhaust()
        for _ in range(2 * MOST_WAITING):
            self.guess()
        self.assertEqual(status(self.guess(TOKEN)), 200)
        self.assertEqual(status(self.sign_in(TOKEN)), 303)
        self.assertEqual(status(self.send()), 401)  # nor do those who have none

    def test_it_is_forgotten(self) -> None:
        self.exhaust()
        self.clock.advance(FORGET_SECONDS * 10)
        self.assertEqual([self.waited() for _ in range(UNDELAYED)], [0.0] * UNDELAYED)

    def test_who_asks_now_and_then_with_an_old_token_is_answered_at_once(self) -> None:
        for _ in range(50):
            self.assertEqual(self.waited(), 0.0)
            self.clock.advance(FORGET_SECONDS)

    def test_only_so_many_wait(self) -> None:
        self.exhaust()
        transports = [self.guess() for _ in range(MOST_WAITING + 5)]
        answers = list(map(status, transports))
        self.assertEqual((answers.count(None), answers.count(429)), (MOST_WAITING, 5))
        self.assertIn(b"Retry-After: 5\r\n", transports[-1].value())
        self.clock.advance(LONGEST_DELAY)
        self.assertEqual(list(map(status, transports)).count(401), MOST_WAITING)
        self.assertIsNone(status(self.guess()))

    def test_who_hangs_up_is_counted_and_leaves_nothing(self) -> None:
        self.exhaust()
        before = self.refusals.counts()["wrong_token"]
        transport = self.guess()
        assert self.channel is not None
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.clock.pump([LONGEST_DELAY, LOG_SECONDS, LOG_SECONDS])
        self.assertIsNone(status(transport))
        self.assertEqual(self.refusals.counts()["wrong_token"], before + 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])


class LogTests(RefusalTestCase):
    def test_the_first_is_told_at_once_and_the_others_together(self) -> None:
        self.guess()
        self.assertEqual(self.said(), ["wrong admin tokens: 1, from 10.0.0.7 (1)"])
        for _ in range(4):
            self.guess()
        self.guess(peer=IPv6Address("TCP", "2001:db8::1", 1))
        self.guess(peer=UNIXAddress(None))
        self.assertEqual(self.said(), [])
        self.clock.advance(LOG_SECONDS)
        self.assertEqual(
            self.said(),
            ["wrong admin tokens: 6, from 10.0.0.7 (4), 2001:db8::1 (1), a Unix socket (1)"],
        )
        self.clock.advance(LOG_SECONDS)
        self.assertEqual(self.said(), [])
        self.guess()
        self.assertEqual(len(self.said()), 1)

    def test_of_many_peers_some_are_named(self) -> None:
        self.guess()
        self.said()
        for number in range(1000):
            self.guess(peer=IPv4Address("TCP", f"10.0.{number // 250}.{number % 250}", 1))
        self.clock.advance(LOG_SECONDS)
        (line,) = self.said()
        self.assertIn("wrong admin tokens: 1000, ", line)
        self.assertIn(f"others ({1000 - MOST_NAMED})", line)
        self.assertEqual(line.count("10.0."), MOST_NAMED)

    def test_no_token_is_told(self) -> None:
        self.guess(WRONG)
        self.guess(TOKEN[:-1])
        self.clock.advance(LOG_SECONDS)
        for each in self.captured:
            self.assertNotIn(WRONG, repr(each))
            self.assertNotIn(TOKEN[:-1], repr(each))

    def test_others_are_not_told(self) -> None:
        self.send()
        self.send("Cookie: llmgateway-admin-12345=x\r\n")
        self.send(path="/healthz", host="example.net")
        self.assertEqual(self.said(), [])
