"""The parts of the page: what they show, and that no text in them is anything but text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from attrs import evolve

from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.serving.page.document import page, sign_in
from gateway.serving.page.overview import MOST_ROWS, overview
from gateway.serving.page.sections import parts, sections
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.exchange_record import Tried
from gateway.telemetry.recent_failures import RecentFailure
from gateway.telemetry.series import NO_ROUTE
from tests.fakes.conf import adopt_conf, key_hash, provider, route, route_to, tenant
from tests.serving.page.seen import UNIX, counts, seen

HOSTILE = "<script>alert(1)</script>\"'&\x00\u202e\ud800"

SPLIT = """
rules:
- name: split
  backendRefs: [{providerHost: first.example, weight: 70}, {providerHost: second.example, weight: 30}]
  fallback: [{providerHost: third.example}]
"""
CONF = provider("first") + provider("second") + provider("third") + route("demo", SPLIT)


class Reader(HTMLParser):
    """Gathers what a browser would make of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def text_of(html: str) -> str:
    """What a reader sees, in one line."""
    reader = Reader()
    reader.feed(html)
    return " ".join(reader.text.split())


def failure(**fields: object) -> RecentFailure:
    """An exchange that went wrong."""
    names = ("request_id", "tenant", "client", "route", "rule", "provider", "method", "path", "host")
    texts = dict.fromkeys((*names, "error", "asked_model", "sent_model", "detail"), "")
    given = {**texts, "at": UNIX, "code": 502, "outcome": "provider_failed", "stream": False, "tried": ()}
    return RecentFailure(**{**given, "duration_ms": 12.5, **fields})  # type: ignore[arg-type]


def labels(provider_name: str) -> SeriesLabels:
    return SeriesLabels(tenant="default", route="demo", rule="split", provider=provider_name, model="plain")


def test_a_route_with_its_weights_as_they_are_written_and_as_they_come_out() -> None:
    backends = {
        labels("first"): counts(ok=10),
        labels("third"): counts(ok=26, provider_failed=4),
    }
    shown = text_of(sections(overview(seen(CONF, backends=backends)))["routes"])
    assert "demo split first plain 70 % 25 % second plain 30 % 0 % third plain fallback 75 %" in shown
    assert "fallback 75 % 0.7 10 %" in shown  # 40 requests in a minute, 4 of them failed


def test_the_sum_of_requests_is_the_tenants_and_nobodys() -> None:
    backends = {
        labels("first"): counts(ok=120),
        NO_ROUTE: counts(client_error=60),
    }
    shown = text_of(sections(overview(seen(CONF, backends=backends)))["tenants"])
    assert "nobody known – – 1.0 0 %" in shown
    assert "default its files since" in shown
    assert "2.0 0 %" in shown


def test_a_provider_with_its_keys_and_what_failed() -> None:
    standings = [
        KeyStanding("default", "first", "a", BreakerStanding.OPEN, True, admits_in=4.0),
        KeyStanding("default", "first", "b", BreakerStanding.CLOSED, False, refused_with=401),
        KeyStanding("default", "first", "c", BreakerStanding.PROBING, False, usable_in=30.0),
        KeyStanding("default", "first", "d", BreakerStanding.CLOSED, True),
    ]
    backends = {labels("first"): counts(ok=1, attempts={"ok": 3, "status": 1, "open": 5})}
    shown = text_of(sections(overview(seen(CONF, backends=backends, standings=standings)))["providers"])
    assert "a breaker open, tried again in 4 s b key refused with 401" in shown
    assert "c breaker probing, one request tries it again key at its limit for 30 s d closed, usable" in shown
    assert "25 % of 4 1 × status" in shown


def test_problems_with_their_places() -> None:
    broken = adopt_conf(CONF.replace("third.example}", "thrid.example}"))
    shown = text_of(sections(overview(seen(generation=broken)))["problems"])
    assert "error conf.d/conf.yaml:" in shown
    assert "spec.rules[0].fallback[0].providerHost no provider has the host thrid.example" in shown


def test_failures_with_their_attempts_ours_before_the_clients() -> None:
    tried = (
        Tried("first", "main", "status", 503, 0.2, after=0.0),
        Tried("second", "", "cut", None, 1.5, after=0.25),
    )
    failures = [
        failure(outcome="client_error", code=401, error="invalid_api_key", at=UNIX + 1),
        failure(tenant="acme", route="demo", error="provider_unreachable", tried=tried, detail="refused"),
    ]
    shown = text_of(sections(overview(seen(CONF, failures=failures)))["failures"])
    ours, clients = shown.split("What clients got wrong or left: 1 of late")
    assert "502 provider_failed acme / demo provider_unreachable first status 503 → second cut" in ours
    assert "first main status 503 0 s 200 ms second – cut – 250 ms 1.5 s" in ours
    assert "401 client_error nobody known invalid_api_key" in clients
    assert "No provider was asked." in clients


def test_costs() -> None:
    spent = counts(ok=1, costs={"USD": 1.5})
    shown = sections(overview(seen(CONF, backends={labels("first"): spent})))
    assert "1.50 USD 90.00 USD an hour" in text_of(shown["numbers"])
    assert "1.50 USD" in text_of(shown["routes"])


def test_before_the_first_configuration_and_the_first_reading() -> None:
    nothing = seen(
        generation=adopt_conf(""), recent=None, ready=False, reasons=("no configuration has been read yet",)
    )
    shown = sections(overview(evolve(nothing, generation=None)))
    assert "not serving" in shown["state"]
    assert "no configuration has been read yet" in shown["problems"]


def test_every_text_is_escaped() -> None:
    clients = f"clients: [{{name: web, apiKeyHash: {key_hash('k' * 40)}}}]"
    name = '"<script>alert(1)</script>\\"\'&"'
    rules = f"rules: [{{name: {name}, backendRefs: [{{providerHost: first.example}}]}}]"
    conf = CONF + tenant("acme", clients) + route("other", rules)
    texts = ("request_id", "tenant", "client", "route", "rule", "method", "path", "host", "error", "detail")
    hostile = failure(
        **dict.fromkeys((*texts, "asked_model", "sent_model", "outcome"), HOSTILE),
        tried=(Tried(HOSTILE, HOSTILE, HOSTILE, 500, 0.1),),
    )
    made = overview(
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
    reader.feed(page(HOSTILE, parts(made), [HOSTILE], can_sign_out=True))
    assert reader.elements.count("script") == 2  # uPlot's and the page's own
    assert reader.text.count("alert(1)") > 10
    assert "\x00" not in reader.text
    assert "\u202e" not in reader.text
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name == "style"]
    for html in sections(made).values():
        assert "<script" not in html


@pytest.mark.parametrize(
    "html", [sign_in(wrong=True), page("1", parts(overview(seen(CONF))), [], can_sign_out=False)]
)
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
    shown = text_of(
        sections(overview(seen(provider("first") + many, backends={late: counts(ok=1)})))["routes"]
    )
    assert "route-299" in shown
    assert f"{MOST_ROWS} of {3 * MOST_ROWS + 1} are shown" in shown
