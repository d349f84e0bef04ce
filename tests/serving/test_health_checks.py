"""Health checks as conversations with a provider, over time."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.live import Live
from gateway.policy.breaking import Open
from gateway.serving.health_check import READ_BYTES
from gateway.serving.health_checks import HealthChecks
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.backends import Backend
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.generations import Generation
from gateway.telemetry.metrics import Metrics
from gateway.wire.limits import SWEEP_SECONDS
from gateway.wire.pools import Pools
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.conf import KEYED, adopt_conf, backend, provider, route, told
from tests.fakes.house import STREAM, Network, WatchedSweep, answer, event, words
from tests.fakes.upstreams import Provider

CHECKED = f"{KEYED}\nhealthCheck: {{}}"
MODELS = answer(b'{"object": "list", "data": []}')
TWO_KEYS = """
configs: {defaultConfig: {openAIConfig: {apiKeys: [{name: one, key: sk-one-of-two}, {name: two, key: sk-two-of-two}]}}}
healthCheck: {}
"""


class HealthChecksTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sweep = WatchedSweep(self.clock)
        self.sweep.start()
        self.network = Network(self.sweep)
        self.pools = Pools(self.network.connect, self.sweep)
        self.live = Live()
        self.registry = CollectorRegistry()
        self.chance = 0.5
        self.checks = HealthChecks(
            Surroundings(
                current=CurrentSnapshot(),
                live=self.live,
                pools=self.pools,
                metrics=Metrics(self.registry),
                access_log=None,
                sweep=self.sweep,
                via=b"llmgateway-here",
                chance=lambda: self.chance,
            ),
            self.network.connect,
        )
        self.generation: Generation | None = None

    def reads(self, conf: Mapping[str, str] | str, **options: object) -> None:
        self.generation = adopt_conf(conf, self.generation, **options)  # type: ignore[arg-type]
        self.assertEqual(told(self.generation), [])
        self.checks.adopt(self.generation.snapshot)

    def waits(self, seconds: float) -> None:
        self.clock.pump([SWEEP_SECONDS] * round(seconds / SWEEP_SECONDS))

    @property
    def backend(self) -> Backend:
        """The provider `a` as it is reached by its own host."""
        assert self.generation is not None
        return backend(self.generation.snapshot, "a.example")

    @property
    def asked(self) -> list[Provider]:
        """A provider for each time that one was asked."""
        return self.network.providers

    def counted(self, result: str) -> float:
        labels = {"tenant": "default", "provider": "a", "result": result}
        return self.registry.get_sample_value("llmgateway_health_checks_total", labels) or 0

    def asks(self) -> Provider:
        """Wait for the next check."""
        before = len(self.asked)
        for _ in range(100):
            if len(self.asked) > before:
                break
            self.waits(SWEEP_SECONDS)
        self.assertEqual(len(self.asked), before + 1)
        return self.asked[-1]

    def fails(self, times: int) -> None:
        """Let so many checks fail."""
        for _ in range(times):
            self.asks().answers(answer(b"", status=b"503 Service Unavailable"))

    def is_open(self, key: int = 0) -> bool:
        name = self.backend.keys[key].breaker_name
        return isinstance(self.live.breakers.remembered().get(name), Open)


class QuestionTests(HealthChecksTestCase):
    def test_the_models_are_asked_for_as_a_client_would(self) -> None:
        self.reads(provider("a", CHECKED))
        self.waits(5)
        self.assertEqual(
            self.asked[0].received(),
            b"GET /v1/models HTTP/1.1\r\n"
            b"host: a.example\r\n"
            b"authorization: Bearer sk-of-the-provider\r\n"
            b"accept-encoding: identity\r\n"
            b"connection: close\r\n"
            b"user-agent: llmgateway-health-check\r\n"
            b"content-length: 0\r\n\r\n",
        )

    def test_a_body_is_posted(self) -> None:
        asked = "{operation: chat, body: {messages: [], max_tokens: 1}}"
        self.reads(provider("a", f"{KEYED}\nhealthCheck: {asked}"))
        self.waits(5)
        head, _, body = self.asked[0].received().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n"))
        self.assertIn(b"\r\ncontent-type: application/json\r\n", head)
        self.assertTrue(head.endswith(b"content-length: %d" % len(body)))
        self.assertIn(b'"model":"plain"', body)

    def test_the_user_agent_is_the_operators_where_there_is_one(self) -> None:
        config = "configs: {defaultConfig: {openAIConfig: {headers: {user-agent: mine}}}}\nhealthCheck: {}"
        self.reads(provider("a", config))
        self.waits(5)
        self.assertEqual(self.asked[0].received().count(b"user-agent: "), 1)

    def test_it_has_a_connection_of_its_own(self) -> None:
        self.reads(provider("a", CHECKED))
        self.waits(5)
        self.asked[0].answers(MODELS)
        self.assertEqual(self.asked[0].end, "closed")
        self.assertEqual(self.pools.by_destination, {})

    def test_a_key_that_is_dead_is_not_shown(self) -> None:
        self.reads(provider("a", TWO_KEYS))
        self.live.keys.answered(self.backend.keys[0], 401, None, None, 0.0)
        self.waits(5)
        self.assertIn(b"sk-two-of-two", self.asked[0].received())
        self.asked[0].answers(MODELS)
        self.live.keys.answered(self.backend.keys[1], 401, None, None, 0.0)
        self.waits(30)
        self.assertEqual(len(self.asked), 1)


class TimeTests(HealthChecksTestCase):
    def test_it_is_asked_every_interval(self) -> None:
        self.reads(provider("a", CHECKED))
        times = []
        for _ in range(3):
            self.asks().answers(MODELS)
            times.append(self.clock.seconds())
        self.assertEqual(times, [5, 15, 25])
        self.assertEqual(self.counted("success"), 3)

    def test_more_or_less(self) -> None:
        self.reads(provider("a", CHECKED))
        self.chance = 0.0
        self.waits(5)
        self.asked[0].answers(MODELS)
        self.chance = 0.99
        self.waits(9)
        self.asked[1].answers(MODELS)
        self.waits(10.5)
        self.assertEqual(len(self.asked), 2)
        self.waits(0.5)
        self.assertEqual(len(self.asked), 3)

    def test_one_at_a_time(self) -> None:
        self.reads(provider("a", f"{KEYED}\nhealthCheck: {{interval: 1s, timeout: 4s}}"))
        self.waits(4)
        self.assertEqual(len(self.asked), 1)
        self.waits(1)
        self.assertEqual((self.counted("failure"), len(self.asked)), (1, 2))

    def test_a_provider_without_a_check_is_not_asked(self) -> None:
        self.reads(provider("a"))
        self.waits(60)
        self.assertEqual(self.asked, [])


class ResultTests(HealthChecksTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reads(provider("a", CHECKED))

    def test_what_counts_as_what(self) -> None:
        for status, result in (
            ("200 OK", "success"),
            ("204 No Content", "success"),
            ("301 Moved Permanently", "refused"),
            ("401 Unauthorized", "refused"),
            ("404 Not Found", "refused"),
            ("429 Too Many Requests", "refused"),
            ("500 Internal Server Error", "failure"),
            ("503 Service Unavailable", "failure"),
        ):
            before = self.counted(result)
            self.asks().answers(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            self.assertEqual(self.counted(result), before + 1, status)

    def test_no_connection(self) -> None:
        self.network.fails_with = GatewayError("provider_connect_failed", "Nobody is there.")
        self.waits(5)
        self.assertEqual(self.counted("failure"), 1)

    def test_a_connection_that_is_not_made_in_time(self) -> None:
        self.network.hangs = True
        self.waits(10)
        self.assertEqual((self.counted("failure"), self.network.cancelled), (1, 1))

    def test_an_answer_that_does_not_begin(self) -> None:
        self.waits(9.75)
        self.assertEqual((self.counted("failure"), self.asked[0].end), (0, ""))
        self.waits(0.25)
        self.assertEqual((self.counted("failure"), self.asked[0].end), (1, "aborted"))

    def test_an_answer_that_does_not_end(self) -> None:
        self.waits(5)
        for _ in range(20):
            self.asked[0].answers(MODELS[:50] if not self.counted("failure") else b"")
            self.waits(0.25)
        self.assertEqual((self.counted("failure"), self.asked[0].end), (1, "aborted"))

    def test_an_answer_that_breaks(self) -> None:
        self.waits(5)
        self.asked[0].answers(MODELS[:-5])
        self.asked[0].resets()
        self.assertEqual(self.counted("failure"), 1)

    def test_an_answer_of_any_length_is_not_read(self) -> None:
        self.waits(5)
        self.asked[0].answers(STREAM)
        piece = event(words("x" * 65536))
        for _ in range(READ_BYTES // 65536):
            self.asked[0].answers(piece)
        self.assertEqual((self.counted("success"), self.asked[0].end), (1, "aborted"))

    def test_a_fault_of_our_own_is_told_and_the_next_check_comes(self) -> None:
        self.network.hangs = True
        self.waits(5)
        self.network.waiting.pop()[1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.counted("failure"), 1)
        self.network.hangs = False
        self.waits(10)
        self.assertEqual(len(self.asked), 1)


class BreakerTests(HealthChecksTestCase):
    def test_failures_open_the_breakers_of_all_keys(self) -> None:
        self.reads(provider("a", TWO_KEYS))
        self.fails(4)
        self.assertEqual((self.is_open(0), self.is_open(1)), (False, False))
        self.fails(1)
        self.assertEqual((self.is_open(0), self.is_open(1)), (True, True))

    def test_those_of_rules_with_keys_of_their_own_too(self) -> None:
        spec = """
        configs:
          defaultConfig: {openAIConfig: {apiKey: sk-of-everybody}}
          routeSpecificConfigs: {vip: {openAIConfig: {apiKey: sk-of-the-vip}}}
        healthCheck: {}
        """
        rules = "rules: [{name: vip, backendRefs: [{providerHost: a.example}]}]"
        self.reads(provider("a", spec) + route("demo", rules))
        self.fails(5)
        assert self.generation is not None
        vip = backend(self.generation.snapshot, "demo")
        self.assertIsInstance(self.live.breakers.remembered()[vip.keys[0].breaker_name], Open)

    def test_a_refusal_opens_nothing(self) -> None:
        self.reads(provider("a", CHECKED))
        for _ in range(9):
            self.asks().answers(answer(b"", status=b"404 Not Found"))
        self.assertFalse(self.is_open())

    def test_a_success_lets_the_next_request_try(self) -> None:
        self.reads(provider("a", f"{CHECKED}\noutlierDetection: {{baseEjectionTime: 60s}}"))
        self.fails(5)
        asked, now = self.asks(), self.clock.seconds()
        (key,) = self.backend.keys
        self.assertFalse(self.live.breakers.admits(key, now))
        asked.answers(MODELS)
        self.assertTrue(self.live.breakers.admits(key, now))
        self.assertTrue(self.live.breakers.begin(key, now), "it is no probe")

    def test_a_check_under_way_keeps_no_request_from_trying(self) -> None:
        self.reads(provider("a", CHECKED))
        self.fails(5)
        self.asks()
        self.assertTrue(self.live.breakers.admits(self.backend.keys[0], self.clock.seconds()))


class ReloadTests(HealthChecksTestCase):
    def test_who_comes_is_asked_and_who_goes_is_not(self) -> None:
        self.reads(provider("a", CHECKED))
        self.waits(5)
        self.reads(provider("b", CHECKED))
        self.assertEqual(self.asked[0].end, "aborted")
        self.waits(5)
        self.assertIn(b"host: b.example", self.asked[1].received())
        self.waits(4)
        self.assertEqual(len(self.asked), 2)

    def test_who_is_asked_the_same_keeps_its_time_and_what_runs(self) -> None:
        self.reads(provider("a", CHECKED))
        self.waits(4)
        self.reads(provider("a", f"{CHECKED}\noutlierDetection: {{consecutiveErrors: 1}}"))
        self.waits(1)
        self.assertEqual(len(self.asked), 1)
        self.reads(provider("a", f"{CHECKED}\noutlierDetection: {{consecutiveErrors: 1}}") + provider("b"))
        self.asked[0].resets()
        self.assertEqual(self.counted("failure"), 1)
        self.assertTrue(self.is_open())  # by the settings of today

    def test_who_is_asked_something_else_begins_anew(self) -> None:
        self.reads(provider("a", CHECKED))
        for changed in (
            f"{KEYED}\nhealthCheck: {{path: /health}}",
            f"{KEYED}\nhealthCheck: {{interval: 8s}}",
            CHECKED.replace("sk-of-the-provider", "sk-another-one"),
            f"{CHECKED}\nendpoint: {{port: 8443}}",
        ):
            self.waits(5)
            running = self.asked[-1]
            self.assertEqual(running.end, "")
            self.reads(provider("a", changed))
            self.assertEqual(running.end, "aborted")
        self.assertEqual(len(self.asked), 4)
        self.assertEqual(self.counted("failure"), 0)

    def test_the_end(self) -> None:
        self.reads(provider("a", CHECKED) + provider("b", CHECKED))
        self.waits(5)
        self.checks.stop()
        self.assertEqual([each.end for each in self.asked], ["aborted", "aborted"])
        left = [each for each in self.sweep.watched if not isinstance(each, UpstreamConnection)]
        self.assertEqual(left, [self.pools])
        self.waits(60)
        self.assertEqual(len(self.asked), 2)


class LogTests(HealthChecksTestCase):
    def lines(self, *answers: bytes) -> list[str | None]:
        """What is logged while checks are answered so."""
        with capturedLogs() as events:
            for each in answers:
                self.asks().answers(each)
        return [formatEvent(event) for event in events]

    def test_a_change_is_told_once(self) -> None:
        self.reads(provider("a", CHECKED))
        down = answer(b"", status=b"503 Service Unavailable")
        self.assertEqual(self.lines(MODELS, MODELS), [])
        start = "health check of provider a of tenant default"
        self.assertEqual(
            self.lines(down, down, answer(b"", status=b"404 Not Found"), MODELS, MODELS),
            [f"{start}: failure, status 503", f"{start}: refused, status 404", f"{start}: success"],
        )

    def test_why_there_is_no_connection(self) -> None:
        self.reads(provider("a", CHECKED))
        self.network.fails_with = GatewayError(
            "provider_connect_failed", "It refused.", detail="a.example:443"
        )
        with capturedLogs() as events:
            self.waits(5)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["health check of provider a of tenant default: failure, It refused. a.example:443"],
        )
