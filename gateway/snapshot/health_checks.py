"""What a provider is asked, whatever clients ask: its `healthCheck`, compiled to a request."""

from __future__ import annotations

import msgspec
from attrs import field, frozen

from gateway.dialects.envelope import open_body
from gateway.dialects.operations import Operation
from gateway.messages import HiddenText
from gateway.resources import health_checks as written
from gateway.snapshot.backends import Backend


@frozen(eq=False)
class HealthCheck:
    """What a provider is asked now and then, whatever clients ask."""

    backend: Backend
    """The provider with its default configuration."""
    operation: Operation | None
    """None where a path says where to ask."""
    target: bytes = field(repr=False)
    body: bytes | None = field(repr=False)
    """JSON to post; None asks with GET."""
    interval: float
    """Seconds from one to the next."""
    timeout: float
    """Seconds that an answer may take."""
    is_hidden: bool
    """Something in target or body came from the environment or a file."""


def health_check_of(check: written.HealthCheck, backend: Backend) -> HealthCheck:
    """Build the check.

    :param backend: the provider with its default configuration.
    :raises GatewayError: where the provider cannot be asked that.
    """
    operation = Operation(check.operation) if check.operation is not None else None
    body = body_of(check)
    if operation is None:
        target = (check.path or "").encode()
    else:
        target = backend.dialect.upstream_path(backend.path, operation, b"")
        if body is not None:
            body = backend.dialect.upstream_body(
                open_body(body),
                operation,
                model=backend.model,
                overrides_model=False,
                stream=None,
                parameters=(),
            )
    return HealthCheck(
        backend=backend,
        operation=operation,
        target=target,
        body=body,
        interval=check.interval,
        timeout=check.timeout,
        is_hidden=(operation is not None and backend.path_is_hidden)
        or isinstance(check.path, HiddenText)
        or any(member.from_outside for member in (check.body or {}).values()),
    )


def body_of(check: written.HealthCheck) -> bytes | None:
    """What is to be posted, as it was written."""
    if check.body is None:
        return None
    return msgspec.json.encode({name: msgspec.Raw(member.data) for name, member in check.body.items()})
