"""The providers that a rule names: to choose from, to fall back on, and to send copies to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from gateway.resources import syntax
from gateway.resources.shapes import Field, Finding, ListOf, Record, RefusedField, Text, Values, WholeNumber


@frozen
class BackendRef:
    """One provider that a rule names."""

    provider_host: str
    weight: int | None
    """None where it was not written, which only a single backend may do."""
    host_rewrite: str | None
    """The Host header to send instead of the provider's host."""
    model: str | None
    """What to ask this provider for instead of its config's model."""


@frozen
class Mirror:
    """Copies of requests go to one more provider, whose answers nobody gets."""

    backend_ref: BackendRef
    percent: int
    """The share of the requests that is copied."""


_NO_INFERENCE_POOL = (
    "names an InferencePool, which only a gateway inside the cluster of its model servers can balance; "
    "this gateway reaches providers by host: write providerHost"
)

_PROVIDER_HOST = Field("providerHost", Text(syntax.HOST), "The host of an LLMProvider.")
_HOST_REWRITE = Field("hostRewrite", Text(syntax.HOST), "The Host header to send.")
_MODEL = Field("model", Text(syntax.WORD), "What to ask this provider for.")
_POOL = Field("backendRef", RefusedField(_NO_INFERENCE_POOL))


def _names_none(values: Values) -> Iterator[Finding]:
    if not {"providerHost", "backendRef"} & values.written:
        yield Finding("providerHost", "is missing")


def _backend_ref_of(values: Values) -> BackendRef:
    return BackendRef(values["providerHost"], values["weight"], values["hostRewrite"], values["model"])


_BACKEND_REF = Record(
    (
        _PROVIDER_HOST,
        Field("weight", WholeNumber(0, 1_000_000), "Share of the requests, of the sum of all weights."),
        _HOST_REWRITE,
        _MODEL,
        _POOL,
    ),
    check=_names_none,
    build=_backend_ref_of,
)

BACKEND_REFS = ListOf(_BACKEND_REF, at_least=1)

MIRROR = Record(
    (
        _PROVIDER_HOST,
        Field("percent", WholeNumber(0, 100), "Share of the requests; 100 unless written."),
        _HOST_REWRITE,
        _MODEL,
        _POOL,
    ),
    check=_names_none,
    build=lambda values: Mirror(
        _backend_ref_of(values), values["percent"] if values["percent"] is not None else 100
    ),
)


def findings_between(
    backends: Sequence[BackendRef | None], fallback: Sequence[BackendRef | None]
) -> Iterator[Finding]:
    """What is wrong between the backends of a rule; those that are wrong themselves are None."""
    yield from _of_choice(backends)
    yield from _of_fallback(backends, fallback)


def _of_choice(backends: Sequence[BackendRef | None]) -> Iterator[Finding]:
    first: dict[tuple[str, str | None], int] = {}
    for index, backend in enumerate(backends):
        if backend is None or len(backends) == 1:
            continue
        if backend.weight is None:
            yield Finding(
                f"backendRefs[{index}].weight", "is missing: of several backendRefs each needs a weight"
            )
        earlier = first.setdefault(_asked(backend), index)
        if earlier != index:
            same = f"has the provider and the model of backendRefs[{earlier}]: add their weights instead"
            yield Finding(f"backendRefs[{index}].providerHost", same)
    weights = [backend.weight for backend in backends if backend is not None]
    if len(weights) == len(backends) > 1 and None not in weights and not any(weights):
        yield Finding("backendRefs", "has no weight above 0, so no backend could ever be chosen")


def _of_fallback(
    backends: Sequence[BackendRef | None], fallback: Sequence[BackendRef | None]
) -> Iterator[Finding]:
    tried: dict[tuple[str, str | None], str] = {}
    if len(backends) == 1 and backends[0] is not None:  # of several any may not have been chosen
        tried[_asked(backends[0])] = "backendRefs[0]"
    for index, backend in enumerate(fallback):
        if backend is None:
            continue
        path = f"fallback[{index}]"
        if backend.weight is not None:
            yield Finding(f"{path}.weight", "has no effect: fallbacks are tried in order", "warning")
        earlier = tried.setdefault(_asked(backend), path)
        if earlier != path:
            same = f"is not tried: it has the provider and the model of {earlier}"
            yield Finding(f"{path}.providerHost", same, "warning")


def _asked(backend: BackendRef) -> tuple[str, str | None]:
    return backend.provider_host, backend.model
