"""Which kind a document is, and what can be told of it before it is decoded."""

from __future__ import annotations

from collections.abc import Callable

from gateway.resources.documents import Document
from gateway.resources.kinds import GATEWAY, GROUPS, KINDS, TENANT, Kind
from gateway.resources.nodes import Mapped, Node, Scalar
from gateway.resources.problems import printable, suggestion


def kind_of(document: Document, complain: Callable[..., None]) -> Kind | None:
    """The kind of a document, or None where it is not one of ours or does not say so; either is reported."""
    api_version = written(document, "apiVersion")
    name = written(document, "kind")
    for field_name, value in (("apiVersion", api_version), ("kind", name)):
        if not value and isinstance(document.root, Mapped) and document.root.whole:
            complain(field_name, "is missing: a document says what it is with apiVersion and kind")
    if not api_version or not name:
        return None
    group = api_version.rpartition("/")[0]
    shown = f"{printable(api_version)} {printable(name)}"
    kind = KINDS.get(name)
    if group not in GROUPS:
        near = suggestion(group, GROUPS) if group else f"; did you mean {GROUPS[0]}/v1?"
        # A Tenant of another group's has no clients; to skip one of ours would open the tenant to anybody.
        has_clients = kind is TENANT and node_at(document, "spec", "clients") is not None
        if kind is None or kind is GATEWAY or not (near or has_clients):
            complain("kind", f"{shown} is not a resource of this gateway; the document is skipped", "warning")
        else:
            complain(
                "apiVersion", f'there is no {kind.name} in "{printable(api_version)}"{near}' if kind else ""
            )
    elif kind is None:
        hint = suggestion(name, KINDS)
        if group == GROUPS[0] and not hint:  # Alibaba's group has other kinds, which are not for us
            complain("kind", f"{shown} is not a resource of this gateway; the document is skipped", "warning")
        else:
            complain(
                "kind", f'there is no kind "{printable(name)}"{hint or "; there are " + ", ".join(KINDS)}'
            )
    elif api_version not in kind.api_versions:
        complain(
            "apiVersion",
            f'must be {" or ".join(kind.api_versions)} for {name}, not "{printable(api_version)}"',
        )
    else:
        return kind
    return None


def seems_a_tenant(document: Document) -> bool:
    """Tell whether a document is a Tenant, or was meant to be one: of all kinds it alone has clients."""
    kind = written(document, "kind")
    return kind == TENANT.name or (kind not in KINDS and node_at(document, "spec", "clients") is not None)


def written(document: Document, *names: str) -> str | None:
    """The text of the field below the root, or None where there is none."""
    node = node_at(document, *names)
    return node.text if isinstance(node, Scalar) and not node.is_null else None


def node_at(document: Document, *names: str) -> Node | None:
    """The field below the root, or None where there is none."""
    node = document.root
    for name in names:
        if not isinstance(node, Mapped) or name not in node.entries:
            return None
        node = node.entries[name].value
    return node
