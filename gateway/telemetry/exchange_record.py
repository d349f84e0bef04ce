"""What is said of one exchange, by the access log and by others: who asked whom, and what came of it."""

from __future__ import annotations

import msgspec

LONGEST_TEXT = 256
"""Characters that are kept of what a client or a provider wrote."""

LONGEST_DETAIL = 1024
"""Characters that are kept of the operator's detail."""


class Used(msgspec.Struct, frozen=True, gc=False):
    """What one attempt has used, where that is not simply what the exchange has."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    estimated: bool
    cost: float | None
    """In `currency`; None where the model has no price."""
    currency: str
    discarded: str
    """Why no client got anything of it, as in `llmgateway_discarded_tokens_total`; empty where one has."""


class Tried(msgspec.Struct, gc=False):
    """One attempt, or a backend that was passed over.  No text in it is a client's."""

    provider: str
    key: str
    """The key's name; empty for the only one."""
    outcome: str
    """As in `llmgateway_attempts_total`."""
    status: int | None
    """The provider's, or what its error event in a good answer stands for; None where it had not begun to answer."""
    seconds: float
    """How long it took."""
    after: float | None = None
    """How many seconds after the first one it was begun; None where it never was."""
    usage: Used | msgspec.UnsetType = msgspec.UNSET
    """Only where there was more than one, or nobody got its answer; and where something is known of it."""
    code: str | msgspec.UnsetType = msgspec.UNSET
    """OpenAI's code for the provider's error, else the provider's own, if that is a plain word; only where there is
    one."""


class ExchangeNames(msgspec.Struct, eq=False, gc=False):
    """Who asked whom for what: alike for all requests of a connection that differ in nothing but their bodies.

    Texts are empty where there is nothing to say.  `docs/access-log.md` tells each field.
    """

    tenant: str = ""
    client: str = ""
    route: str = ""
    rule: str = ""
    provider: str = ""
    provider_host: str = ""
    method: str = ""
    path: str = ""
    """As the client sent it, its bytes as Latin-1; never with its query or parameters, where clients put keys."""
    host: str = ""
    peer: str = ""
    listener: str = ""
    json: bytes = b""
    """The members of the access log's line, written by the log at the first of them."""


class ExchangeRecord(msgspec.Struct, gc=False):
    """What came of it.

    Texts are empty and numbers None where there is nothing to say.  `docs/access-log.md` tells each field.
    """

    request_id: str = ""
    trace_id: str = ""
    """Of the W3C trace that the exchange belongs to: 32 hexadecimal digits."""
    code: int = 0
    """The status that the client saw; 499 where it left."""
    outcome: str = ""
    error: str = ""
    """A code of `gateway.errors.CODES`."""
    asked_model: str = ""
    """What the client wrote."""
    sent_model: str = ""
    """What the provider was asked for."""
    request_model: str = ""
    """ASM's name for `sent_model`."""
    answered_model: str = ""
    """What the provider says has answered."""
    request_prompt_tokens: int | None = None
    """Input tokens, under ASM's name."""
    request_completion_tokens: int | None = None
    """Output tokens, under ASM's name."""
    cached_input_tokens: int | None = None
    """The part of the input tokens that the provider had in its cache."""
    reasoning_tokens: int | None = None
    """The part of the output tokens that the client does not see."""
    usage_estimated: bool = False
    """The provider did not count its tokens, so the gateway estimated them."""
    cost: float | None = None
    """What the tokens cost, in `currency`; None where the model has no price, or nothing is known of tokens."""
    currency: str = ""
    stream: bool = False
    bytes_in: int = 0
    """Of the request's body."""
    bytes_out: int = 0
    """Of the answer's body."""
    duration_ms: float = 0.0
    overhead_ms: float | None = None
    """The gateway's own part of it: what it did itself, without waiting for either side."""
    time_to_head_ms: float | None = None
    """Until the answer's head was sent to the client."""
    time_to_first_token_ms: float | None = None
    """Until the first content of a stream was sent to the client."""
    time_per_output_token_ms: float | None = None
    """Of a stream, between its first content and its end."""
    attempts: int = 0
    tried: tuple[Tried, ...] = ()
    """Every attempt, in the order they ended."""
    provider_request_id: str = ""
    detail: str = ""
    """What only the operator should read; no secret."""


NO_NAMES = ExchangeNames()
"""Of an exchange of which nothing is known."""
