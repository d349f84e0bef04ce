"""What is different between two generations, in words: what operators wrote, tenant by tenant and name by name.

That a key has changed may be said, never what it was or is.  Somebody who only proposes files is not even told
that: whoever may ask at will could find out a running secret guess by guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import attrs
from attrs import frozen

from gateway.messages import HiddenText, Secret
from gateway.resources.gateway import GatewayDocument
from gateway.resources.provider import LLMProvider
from gateway.resources.provider_config import ProviderConfig
from gateway.resources.reading import at_full_speed
from gateway.resources.route import LLMRoute, Rule
from gateway.resources.shapes import JsonText, operators_word
from gateway.resources.tenant import Client, Tenant
from gateway.snapshot.generations import Generation, Standing, TenantState
from gateway.snapshot.written import TenantResources

NAMED = 20
"""So many things are named in one text; of the others only how many they are."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)

Look: TypeAlias = Callable[[Any], object]
"""What is compared of a value."""


@frozen
class Change:
    """What is different about one tenant."""

    tenant: str
    """Empty for the Gateway document."""
    how: Literal["added", "removed", "changed"]
    details: tuple[str, ...]
    """`route demo changed (rule vip)`, `provider moonshot added`; of what is removed as a whole there are none."""


def changes(
    before: Generation | None,
    after: Generation,
    *,
    tells_secrets: bool = True,
    pace: Callable[[], None] = at_full_speed,
) -> list[Change]:
    """Every difference, the Gateway document's first, then by tenant.

    :param before: None where there was nothing.
    :param tells_secrets: a secret that is another one is a difference.
    :param pace: called now and then; it may wait.
    """
    look: Look = _as_it_is if tells_secrets else _without_secrets
    found = [*_gateway_change(before, after)]
    states: Mapping[str, TenantState] = before.tenants if before is not None else {}
    for name in sorted({*states, *after.tenants}):
        pace()
        was, now = states.get(name), after.tenants.get(name)
        if now is None:
            found.append(Change(name, "removed", ()))
        elif was is None:
            found.append(Change(name, "added", tuple(_contents(now))))
        elif was is not now and (details := tuple(_details(was, now, look))):
            found.append(Change(name, "changed", details))
    return found


def in_words(found: Sequence[Change]) -> list[str]:
    """One text for each tenant, and one for what is too much to be named."""
    texts: list[str] = []
    room = NAMED
    for number, change in enumerate(found):
        if room <= 0:
            texts.append(f"and {len(found) - number} more")
            break
        named = change.details[:room]
        left = len(change.details) - len(named)
        more = [f"and {left} more"] if left else []
        details = ", ".join([*named, *more])
        texts.append(f"{change.tenant or 'Gateway'}: {_phrase(change.how, details)}")
        room -= max(1, len(named))
    return texts


def _phrase(how: str, details: str) -> str:
    if how == "changed":
        return details
    return f"{how} ({details})" if details else how


def _contents(state: TenantState) -> Iterator[str]:
    """What a new tenant has, by number."""
    yield from _of_standing(state.standing)
    good = state.good or TenantResources()
    clients = (good.document.clients if good.document is not None else None) or ()
    for noun, things in (("route", good.routes), ("provider", good.providers), ("client", clients)):
        if things:
            yield f"1 {noun}" if len(things) == 1 else f"{len(things)} {noun}s"


def _details(was: TenantState, now: TenantState, look: Look) -> Iterator[str]:
    if was.standing != now.standing:
        again = "again" if was.standing == "last_good" else "now"
        yield from _of_standing(now.standing) or [f"its files are good {again}"]
    old, new = was.good or TenantResources(), now.good or TenantResources()
    yield from _by_name("route", old.routes, new.routes, partial(_words_of_route, look=look))
    yield from _by_name("provider", old.providers, new.providers, partial(_words_of_provider, look=look))
    yield from _certificates(was, now, look)
    yield from _clients(old.document, new.document, look)
    yield from _capture(old.document, new.document)


def _of_standing(standing: Standing) -> list[str]:
    match standing:
        case "current":
            return []
        case "last_good":
            return ["goes on with its last good configuration"]
        case "missing":
            return ["is not served: its files were never good"]


def _by_name(
    noun: str, old: Iterable[T], new: Iterable[T], words_of: Callable[[T, T], list[str]]
) -> Iterator[str]:
    before, after = ({each.name: each for each in resources} for resources in (old, new))
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            yield f"{noun} {name} {'added' if was is None else 'removed'}"
        elif was is not now and (words := words_of(was, now)):
            yield f"{noun} {name} changed ({', '.join(words)})"


def _unlike(was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The names under which there is something else, or something on one side only."""
    return [name for name in dict.fromkeys(chain(was, now)) if was.get(name) != now.get(name)]


def _words_of_route(was: LLMRoute, now: LLMRoute, look: Look) -> list[str]:
    words = [word for word in _unlike(_faces(was, look), _faces(now, look)) if word != "rules"]
    before, after = _rules(was), _rules(now)
    for name in dict.fromkeys(chain(before, after)):
        if name not in before or name not in after:
            words.append(f"rule {name} {'added' if name in after else 'removed'}")
        elif look(before[name]) != look(after[name]):
            words.append(f"rule {name}")
    if [name for name in before if name in after] != [name for name in after if name in before]:
        words.append("order of rules")
    return words


def _rules(route: LLMRoute) -> dict[str, Rule]:
    return {rule.name or f"rules[{index}]": rule for index, rule in enumerate(route.rules)}


def _words_of_client(was: Client, now: Client, look: Look) -> list[str]:
    return _unlike(_faces(was, look), _faces(now, look))


def _words_of_provider(was: LLMProvider, now: LLMProvider, look: Look) -> list[str]:
    return _unlike(_faces_of_provider(was, look), _faces_of_provider(now, look))


def _faces_of_provider(provider: LLMProvider, look: Look) -> dict[str, object]:
    faces = _faces(provider, look)
    del faces["defaultConfig"], faces["routeConfigs"]
    for name, config in (("", provider.default_config), *provider.route_configs.items()):
        if config is None:
            continue
        for word, value in _faces(config, look).items():
            of_all = faces.setdefault(word, {})
            assert isinstance(of_all, dict)
            of_all[name] = value
    return faces


def _clients(old: Tenant | None, new: Tenant | None, look: Look) -> Iterator[str]:
    was, now = (document.clients if document is not None else None for document in (old, new))
    if (was is None) != (now is None):
        yield "anybody reaches it now" if now is None else "only its clients reach it now"
    yield from _by_name("client", was or (), now or (), partial(_words_of_client, look=look))


def _capture(old: Tenant | None, new: Tenant | None) -> Iterator[str]:
    was, now = (document.capture if document is not None else None for document in (old, new))
    if was != now:
        yield "capture added" if was is None else "capture removed" if now is None else "capture changed"


def _certificates(was: TenantState, now: TenantState, look: Look) -> Iterator[str]:
    """Providers that stand in their files as they stood, and go somewhere else: a certificate's file has changed."""
    old, new = (
        {provider.name: look(provider) for provider in state.good.providers} if state.good else {}
        for state in (was, now)
    )
    for key, destination in sorted(now.destinations.items(), key=lambda item: item[0]):
        before, name = was.destinations.get(key), key[1]
        if before is not None and old.get(name) == new.get(name) and look(before) != look(destination):
            yield f"provider {name} changed (certificates)"


def _gateway_change(before: Generation | None, after: Generation) -> Iterator[Change]:
    was, now = before.gateway if before is not None else None, after.gateway
    stood, stands = before.gateway_standing if before is not None else "current", after.gateway_standing
    if stands == "missing":
        if stood != "missing":
            yield Change("", "changed", ("cannot be used, so nothing of it is set",))
    elif was is not None and now is not None:
        details = [*_of_gateways_standing(stood, stands), *_gateway_words(was, now)]
        if details:
            yield Change("", "changed", tuple(details))
    elif now is not None:
        yield Change("", "added", ())
    elif was is not None or stood == "missing":
        yield Change("", "removed", ())


def _of_gateways_standing(stood: Standing, stands: Standing) -> list[str]:
    if stood == stands:
        return []
    return ["keeps its last good settings" if stands == "last_good" else "can be used again"]


def _gateway_words(was: GatewayDocument, now: GatewayDocument) -> list[str]:
    if was == now:
        return []
    return [f"{word} changed" for word in _unlike(_faces(was, _as_it_is), _faces(now, _as_it_is))]


_WORDS = {"workload_labels": "workloadSelector", "api_keys": "key", "hidden_parameters": "parameters"}
"""Fields that operators know by another name."""

_NOT_COMPARED = {"from_outside"}
"""It repeats what stands in other fields."""


def _faces(resource: attrs.AttrsInstance, look: Look) -> dict[str, object]:
    """What is compared of a resource, by the names of its fields as operators write them."""
    faces: dict[str, object] = {}
    for field in attrs.fields(type(resource)):
        if field.eq and field.name not in _NOT_COMPARED:
            word = _WORDS.get(field.name) or operators_word(field.name)
            faces[word] = (faces.get(word), look(getattr(resource, field.name)))
    if isinstance(resource, ProviderConfig) and look is _without_secrets:
        hidden, parameters = resource.hidden_parameters, resource.parameters or {}
        faces["parameters"] = {
            name: "(hidden)" if name in hidden else parameters[name] for name in parameters
        }
    return faces


def _as_it_is(value: object) -> object:
    return value


def _without_secrets(value: Any) -> object:
    """The value with every secret taken for any other, and with it what came from the environment or a file."""
    match value:
        case Secret() | HiddenText() | JsonText(from_outside=True):
            return "(hidden)"
        case Mapping():
            return {name: _without_secrets(each) for name, each in value.items()}
        case tuple() | list():
            return [_without_secrets(each) for each in value]
        case _ if attrs.has(type(value)):
            return type(value), _faces(value, _without_secrets)
        case _:
            return value
