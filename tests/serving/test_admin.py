"""The admin port, spoken to as a client would."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from gzip import decompress

import pytest
from attrs import define, field, frozen
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request

from gateway.messages import Secret
from gateway.resources import Position, Problem
from gateway.serving import admin
from gateway.serving.admin import AdminFactory
from gateway.serving.admin_access import SIGNED_IN_SECONDS, AdminAccess
from gateway.serving.admin_pages import AdminPages
from gateway.serving.admin_refusals import FORGET_SECONDS, AdminRefusals
from gateway.serving.explanation import Decision, Explanation
from gateway.serving.local_names import host_name, is_local_name
from gateway.serving.questions import Question
from gateway.serving.rehearsing import Proposal, ProposedFile, Rehearsal
from gateway.snapshot.differing import Change
from gateway.telemetry.family import Family, Kind, Row, Shown

CANARY = "sk-canary-1234567890"


@define
class FakeState:
    """A gateway in whatever state a test needs."""

    is_ready: bool = True
    problems: list[str] = field(factory=list)
    shown: object = field(factory=lambda: {"tenants": {}})

    def ready(self) -> tuple[bool, list[str]]:
        return self.is_ready, self.problems

    def config(self, tenant: str | None) -> Callable[[], object] | None:
        if tenant is not None and tenant != "acme":
            return None
        return lambda: self.shown


EXPLANATION = Explanation((Decision("tenant", "acme"),), (), None)
REHEARSAL = Rehearsal(
    problems=(Problem(Position("conf.d/a.yaml", 3, 1), "spec.host", "is missing", "error", "acme"),),
    changes=(Change("acme", "changed", ("route demo changed (rule vip)",)),),
    hosts=2,
    tenants=1,
)


@define
class FakeInquiries:
    """A gateway that gives the same answer to everybody, and remembers what it was asked."""

    asked: list[Question | Proposal] = field(factory=list)

    def explain(self, question: Question) -> Explanation:
        self.asked.append(question)
        return EXPLANATION

    def rehearse(self, proposal: Proposal) -> Callable[[], Rehearsal]:
        self.asked.append(proposal)
        return lambda: REHEARSAL


@frozen
class Heard:
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def heard(data: bytes) -> Heard:
    """The one answer in these bytes."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Heard(int(status.split()[1]), headers, body)


class Threads:
    """Stands in for a thread pool: runs at once, or when it is told to."""

    def __init__(self) -> None:
        self.at_once = True
        self.waiting: list[tuple[Callable[[], bytes], Deferred[bytes]]] = []

    def run(self, function: Callable[[], bytes]) -> Deferred[bytes]:
        if self.at_once:
            return succeed(function())
        result: Deferred[bytes] = Deferred()
        self.waiting.append((function, result))
        return result

    def finish_one(self) -> None:
        function, result = self.waiting.pop(0)
        result.callback(function())


@define
class FakePage:
    """A page of a few words, and one event."""

    is_full: bool = False
    may_look: Callable[[], bool] = bool
    """Of whoever came last."""

    def document(self, *, can_sign_out: bool) -> Deferred[bytes]:
        return succeed(b"<p>the page</p>" + b"<p>sign out</p>" * can_sign_out)

    def follow(self, request: Request, may_look: Callable[[], bool]) -> None:
        self.may_look = may_look
        request.write(b"event: sections\n\n")


class AdminTestCase(SynchronousTestCase):
    token: Secret | None = None

    def setUp(self) -> None:
        self.state = FakeState()
        self.registry = CollectorRegistry()
        self.threads = Threads()
        self.inquiries = FakeInquiries()
        self.page = FakePage()
        self.clock = Clock()
        access = AdminAccess(self.token, self.clock.seconds)
        self.refusals = AdminRefusals(self.clock, self.clock.seconds)
        self.pages = AdminPages(
            self.state,
            self.inquiries,
            self.registry,
            self.threads.run,
            self.page,
            access,
            self.refusals,
            ["admin.example.com"],
        )
        self.factory = AdminFactory(self.pages, Clock())
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)

    def begin(self, request: bytes) -> tuple[StringTransport, Callable[[], None]]:
        """Send a request; tells the transport, and how to lose the connection."""
        channel = self.factory.buildProtocol(None)
        assert channel is not None
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(request)
        return transport, lambda: channel.connectionLost(Failure(ConnectionLost()))

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        host: str = "127.0.0.1:9901",
        more: str = "",
        body: bytes = b"",
    ) -> Heard:
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
        transport, lose = self.begin(head.encode("latin-1") + body)
        lose()
        return heard(transport.value())


class PagesTests(AdminTestCase):
    def test_the_index_names_every_page(self) -> None:
        answer = self.ask("/")
        self.assertEqual(answer.status, 200)
        for path in ("/metrics", "/healthz", "/readyz", "/config"):
            self.assertIn(path.encode(), answer.body)
            self.assertEqual(self.ask(path).status, 200)
        for path in ("/explain", "/check"):
            self.assertIn(path.encode(), answer.body)

    def test_healthz(self) -> None:
        answer = self.ask("/healthz")
        self.assertEqual((answer.status, answer.body), (200, b"ok\n"))

    def test_healthz_does_not_ask_how_the_gateway_is(self) -> None:
        self.state.is_ready = False
        self.assertEqual(self.ask("/healthz").status, 200)

    def test_ready(self) -> None:
        answer = self.ask("/readyz")
        self.assertEqual(answer.status, 200)
        self.assertEqual(json.loads(answer.body), {"ready": True, "problems": []})

    def test_ready_with_problems(self) -> None:
        self.state.problems = ["conf.d/acme/routes.yaml:12:9: …"]
        answer = self.ask("/readyz")
        self.assertEqual(answer.status, 200)
        self.assertEqual(json.loads(answer.body)["problems"], ["conf.d/acme/routes.yaml:12:9: …"])

    def test_not_ready(self) -> None:
        self.state.is_ready, self.state.problems = False, ["draining"]
        answer = self.ask("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertEqual(json.loads(answer.body), {"ready": False, "problems": ["draining"]})

    def test_config(self) -> None:
        self.state.shown = {"tenants": {"acme": {"routes": []}}}
        answer = self.ask("/config")
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(json.loads(answer.body), self.state.shown)

    def test_config_of_one_tenant(self) -> None:
        self.assertEqual(json.loads(self.ask("/config?tenant=acme").body), self.state.shown)
        for nobody in ("other", "", "%ff"):
            self.assertEqual(self.ask(f"/config?tenant={nobody}").status, 404)

    def test_config_may_come_piece_by_piece(self) -> None:
        tenants = {"acme": {"routes": [1, 2], "none": {}}, "ö": {"a": 'b"\n'}}
        self.state.shown = {"stale": [], "tenants": iter(tenants.items()), "nothing": iter(())}
        answer = self.ask("/config")
        self.assertEqual(json.loads(answer.body), {"stale": [], "tenants": tenants, "nothing": {}})
        self.assertEqual(
            answer.body.decode(), json.dumps(json.loads(answer.body), indent=2, ensure_ascii=False) + "\n"
        )

    def test_config_is_rendered_elsewhere(self) -> None:
        self.threads.at_once = False
        transport, _ = self.begin(b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(transport.value(), b"")
        self.threads.finish_one()
        self.assertIn(b"200 OK", transport.value())

    def test_a_query_changes_nothing(self) -> None:
        self.assertEqual(self.ask("/healthz?verbose=1").status, 200)

    def test_unknown_pages(self) -> None:
        for path in (
            "/metrics/",
            "/v1/chat/completions",
            "/../config",
            "/%63onfig",
            "//",
            "*",
            "http://x/config",
        ):
            answer = self.ask(path)
            self.assertEqual(answer.status, 404, path)
            self.assertNotIn(b"tenants", answer.body)
            for there in ("/metrics", "/healthz", "/readyz", "/config", "/explain", "/check"):
                self.assertIn(there.encode(), answer.body)

    def test_pages_can_only_be_read(self) -> None:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
            answer = self.ask("/config", method=method)
            self.assertEqual(answer.status, 405, method)
            self.assertEqual(answer.headers["allow"], "get, head")

    def test_head(self) -> None:
        for path in ("/", "/metrics", "/healthz", "/readyz", "/config"):
            whole, head = self.ask(path), self.ask(path, method="HEAD")
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.headers["content-length"], str(len(whole.body)))
            self.assertEqual(head.headers["content-type"], whole.headers["content-type"])

    def test_nothing_is_logged(self) -> None:
        with capturedLogs() as events:
            self.ask("/healthz")
            self.ask("/unknown", host="example.net")
        self.assertEqual(events, [])

    def test_a_client_that_leaves_in_its_head(self) -> None:
        _, lose = self.begin(b"GET /healthz HTTP/1.1\r\nHost: loc")
        lose()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_connection_can_be_used_again(self) -> None:
        transport, lose = self.begin(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        lose()
        self.assertEqual(transport.value().count(b"200 OK"), 2)


class MetricsTests(AdminTestCase):
    def setUp(self) -> None:
        super().setUp()
        Gauge("queue_length", "Things that wait.", registry=self.registry).set(3)

    def test_for_prometheus(self) -> None:
        answer = self.ask("/metrics")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual([metric.name for metric in parse_text(answer.body.decode())], ["queue_length"])

    def test_open_metrics_for_who_accepts_it(self) -> None:
        prometheus = (
            "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n"
        )
        answer = self.ask("/metrics", more=prometheus)
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        self.assertEqual(answer.headers["content-type"], content_type)
        self.assertEqual(
            [metric.name for metric in parse_open_metrics(answer.body.decode())], ["queue_length"]
        )

    def test_who_wants_plain_text_more_gets_it(self) -> None:
        for accept in (
            "application/openmetrics-text;q=0.3, text/plain",
            "application/openmetrics-text; q=0",
            "text/plain;q=0.5, application/openmetrics-text;q=0.4",
        ):
            answer = self.ask("/metrics", more=f"Accept: {accept}\r\n")
            self.assertIn("version=0.0.4", answer.headers["content-type"], accept)

    def test_any_accept_header_gets_an_answer(self) -> None:
        for accept in (
            "",
            "*/*",
            "text/html",
            "application/openmetrics-text;version=x",
            "\xff",
            ";;;=,",
            "text/html;q=x",
        ):
            answer = self.ask("/metrics", more=f"Accept: {accept}\r\n")
            self.assertEqual(answer.status, 200, accept)
            self.assertNotIn("version=x", answer.headers["content-type"])

    def test_rendering_happens_elsewhere(self) -> None:
        self.threads.at_once = False
        transport, _ = self.begin(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(transport.value(), b"")
        self.threads.finish_one()
        self.assertIn(b"queue_length 3.0", transport.value())

    def test_one_rendering_at_a_time(self) -> None:
        self.threads.at_once = False
        transports = [self.begin(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] for _ in range(3)]
        for answered in range(3):
            self.assertEqual(len(self.threads.waiting), 1)
            self.assertEqual(sum(bool(transport.value()) for transport in transports), answered)
            self.threads.finish_one()
        self.assertTrue(all(transport.value() for transport in transports))

    def test_a_scraper_that_does_not_wait(self) -> None:
        self.threads.at_once = False
        transport, lose = self.begin(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lose()
        self.threads.finish_one()
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_collector_that_fails(self) -> None:
        class Broken:
            def collect(self) -> list[object]:
                raise ValueError(CANARY)

        self.registry.register(Broken())  # type: ignore[arg-type]
        answer = self.ask("/metrics")
        self.assertEqual(answer.status, 500)
        self.assertNotIn(CANARY.encode(), answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.ask("/healthz").status, 200)


class LongScrapeTests(AdminTestCase):
    """More than is made at a time."""

    GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def setUp(self) -> None:
        super().setUp()
        self.fails_at = -1
        self.registry.register(self)

    def collect(self) -> Iterator[Shown]:
        yield Shown(Family("things_total", Kind.COUNTER, ("name",), "", "Many."), self.rows)

    def rows(self) -> Iterator[Row]:
        for number in range(30_000):
            if number == self.fails_at:
                raise ValueError(CANARY)
            yield (f"thing-{number}",), number

    def test_it_comes_in_chunks(self) -> None:
        transport, _ = self.begin(self.GET)
        head, _, chunks = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"Transfer-Encoding: chunked", head)
        self.assertNotIn(b"Content-Length", head)
        self.assertTrue(chunks.endswith(b"\r\n0\r\n\r\n"))
        self.assertEqual(b"".join(chunks_of(chunks)), generate_latest(self.registry))
        self.assertGreater(len(chunks_of(chunks)), 3)

    def test_the_connection_serves_on(self) -> None:
        transport, _ = self.begin(self.GET + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(transport.value().endswith(b"\r\n\r\nok\n"))

    def test_the_next_piece_is_made_when_there_is_room_for_it(self) -> None:
        self.threads.at_once = False
        transport, _ = self.begin(self.GET)
        self.threads.finish_one()
        self.assertEqual(len(self.threads.waiting), 1)
        producer = transport.producer
        assert producer is not None
        producer.pauseProducing()
        self.threads.finish_one()
        self.assertEqual(self.threads.waiting, [])
        producer.resumeProducing()
        producer.resumeProducing()
        self.assertEqual(len(self.threads.waiting), 1)
        producer.pauseProducing()
        self.threads.finish_one()
        self.assertEqual(self.threads.waiting, [])

    def test_who_reads_slowly_keeps_nobody_waiting(self) -> None:
        self.threads.at_once = False
        slow, _ = self.begin(self.GET)
        self.threads.finish_one()
        assert slow.producer is not None
        slow.producer.pauseProducing()
        other, _ = self.begin(self.GET)
        while self.threads.waiting:
            self.assertEqual(len(self.threads.waiting), 1)
            self.threads.finish_one()
        self.assertTrue(other.value().endswith(b"\r\n0\r\n\r\n"))
        self.assertFalse(slow.value().endswith(b"\r\n0\r\n\r\n"))

    def test_a_scraper_that_leaves_in_the_middle(self) -> None:
        self.threads.at_once = False
        transport, lose = self.begin(self.GET)
        self.threads.finish_one()
        sent = transport.value()
        lose()
        self.threads.finish_one()
        self.assertEqual(self.threads.waiting, [])
        self.assertEqual(transport.value(), sent)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_what_fails_in_the_middle_is_not_taken_for_the_whole(self) -> None:
        self.fails_at = 20_000
        transport, _ = self.begin(self.GET)
        self.assertTrue(transport.disconnected)
        self.assertFalse(transport.value().endswith(b"\r\n0\r\n\r\n"))
        self.assertNotIn(CANARY.encode(), transport.value())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_the_head_alone(self) -> None:
        self.threads.at_once = False
        transport, _ = self.begin(self.GET.replace(b"GET", b"HEAD"))
        self.threads.finish_one()
        self.assertEqual(self.threads.waiting, [])
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"200 OK", head)
        self.assertNotIn(b"Content-Length", head)
        self.assertEqual(body, b"")

    def test_compressed_for_who_accepts_it(self) -> None:
        for accepted, compressed in (
            ("gzip", True),
            ("deflate, GZIP;q=0.5", True),
            ("gzip; q=0.000, deflate", False),
            ("identity", False),
        ):
            transport, _ = self.begin(
                self.GET.replace(b"\r\n\r\n", f"\r\nAccept-Encoding: {accepted}\r\n\r\n".encode())
            )
            head, _, chunks = transport.value().partition(b"\r\n\r\n")
            self.assertEqual(b"Content-Encoding: gzip" in head, compressed, accepted)
            text = b"".join(chunks_of(chunks)) if b"chunked" in head else chunks
            self.assertEqual(decompress(text) if compressed else text, generate_latest(self.registry))

    def test_only_what_is_wanted(self) -> None:
        Gauge("queue_length", "Things that wait.", registry=self.registry).set(3)
        answer = self.ask("/metrics?name[]=queue_length&name%5B%5D=nothing")
        self.assertEqual([metric.name for metric in parse_text(answer.body.decode())], ["queue_length"])
        self.assertIn("content-length", answer.headers)


def chunks_of(data: bytes) -> list[bytes]:
    """What is in the chunks of an answer, up to the last one, which is empty."""
    chunks = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(data[:length])
        data = data[length + 2 :]
    return chunks[:-1]


class GuardTests(AdminTestCase):
    def test_a_strange_host_is_refused(self) -> None:
        for path in ("/", "/metrics", "/config", "/readyz", "/healthz", "/unknown"):
            answer = self.ask(path, host="rebound.example.net:9901")
            self.assertEqual(answer.status, 403, path)
            self.assertNotIn(b"tenants", answer.body)

    def test_a_name_that_was_given_is_let_in(self) -> None:
        self.assertEqual(self.ask("/config", host="Admin.Example.com.:9901").status, 200)

    def test_without_a_host(self) -> None:
        answers = {
            b"GET /healthz HTTP/1.0\r\n\r\n": 200,
            b"GET /healthz HTTP/1.1\r\n\r\n": 403,
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n": 403,
            b"GET /healthz HTTP/1.0\r\nHost: example.net\r\n\r\n": 403,
        }
        for request, status in answers.items():
            transport, lose = self.begin(request)
            lose()
            self.assertEqual(heard(transport.value()).status, status, request)

    def test_no_answer_says_what_we_are_made_of(self) -> None:
        for answer in (
            self.ask("/"),
            self.ask("/unknown"),
            self.ask("/config", method="POST"),
            self.ask("/", host="example.net"),
            self.ask("*", method="OPTIONS"),
        ):
            self.assertNotIn("server", answer.headers)
            self.assertNotIn("set-cookie", answer.headers)
            self.assertNotIn(b"Twisted", answer.body)
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertIn("date", answer.headers)

    def test_a_body_is_thrown_away(self) -> None:
        # twisted.web would put both into temporary files.
        self.patch(tempfile, "TemporaryFile", None)
        form = "Content-Type: multipart/form-data; boundary=x\r\n"
        length = self.ask(
            "/config", method="POST", more=f"{form}Content-Length: 200000\r\n", body=b"x" * 200_000
        )
        self.assertEqual(length.status, 405)
        chunked = self.ask("/healthz", more="Transfer-Encoding: chunked\r\n", body=b"5\r\nhello\r\n0\r\n\r\n")
        self.assertEqual(chunked.status, 200)

    def test_a_secret_among_what_is_shown_is_an_error_and_not_shown(self) -> None:
        self.state.shown = {"key": Secret(CANARY)}
        answer = self.ask("/config")
        self.assertEqual(answer.status, 500)
        self.assertNotIn(CANARY.encode(), answer.body)
        [logged] = self.flushLoggedErrors(TypeError)
        self.assertNotIn(CANARY, logged.getTraceback())

    def test_a_fault_shows_no_traceback(self) -> None:
        self.state.shown = object()
        answer = self.ask("/config")
        self.assertEqual(answer.status, 500)
        self.assertNotIn(b"Traceback", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


def question(path: str, length: int) -> bytes:
    """The head of a question with a body of this length."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


class QuestionTests(AdminTestCase):
    def post(
        self,
        path: str,
        body: bytes,
        more: str = "Content-Type: application/json\r\n",
        host: str = "localhost",
    ) -> Heard:
        length = f"Content-Length: {len(body)}\r\n"
        return self.ask(path, method="POST", host=host, more=more + length, body=body)

    def test_explain_as_text(self) -> None:
        answer = self.post("/explain", b'{"host": "demo", "body": {"messages": []}}')
        self.assertEqual((answer.status, answer.body), (200, b"tenant     acme\n"))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        (question,) = self.inquiries.asked
        assert isinstance(question, Question)
        self.assertEqual((question.host, question.content()), ("demo", b'{"messages": []}'))

    def test_explain_as_json(self) -> None:
        json_wanted = "Content-Type: Application/JSON; charset=utf-8\r\nAccept: application/json\r\n"
        answer = self.post("/explain", b'{"host": "demo"}', json_wanted)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(json.loads(answer.body)["decisions"], [{"about": "tenant", "text": "acme"}])

    def test_check_happens_elsewhere_one_at_a_time(self) -> None:
        self.threads.at_once = False
        body = b'{"folder": "conf.d", "files": [{"path": "a.yaml", "content": "YTogYg=="}]}'
        transports = [self.begin(question("/check", len(body)) + body)[0] for _ in range(2)]
        self.assertEqual(self.inquiries.asked, [Proposal("conf.d", (ProposedFile("a.yaml", b"a: b"),))] * 2)
        self.assertEqual(len(self.threads.waiting), 1)
        scrape, _ = self.begin(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(len(self.threads.waiting), 2, "a scraper does not wait for it")
        for _ in range(3):
            self.threads.finish_one()
        for transport in (*transports, scrape):
            self.assertIn(b"200 OK", transport.value())

    def test_check_as_text_and_as_json(self) -> None:
        body = b'{"folder": "conf.d", "files": []}'
        self.assertEqual(
            self.post("/check", body).body.decode().splitlines(),
            [
                "conf.d/a.yaml:3:1: spec.host: is missing",
                "would change: acme: route demo changed (rule vip)",
                "1 problem; 2 hosts of 1 tenant would be answered for",
            ],
        )
        answer = self.post("/check", body, "Content-Type: application/json\r\nAccept: application/json\r\n")
        self.assertEqual(json.loads(answer.body)["problems"][0]["position"]["line"], 3)

    FORM = "Content-Type: application/x-www-form-urlencoded\r\n"

    def test_explain_by_the_form_of_the_page(self) -> None:
        answer = self.post("/explain", b"host=demo&headers=User-Type%3A+vip%0D%0A&data=%7B%7D", self.FORM)
        self.assertEqual((answer.status, answer.body), (200, b"tenant     acme\n"))
        self.assertEqual(self.inquiries.asked, [Question("demo", headers={"user-type": ("vip",)}, data="{}")])

    def test_a_form_of_another_site_asks_nothing(self) -> None:
        for origin, status in (("http://example.net", 403), ("null", 403), ("http://localhost", 200)):
            more = f"{self.FORM}Origin: {origin}\r\n"
            self.assertEqual(self.post("/explain", b"host=demo", more).status, status, origin)
        self.assertEqual(len(self.inquiries.asked), 1)
        self.assertEqual(self.refusals.counts()["strange_origin"], 2)

    def test_json_that_is_sent_as_a_form_is_told_apart(self) -> None:
        answer = self.post("/explain", b' {"host": "demo"}', self.FORM)
        self.assertEqual(answer.status, 415)
        self.assertIn(b"Content-Type: application/json", answer.body)

    def test_only_explain_has_a_form(self) -> None:
        self.assertEqual(self.post("/check", b"folder=conf.d", self.FORM).status, 415)

    def test_a_form_that_is_too_large(self) -> None:
        self.patch(admin, "FORM_BYTES", 20)
        self.assertEqual(self.post("/explain", b"host=demo", self.FORM).status, 200)
        self.assertEqual(self.post("/explain", b"host=demo&data=" + b"x" * 20, self.FORM).status, 413)
        self.assertEqual(self.factory.held_bytes, 0)

    def test_questions_are_posted(self) -> None:
        for path in ("/explain", "/check"):
            for method in ("GET", "HEAD", "PUT", "OPTIONS"):
                answer = self.ask(path, method=method)
                self.assertEqual((answer.status, answer.headers["allow"]), (405, "post"), method)
                self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_what_a_web_page_can_send_without_asking_is_refused(self) -> None:
        # Those of the three types that need no preflight (Fetch §2.2.2) which no form of ours has, and none.
        for content_type in (
            "text/plain", "multipart/form-data; boundary=x", "",
            "text/plain; application/json", "application/jsonx",
        ):  # fmt: skip
            more = f"Content-Type: {content_type}\r\n" if content_type else ""
            answer = self.post("/explain", b'{"host": "demo"}', more)
            self.assertEqual(answer.status, 415, content_type)
        self.assertEqual(self.post("/explain", b'{"host": "a"}', host="rebound.example.net").status, 403)
        self.assertEqual(self.inquiries.asked, [])

    def test_what_is_no_question(self) -> None:
        for path in ("/explain", "/check"):
            for body in (b"", b"{", b"[]", b'{"hots": 1}', b"\xff", b"[" * 100_000):
                answer = self.post(path, body)
                self.assertEqual(answer.status, 400, body)
                self.assertTrue(answer.body.startswith(b"The question is not "), answer.body)
        self.assertEqual(self.inquiries.asked, [])

    def test_a_question_that_is_too_large(self) -> None:
        self.patch(admin, "QUESTION_BYTES", 100)
        self.assertEqual(self.post("/explain", b'{"host": "a"}').status, 200)
        self.assertEqual(self.post("/explain", b" " * 101).status, 413)
        chunks = b"40\r\n" + b" " * 64 + b"\r\n40\r\n" + b" " * 64 + b"\r\n0\r\n\r\n"
        more = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        self.assertEqual(self.ask("/check", method="POST", more=more, body=chunks).status, 413)
        self.assertEqual(self.factory.held_bytes, 0)

    def test_all_questions_together_are_bounded(self) -> None:
        self.patch(admin, "QUESTIONS_BYTES", 100)
        _, lose = self.begin(question("/explain", 90) + b" " * 80)
        self.assertEqual(self.factory.held_bytes, 80)
        self.assertEqual(self.post("/explain", b'{"host": "abcdefghijk"}').status, 413)
        lose()
        self.assertEqual(self.factory.held_bytes, 0)
        self.assertEqual(self.post("/explain", b'{"host": "abcdefghijk"}').status, 200)


class PageTests(AdminTestCase):
    def ask_as_browser(self, path: str) -> Heard:
        return self.ask(path, more="Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n")

    def test_browsers_get_the_page(self) -> None:
        answer = self.ask_as_browser("/")
        self.assertEqual((answer.status, answer.body), (200, b"<p>the page</p>"))
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")

    def test_the_page_may_load_what_is_here_and_nothing_else(self) -> None:
        policy = self.ask_as_browser("/").headers["content-security-policy"]
        self.assertTrue(policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"))
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", policy)

    def test_the_files_of_the_page(self) -> None:
        for path, content_type in (
            ("/static/page.js", "text/javascript; charset=utf-8"),
            ("/static/charts.js", "text/javascript; charset=utf-8"),
            ("/static/page.css", "text/css; charset=utf-8"),
            ("/static/icon.svg", "image/svg+xml"),
        ):
            answer = self.ask(path)
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, content_type))
            self.assertEqual(self.ask(path, method="POST").status, 405)
        for path in ("/static/", "/static/../admin.py", "/static/uplot-1.6.32/LICENSE", "/static/none.js"):
            self.assertEqual(self.ask(path).status, 404, path)

    def test_events(self) -> None:
        transport, lose = self.begin(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: text/event-stream", head)
        self.assertNotIn(b"Content-Length", head)
        self.assertIn(b"event: sections", body)
        self.assertFalse(transport.disconnecting)
        lose()

    def test_events_that_nobody_may_follow(self) -> None:
        self.page.is_full = True
        self.assertEqual(self.ask("/events").status, 503)

    def test_the_head_of_events(self) -> None:
        self.assertEqual(self.ask("/events", method="HEAD").status, 200)


TOKEN = "token-of-the-admin-port"


class TokenTests(AdminTestCase):
    token = Secret(TOKEN)

    def bearing(self, token: str, path: str = "/config", scheme: str = "Bearer") -> int:
        return self.ask(path, more=f"Authorization: {scheme} {token}\r\n").status

    def fill_in(self, path: str, form: str, more: str = "") -> Heard:
        more += "Content-Type: application/x-www-form-urlencoded\r\n"
        return self.ask(
            path, method="POST", more=f"{more}Content-Length: {len(form)}\r\n", body=form.encode()
        )

    def test_only_health_and_metrics_are_open(self) -> None:
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assertEqual(self.ask(path).status, 200, path)
        for path in ("/", "/config", "/explain", "/check", "/events", "/logout", "/none", "/static/none"):
            answer = self.ask(path)
            self.assertEqual(answer.status, 401, path)
            self.assertEqual(answer.headers["www-authenticate"], 'bearer realm="llmgateway admin"')
            self.assertNotIn(b"tenants", answer.body)

    def test_a_probe_is_told_how_many_problems_there_are_and_no_more(self) -> None:
        self.state.problems = ["conf.d/a.yaml:3:5: https://a.example/?key=sk-live is no host", "…"]
        for more in ("", "Cookie: llmgateway-admin-1=old\r\n", f"Authorization: Basic {TOKEN}\r\n"):
            self.assertEqual(json.loads(self.ask("/readyz", more=more).body), {"ready": True, "problems": 2})
        told = self.ask("/readyz", more=f"Authorization: Bearer {TOKEN}\r\n")
        self.assertEqual(json.loads(told.body)["problems"], self.state.problems)
        self.state.is_ready = False
        self.assertEqual(self.ask("/readyz").status, 503)

    def test_nor_is_a_token_guessed_at_there(self) -> None:
        self.assertEqual([self.bearing(f"wrong-{number}", "/readyz") for number in range(3)], [401] * 3)
        self.begin(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n")
        self.assertNotEqual(self.clock.getDelayedCalls(), [])

    def test_tools_bear_the_token(self) -> None:
        self.assertEqual(self.bearing(TOKEN), 200)
        self.assertEqual(self.bearing(TOKEN, scheme="bearer"), 200)
        for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\xe4" * 20):
            self.assertEqual(self.bearing(wrong), 401, wrong)
            self.clock.advance(FORGET_SECONDS)
        self.assertEqual(self.bearing(TOKEN, scheme="Basic"), 401)

    def test_a_strange_host_is_refused_before_the_token_is_looked_at(self) -> None:
        answer = self.ask("/config", host="example.net", more=f"Authorization: Bearer {TOKEN}\r\n")
        self.assertEqual(answer.status, 403)

    def test_browsers_get_a_form(self) -> None:
        answer = self.ask("/", more="Accept: text/html\r\n")
        self.assertEqual(answer.status, 401)
        self.assertIn(b'action="/login"', answer.body)
        self.assertIn("content-security-policy", answer.headers)

    def test_signing_in_and_out(self) -> None:
        signed_in = self.fill_in("/login", f"token={TOKEN}")
        self.assertEqual((signed_in.status, signed_in.headers["location"]), (303, "/"))
        cookie, *attributes = signed_in.headers["set-cookie"].split("; ")
        self.assertEqual(attributes, ["path=/", "httponly", "samesite=strict"])
        self.assertNotIn(TOKEN, cookie)

    def sign_in(self) -> str:
        """The cookie, in the case in which it was set."""
        form = f"token={TOKEN}".encode()
        head = (
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        )
        transport, lose = self.begin(head + b"Content-Length: %d\r\n\r\n" % len(form) + form)
        lose()
        sent: str = transport.value().decode()
        return sent.partition("Set-Cookie: ")[2].partition(";")[0]

    def test_a_browser_that_has_signed_in(self) -> None:
        cookie = f"Cookie: {self.sign_in()}\r\n"
        self.assertEqual(self.ask("/config", more=cookie).status, 200)
        self.assertIn(b"sign out", self.ask("/", more=cookie + "Accept: text/html\r\n").body)
        self.assertEqual(self.ask("/config", more=cookie[:-4] + "\r\n").status, 401)
        out = self.fill_in("/logout", "", cookie)
        self.assertEqual(out.status, 303)
        self.assertIn("max-age=0", out.headers["set-cookie"])
        self.assertEqual(self.ask("/config", more=cookie).status, 401)

    def test_a_browser_is_signed_out_after_a_while(self) -> None:
        cookie = f"Cookie: {self.sign_in()}\r\n"
        self.clock.advance(SIGNED_IN_SECONDS - 1)
        self.assertEqual(self.ask("/config", more=cookie).status, 200)
        self.clock.advance(1)
        self.assertEqual(self.ask("/config", more=cookie).status, 401)

    def test_a_wrong_token_in_the_form(self) -> None:
        for form in (
            "",
            "token=",
            "token=wrong",
            f"token={TOKEN}x",
            f"other={TOKEN}",
            "&".join("abcdefghijklm"),
        ):
            answer = self.fill_in("/login", form)
            self.assertEqual(answer.status, 403, form)
            self.assertNotIn("set-cookie", answer.headers)
            self.assertIn(b"not the token", answer.body)
            self.clock.advance(FORGET_SECONDS)

    def test_a_form_of_another_site(self) -> None:
        strange = self.fill_in("/login", f"token={TOKEN}", "Origin: http://example.net\r\n")
        self.assertEqual(strange.status, 403)
        ours = self.fill_in("/login", f"token={TOKEN}", "Origin: http://127.0.0.1:9901\r\n")
        self.assertEqual(ours.status, 303)

    def test_a_form_that_is_too_large(self) -> None:
        self.assertEqual(self.fill_in("/login", "token=" + "x" * 5000).status, 413)
        self.assertEqual(self.factory.held_bytes, 0)

    def test_no_body_is_kept_of_who_may_not_ask(self) -> None:
        _, lose = self.begin(question("/explain", 100) + b"{" * 50)
        self.assertEqual(self.factory.held_bytes, 0)
        lose()

    def test_who_looks_on_may_until_it_signs_out(self) -> None:
        cookie = f"Cookie: {self.sign_in()}\r\n"
        _, lose = self.begin(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:9901\r\n{cookie}\r\n".encode())
        self.assertTrue(self.page.may_look())
        self.fill_in("/logout", "", cookie)
        self.assertFalse(self.page.may_look())
        lose()

    def test_who_looks_on_may_until_its_time_is_over(self) -> None:
        cookie = f"Cookie: {self.sign_in()}\r\n"
        _, lose = self.begin(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:9901\r\n{cookie}\r\n".encode())
        self.clock.advance(SIGNED_IN_SECONDS)
        self.assertFalse(self.page.may_look())
        lose()

    def test_a_browser_that_comes_back_to_where_the_form_went_is_sent_to_the_page(self) -> None:
        for method in ("GET", "HEAD"):
            answer = self.ask("/login", method=method)
            self.assertEqual((answer.status, answer.headers["location"]), (303, "/"))
            self.assertNotIn("set-cookie", answer.headers)

    def test_a_form_is_only_sent(self) -> None:
        self.assertEqual(self.ask("/login", method="PUT").status, 405)
        bearing = f"Authorization: Bearer {TOKEN}\r\n"
        self.assertEqual(self.ask("/logout", more=bearing).status, 405)


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("127.0.0.1:9901", "127.0.0.1"),
        ("[::1]:9901", "::1"),
        ("[::1]", "::1"),
        ("LocalHost.:9901", "localhost"),
        ("", ""),
        (":9901", ""),
        ("[", ""),
    ],
)
def test_the_name_in_a_host_header(authority: str, name: str) -> None:
    assert host_name(authority) == name


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "10.1.2.3", "::1", "2001:db8::1", "localhost", "llmgateway", "a.localhost", "given.com"],
)
def test_local_names(name: str) -> None:
    assert is_local_name(name, ["given.com"])


@pytest.mark.parametrize(
    "name", ["", "example.com", "given.com.example.com", "localhost.example.com", "127.0.0.1.nip.io", "127.1"]
)
def test_names_that_a_stranger_may_own(name: str) -> None:
    assert not is_local_name(name, ["given.com"])
