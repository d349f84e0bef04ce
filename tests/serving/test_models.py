"""`GET …/models`."""

from __future__ import annotations

import json

import pytest

from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.serving.models import models_body, models_of
from gateway.snapshot.tables import RouteTable
from tests.fakes.conf import provider, route, route_table, snapshot_of
from tests.fakes.house import (
    ConversationTestCase,
    error,
    get,
    parts,
)


class ModelsTests(ConversationTestCase):
    def test_the_list(self) -> None:
        house, client = self.open()
        _, headers, body = parts(client.sends(get(b"/v1/models")))
        self.assertEqual(headers[b"content-type"], b"application/json")
        self.assertEqual([each["id"] for each in json.loads(body)["data"]], ["plain"])
        self.assertEqual(house.network.providers, [])
        self.assertEqual(house.counted, {("200", "ok"): 1})
        self.assertEqual((house.names.route, house.names.rule, house.names.provider), ("demo", "", ""))

    def test_one(self) -> None:
        _, client = self.open()
        self.assertEqual(json.loads(parts(client.sends(get(b"/v1/models/plain")))[2])["id"], "plain")
        received = client.sends(get(b"/v1/models/secret"))
        self.assertTrue(received.startswith(b"HTTP/1.1 404 "))
        self.assertEqual(error(received)["param"], "model")

    def test_a_head_has_no_body(self) -> None:
        _, client = self.open()
        _, headers, body = parts(client.sends(get(b"/v1/models", method=b"HEAD")))
        self.assertEqual(body, b"")
        self.assertGreater(int(headers[b"content-length"]), 0)


def table(spec: str) -> RouteTable:
    documents = provider("a", "configs: {defaultConfig: {openAIConfig: {model: of-a}}}")
    documents += provider("b", "configs: {defaultConfig: {openAIConfig: {}}}") + route("demo", spec)
    return route_table(snapshot_of(documents), "demo")


def test_models_of_every_rule_in_the_order_written_each_once() -> None:
    several = table(
        """
        rules:
        - matches: [{headers: {x: {}}}]
          backendRefs: [{providerHost: a.example, weight: 1, model: z}, {providerHost: a.example, weight: 0}]
        - backendRefs: [{providerHost: a.example, weight: 1, model: z}, {providerHost: b.example, weight: 1}]
        """
    )
    assert models_of(several) == ["z", "of-a"]


def test_a_fallback_may_answer_too_and_a_mirror_never_does() -> None:
    with_fallback = table(
        """
        rules:
        - matches: [{headers: {x: {}}}]
          backendRefs: [{providerHost: a.example}]
          fallback: [{providerHost: a.example, model: spare}, {providerHost: b.example}]
          mirror: {providerHost: b.example}
        - backendRefs: [{providerHost: a.example, model: z}]
        """
    )
    assert models_of(with_fallback) == ["of-a", "spare", "z"]
    assert json.loads(models_body(with_fallback, Operation.MODEL, b"/v1/models/spare"))["id"] == "spare"


def test_a_route_that_leaves_the_choice_to_the_client_has_none() -> None:
    free = table("rules: [{backendRefs: [{providerHost: b.example}]}]")
    assert models_of(free) == []
    assert json.loads(models_body(free, Operation.MODELS, b"/v1/models")) == {"object": "list", "data": []}


@pytest.mark.parametrize("path", [b"/v1/models/of-a", b"/models/of%2Da", b"/any/v1/models/of-a/"])
def test_one_by_its_name(path: bytes) -> None:
    one = table("rules: [{backendRefs: [{providerHost: a.example}]}]")
    assert json.loads(models_body(one, Operation.MODEL, path))["id"] == "of-a"


@pytest.mark.parametrize(
    ("path", "code"), [(b"/v1/models/other", "no_route"), (b"/v1/models/../x", "malformed_request")]
)
def test_a_name_that_is_none(path: bytes, code: str) -> None:
    one = table("rules: [{backendRefs: [{providerHost: a.example}]}]")
    with pytest.raises(GatewayError) as refusal:
        models_body(one, Operation.MODEL, path)
    assert refusal.value.code == code
