"""The parts of the page: what they show, and that no text in them is anything but text."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from msgspec.structs import replace

from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.serving.page.document import page, sign_in
from gateway.serving.page.failures import SHOWN_AT_ONCE
from gateway.serving.page.inventory import inventory_of
from gateway.serving.page.overview import overview
from gateway.serving.page.sections import SectionMaker, Sections
from gateway.serving.page.tables import FEW_ROWS, MOST_ROWS
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.exchange_record import Tried
from gateway.telemetry.recent_failures import Failures, Kind, RecentFailure
from gateway.telemetry.series import NO_ROUTE
from tests.fakes.conf import KEYED, adopt_conf, key_hash, provider, route, route_to, tenant
from tests.serving.page.reader import Reader
from tests.serving.page.seen import UNIX, counts, seen, shown

HOSTILE = "<script>alert(1)</script>\"'&\x00\u202e\ud800"

SPLIT = """
rules:
- name: split
  backendRefs: [{providerHost: first.example, weight: 70}, {providerHost: second.example, weight: 30}]
  fallback: [{providerHost: third.example}]
"""
CONF = provider("first") + provider("second") + provider("third") + route("demo", SPLIT)


def text_of(html: str) -> str:
    """What a reader sees, in one line."""
    reader = Reader()
    reader.feed(html)
    return " ".join(" ".join(reader.texts).split())


def failure(*, number: int = 1, **fields: Any) -> Failures:
    """Exchanges that went wrong alike.

    :param number: how many there were; the last one is kept.
    """
    kind: dict[str, Any] = dict.fromkeys(("error", "tenant", "route", "rule", "provider"), "")
    kind |= {"code": 502, "outcome": "provider_failed"}
    kind |= {name: fields.pop(name) for name in kind if name in fields}
    texts = ("request_id", "client", "method", "path", "host", "asked_model", "sent_model", "detail")
    given: dict[str, Any] = dict.fromkeys(texts, "")
    given |= {"at": UNIX, "stream": False, "tried": (), "duration_ms": 12.5, **fields}
    return Failures(Kind(**kind), number, UNIX - 90, (RecentFailure(**given),))


def labels(provider_name: str) -> SeriesLabels:
    return SeriesLabels(tenant="default", route="demo", rule="split", provider=provider_name, model="plain")


def test_a_route_with_its_weights_as_they_are_written_and_as_they_come_out() -> None:
    backends = {
        labels("first"): counts(ok=10),
        labels("third"): counts(ok=26, provider_failed=4),
    }
    told = text_of(shown(seen(CONF, backends=backends))["routes"])
    assert "demo split first plain 70 % 25 % second plain 30 % 0 % third plain fallback 75 %" in told
    assert "fallback 75 % 0.7 10 %" in told  # 40 requests in a minute, 4 of them failed


def test_the_sum_of_requests_is_the_tenants_and_nobodys() -> None:
    backends = {
        labels("first"): counts(ok=120),
        NO_ROUTE: counts(client_error=60),
    }
    told = text_of(shown(seen(CONF, backends=backends))["tenants"])
    assert "nobody known – – 1.0 0 %" in told
    assert "default its files since" in told
    assert "2.0 0 %" in told


def test_a_provider_with_its_keys_and_what_failed() -> None:
    standings = [
        KeyStanding("default", "first", "a", BreakerStanding.OPEN, True, admits_in=4.0),
        KeyStanding("default", "first", "b", BreakerStanding.CLOSED, False, refused_with=401),
        KeyStanding("default", "first", "c", BreakerStanding.PROBING, False, usable_in=30.0),
        KeyStanding("default", "first", "d", BreakerStanding.CLOSED, True),
    ]
    backends = {labels("first"): counts(ok=1, attempts={"ok": 3, "status 503": 1, "open": 5})}
    told = text_of(shown(seen(CONF, backends=backends, standings=standings))["providers"])
    assert "a breaker open, tried again in 4 s b key refused with 401" in told
    assert "c breaker probing: one request tries it again key at its limit for 30 s d closed, usable" in told
    assert "25 % of 4 1 × status 503" in told


def test_problems_with_their_places() -> None:
    broken = adopt_conf(CONF.replace("third.example}", "thrid.example}"))
    told = text_of(shown(seen(generation=broken))["problems"])
    assert "error conf.d/conf.yaml:" in told
    assert "spec.rules[0].fallback[0].providerHost no provider has the host thrid.example" in told


def test_failures_with_their_attempts_ours_before_the_clients() -> None:
    tried = (
        Tried("first", "main", "status", 429, 0.2, after=0.0, code="rate_limit_exceeded"),
        Tried("third", "", "open", None, 0.0),
        Tried("second", "", "cut", None, 0.0, after=0.25),
    )
    failures = [
        failure(outcome="client_error", code=401, error="invalid_api_key", at=UNIX + 1),
        failure(
            tenant="acme",
            route="demo",
            error="provider_unreachable",
            tried=tried,
            detail="refused",
            number=1234,
        ),
    ]
    told = text_of(shown(seen(CONF, failures=failures))["failures"])
    ours, clients = told.split("What clients got wrong or left: 1 of late")
    assert "502 provider_failed 1,234 × acme / demo provider_unreachable" in ours
    assert "first status 429 rate_limit_exceeded → third open → second cut" in ours
    assert "how often 1,234 times since" in ours
    assert "first main status 429 rate_limit_exceeded at once 200 ms third – open – – – –" in ours
    assert "second – cut – – 250 ms <1 ms" in ours
    assert "401 client_error nobody known invalid_api_key" in clients
    assert "No provider was asked." in clients


def test_what_a_provider_blames_on_the_request_is_the_clients() -> None:
    tried = (Tried("first", "", "status", 400, 0.2, after=0.0),)
    blamed = failure(outcome="provider_error", code=400, tried=tried)
    html = shown(seen(CONF, failures=[blamed]))["failures"]
    assert "None since the start. What clients got wrong or left: 1 of late" in text_of(html)
    assert "badge bad" not in html


def test_a_failure_of_another_day_has_its_date() -> None:
    told = text_of(shown(seen(CONF, failures=[failure(at=UNIX - 86400)]))["failures"])
    assert " 17 Nov " in told


def test_many_kinds_of_failures_are_folded() -> None:
    failures = [failure(tenant=f"tenant-{number}") for number in range(SHOWN_AT_ONCE + 5)]
    told = text_of(shown(seen(CONF, failures=failures))["failures"])
    assert "tenant-7" in told.split("5 more kinds of failures")[0]
    assert "tenant-12" in told.split("5 more kinds of failures")[1]


def test_costs() -> None:
    spent = counts(ok=1, costs={"USD": 1.5})
    made = shown(seen(CONF, backends={labels("first"): spent}))
    assert "1.50 USD 90.00 USD an hour" in text_of(made["numbers"])
    assert "1.50 USD" in text_of(made["routes"])


def test_before_the_first_configuration_and_the_first_reading() -> None:
    nothing = seen(
        generation=adopt_conf(""), recent=None, ready=False, reasons=("no configuration has been read yet",)
    )
    made = shown(evolve(nothing, generation=None))
    assert "not serving" in made["state"]
    assert "no configuration has been read yet" in made["problems"]


def test_every_text_is_escaped() -> None:
    clients = f"clients: [{{name: web, apiKeyHash: {key_hash('k' * 40)}}}]"
    name = '"<script>alert(1)</script>\\"\'&"'
    rules = f"rules: [{{name: {name}, backendRefs: [{{providerHost: first.example}}]}}]"
    conf = CONF + tenant("acme", clients) + route("other", rules)
    texts = ("request_id", "tenant", "client", "route", "rule", "method", "path", "host", "error", "detail")
    words: dict[str, Any] = dict.fromkeys((*texts, "asked_model", "sent_model", "outcome"), HOSTILE)
    hostile = failure(**words, tried=(Tried(HOSTILE, HOSTILE, HOSTILE, 500, 0.1, code=HOSTILE),))
    made = shown(
        seen(
            conf,
            failures=[hostile],
            backends={
                SeriesLabels(
                    **dict.fromkeys(("tenant", "route", "rule", "provider", "model"), HOSTILE)
                ): counts(ok=1)
            },
            standings=[KeyStanding("default", "first", HOSTILE, BreakerStanding.CLOSED, True)],
            reasons=(HOSTILE,),
            ready=False,
        )
    )
    reader = Reader()
    reader.feed(page(HOSTILE, made, [HOSTILE], can_sign_out=True))
    assert reader.elements.count("script") == 3  # uPlot's and the page's own
    assert reader.text.count("alert(1)") > 10
    assert "\x00" not in reader.text
    assert "\u202e" not in reader.text
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name == "style"]
    for html in made.values():
        assert "<script" not in html


@pytest.mark.parametrize("html", [sign_in(wrong=True), page("1", shown(seen(CONF)), [], can_sign_out=False)])
def test_nothing_comes_from_elsewhere(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    for name, value in reader.attributes:
        if name in ("src", "href", "action") and value is not None:
            assert value.startswith(("/", "#")), value
            assert not value.startswith("//"), value


def test_a_table_of_thousands_shows_those_that_fail_or_have_most_to_do() -> None:
    many = "".join(route_to("first", f"route-{number}") for number in range(3 * MOST_ROWS))
    late = SeriesLabels(tenant="default", route="route-299", rule="all", provider="first", model="plain")
    told = text_of(shown(seen(provider("first") + many, backends={late: counts(ok=1)}))["routes"])
    assert "route-299" in told.split(f"{3 * MOST_ROWS} rules without requests in the last minute")[0]
    assert f"{MOST_ROWS} of {3 * MOST_ROWS + 1} are shown" in told


def test_what_is_quiet_is_folded_where_there_is_much() -> None:
    busy, failing = (replace(labels("first"), route=f"route-{number}", rule="all") for number in (3, 7))
    backends = {busy: counts(ok=1), failing: counts(provider_failed=1)}
    for number, is_folded in ((FEW_ROWS - 1, False), (FEW_ROWS, True)):
        many = "".join(route_to("first", f"route-{each}") for each in range(number))
        told = text_of(shown(seen(provider("first") + many, backends=backends))["routes"])
        before, found, after = told.partition(f"{number - 1} rules without requests in the last minute")
        assert bool(found) == is_folded
        if is_folded:
            assert ("route-3" in before, "route-7" in before, "route-5" in before) == (True, True, False)
            assert ("route-5" in after, "route-7" in after) == (True, False)


def test_written_routes_come_before_providers_own_hosts() -> None:
    conf = provider("aaa") + route_to("aaa", "zzz")
    told = text_of(shown(seen(conf))["routes"])
    assert told.index("zzz") < told.index("aaa.example the provider itself")


def test_a_backend_of_another_tenant_says_whose_it_is() -> None:
    conf = {"acme/a.yaml": provider("first", KEYED + '\nexportTo: ["*"]'), "globex/a.yaml": route_to("first")}
    told = text_of(shown(seen(generation=adopt_conf(conf)))["routes"])
    assert "globex demo all first of acme" in told


def test_providers_of_one_name_are_told_apart() -> None:
    conf = {"acme/a.yaml": CONF, "globex/a.yaml": CONF.replace("demo", "more").replace(".example", ".test")}
    told = text_of(shown(seen(generation=adopt_conf(conf)))["providers"])
    assert "acme first openai" in told
    assert "globex first openai" in told


def test_a_part_is_made_anew_only_if_something_in_it_has_changed() -> None:
    maker = SectionMaker()
    generation = adopt_conf(CONF)
    inventory = inventory_of(generation.snapshot)
    now = counts(ok=5)

    def made(**more: object) -> Sections:
        what = seen(generation=generation, **more)  # type: ignore[arg-type]
        return maker.sections(overview(evolve(what, inventory=inventory)))

    first = made(backends={labels("first"): now}, failures=[failure()])
    again = made(backends={labels("first"): now}, failures=[failure()])
    busy = made(backends={labels("first"): counts(ok=7)}, failures=[failure(at=UNIX + 1)])
    for name in ("failures", "routes", "providers", "tenants", "problems"):
        assert again[name] is first[name]
        assert (busy[name] is first[name]) == (name == "problems")
