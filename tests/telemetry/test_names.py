"""Counts of what is no longer configured are let go of, after a while."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway.messages import Destination, TokenUsage
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.discarded_counts import Discarded
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.names import GRACE_SECONDS, ConfiguredNames
from gateway.telemetry.outcomes import CheckResult, Outcome
from gateway.telemetry.series import NO_ROUTE
from gateway.telemetry.sources import Sources
from gateway.wire.counts import PoolCounts
from tests.fakes.conf import ChangingConf, key_hash, provider, route_to, snapshot_of, tenant

BOTH = {
    "acme/a.yaml": provider("one", host="one.example") + route_to("one", "first"),
    "acme/b.yaml": provider("two", host="two.example") + route_to("two", "second"),
}
ONE = {"acme/a.yaml": BOTH["acme/a.yaml"]}


def labels_of(snapshot: Snapshot, provider_name: str) -> SeriesLabels:
    """Those of the only backend of this provider under a route of its own."""
    table = snapshot.tenants["acme"]
    backends = [
        backend
        for _, route in table.routes.items()
        if route.name
        for each in route.rules
        for backend in each.backends
    ]
    return next(each.labels for each in backends if each.provider == provider_name)


class Scraped:
    """Metrics of a gateway whose configuration changes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.now = 0.0
        self.pools: dict[tuple[str, str], PoolCounts] = {}
        self.registry = CollectorRegistry()
        sources = Sources(snapshot=lambda: self.snapshot, seconds=lambda: self.now, pools=self.pools)
        self.metrics = Metrics(self.registry, sources)

    def providers(self) -> set[str]:
        """All that are named in what is shown."""
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {sample.labels["provider"] for sample in samples if sample.labels.get("provider")}

    def count_all(self, labels: SeriesLabels) -> None:
        """Count something of everything."""
        self.metrics.series(labels, "").finished(200, Outcome.OK, 0.1, None, 0.001)
        self.metrics.discarded(labels, "", Discarded.LEFT, TokenUsage(1, 2), 0.1, "USD")
        self.metrics.attempted(labels, "ok")
        self.metrics.health_checked(("acme", labels.provider), CheckResult.SUCCESS)
        self.pools["acme", labels.provider] = PoolCounts()


def test_what_is_removed_is_shown_for_a_while_after_the_next_scrape() -> None:
    both = snapshot_of(BOTH)
    scraped = Scraped(both)
    for name in ("one", "two"):
        scraped.count_all(labels_of(both, name))
    assert scraped.providers() == {"one", "two"}
    scraped.snapshot = snapshot_of(ONE)
    scraped.now = 5 * GRACE_SECONDS  # nobody has come to see it meanwhile
    assert scraped.providers() == {"one", "two"}
    scraped.now += GRACE_SECONDS - 1
    assert scraped.providers() == {"one", "two"}
    scraped.now += 1
    assert scraped.providers() == {"one"}
    assert set(scraped.pools) == {("acme", "one")}


def test_what_comes_back_in_time_goes_on() -> None:
    both = snapshot_of(BOTH)
    scraped = Scraped(both)
    scraped.count_all(labels_of(both, "two"))
    scraped.snapshot = snapshot_of(ONE)
    assert scraped.providers() == {"two"}
    scraped.snapshot = snapshot_of(BOTH)
    scraped.now = GRACE_SECONDS - 1
    assert scraped.providers() == {"two"}
    scraped.snapshot = snapshot_of(ONE)
    scraped.now = 2 * GRACE_SECONDS - 2
    assert scraped.providers() == {"two"}


def test_a_client_that_is_removed() -> None:
    clients = "clients: [{{name: {0}, apiKeyHash: '{1}'}}]"
    ci, batch = (
        snapshot_of({**ONE, "acme/t.yaml": tenant("acme", clients.format(name, key_hash(name * 20)))})
        for name in ("ci", "batch")
    )
    scraped = Scraped(ci)
    series = scraped.metrics.series(labels_of(ci, "one"), "ci")
    series.finished(200, Outcome.OK, 0.1, None)
    scraped.metrics.discarded(labels_of(ci, "one"), "ci", Discarded.LEFT, TokenUsage(1, 2), None, "")
    scraped.metrics.series(NO_ROUTE, "").finished(404, Outcome.CLIENT_ERROR, 0.1, None)

    def shown() -> set[str]:
        samples = [sample for family in scraped.registry.collect() for sample in family.samples]
        return {sample.labels["client"] for sample in samples if "client" in sample.labels}

    assert shown() == {"ci", ""}
    scraped.snapshot = batch
    assert shown() == {"ci", ""}
    scraped.now = GRACE_SECONDS
    assert shown() == {""}


def test_every_way_in_which_a_request_can_end_has_a_name() -> None:
    snapshot = snapshot_of(ONE)
    names, labels = ConfiguredNames.of(snapshot), labels_of(snapshot, "one")
    route = SeriesLabels(tenant="acme", route="first", rule="", provider="", model="")
    for each in (
        NO_ROUTE,
        SeriesLabels(tenant="acme", route="", rule="", provider="", model=""),
        route,
        SeriesLabels(tenant="acme", route="first", rule=labels.rule, provider="", model=""),
        SeriesLabels(tenant="acme", route="first", rule=labels.rule, provider="one", model=""),
        labels,
    ):
        assert each in names.labels
    destination = next(iter(snapshot.destinations))
    assert isinstance(destination, Destination)
    assert (destination.owner, destination.provider) in names.providers


def test_labels_of_a_tenant_that_has_not_changed_are_taken_again() -> None:
    files = {"one/p.yaml": provider("a"), "two/p.yaml": provider("b"), "three/p.yaml": provider("c")}
    conf = ChangingConf()
    names = ConfiguredNames.of(conf.adopt(files).snapshot)
    before = dict(names.labels._known)
    del files["three/p.yaml"]
    snapshot = conf.adopt({**files, "two/p.yaml": provider("new")}).snapshot
    after = ConfiguredNames.of(snapshot, names).labels
    assert [tenant for tenant, known in after._known.items() if known is before[tenant]] == ["one"]
    assert names.labels._known == {}
    for owner, name, is_there in (("two", "new", True), ("two", "b", False), ("three", "c", False)):
        rule = "" if not is_there else next(iter(snapshot.tenants[owner].routes.items()))[1].rules[0].name
        labels = SeriesLabels(tenant=owner, route="", rule=rule, provider=name, model="")
        assert (labels in after) is is_there
