"""The form that asks what the gateway would do, and what is asked with it."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from gateway.serving.page.explain_form import explain_form, question_of_form
from gateway.serving.questions import Question


def asked(**fields: str) -> Question:
    return question_of_form(urlencode(fields).encode())


def test_a_form_as_it_comes_is_a_question() -> None:
    names = re.findall(r'name="(\w+)"', explain_form(["demo"]))
    empty = asked(**{**dict.fromkeys(names, ""), "host": "demo"})
    assert empty == Question("demo")
    assert set(names) == {each for each in Question.__struct_fields__ if each != "body"}


def test_everything_that_can_be_filled_in() -> None:
    assert asked(
        host="demo",
        method="PUT",
        path="/v1/x?y=1",
        client_address="10.0.0.1",
        client_certificate="spiffe://corp/batch, other.test",
        listener="inner",
        headers="User-Type: vip\r\nX-Team:  a: b \r\nuser-type: two\r\n\r\n",
        data='{"messages": []}',
    ) == Question(
        "demo",
        path="/v1/x?y=1",
        method="PUT",
        headers={"user-type": ("vip", "two"), "x-team": ("a: b",)},
        data='{"messages": []}',
        listener="inner",
        client_address="10.0.0.1",
        client_certificate=("spiffe://corp/batch", "other.test"),
    )


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (b"path=/x", "The form does not say which host"),
        (b"host=a&headers=nothing", "A header is written as Name: value, not nothing"),
        (b"host=a&headers=%3A+x", "A header is written as Name: value, not : x"),
        (b"\xff", "The form is not understood"),
        (b"&".join([b"host=a"] * 100), "The form is not understood"),
    ],
)
def test_what_is_no_question(form: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        question_of_form(form)
