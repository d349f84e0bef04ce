"""`GET …/models`, answered from the route: the models that its rules can give."""

from __future__ import annotations

from gateway.dialects.operations import Operation, model_of_path
from gateway.errors import GatewayError
from gateway.serving.refusals import CLIENT_DIALECT
from gateway.snapshot.tables import RouteTable

OWNER = "llmgateway"
"""The API wants to know who owns a model; which provider it is is not the client's business."""


def models_of(route: RouteTable) -> list[str]:
    """Every model that some rule of the route may ask for, fallbacks included, in the order written."""
    backends = (backend for rule in route.rules for backend in (*rule.backends, *rule.fallback))
    return list(dict.fromkeys(backend.model for backend in backends if backend.model is not None))


def models_body(route: RouteTable, operation: Operation, path: bytes) -> bytes:
    """The body of the answer: the list, or the one model that the path names.

    :raises GatewayError: `no_route` where the route cannot give that model.
    """
    models = models_of(route)
    if operation is Operation.MODELS:
        return CLIENT_DIALECT.models_body(models, OWNER)
    name = model_of_path(path)
    if name not in models:
        raise GatewayError("no_route", "This host gives no model of that name.", param="model")
    return CLIENT_DIALECT.model_body(name, OWNER)
