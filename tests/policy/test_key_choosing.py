from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.key_choosing import (
    Cooling,
    Dead,
    KeyState,
    Ready,
    Resting,
    after_answer,
    seconds_until_usable,
    usable_weights,
)

NOW = 1000.0


@pytest.mark.parametrize(
    ("status", "code", "retry_after", "state"),
    [
        (401, None, None, Dead(401)),
        (403, None, None, Dead(403)),
        (400, "invalid_api_key", None, Dead(400)),
        (402, None, None, Cooling(NOW + 300)),
        (429, "insufficient_quota", None, Cooling(NOW + 300)),
        (429, "insufficient_quota", 20.0, Cooling(NOW + 300)),
        (402, None, 3600.0, Cooling(NOW + 3600)),
        (429, None, 20.0, Cooling(NOW + 20)),
        (429, None, None, Resting(NOW + 5)),
        (403, "content_filter", None, Ready()),
        (403, "model_not_found", None, Ready()),
        (400, "context_length_exceeded", None, Ready()),
        (400, None, None, Ready()),
        (500, None, 20.0, Ready()),
    ],
)
def test_an_error_says_this_of_the_key(
    status: int, code: str | None, retry_after: float | None, state: KeyState
) -> None:
    assert after_answer(Ready(), status, code, retry_after, NOW) == state


@pytest.mark.parametrize(
    ("before", "status", "retry_after", "after"),
    [
        (Dead(401), 429, 20.0, Dead(401)),
        (Cooling(NOW + 60), 429, 20.0, Cooling(NOW + 60)),
        (Cooling(NOW + 60), 429, None, Cooling(NOW + 60)),
        (Cooling(NOW + 60), 403, None, Dead(403)),
        (Cooling(NOW - 1), 429, None, Resting(NOW + 5)),
        (Resting(NOW + 1), 429, None, Resting(NOW + 5)),
        (Resting(NOW + 4), 429, 20.0, Cooling(NOW + 20)),
    ],
)
def test_what_is_worse_or_lasts_longer_stays(
    before: KeyState, status: int, retry_after: float | None, after: KeyState
) -> None:
    assert after_answer(before, status, None, retry_after, NOW) == after


@pytest.mark.parametrize(
    ("weights", "states", "usable", "seconds"),
    [
        ([3, 1], [Ready(), Ready()], [3, 1], 0.0),
        ([3, 1], [Cooling(NOW + 7), Ready()], [0, 1], 0.0),
        ([3, 1], [Cooling(NOW), Ready()], [3, 1], 0.0),
        ([3, 1], [Dead(401), Ready()], [0, 1], 0.0),
        ([3, 1], [Resting(NOW + 5), Ready()], [0, 1], 0.0),
        ([3, 1], [Resting(NOW), Ready()], [3, 1], 0.0),
        ([3, 1], [Resting(NOW + 5), Resting(NOW + 9)], [3, 1], 0.0),
        ([3, 1], [Resting(NOW + 5), Dead(401)], [3, 0], 0.0),
        ([3, 1], [Cooling(NOW + 7), Cooling(NOW + 2)], None, 2.0),
        ([3, 1], [Dead(401), Cooling(NOW + 2)], None, 2.0),
        ([3, 1], [Dead(401), Dead(403)], None, None),
        ([3, 0], [Dead(401), Ready()], None, None),
        ([3, 0], [Cooling(NOW + 2), Ready()], None, 2.0),
        ([], [], None, None),
    ],
)
def test_these_keys_may_be_used(
    weights: list[int], states: list[KeyState], usable: list[int] | None, seconds: float | None
) -> None:
    assert usable_weights(weights, states, NOW) == usable
    assert seconds_until_usable(weights, states, NOW) == seconds


STATES = st.one_of(
    st.just(Ready()),
    st.builds(Resting, st.floats(990, 1010)),
    st.builds(Cooling, st.floats(990, 1010)),
    st.just(Dead(403)),
)


@given(st.lists(st.tuples(st.integers(0, 5), STATES), max_size=5))
def test_there_is_a_key_exactly_when_there_is_nothing_to_wait_for(keys: list[tuple[int, KeyState]]) -> None:
    weights, states = [weight for weight, _ in keys], [state for _, state in keys]
    usable, seconds = usable_weights(weights, states, NOW), seconds_until_usable(weights, states, NOW)
    assert (usable is not None) == (seconds == 0)
    if seconds:
        assert usable_weights(weights, states, NOW + seconds + 1e-6) is not None
    for weight, left, state in zip(weights, usable or [], states, strict=bool(usable)):
        assert left in (0, weight)
        assert not (left and isinstance(state, Dead))
