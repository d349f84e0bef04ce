"""The kinds of documents, and the members that all of them have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from gateway.resources import syntax
from gateway.resources.gateway import GATEWAY_SPEC
from gateway.resources.provider import PROVIDER_SPEC
from gateway.resources.route import ROUTE_SPEC
from gateway.resources.shapes import Choice, Field, Ignored, Record, Syntax, Text
from gateway.resources.tenant import TENANT_SPEC

_ASM_GROUP = "istio.alibabacloud.com"
_OWN_GROUP = "llmgateway.dev"
GROUPS = (_ASM_GROUP, _OWN_GROUP)

_OWN_VERSIONS = (f"{_OWN_GROUP}/v1",)
_ASM_VERSIONS = (f"{_ASM_GROUP}/v1beta1", f"{_ASM_GROUP}/v1", *_OWN_VERSIONS)

_OF_KUBERNETES = (
    "labels", "annotations", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
    "finalizers", "ownerReferences",
)  # fmt: skip


@frozen
class Kind:
    """One kind of document."""

    name: str
    api_versions: tuple[str, ...]
    spec: Record
    meaning: str
    named: bool = True
    """Whether it must have a name."""
    name_syntax: Syntax = syntax.NAME
    name_meaning: str = "Unique among its kind in its tenant."
    document: Record = field(init=False)
    """The whole document."""

    @document.default
    def _whole(self) -> Record:
        metadata = Record(
            (
                Field("name", Text(self.name_syntax), self.name_meaning, required=self.named),
                Field(
                    "namespace", Text(syntax.TENANT), "The tenant; else the folder's name, else `default`."
                ),
                *(Field(name, Ignored()) for name in _OF_KUBERNETES),
            )
        )
        return Record(
            (
                Field("apiVersion", Choice(self.api_versions), required=True),
                Field("kind", Choice((self.name,)), required=True),
                Field("metadata", metadata, required=self.named),
                Field("spec", self.spec, self.meaning, required=True),
                Field("status", Ignored()),
            )
        )


PROVIDER = Kind("LLMProvider", _ASM_VERSIONS, PROVIDER_SPEC, "Who can answer.")
ROUTE = Kind("LLMRoute", _ASM_VERSIONS, ROUTE_SPEC, "Which requests to a host go to which providers.")
GATEWAY = Kind("Gateway", _OWN_VERSIONS, GATEWAY_SPEC, "The few settings of the whole.", named=False)
TENANT = Kind(
    "Tenant",
    _OWN_VERSIONS,
    TENANT_SPEC,
    "Who is asking.",
    name_syntax=syntax.TENANT,
    name_meaning="The tenant's own name.",
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (PROVIDER, ROUTE, GATEWAY, TENANT)})
