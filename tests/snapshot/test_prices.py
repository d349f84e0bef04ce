"""A provider's `pricing`, compiled."""

from __future__ import annotations

from gateway.policy.pricing import Price, Pricing
from tests.fakes.conf import backend, provider, route, snapshot_of

WRITTEN = """
configs: {defaultConfig: {openAIConfig: {model: m}}}
pricing:
  currency: 元
  models: {one: {input: 1, output: 2}, o*: {input: 3, output: 4}, other*: {input: 5, output: 6, cachedInput: 7}}
  default: {input: 8, output: 9, tiers: [{fromInputTokens: 100, input: 10, output: 11}]}
"""

ASKING = "pricing: {catalog: genai-prices}\nconfigs: {defaultConfig: {openAIConfig: {%s}}}"


def test_what_is_written() -> None:
    found = backend(snapshot_of(provider("a", WRITTEN)), "a.example")
    assert found.pricing == Pricing(
        currency="元",
        models={"one": Price(1, 2)},
        families=(("other", Price(5, 6, 7)), ("o", Price(3, 4))),
        otherwise=Price(8, 9, above=((100, Price(10, 11)),)),
    )


def test_the_models_of_which_the_catalog_is_to_be_asked() -> None:
    rules = """
    rules:
    - name: all
      backendRefs:
      - {providerHost: a.example, model: better, weight: 1}
      - {providerHost: a.example, weight: 1}
      fallback: [{providerHost: b.example}]
      mirror: {providerHost: c.example}
    """
    asking = {"a": "model: m", "b": "", "c": "model: n"}
    providers = "".join(provider(name, ASKING % config) for name, config in asking.items())
    snapshot = snapshot_of(providers + provider("d", WRITTEN) + route("r", rules))
    assert snapshot.tenants["default"].catalog_names == {
        ("a.example", "better"),
        ("a.example", "m"),
        ("b.example", ""),
        ("c.example", "n"),
    }
