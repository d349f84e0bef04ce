"""The part of the page that shows routes: each rule with its backends, as they are written and as they come out."""

from __future__ import annotations

from gateway.serving.page.markup import Html, Markup, tags
from gateway.serving.page.overview import BackendRow, RuleRow
from gateway.serving.page.tables import Shown, long_table
from gateway.serving.page.wording import NOTHING, percent


def routes_section(rules: Shown[RuleRow]) -> Markup:
    """A row for each rule; those of providers' own hosts, which nobody has written, come last."""
    if not rules.of:
        return tags.p("There are no routes.", class_="note")
    headings = ("tenant", "host and rule", "backends by weight, and as observed")
    return long_table("routes", headings, rules, _cells, noun="rules", where="/config")


def _cells(row: RuleRow) -> tuple[str, tuple[Markup, ...]]:
    route, rule = row.shown.route, row.shown.rule
    name = tags.span(f" {route.name}", class_="note") if route.name not in ("", route.host) else ""
    own_host = row.shown.is_of_a_providers_own_host
    below = tags.span("the provider itself", class_="note") if own_host else rule.name
    host = tags.div(tags.strong(route.host), name, tags.br(), below, class_="what")
    backends = tags.ul(*(_backend(each, route.tenant) for each in row.backends), class_="backends")
    return f"{route.tenant} {route.host} {rule.name}", (route.tenant, host, backends)


def _backend(row: BackendRow, tenant: str) -> Html:
    backend, shown = row.shown.backend, row.shown
    name: list[Markup] = [backend.provider]
    if backend.owner != tenant:
        name += [tags.span(f" of {backend.owner}", class_="note")]
    if backend.model is not None:
        name += [" ", tags.span(backend.model, class_="note")]
    configured = shown.role or percent(shown.share or 0.0)
    observed = percent(row.observed) if row.observed is not None else NOTHING
    return tags.li(
        tags.span(*name, class_="name"),
        tags.span(configured, class_="share", title="configured"),
        _bar(shown.share, row.observed),
        tags.span(observed, class_="share", title="of the answers of the last minute"),
    )


_BAR = 60
"""Its width in pixels."""


def _bar(configured: float | None, observed: float | None) -> Html:
    """A share as it is, with a mark where it should be."""
    drawn = [tags.rect(x="0", y="2", width=str(_BAR), height="6", class_="all")]
    if observed:
        drawn.append(tags.rect(x="0", y="2", width=f"{observed * _BAR:.1f}", height="6", class_="part"))
    if configured is not None:
        place = max(0.0, configured * _BAR - 1)
        drawn.append(tags.rect(x=f"{place:.1f}", y="0", width="2", height="10", class_="mark"))
    return tags.svg(*drawn, width=str(_BAR), height="10", **{"aria-hidden": "true"})
