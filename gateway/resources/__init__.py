"""What an operator writes: the files of conf.d as typed resources, with every problem and its place.

    problems      positions, problems, and all of them at once
    sources       a file's bytes -> text
    documents     YAML text -> nodes, which are values that know their position; no anchors, tags, duplicate keys
    shapes        what a field may hold, as data; syntax.py has the shapes of names, hosts, paths and keys
    decoding      positioned values -> typed fields, by their shapes
    json_values   the parameters of a body, as JSON
    durations     `1h30m`
    expansion     `${NAME}` and `${file:/path}`
    provider  route  gateway  timeouts      the kinds' fields and what they become
    kinds         the kinds, and the members that all documents have
    reading       files -> Resources; whose a document is
    schema        the same shapes as JSON Schema

Each document is judged by itself here.  What must hold between documents (a route's provider exists, no two
providers have one host) is judged where they are compiled, with the documents' `places`.
"""

from __future__ import annotations

from gateway.resources.gateway import GatewayDocument
from gateway.resources.problems import Places, Position, Problem
from gateway.resources.provider import Endpoint, LLMProvider, ProviderConfig, TlsOptions
from gateway.resources.reading import Resources, read
from gateway.resources.route import BackendRef, LLMRoute, RouteMatch, Rule, StringMatch
from gateway.resources.sources import SourceFile

__all__ = [
    "BackendRef",
    "Endpoint",
    "GatewayDocument",
    "LLMProvider",
    "LLMRoute",
    "Places",
    "Position",
    "Problem",
    "ProviderConfig",
    "Resources",
    "RouteMatch",
    "Rule",
    "SourceFile",
    "StringMatch",
    "TlsOptions",
    "read",
]
