"""The page as a whole, and the form to sign in."""

from __future__ import annotations

from gateway.serving.page.explain_form import explain_form
from gateway.serving.page.markup import Html, tags
from gateway.serving.page.sections import Sections
from gateway.serving.page.static_files import (
    CHARTS_SCRIPT,
    ICON,
    PAGE_SCRIPT,
    PAGE_STYLE,
    UPLOT_SCRIPT,
    UPLOT_STYLE,
)

_TITLES = (
    ("failures", "Recent failures"),
    ("routes", "Routes"),
    ("providers", "Providers"),
    ("tenants", "Tenants"),
    ("problems", "Config problems"),
)

_CHARTS = (
    ("requests", "Requests per second"),
    ("latency", "Latency"),
    ("first", "Time to first token"),
    ("tokens", "Tokens per second"),
)

_SPANS = (("300", "5 min"), ("900", "15 min"), ("3600", "1 h"))
"""How much of the past the charts show: seconds, and in words."""


def page(version: str, parts: Sections, hosts: list[str], *, can_sign_out: bool) -> str:
    """The page.

    :param parts: what stands in them now.
    :param hosts: that the form of `explain` suggests.
    """
    header = tags.header(
        tags.h1("llmgateway ", tags.span(version, class_="note")),
        tags.span(parts["state"], **{"data-part": "state"}),
        tags.span(
            "not live", id="live", class_="badge plain", title="Whether this page follows what happens"
        ),
        tags.nav(
            *(tags.a(title, href=f"#{name}") for name, title in (*_TITLES, ("explain", "Explain"))),
            _sign_out() if can_sign_out else "",
        ),
    )
    main = tags.main(
        tags.section(tags.h2("Wrong now"), _part("findings", parts), id="findings", class_="first"),
        tags.section(_part("numbers", parts), id="numbers", **{"aria-label": "Numbers of the last minute"}),
        _charts(),
        *(tags.section(tags.h2(title), _part(name, parts), id=name) for name, title in _TITLES),
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
    scripts = [tags.script(src=path, defer="defer") for path in (UPLOT_SCRIPT, CHARTS_SCRIPT, PAGE_SCRIPT)]
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


def _document(title: str, body: list[Html], scripts: list[Html]) -> str:
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
    return "<!doctype html>\n" + tags.html(head, tags.body(*body), lang="en")


def _part(name: str, parts: Sections) -> Html:
    """Where a part of the page goes, and stays replaceable."""
    return tags.div(parts[name], **{"data-part": name})


def _charts() -> Html:
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


def _explain(hosts: list[str]) -> Html:
    return tags.section(
        tags.h2("Explain"),
        tags.p("What the gateway would do with a request. Nothing is sent.", class_="note"),
        explain_form(hosts),
        tags.pre(id="explanation", **{"aria-live": "polite"}),
        id="explain",
    )


def _sign_out() -> Html:
    return tags.form(
        tags.button("Sign out", type="submit"), method="post", action="/logout", class_="sign-out"
    )
