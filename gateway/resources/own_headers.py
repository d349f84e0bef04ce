"""Headers that no file may set, because the gateway does, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.resources.misbehaviour import MISBEHAVE_HEADER, PROVIDER_HEADER

_FRAMING = "belongs to one connection or to the framing of a body; the gateway sets it itself"
_OF_THE_CONNECTION = dict.fromkeys(
    # RFC 9110 §7.6.1 and the framing of RFC 9112 §6
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
     "content-length", "expect"),
    _FRAMING,
)  # fmt: skip
_REQUEST_ID = "is the exchange's own, by which it is found in the log"

OF_REQUESTS: Mapping[str, str] = MappingProxyType(
    {
        **_OF_THE_CONNECTION,
        "host": "is the provider's host; a backendRef's `hostRewrite` changes it",
        "authorization": "is set from `apiKey`",
        "proxy-authorization": "is between a client and its proxy; write the provider's key as `apiKey`",
        "proxy-authenticate": "is between a client and its proxy",
        "accept-encoding": "is always `identity`, so that usage can be read",
        "content-encoding": "is not set: bodies are sent as they are",
        "content-type": "says what the body is; the gateway sets it itself",
        "x-request-id": _REQUEST_ID,
        "via": "is set by the gateway itself, which knows loops by it",
        **dict.fromkeys(
            (PROVIDER_HEADER, MISBEHAVE_HEADER),
            "is how the gateway tells the simulator what `misbehave` of a provider's config says",
        ),
    }
)

_ONE_PROVIDERS = (
    "is how a provider knows us, and a rule may have several: write it in the provider's config, as `apiKey` or in"
    " its `headers`"
)
OF_REQUESTS_OF_A_RULE: Mapping[str, str] = MappingProxyType(
    {
        **OF_REQUESTS,
        **dict.fromkeys(
            ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key"), _ONE_PROVIDERS
        ),
    }
)
"""Beside those of all requests, every spelling of a provider's key."""

OF_ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        **_OF_THE_CONNECTION,
        "content-type": "says what the body is, which a rule does not change",
        "content-encoding": "says how the body is written, which a rule does not change",
        "date": "is set by the gateway itself",
        "x-request-id": _REQUEST_ID,
        "x-llmgateway-error-source": "tells whose an error is; the gateway sets it itself",
    }
)
