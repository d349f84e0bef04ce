"""Whose Tenant documents a file seems to hold that cannot be read as YAML."""

from __future__ import annotations

import re

from gateway.resources import syntax
from gateway.resources.kinds import KINDS, TENANT
from gateway.resources.sources import SourceFile

_DOCUMENT_END = re.compile(r"^(?:---|\.\.\.)", re.MULTILINE)
_PROPERTIES = r"(?:[&!]\S*\s+)*"
"""An anchor and a tag, which may stand before any value."""
_KIND = rf"\bkind[\"']?\s*:\s*{_PROPERTIES}[\"']?"
_IS_TENANT = re.compile(rf"{_KIND}(?i:{TENANT.name})\b")
_IS_ANOTHER = re.compile(rf"{_KIND}(?:{'|'.join(sorted(KINDS.keys() - {TENANT.name}))})\b")
_HAS_CLIENTS = re.compile(r"\bclients[\"']?\s*:")
_METADATA = re.compile(r"^[\"']?metadata\b.*(?:\n(?:[ \t].*)?)*", re.MULTILINE)
"""The line, and those below that are indented."""
_NAME = re.compile(
    rf"\bname[\"']?\s*:\s*{_PROPERTIES}[\"']?({syntax.TENANT.pattern})(?=[\"']?\s*(?:[,}}#]|$))", re.MULTILINE
)


def declared_tenants(source: SourceFile) -> set[str]:
    """The names of Tenant documents, as far as they can be told without YAML."""
    # Without its NULs ASCII is readable in UTF-16 and UTF-32, too.
    text = source.content.replace(b"\0", b"").decode(errors="replace")
    names: set[str] = set()
    for document in _DOCUMENT_END.split(text):
        metadata = _METADATA.search(document)
        name = _NAME.search(metadata[0]) if metadata is not None and _seems_a_tenant(document) else None
        if name is not None:
            names.add(name[1])
    return names


def _seems_a_tenant(document: str) -> bool:
    if _IS_TENANT.search(document):
        return True
    return _HAS_CLIENTS.search(document) is not None and not _IS_ANOTHER.search(document)
