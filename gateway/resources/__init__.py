"""What an operator writes: the files of conf.d as typed resources, with every problem and its place.

    problems      positions, problems, and all of them at once
    sources       a file's bytes -> text
    documents     YAML text -> nodes, which are values that know their position; no anchors, tags, duplicate keys
    shapes        what a field may hold, as data; syntax.py has the shapes of names, hosts, paths and keys
    decoding      positioned values -> typed fields, by their shapes
    json_values   the parameters of a body, as JSON
    durations     `1h30m`
    instants      `2027-01-31T00:00:00Z`
    expansion     `${NAME}` and `${file:/path}`
    provider  route  tenant  gateway  tracing  timeouts      the kinds' fields and what they become
    endpoint  provider_config       where a provider is, and what its requests are given
    matches  header_changes  own_headers    what must hold for a rule, what it does to heads, and what it must not
    backend_refs  retries           what a rule names and what it does where that fails
    traffic_policy  health_checks  prefill    how a provider is treated, and what it can
    kinds         the kinds, and the members that all documents have
    document_kind  which kind a document is
    declared_tenants  whose Tenant documents a file seems to hold that is no YAML
    file_reading  one file -> its resources; whose a document is
    reading       files -> Resources, of unchanged ones as they were
    schema        the same shapes as JSON Schema

Each document is judged by itself here.  What must hold between documents (a route's provider exists, no two
providers have one host) is judged where they are compiled, with the documents' `places`.
"""

from __future__ import annotations

from gateway.resources.backend_refs import BackendRef, Mirror
from gateway.resources.endpoint import Endpoint, TlsOptions
from gateway.resources.gateway import GatewayDocument
from gateway.resources.health_checks import HealthCheck
from gateway.resources.matches import RouteMatch, StringMatch
from gateway.resources.problems import Places, Position, Problem
from gateway.resources.provider import LLMProvider
from gateway.resources.provider_config import ApiKey, ProviderConfig
from gateway.resources.reading import Resources, read
from gateway.resources.retries import Retries
from gateway.resources.route import LLMRoute, Rule
from gateway.resources.sources import SourceFile
from gateway.resources.tenant import Client, KeyHash, Tenant

__all__ = [
    "ApiKey",
    "BackendRef",
    "Client",
    "Endpoint",
    "GatewayDocument",
    "HealthCheck",
    "KeyHash",
    "LLMProvider",
    "LLMRoute",
    "Mirror",
    "Places",
    "Position",
    "Problem",
    "ProviderConfig",
    "Resources",
    "Retries",
    "RouteMatch",
    "Rule",
    "SourceFile",
    "StringMatch",
    "Tenant",
    "TlsOptions",
    "read",
]
