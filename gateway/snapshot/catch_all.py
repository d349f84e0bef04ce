"""A tenant that answers everybody for every host, beside one that knows its clients.

Whose key, certificate or address nobody knows is nobody's client, and is answered by an anonymous tenant that has the
host.  Where that is `*`, a client whose key is mistyped or has ended gets another tenant's models, at that tenant's
cost, and notices nothing.  A Tenant document without clients says that this is meant.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.resources.problems import Problem
from gateway.resources.route import LLMRoute
from gateway.snapshot.claims import Granted
from gateway.snapshot.clients import Claim
from gateway.snapshot.compiled import CompiledTenant

_EVERY_HOST = "*"


def catch_all(tenants: Mapping[str, CompiledTenant], granted: Granted) -> Problem | None:
    """The warning; None where no client can come there, or an operator has said that it may.

    :param granted: who holds what only one can.
    """
    holder = granted.get(Claim("host", _EVERY_HOST))
    if holder is None or tenants[holder].resources.document is not None:
        return None
    (route,) = (route for route in tenants[holder].resources.routes if route.host == _EVERY_HOST)
    meant = next((name for name in sorted(tenants) if _may_be_meant(tenants[name], route)), None)
    if meant is None:
        return None
    message = (
        f"answers whoever is no tenant's client: a client of tenant {meant} whose key is wrong or has ended gets these "
        "answers, not 401; if that is meant, say so with a Tenant document without clients"
    )
    return Problem(route.places.at("spec.host"), "spec.host", message, "warning", holder)


def _may_be_meant(tenant: CompiledTenant, route: LLMRoute) -> bool:
    """Tell whether a client of this tenant may come to a listener where the route answers."""
    if not tenant.table.clients or not len(tenant.table.routes):
        return False
    own = tenant.resources.routes
    if not route.gateways or not own:
        return True
    return any(not each.gateways or not set(each.gateways).isdisjoint(route.gateways) for each in own)
