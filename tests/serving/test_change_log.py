"""What the log says of a change."""

from __future__ import annotations

from typing import Any

from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from gateway.serving.change_log import ChangeLog
from gateway.serving.status import reload_result
from gateway.snapshot.generations import Generation
from tests.fakes.conf import KEYED, adopt_conf, gateway, provider, tenant

BROKEN = "kind: ["
WARNED = provider("w", f"{KEYED}\nendpoint: {{tls: {{insecureSkipVerify: true}}}}")


class ChangeLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[dict[str, object]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.log = ChangeLog("conf.d")

    def tell(self, generation: Generation) -> list[str]:
        """What is logged of it."""
        self.events.clear()
        self.log.tell(generation, reload_result(generation))
        return [str(formatEvent(event)) for event in self.events]

    def test_a_start_is_one_line_however_much_there_is(self) -> None:
        self.assertEqual(
            self.tell(adopt_conf({"acme/p.yaml": provider("a")})),
            ["configuration applied, hosts served: 1, tenants: 1"],
        )

    def test_differences_are_one_line(self) -> None:
        first = adopt_conf({"acme/p.yaml": provider("a"), "beta/p.yaml": provider("b")})
        self.tell(first)
        (line,) = self.tell(adopt_conf({"acme/p.yaml": provider("a") + provider("c")}, first))
        self.assertEqual(
            line, "configuration applied, hosts served: 2, tenants: 1; acme: provider c added; beta: removed"
        )
        (event,) = self.events
        self.assertEqual(event["_words"], "acme: provider c added; beta: removed")
        self.assertEqual(
            event["changes"],
            [
                {"tenant": "acme", "how": "changed", "details": ["provider c added"]},
                {"tenant": "beta", "how": "removed", "details": []},
            ],
        )

    def test_errors_each_time_and_warnings_once(self) -> None:
        first = adopt_conf({"acme/p.yaml": BROKEN, "other/p.yaml": WARNED})
        error, warning, standing, _ = self.tell(first)
        self.assertTrue(error.startswith("conf.d/acme/p.yaml:"))
        self.assertTrue(warning.startswith("conf.d/other/p.yaml:"))
        self.assertEqual(standing, "tenant acme is not served: its files were never good")
        again = self.tell(adopt_conf({"acme/p.yaml": BROKEN, "other/p.yaml": WARNED}, first))
        self.assertEqual(again[0], error)
        self.assertNotIn(warning, again)

    def test_a_tenant_that_goes_on(self) -> None:
        first = adopt_conf({"acme/p.yaml": provider("a")})
        self.tell(first)
        lines = self.tell(adopt_conf({"acme/p.yaml": BROKEN}, first))
        self.assertIn("tenant acme goes on with its last good configuration", lines)
        self.assertTrue(lines[-1].startswith("configuration rejected, hosts served: 1, "), lines)

    def test_a_gateway_document_that_cannot_be_used(self) -> None:
        good, bad = gateway("limits: {headers: 7}"), gateway("limits: {headers: many}")
        first = adopt_conf({"g.yaml": good, "acme/p.yaml": provider("a")})
        self.tell(first)
        lines = self.tell(adopt_conf({"g.yaml": bad, "acme/p.yaml": provider("a")}, first))
        self.assertEqual(
            lines[1:],
            [
                "the Gateway document cannot be used, and keeps its last good settings",
                "configuration partly applied, hosts served: 1, tenants: 1; Gateway: keeps its last good settings",
            ],
        )
        at_the_start = self.tell(adopt_conf({"g.yaml": bad}))
        self.assertIn("the Gateway document cannot be used, so nothing of it is set", at_the_start)

    def test_a_tenant_that_has_lost_its_clients(self) -> None:
        clients = tenant("acme", "clients: []")
        first = adopt_conf({"acme/p.yaml": provider("a"), "acme/t.yaml": clients})
        self.tell(first)
        opened = adopt_conf({"acme/p.yaml": provider("a")}, first)
        told = "tenant acme has no clients any more: ANYBODY may ask for its hosts"
        self.assertIn(told, self.tell(opened))
        self.assertNotIn(told, self.tell(adopt_conf({"acme/p.yaml": provider("b")}, opened)))
        self.assertNotIn(told, self.tell(adopt_conf({}, first)))

    def test_a_tenant_whose_exchanges_nobody_keeps(self) -> None:
        first = adopt_conf({"acme/p.yaml": provider("a")})
        wanted = {"acme/p.yaml": provider("a"), "acme/t.yaml": tenant("acme", "capture: {request: true}")}
        told = "tenant acme wants its exchanges kept: start with --capture-log for that"
        self.assertNotIn(told, self.tell(first))
        second = adopt_conf(wanted, first)
        self.assertIn(told, self.tell(second))
        self.assertNotIn(told, self.tell(adopt_conf({**wanted, "b/p.yaml": provider("b")}, second)))
        self.log = ChangeLog("conf.d", keeps_content=True)
        self.assertNotIn(told, self.tell(adopt_conf(wanted)))

    def test_where_a_problem_is(self) -> None:
        self.tell(adopt_conf({"acme/p.yaml": BROKEN}))
        event = self.events[0]
        self.assertEqual((event["tenant"], event["file"]), ("acme", "conf.d/acme/p.yaml"))

    def test_nothing_to_serve(self) -> None:
        self.assertIn("conf.d: no file names an LLMProvider", self.tell(adopt_conf({}))[0])
