"""What must never reach a client, nor a log: credentials, and all that came from the environment or a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from gateway.messages import Secret
from gateway.policy.redacting.known_secrets import credential_words
from gateway.resources.provider import LLMProvider
from gateway.resources.provider_config import ProviderConfig
from gateway.snapshot.rule_headers import RuleHeaders

SHORTEST_HEADER_SECRET = 12
"""Characters.  A configured header's value this long may be a credential, so it is kept from clients; shorter
ones (`v2`, `2023-06-01`) stand in too many honest answers."""

SHORTEST_SECRET = 8
"""Characters.  A shorter key is a word that a local server wants to see (`x`, `EMPTY`): it guards nothing, and a
content type may hold it."""

_CREDENTIAL = re.compile("auth|cookie|credential|key|pass|secret|token")
"""Stands in the names of headers whose values are credentials."""


def secrets_of_backend(
    provider: LLMProvider, config: ProviderConfig, rule_headers: RuleHeaders
) -> tuple[bytes, ...]:
    """What must never reach a client of this backend.

    The longest first, so that none is half overwritten by another that it contains.
    """
    return _spelled(_provider_secrets(provider, config) | _rule_secrets(rule_headers))


def secrets_of_tenant(providers: Iterable[LLMProvider], rules: Iterable[RuleHeaders]) -> tuple[bytes, ...]:
    """What must not be in a log of what a tenant's clients say.

    :param providers: its own, used or not, and those of others that it uses.
    :param rules: what all its rules do to heads.
    """
    texts: set[str] = set()
    for provider in providers:
        for config in _configs(provider):
            texts |= _provider_secrets(provider, config)
    for rule_headers in rules:
        texts |= _rule_secrets(rule_headers)
    return _spelled(texts)


def credentials_of(providers: Iterable[LLMProvider], rules: Iterable[RuleHeaders]) -> frozenset[bytes]:
    """The words by which what tenants send as credentials is known in what others' clients say.

    The parameters are those of `secrets_of_tenant`.
    """
    found: set[bytes] = set()
    for provider in providers:
        for config in _configs(provider):
            keys = [each.key for each in config.api_keys or ()]
            found.update(credential_words([*_bytes(keys), *_in_headers((config.headers or {}).items())]))
    for rule_headers in rules:
        edit = rule_headers.request
        lines = ((name.decode(), value) for name, value in (*edit.set, *edit.added))
        found.update(credential_words(_in_headers(lines)))
    return frozenset(found)


def credentials_in(headers: Mapping[str, Secret]) -> frozenset[bytes]:
    """Likewise, of headers that are sent elsewhere."""
    return frozenset(credential_words(_in_headers(headers.items())))


def _configs(provider: LLMProvider) -> Iterator[ProviderConfig]:
    """All that its requests may be given; the simulator's and that of a provider without any, too."""
    yield provider.default_config or ProviderConfig(dialect="openAIConfig")
    yield from provider.route_configs.values()


def _provider_secrets(provider: LLMProvider, config: ProviderConfig) -> set[str]:
    keys = (each.key for each in config.api_keys or ())
    return _worth_hiding((*provider.from_outside, *keys), (config.headers or {}).values())


def _rule_secrets(rule_headers: RuleHeaders) -> set[str]:
    edit = rule_headers.request
    return _worth_hiding(rule_headers.from_outside, (value for _, value in (*edit.set, *edit.added)))


def _worth_hiding(outside: Iterable[Secret], headers: Iterable[Secret]) -> set[str]:
    texts = {text for each in outside if len(text := each.reveal()) >= SHORTEST_SECRET}
    return texts | {text for each in headers if len(text := each.reveal()) >= SHORTEST_HEADER_SECRET}


def _spelled(texts: Iterable[str]) -> tuple[bytes, ...]:
    spellings = {spelling for text in texts for spelling in _spellings(text)}
    return tuple(spelling.encode() for spelling in sorted(spellings, key=lambda each: (-len(each), each)))


def _spellings(text: str) -> Iterator[str]:
    """How somebody may repeat it: as it is, in a JSON string (RFC 8259 §7), in one within another, in a URL."""
    yield text
    if _UNESCAPED(text):  # an ordinary key
        return
    yield json.dumps(text)[1:-1]
    for escapes in _ESCAPES:
        once = text.translate(escapes)
        yield once
        yield once.replace("/", "\\/")
        yield json.dumps(once)[1:-1]
    for safe in _SAFE:
        quoted = quote(text, safe=safe)
        yield quoted
        yield re.sub("%..", lambda code: code[0].lower(), quoted)


_UNESCAPED = re.compile(r"[A-Za-z0-9._~-]*").fullmatch


def _escapes(letters: str = "", code: str = "") -> dict[int, str]:
    """What JSON demands, and these letters by their numbers."""
    demanded = {number: json.dumps(chr(number))[1:-1] for number in range(128)}
    return demanded | {ord(each): code % ord(each) for each in letters}


_ESCAPES = (
    *(_escapes(), _escapes("<>&", "\\u%04x")),  # most, Go
    *(_escapes("<>&='", "\\u%04x"), _escapes("\"&'+<>`", "\\u%04X")),  # Gson, .NET
)

_SAFE = ("", "/", "!'()*")
"""Letters that stay in a URL as they are: in most, in a path, with JavaScript's encodeURIComponent (RFC 3986 §2.1)."""


def _in_headers(headers: Iterable[tuple[str, Secret]]) -> list[bytes]:
    return _bytes(value for name, value in headers if _CREDENTIAL.search(name))


def _bytes(secrets: Iterable[Secret]) -> list[bytes]:
    return [each.reveal().encode() for each in secrets]
