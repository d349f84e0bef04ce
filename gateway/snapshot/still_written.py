"""What the newest files still say of tenants that run on what was last good.

A tenant whose files cannot be used keeps its tables, but what was taken away is gone at once: a key that no longer
stands in its Tenant document, an export that is no longer written.  Only of a file that cannot be read, or is empty,
nothing can be told; so what it gave stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network

from gateway.resources.file_reading import FileReading
from gateway.resources.provider import LLMProvider
from gateway.resources.reading import Resources
from gateway.resources.tenant import Tenant
from gateway.snapshot.clients import Claim, claims_of
from gateway.snapshot.exports import EVERYBODY
from gateway.snapshot.written import NOTHING_WRITTEN, TenantResources


class StillWritten:
    """Answers for one state of the files."""

    def __init__(self, resources: Resources, written: Mapping[str, TenantResources]) -> None:
        self._resources = resources
        self._written = written

    def audience(self, provider: LLMProvider) -> frozenset[str] | None:
        """Who may still name a provider that its owner keeps as it was; None where it is no longer written."""
        own = self._written.get(provider.tenant, NOTHING_WRITTEN)
        now: Iterable[str]
        for valid in own.providers:
            if valid.name == provider.name or valid.host == provider.host:
                now = valid.export_to
                break
        else:
            for broken in self._resources.broken_providers:
                if broken.tenant == provider.tenant and (
                    broken.name == provider.name or broken.host == provider.host
                ):
                    now = broken.export_to
                    break
            else:
                if not self._is_hidden(_file_of(provider)):
                    return None
                now = provider.export_to
        return _in_both(frozenset(provider.export_to), frozenset(now))

    def withdrawn(self, name: str, good: TenantResources) -> Iterator[Claim]:
        """What a tenant claimed when it was last good, and claims no more."""
        if good.document is None:
            return
        claimed = [claim for claim, _ in claims_of(good.document)]
        newest = self._written.get(name, NOTHING_WRITTEN).document
        if newest is not None:
            kept = {claim for claim, _ in claims_of(newest)}
            yield from (claim for claim in claimed if claim not in kept)
            return
        file = _file_of(good.document)
        if self._says_nothing(file):
            return
        words = {word for reading in self._of(name, file) for word in _words(reading)}
        yield from (claim for claim in claimed if not _stands(claim, words))

    def _says_nothing(self, file: str) -> bool:
        """Tell whether a file is there and cannot be read, or is empty, as one that is about to be written."""
        reading = self._resources.readings.get(file)
        return self._is_hidden(file) and (reading is None or not reading.source.content)

    def _is_hidden(self, file: str) -> bool:
        """Tell whether something may stand in a file, or in its folder, that nobody can see."""
        broken = self._resources.broken_files
        return file in broken or file.rpartition("/")[0] in broken

    def _of(self, name: str, file: str) -> Iterator[FileReading]:
        for path, reading in self._resources.readings.items():
            if path == file or name in reading.tenants:
                yield reading


def _file_of(resource: LLMProvider | Tenant) -> str:
    return resource.places.at("").file


def _in_both(before: frozenset[str], now: frozenset[str]) -> frozenset[str]:
    if EVERYBODY in before:
        return now
    return before if EVERYBODY in now else before & now


_COMMENT = re.compile(r"(^|\s)#.*")
_WORD = re.compile(r"[^\s,\[\]{}\"']+")
_NETWORK = re.compile(r"[0-9a-f:.]+(/[0-9]+)?")


def _words(reading: FileReading) -> Iterator[str]:
    text = reading.source.content.decode(errors="replace").lower()
    for word in _WORD.findall(_COMMENT.sub("", text)):
        yield word
        if _NETWORK.fullmatch(word):
            try:
                yield str(ip_network(word))
            except ValueError:
                continue


def _stands(claim: Claim, words: set[str]) -> bool:
    word = f"sha256:{claim.value}" if claim.kind == "key" else claim.value.lower()
    return word in words
