"""The form that asks what the gateway would do with a request, and the question that is in it once it is filled in."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec

from gateway.serving.page.markup import Html, tags
from gateway.serving.questions import Question

PATH = "/explain"

_EXAMPLE = '{"messages": [{"role": "user", "content": "Hello"}]}'


def explain_form(hosts: list[str]) -> Html:
    """The form.

    :param hosts: that it suggests.
    """
    first = hosts[0] if hosts else ""
    fields = [
        _label(
            "Host",
            tags.input(name="host", list="hosts", required="required", autocomplete="off", value=first),
        ),
        tags.datalist(*(tags.option(value=host) for host in hosts), id="hosts"),
        _label("Path", tags.input(name="path", value="/v1/chat/completions", autocomplete="off")),
        _field("Method", "method", "POST or GET"),
        _field("Client's address", "client_address", "10.1.2.3"),
        _field("Client certificate's names", "client_certificate", "spiffe://corp/batch"),
        _field("Listener", "listener"),
        _label("Headers, one a line", _area("headers", "", "user-type: subscriber"), "wide"),
        _label("Body", _area("data", _EXAMPLE), "wide"),
    ]
    return tags.form(
        *fields, tags.button("Explain", type="submit"), id="explain-form", method="post", action=PATH
    )


def _label(text: str, field: Html, kind: str | None = None) -> Html:
    return tags.label(text, field, class_=kind)


def _field(text: str, name: str, example: str | None = None) -> Html:
    return _label(text, tags.input(name=name, placeholder=example, autocomplete="off"))


def _area(name: str, content: str, example: str | None = None) -> Html:
    return tags.textarea(content, name=name, rows="3", placeholder=example, spellcheck="false")


def question_of_form(form: bytes) -> Question:
    """What somebody asks with it.

    :param form: `application/x-www-form-urlencoded`.
    :raises ValueError: with a sentence for who asked.
    """
    try:
        given = {
            name: values[0] for name, values in parse_qs(form.decode(), max_num_fields=_MOST_FIELDS).items()
        }
    except ValueError:
        raise ValueError("The form is not understood.") from None
    if "host" not in given:
        raise ValueError("The form does not say which host the request is for.")
    fields: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    fields["headers"] = _headers(given.get("headers", ""))
    fields["client_certificate"] = given.get("client_certificate", "").replace(",", " ").split()
    return msgspec.convert(fields, Question)


_TEXTS = ("host", "method", "path", "client_address", "listener", "data")
"""Fields that are those of a question as they are."""

_MOST_FIELDS = 20


def _headers(text: str) -> dict[str, tuple[str, ...]]:
    headers: dict[str, tuple[str, ...]] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, value = line.partition(":")
        if not name.strip() or ":" not in line:
            raise ValueError(f"A header is written as Name: value, not {line}")
        name = name.strip().lower()
        headers[name] = (*headers.get(name, ()), value.strip())
    return headers
