from __future__ import annotations

from base64 import b64decode
from math import isclose, sqrt

from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.vectors import as_base64, as_floats, embedding


@given(text=st.text(), dimensions=st.integers(1, 64))
def test_a_vector_has_its_dimensions_and_length_one(text: str, dimensions: int) -> None:
    numbers = as_floats(embedding(text, dimensions))
    assert len(numbers) == dimensions
    assert isclose(sqrt(sum(number * number for number in numbers)), 1.0, rel_tol=1e-6)


def test_the_same_text_has_the_same_vector_and_another_has_another() -> None:
    assert embedding("cat", 8) == embedding("cat", 8)
    assert embedding("cat", 8) != embedding("dog", 8)


def test_base64_holds_the_same_floats() -> None:
    vector = embedding("cat", 8)
    assert as_floats(b64decode(as_base64(vector))) == as_floats(vector)
