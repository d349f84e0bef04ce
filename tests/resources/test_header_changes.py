"""`headers` of a rule: what they become, and what they must leave alone."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import pytest

from gateway.messages import Secret
from gateway.resources.header_changes import HeaderChanges, HeaderOperations
from tests.resources.written import document, read_text, route, spec_problems


def with_headers(headers: str) -> str:
    return f"host: a\nrules:\n- backendRefs: [{{providerHost: p}}]\n  headers: {headers}\n"


def test_everything_they_can_say() -> None:
    written = """{
      request: {set: {X-Team: search}, add: {x-tag: a}, remove: [X-Debug, cookie]},
      response: {set: {cache-control: no-store}, remove: [x-ratelimit-limit]}}"""
    assert route(with_headers(written)).rules[0].headers == HeaderChanges(
        request=HeaderOperations({"x-team": Secret("search")}, {"x-tag": Secret("a")}, ("x-debug", "cookie")),
        response=HeaderOperations({"cache-control": Secret("no-store")}, {}, ("x-ratelimit-limit",)),
    )


def test_what_came_from_outside_is_remembered_and_shown_nowhere() -> None:
    text = document("LLMRoute", with_headers("{request: {set: {x-token: 'Token ${TOKEN}'}}}"))
    (found,) = read_text(text, environment={"TOKEN": "canary-1"}).routes
    assert found.from_outside == (Secret("canary-1"),)
    assert found.rules[0].headers.request.set == {"x-token": Secret("Token canary-1")}
    assert "canary" not in repr(found)


@pytest.mark.parametrize("verb", ["set", "add"])
@pytest.mark.parametrize(
    ("side", "name", "reason"),
    [
        ("request", "Host", "is the provider's host; a backendRef's `hostRewrite` changes it"),
        ("request", "content-length", "belongs to one connection or to the framing of a body; the gateway sets it itself"),
        ("request", "x-request-id", "is the exchange's own, by which it is found in the log"),
        ("request", "Authorization", "is how a provider knows us, and a rule may have several: write it in the provider's config, as `apiKey` or in its `headers`"),
        ("request", "x-api-key", "is how a provider knows us, and a rule may have several: write it in the provider's config, as `apiKey` or in its `headers`"),
        ("response", "Transfer-Encoding", "belongs to one connection or to the framing of a body; the gateway sets it itself"),
        ("response", "content-type", "says what the body is, which a rule does not change"),
        ("response", "x-llmgateway-error-source", "tells whose an error is; the gateway sets it itself"),
    ],
)  # fmt: skip
def test_what_is_not_theirs(side: str, name: str, reason: str, verb: str) -> None:
    before = f"{{{side}: {{{verb}: {{"
    (line,) = spec_problems("LLMRoute", with_headers(f"{before}{name}: x}}}}}}"))
    place = f"4:{len('    headers: ' + before) + 1}"
    assert line == f"{place}: rules[0].headers.{side}.{verb}.{name}: {reason}"
    before = f"{{{side}: {{remove: [a, "
    (line,) = spec_problems("LLMRoute", with_headers(f"{before}{name}]}}}}"))
    place = f"4:{len('    headers: ' + before) + 1}"
    assert line == f"{place}: rules[0].headers.{side}.remove[1]: {name.lower()} {reason}"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("{}", "rules[0].headers: is empty: write request or response"),
        ("{request: {}}", "rules[0].headers.request: is empty: write set, add or remove"),
        (
            "{request: {set: {x: ''}}}",
            "rules[0].headers.request.set.x: must be one line of ASCII without control characters, not empty, without blanks around it (RFC 9110 §5.5)",
        ),
        (
            "{response: {add: {x: '${NOBODY}'}}}",
            "rules[0].headers.response.add.x: the environment variable NOBODY is not set",
        ),
        (
            "{request: {remove: ['a b']}}",
            'rules[0].headers.request.remove[0]: must be a header\'s name (RFC 9110 §5.6.2), not "a b"',
        ),
    ],
)
def test_problems(headers: str, expected: str) -> None:
    (line,) = spec_problems("LLMRoute", with_headers(headers))
    assert line.partition(": ")[2] == expected
