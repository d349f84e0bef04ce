"""The part of the page that shows providers: breakers and keys, connections, and what became of attempts."""

from __future__ import annotations

from gateway.live.standing import KeyStanding
from gateway.serving.page.findings import troubles
from gateway.serving.page.markup import Html, Markup, badge, tags
from gateway.serving.page.overview import ProviderRow
from gateway.serving.page.tables import Shown, long_table
from gateway.serving.page.wording import NOTHING, faults_told, listed, number, percent


def providers_section(providers: Shown[ProviderRow]) -> Markup:
    """A row for each; those of one name are told apart by the tenant whose they are."""
    if not providers.of:
        return tags.p("There are no providers.", class_="note")
    headings = ("tenant", "provider", "breaker and key", "connections", "attempts that failed")
    return long_table("providers", headings, providers, _cells, noun="providers", where="/config")


def _cells(row: ProviderRow) -> tuple[str, tuple[Markup, ...]]:
    backend, place = row.backend, str(row.backend.destination)
    dialect = backend.dialect.name
    more = f"{dialect}, {place}" if place != backend.provider_host else dialect
    name = tags.div(
        tags.strong(backend.provider),
        " ",
        tags.span(more, class_="note"),
        tags.br(),
        backend.provider_host,
        class_="what",
    )
    keys = tags.ul(*(_key(key) for key in row.keys), class_="keys")
    connections = listed(f"{number(count)} {state}" for state, count in row.connections.items() if count)
    return (
        f"{backend.owner} {backend.provider}",
        (backend.owner, name, keys, connections or NOTHING, _attempts(row)),
    )


def _key(key: KeyStanding) -> Html:
    told = [badge("bad" if is_bad else "warning", text) for is_bad, text in troubles(key)]
    spaced: list[Markup] = []
    for each in told or [badge("good", "closed, usable")]:
        spaced += [" ", each]
    return tags.li(key.key, *spaced)


def _attempts(row: ProviderRow) -> Markup:
    ended = row.activity.ended
    if not ended.made:
        return NOTHING
    if not ended.faults:
        return f"none of {number(ended.made)}"
    share = badge("bad", f"{percent(row.failing)} of {number(ended.made)}")
    return [share, tags.br(), faults_told(ended.faults)]
