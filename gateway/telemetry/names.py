"""Which names the configuration has now: counts of others are still shown for a while, then let go of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar
from weakref import ref

from attrs import frozen

from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import ProviderName, SeriesLabels
from gateway.snapshot.tables import TenantTable

GRACE_SECONDS = 600.0
"""How long the counts of what was removed are still shown, from the first scrape on that finds it gone: whoever scrapes
sees their last values, whenever he comes."""

K = TypeVar("K", bound=Hashable)


class LabelsByTenant:
    """The labels of every tenant.  Of one that has not changed those of last time are taken.

    There may be a hundred thousand, and one set of them all would keep everybody from the interpreter while it grows
    and when it is let go: so there is one for each tenant.
    """

    def __init__(self, tables: Collection[TenantTable], last: LabelsByTenant | None) -> None:
        """Gather them.

        :param last: those of last time, which are used up.
        """
        self._known: dict[str, tuple[ref[TenantTable], frozenset[SeriesLabels]]] = {}
        """With what each set was made from, which is not to be kept from being let go."""
        used_up = last._known if last is not None else {}
        for table in tables:
            known = used_up.pop(table.name, None)
            if known is None or known[0]() is not table:
                known = (ref(table), frozenset(_labels(table)))
            self._known[table.name] = known
        for tenant in list(used_up):
            used_up.pop(tenant, None)

    def __contains__(self, labels: SeriesLabels) -> bool:
        known = self._known.get(labels.tenant)
        return labels in known[1] if known is not None else labels == _labelled()


@frozen(eq=False)
class ConfiguredNames:
    """All label values that something can be counted for."""

    identity: object
    """Of the snapshot."""
    labels: LabelsByTenant
    clients: frozenset[tuple[str, str]]
    """Tenant and client; the empty client is always one."""
    providers: frozenset[ProviderName]
    models: frozenset[tuple[str, str]]
    """Of every backend the provider's host and the model; with the host alone for what nobody has read."""

    @classmethod
    def of(cls, snapshot: Snapshot, last: ConfiguredNames | None = None) -> ConfiguredNames:
        """Gather them; for the thread that scrapes, for there may be many.

        :param last: those of the snapshot before, which are used up.
        """
        tables = snapshot.tenants.values()
        clients = {(table.name, client.name) for table in tables for client in table.clients or ()}
        return cls(
            snapshot.identity,
            LabelsByTenant(tables, last.labels if last is not None else None),
            frozenset(clients | {(table.name, "") for table in tables} | {("", "")}),
            frozenset((each.owner, each.provider) for each in snapshot.destinations),
            frozenset(model for table in tables for model in _models(table)),
        )


def _labels(table: TenantTable) -> Iterator[SeriesLabels]:
    """Of every backend, and of those requests that never came to one."""
    yield _labelled(table.name)
    for _, route in table.routes.items():
        yield _labelled(table.name, route.name)
        for rule in route.rules:
            yield _labelled(table.name, route.name, rule.name)
            for backend in rule.every_backend:
                yield backend.labels
                # As it is for a body that is streamed through: nobody has read which model stands there.
                yield _labelled(table.name, route.name, rule.name, backend.labels.provider)


def _models(table: TenantTable) -> Iterator[tuple[str, str]]:
    for _, route in table.routes.items():
        for rule in route.rules:
            for backend in rule.every_backend:
                yield backend.provider_host, backend.labels.model
                yield backend.provider_host, ""


def _labelled(tenant: str = "", route: str = "", rule: str = "", provider: str = "") -> SeriesLabels:
    return SeriesLabels(tenant=tenant, route=route, rule=rule, provider=provider, model="")


class Lingering(Generic[K]):
    """What is counted for names that are gone, and since when."""

    def __init__(self) -> None:
        self._gone: dict[K, float] = {}

    def over(self, keys: Iterable[K], is_named: Callable[[K], bool], now: float) -> list[K]:
        """Which of these need not be shown any longer.  May be called in any thread.

        :param now: clock time in seconds.
        """
        gone, over = self._gone, []
        for key in keys:
            if is_named(key):
                gone.pop(key, None)
            elif now - gone.setdefault(key, now) >= GRACE_SECONDS:
                gone.pop(key, None)
                over.append(key)
        return over

    def forget(self, counts: dict[K, Any], is_named: Callable[[K], bool], now: float) -> None:
        """Take these out of what has been counted."""
        for key in self.over(tuple(counts), is_named, now):
            counts.pop(key, None)
