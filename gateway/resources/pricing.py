"""`pricing` of a provider: what its models cost, per million tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import pairwise

from attrs import frozen

from gateway.resources.shapes import (
    Choice,
    DecimalNumber,
    Field,
    Finding,
    ListOf,
    MapOf,
    Record,
    Syntax,
    Text,
    Values,
    WholeNumber,
)

_CATALOG = "genai-prices"
"""A package that knows the prices of public providers; an optional dependency."""


@frozen
class Tier:
    """What a request costs that reads at least so much."""

    from_input_tokens: int
    input: float
    output: float
    cached_input: float | None


@frozen
class ModelPrice:
    """What one model costs."""

    input: float
    output: float
    cached_input: float | None
    tiers: tuple[Tier, ...]


@frozen
class Pricing:
    """What a provider's models cost."""

    currency: str
    models: Mapping[str, ModelPrice]
    """By name; one that ends with `*` is the beginning of a name."""
    otherwise: ModelPrice | None
    """None where a model that is not named costs nobody knows what."""
    asks_catalog: bool
    """For models that are not named."""


def _price_of(values: Values) -> ModelPrice:
    return ModelPrice(values["input"], values["output"], values["cachedInput"], values["tiers"] or ())


def _tier_of(values: Values) -> Tier:
    return Tier(values["fromInputTokens"], values["input"], values["output"], values["cachedInput"])


def _tier_findings(values: Values) -> Iterator[Finding]:
    tiers = values["tiers"] or ()
    for index, (lower, higher) in enumerate(pairwise(tiers), 1):
        if higher.from_input_tokens <= lower.from_input_tokens:
            yield Finding(f"tiers[{index}].fromInputTokens", "must be more than that of the tier before")


def _findings(values: Values) -> Iterator[Finding]:
    if values["catalog"] is not None and find_spec("genai_prices") is None:
        yield Finding(
            "catalog",
            f"needs the package {_CATALOG}, which is not installed: "
            "pip install '.[prices]' where llmgateway's source is",
        )
    if values["catalog"] is not None and values["currency"] not in (None, "USD"):
        yield Finding("currency", f"must be USD beside catalog: {_CATALOG} has its prices in it")
    if values.written == {"currency"}:
        yield Finding("", "says no price: write models, default or catalog")


def _pricing_of(values: Values) -> Pricing:
    return Pricing(
        currency=values["currency"] or "USD",
        models=values["models"] or {},
        otherwise=values["default"],
        asks_catalog=values["catalog"] is not None,
    )


_CURRENCY = Syntax(
    "the name of a currency without blanks, such as USD or 元, at most 16 characters",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]{1,16}",
)
_MODEL = Syntax("a model's name, or the beginning of one with a `*` behind it", r"[!-)+-~]{1,255}\*?|\*")

_AMOUNT = DecimalNumber(1_000_000_000)

_PRICES = (
    Field("input", _AMOUNT, "Of a million input tokens.", required=True),
    Field(
        "cachedInput",
        _AMOUNT,
        "Of a million input tokens that the provider had read before; as `input` unless written.",
    ),
    Field("output", _AMOUNT, "Of a million output tokens, reasoning included.", required=True),
)

_TIER = Record(
    (
        Field(
            "fromInputTokens",
            WholeNumber(1, 1_000_000_000),
            "A request with so many costs this, all of it.",
            required=True,
        ),
        *_PRICES,
    ),
    build=_tier_of,
)

_PRICE = Record(
    (*_PRICES, Field("tiers", ListOf(_TIER), "Other prices for long requests.")),
    check=_tier_findings,
    build=_price_of,
)

PRICING = Record(
    (
        Field("currency", Text(_CURRENCY), "A name of your choice; USD unless written."),
        Field(
            "models",
            MapOf(_MODEL, _PRICE),
            "By the model that answered, else by the one that was asked for; `gpt-4o*` is every model whose name "
            "begins so.",
        ),
        Field("default", _PRICE, "Of models that are not named."),
        Field(
            "catalog",
            Choice((_CATALOG,)),
            "Where prices are found of models that are not named; needs the extra `prices`.",
        ),
    ),
    at_least=1,
    check=_findings,
    build=_pricing_of,
)
