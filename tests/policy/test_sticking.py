"""The same backend for the same value, its share of all values, and no more movement than there must be."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.sticking import stick

VALUES = [b"session-%d" % number for number in range(20_000)]
NAMES = st.lists(st.binary(max_size=8), min_size=1, max_size=6, unique=True)


def chosen(names: Sequence[bytes], weights: Sequence[int]) -> list[bytes]:
    """Whom each of many values sticks to."""
    return [names[stick(value, names, weights)] for value in VALUES]


@pytest.mark.parametrize(
    "weights", [{b"a": 1, b"b": 1}, {b"a": 90, b"b": 10}, {b"a": 1, b"b": 2, b"c": 7}, {b"a": 0, b"b": 5}]
)
def test_weights_are_kept(weights: dict[bytes, int]) -> None:
    counts = Counter(chosen([*weights], [*weights.values()]))
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        deviation = (share * (1 - share) / len(VALUES)) ** 0.5
        assert counts[name] / len(VALUES) == pytest.approx(share, abs=4 * deviation)


def test_who_comes_takes_only_its_own_share() -> None:
    before = chosen([b"a", b"b"], [50, 50])
    after = chosen([b"a", b"b", b"c"], [50, 50, 50])
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {b"c"}
    assert len(moved) / len(VALUES) == pytest.approx(1 / 3, abs=0.02)


def test_of_who_goes_only_its_own_values_move() -> None:
    before = chosen([b"a", b"b", b"c"], [1, 1, 1])
    after = chosen([b"a", b"c"], [1, 1])
    assert {old for old, new in zip(before, after, strict=True) if old != new} == {b"b"}


def test_a_greater_weight_takes_values_and_gives_none() -> None:
    before = chosen([b"a", b"b", b"c"], [10, 10, 10])
    after = chosen([b"a", b"b", b"c"], [10, 20, 10])
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {b"b"}


@given(st.binary(), NAMES)
def test_the_order_of_backends_does_not_matter(value: bytes, names: list[bytes]) -> None:
    shuffled = sorted(names)
    assert names[stick(value, names, [3] * len(names))] == shuffled[stick(value, shuffled, [3] * len(names))]


@given(st.binary(), NAMES, st.data())
def test_a_backend_without_weight_is_never_chosen(
    value: bytes, names: list[bytes], data: st.DataObject
) -> None:
    weights = data.draw(
        st.lists(st.integers(0, 1_000_000), min_size=len(names), max_size=len(names)).filter(any)
    )
    assert weights[stick(value, names, weights)] > 0


def test_every_process_says_the_same() -> None:
    script = (
        "from gateway.policy.sticking import stick\n"
        "print(''.join(str(stick(b'%d' % n, [b'a', b'b', b'c'], [1, 2, 3])) for n in range(40)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    here = "".join(str(stick(b"%d" % number, [b"a", b"b", b"c"], [1, 2, 3])) for number in range(40))
    assert told.strip() == here == "2022122201222012210121021222202221122212"
