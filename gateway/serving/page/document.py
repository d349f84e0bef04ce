"""The page as a whole, and the form to sign in."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.web.template import Tag

from gateway.serving.page.markup import Markup, rendered, tags
from gateway.serving.page.static_files import ICON, PAGE_SCRIPT, PAGE_STYLE, UPLOT_SCRIPT, UPLOT_STYLE

_TITLES = (
    ("routes", "Routes"),
    ("providers", "Providers"),
    ("tenants", "Tenants"),
    ("problems", "Config problems"),
    ("failures", "Recent failures"),
)

_CHARTS = (
    ("requests", "Requests per second"),
    ("latency", "Latency"),
    ("first", "Time to first token"),
    ("tokens", "Tokens per second"),
)

_SPANS = (("300", "5 min"), ("900", "15 min"), ("3600", "1 h"))
"""How much of the past the charts show: seconds, and in words."""


def page(version: str, parts: Mapping[str, Markup], hosts: list[str], *, can_sign_out: bool) -> str:
    """The page.

    :param parts: by name, what stands in them now.
    :param hosts: that the form of `explain` suggests.
    """
    header = tags.header(
        tags.h1("llmgateway ", tags.span(version, class_="note")),
        _part("state", parts, tags.span),
        tags.span(
            "not live", id="live", class_="badge plain", title="Whether this page follows what happens"
        ),
        tags.nav(
            *(tags.a(title, href=f"#{name}") for name, title in (*_TITLES, ("explain", "Explain"))),
            _sign_out() if can_sign_out else "",
        ),
    )
    main = tags.main(
        tags.section(tags.h2("Wrong now"), _part("findings", parts, tags.div), id="findings", class_="first"),
        tags.section(
            _part("numbers", parts, tags.div), id="numbers", **{"aria-label": "Numbers of the last minute"}
        ),
        _charts(),
        *(tags.section(tags.h2(title), _part(name, parts, tags.div), id=name) for name, title in _TITLES),
        _explain(hosts),
    )
    footer = tags.footer(
        tags.p(
            "Rates, shares and percentiles are of the last minute, totals of the time since the start. Machines read ",
            tags.a("/metrics", href="/metrics"),
            ", ",
            tags.a("/config", href="/config"),
            " and ",
            tags.a("/readyz", href="/readyz"),
            ".",
        )
    )
    scripts = [tags.script(src=UPLOT_SCRIPT, defer="defer"), tags.script(src=PAGE_SCRIPT, defer="defer")]
    return _document("llmgateway", [header, main, footer], scripts)


def sign_in(*, wrong: bool) -> str:
    """The form to sign in.

    :param wrong: what was given before was not the token.
    """
    form = tags.form(
        tags.h1("llmgateway"),
        tags.label(
            "Admin token",
            tags.input(type="password", name="token", autofocus="autofocus", autocomplete="current-password"),
        ),
        tags.p("That was not the token.", class_="badge bad", role="alert") if wrong else "",
        tags.button("Sign in", type="submit"),
        method="post",
        action="/login",
        class_="sign-in",
    )
    return _document("llmgateway: sign in", [tags.main(form)], [])


def _document(title: str, body: list[Markup], scripts: list[Tag]) -> str:
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(name="color-scheme", content="light dark"),
        tags.title(title),
        tags.link(rel="icon", href=ICON),
        tags.link(rel="stylesheet", href=UPLOT_STYLE),
        tags.link(rel="stylesheet", href=PAGE_STYLE),
        *scripts,
    )
    return "<!doctype html>\n" + rendered(tags.html(head, tags.body(*body), lang="en"))


def _part(name: str, parts: Mapping[str, Markup], element: Tag) -> Markup:
    """Where a part of the page goes, and stays replaceable."""
    return element(parts[name], **{"data-part": name})


def _charts() -> Tag:
    spans = [
        tags.button(text, type="button", **{"data-span": seconds, "aria-pressed": "false"})
        for seconds, text in _SPANS
    ]
    charts = [
        tags.figure(tags.figcaption(title), tags.div(id=f"chart-{name}", class_="chart"))
        for name, title in _CHARTS
    ]
    return tags.section(
        tags.div(*spans, class_="spans", role="group", **{"aria-label": "How much of the past"}),
        tags.div(*charts, class_="charts"),
        tags.noscript(tags.p("Charts and live updates need JavaScript.", class_="note")),
        id="charts",
    )


def _explain(hosts: list[str]) -> Tag:
    fields = [
        tags.label(
            "Host",
            tags.input(
                name="host",
                list="hosts",
                required="required",
                autocomplete="off",
                value=hosts[0] if hosts else "",
            ),
        ),
        tags.datalist(*(tags.option(value=host) for host in hosts), id="hosts"),
        tags.label(
            "Method", tags.input(name="method", placeholder="POST with a body, else GET", autocomplete="off")
        ),
        tags.label("Path", tags.input(name="path", value="/v1/chat/completions", autocomplete="off")),
        tags.label(
            "Client's address", tags.input(name="client_address", placeholder="10.1.2.3", autocomplete="off")
        ),
        tags.label("Listener", tags.input(name="listener", autocomplete="off")),
        tags.label(
            "Headers, one a line",
            tags.textarea(name="headers", rows="3", placeholder="user-type: subscriber", spellcheck="false"),
            class_="wide",
        ),
        tags.label(
            "Body",
            tags.textarea(
                '{"messages": [{"role": "user", "content": "Hello"}]}',
                name="data",
                rows="3",
                spellcheck="false",
            ),
            class_="wide",
        ),
    ]
    return tags.section(
        tags.h2("Explain"),
        tags.p("What the gateway would do with a request. Nothing is sent.", class_="note"),
        tags.form(*fields, tags.button("Explain", type="submit"), id="explain-form"),
        tags.pre(id="explanation", **{"aria-live": "polite"}),
        id="explain",
    )


def _sign_out() -> Tag:
    return tags.form(
        tags.button("Sign out", type="submit"), method="post", action="/logout", class_="sign-out"
    )
