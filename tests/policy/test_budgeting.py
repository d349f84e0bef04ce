from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.budgeting import Budget, allows_retry, request_sent, retry_sent


def retries_allowed(requests_per_second: int, seconds: int) -> int:
    """How many retries pass if every request fails and asks for one, after some seconds to come to rest."""
    budget, allowed = Budget(), 0
    for number in range((seconds + 60) * requests_per_second):
        now = number / requests_per_second
        budget = request_sent(budget, now)
        if allows_retry(budget, now):
            budget = retry_sent(budget, now)
            allowed += now >= 60
    return allowed


def test_small_traffic_may_retry_each_request() -> None:
    assert retries_allowed(requests_per_second=5, seconds=20) == 100


def test_of_great_traffic_a_fifth_may_be_retried_and_ten_a_second_more() -> None:
    assert 590 <= retries_allowed(requests_per_second=100, seconds=20) <= 610


def test_a_budget_that_is_spent_comes_back() -> None:
    budget = Budget()
    while allows_retry(budget, 0.0):
        budget = retry_sent(budget, 0.0)
    assert budget.retries == 100
    assert not allows_retry(budget, 0.05)
    assert allows_retry(budget, 0.2)


def test_what_is_old_counts_no_more() -> None:
    budget = Budget(requests=100_000.0, retries=50.0, at=0.0)
    assert allows_retry(budget, 1.0)
    later = retry_sent(request_sent(budget, 200.0), 200.0)
    assert round(later.requests, 3) == round(later.retries, 3) == 1.0


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_retries_never_pass_their_share_and_their_minimum(steps: list[tuple[float, bool]]) -> None:
    budget, now = Budget(), 0.0
    for pause, is_request in steps:
        now += pause
        if is_request:
            budget = request_sent(budget, now)
        elif allows_retry(budget, now):
            budget = retry_sent(budget, now)
            assert budget.retries <= 0.2 * budget.requests + 100.001
