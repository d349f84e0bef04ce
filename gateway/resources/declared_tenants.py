"""Whose Tenant documents a file seems to hold that cannot be read as YAML."""

from __future__ import annotations

import re

from gateway.resources import syntax
from gateway.resources.kinds import TENANT
from gateway.resources.sources import SourceFile

_DOCUMENT_END = re.compile(r"^(?:---|\.\.\.)", re.MULTILINE)
_IS_TENANT = re.compile(rf"\bkind[\"']?\s*:\s*[\"']?{TENANT.name}\b")
_METADATA = re.compile(r"^[\"']?metadata\b.*(?:\n(?:[ \t].*)?)*", re.MULTILINE)
"""The line, and those below that are indented."""
_NAME = re.compile(rf"\bname[\"']?\s*:\s*[\"']?({syntax.TENANT.pattern})(?![^\s,}}\"'])")


def declared_tenants(source: SourceFile) -> set[str]:
    """The names of Tenant documents, as far as they can be told without YAML."""
    text = source.content.decode(errors="replace")
    names: set[str] = set()
    for document in _DOCUMENT_END.split(text):
        metadata = _METADATA.search(document)
        name = _NAME.search(metadata[0]) if metadata is not None and _IS_TENANT.search(document) else None
        if name is not None:
            names.add(name[1])
    return names
