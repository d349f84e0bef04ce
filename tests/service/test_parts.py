"""What becomes of a new generation of files."""

from __future__ import annotations

from tests.fakes.conf import gateway, provider, route, route_to
from tests.fakes.house import get
from tests.service.in_memory import LOCAL, ServiceTestCase


class AdoptTests(ServiceTestCase):
    def test_a_change_is_adopted(self) -> None:
        service = self.started()
        first = service.parts.current.snapshot
        self.write(gateway("limits: {headers: 1}") + provider("b", LOCAL) + route_to("b", "new"))
        service.parts.watcher.look()
        self.assertIsNot(service.parts.current.snapshot, first)
        self.assertTrue(self.ask(get(b"/v1/models", host=b"demo")).startswith(b"HTTP/1.1 404 "))
        self.assertTrue(self.ask(get(b"/v1/models", host=b"new")).startswith(b"HTTP/1.1 200 OK"))
        self.assertTrue(self.ask(get(b"/v1/models", b"X: y", host=b"new")).startswith(b"HTTP/1.1 431 "))

    def test_one_that_is_broken_is_told_and_the_last_good_runs_on(self) -> None:
        service = self.started()
        self.write("kind: [")
        self.log.clear()
        service.parts.watcher.look()
        self.assertTrue([line for line in self.log if "conf.yaml:" in line], self.log)
        self.assertIn("tenant default goes on with its last good configuration", self.log)
        self.assertTrue(self.ask(get(b"/v1/models")).startswith(b"HTTP/1.1 200 OK"))
        self.assertTrue(service.parts.status.ready()[0])

    def test_turns_of_rules_that_are_gone_are_forgotten_and_others_go_on(self) -> None:
        both = provider("a", LOCAL) + provider("b", LOCAL)
        documents = both + route(
            "demo",
            """
            rules:
            - backendRefs: [{providerHost: a.example, weight: 1}, {providerHost: b.example, weight: 1}]
            """,
        )
        self.write(documents)
        service = self.started()
        snapshot = service.parts.current.snapshot
        assert snapshot is not None
        found = snapshot.tenants["default"].routes.find("demo")
        assert found is not None
        self.assertEqual(service.parts.live.turns.take(found.rules[0]).provider, "a")
        self.write("# a comment\n" + documents)
        service.parts.watcher.look()
        self.assertEqual(service.parts.live.turns.next(found.rules[0]).provider, "b")
        self.write(both)
        service.parts.watcher.look()
        self.assertEqual(service.parts.live.turns.next(found.rules[0]).provider, "a")

    def test_reloads_are_counted(self) -> None:
        service = self.started()
        self.write("kind: [")
        service.parts.watcher.look()
        samples = {
            sample.labels.get("result"): sample.value
            for metric in service.parts.metrics.collect()
            for sample in metric.samples
            if sample.name == "llmgateway_config_reloads_total"
        }
        self.assertEqual(samples, {"applied": 1, "partly_applied": 0, "rejected": 1})
