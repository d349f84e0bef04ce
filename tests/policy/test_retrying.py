"""The rules of retries as rows, and what holds whatever the rows say."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.retrying import (
    Again,
    Course,
    Decision,
    Failure,
    Fault,
    HandOn,
    Onward,
    RetryPolicy,
    course_of,
    decide,
)

POLICY = RetryPolicy()


def status(status: int, code: str | None = None, retry_after: float | None = None) -> Failure:
    return Failure(Fault.STATUS, status, code, retry_after)


def decided(
    failure: Failure,
    policy: RetryPolicy = POLICY,
    *,
    tries_here: int = 1,
    last: bool = False,
    seconds_left: float | None = None,
    fallback_on: frozenset[str] = frozenset(),
    budget_left: bool = True,
    chance: float = 0.5,
    other_key: bool = False,
) -> Decision:
    return decide(
        failure,
        policy,
        tries_here=tries_here,
        last=last,
        seconds_left=seconds_left,
        fallback_on=fallback_on,
        budget_left=budget_left,
        chance=chance,
        other_key=other_key,
    )


BACK_OFF = Again(0.125)
"""Half of the first back-off."""


@pytest.mark.parametrize(
    ("failure", "first", "second", "on_the_last"),
    [
        (Failure(Fault.UNREACHABLE), Onward(), Onward(), HandOn()),
        (Failure(Fault.SILENT), Onward(), Onward(), HandOn()),
        (Failure(Fault.NO_CONTENT, 200), Onward(), Onward(), HandOn()),
        (Failure(Fault.STALLED, 200), Onward(), Onward(), HandOn()),
        (Failure(Fault.OPEN), Onward(), Onward(), HandOn()),
        (Failure(Fault.RESET), BACK_OFF, Onward(), BACK_OFF),
        (Failure(Fault.CUT, 200), BACK_OFF, Onward(), BACK_OFF),
        (status(500), BACK_OFF, Onward(), BACK_OFF),
        (status(503), BACK_OFF, Onward(), BACK_OFF),
        (status(529), BACK_OFF, Onward(), BACK_OFF),
        (status(599), BACK_OFF, Onward(), BACK_OFF),
        (status(429), BACK_OFF, Onward(), BACK_OFF),
        (status(429, retry_after=2.0), Again(2.125), Onward(), Again(2.125)),
        (status(503, retry_after=2.0), Again(2.125), Onward(), Again(2.125)),
        (status(429, retry_after=5.0), Again(5.125), Onward(), Again(5.125)),
        (status(429, retry_after=5.1), Onward(), Onward(), HandOn()),
        (status(429, retry_after=86400.0), Onward(), Onward(), HandOn()),
        (status(401), Onward(), Onward(), HandOn()),
        (status(402), Onward(), Onward(), HandOn()),
        (status(403), Onward(), Onward(), HandOn()),
        (status(429, "insufficient_quota"), Onward(), Onward(), HandOn()),
        (status(400, "context_length_exceeded"), Onward(), Onward(), HandOn()),
        (status(400, "content_filter"), HandOn(), HandOn(), HandOn()),
        (status(403, "content_filter"), HandOn(), HandOn(), HandOn()),
        (status(400), HandOn(), HandOn(), HandOn()),
        (status(404, "model_not_found"), HandOn(), HandOn(), HandOn()),
        (status(408), HandOn(), HandOn(), HandOn()),
        (status(409), HandOn(), HandOn(), HandOn()),
        (status(422), HandOn(), HandOn(), HandOn()),
        (status(302), HandOn(), HandOn(), HandOn()),
    ],
)
def test_each_failure_has_its_course(
    failure: Failure, first: Decision, second: Decision, on_the_last: Decision
) -> None:
    assert decided(failure) == first
    assert decided(failure, tries_here=2) == second
    assert decided(failure, last=True) == on_the_last
    assert decided(failure, last=True, tries_here=2) == HandOn()


@pytest.mark.parametrize(
    ("failure", "fallback_on", "decision"),
    [
        (status(400, "content_filter"), {"content_filter"}, Onward()),
        (status(400, "content_filter"), {"other"}, HandOn()),
        (status(404), {"404"}, Onward()),
        (status(422, "odd"), {"odd"}, Onward()),
        (status(500), {"500"}, BACK_OFF),
    ],
)
def test_fallback_on_moves_on_where_the_default_is_to_hand_on(
    failure: Failure, fallback_on: set[str], decision: Decision
) -> None:
    assert decided(failure, fallback_on=frozenset(fallback_on)) == decision


def test_the_last_backends_error_is_handed_on_even_if_fallback_on_names_it() -> None:
    assert decided(status(404), fallback_on=frozenset({"404"}), last=True) == HandOn()


@pytest.mark.parametrize(
    ("name", "again", "not_again"),
    [
        (
            "5xx",
            [status(500), status(503), status(599), Failure(Fault.RESET), Failure(Fault.CUT)],
            [status(429)],
        ),
        ("gateway-error", [status(502), status(503), status(504)], [status(500), Failure(Fault.RESET)]),
        ("reset", [Failure(Fault.RESET), Failure(Fault.CUT)], [status(503)]),
        ("retriable-4xx", [status(409)], [status(429), status(500)]),
        ("connect-failure", [], [Failure(Fault.RESET), status(503)]),
        ("reset-before-request", [], [Failure(Fault.RESET), status(503)]),
        ("refused-stream", [], [Failure(Fault.RESET), status(503)]),
        ("429", [status(429)], [status(500)]),
        ("503", [status(503)], [status(500), Failure(Fault.RESET, 503)]),
        ("server_busy", [status(400, "server_busy")], [status(500)]),
    ],
)
def test_names_of_istio_statuses_and_codes_say_what_is_tried_again(
    name: str, again: list[Failure], not_again: list[Failure]
) -> None:
    for failure in again:
        assert course_of(failure, {name}, ()) is Course.AGAIN
    for failure in not_again:
        assert course_of(failure, {name}, ()) is Course.NEXT


@pytest.mark.parametrize(
    "failure",
    [
        Failure(Fault.UNREACHABLE),
        Failure(Fault.SILENT),
        Failure(Fault.NO_CONTENT),
        status(400, "context_length_exceeded"),
    ],
)
def test_retry_on_cannot_ask_for_what_is_never_right(failure: Failure) -> None:
    everything = {"5xx", "reset", "connect-failure", "400", "context_length_exceeded"}
    assert course_of(failure, everything, ()) is Course.NEXT


@pytest.mark.parametrize("retry_on", [None, {"5xx"}])
def test_what_no_rule_names_is_handed_on(retry_on: set[str] | None) -> None:
    assert course_of(status(400), retry_on, ()) is Course.HAND_ON


class TestKeys:
    @pytest.mark.parametrize(
        "failure", [status(401), status(402), status(403), status(429, "insufficient_quota")]
    )
    def test_another_key_of_the_same_backend_goes_first_and_at_once(self, failure: Failure) -> None:
        assert decided(failure, other_key=True) == Again(0.0)
        assert decided(failure, other_key=True, tries_here=2) == Onward()

    def test_a_dead_key_costs_no_answer_where_nothing_is_to_be_retried(self) -> None:
        assert decided(status(401), RetryPolicy(attempts=1), other_key=True, last=True) == Again(0.0)

    def test_another_key_need_not_wait_for_the_one_that_met_its_limit(self) -> None:
        assert decided(status(429), other_key=True) == Again(0.0)
        assert decided(status(429, retry_after=60.0), other_key=True) == Again(0.0)

    def test_a_backend_that_is_overloaded_is_so_for_every_key(self) -> None:
        assert decided(status(503, retry_after=60.0), other_key=True) == Onward()


class TestLimits:
    def test_one_attempt_means_no_retry(self) -> None:
        assert decided(status(500), RetryPolicy(attempts=1)) == Onward()

    def test_without_budget_nothing_is_tried_again_here(self) -> None:
        assert decided(status(500), budget_left=False) == Onward()
        assert decided(status(500), budget_left=False, last=True) == HandOn()

    @pytest.mark.parametrize(
        ("seconds_left", "decision"), [(0.2, BACK_OFF), (0.125, Onward()), (0.01, Onward())]
    )
    def test_no_wait_beyond_the_time_left(self, seconds_left: float, decision: Decision) -> None:
        assert decided(status(500), seconds_left=seconds_left) == decision

    def test_what_the_provider_asks_for_has_to_fit_the_time_left(self) -> None:
        assert decided(status(429, retry_after=3.0), seconds_left=2.0) == Onward()

    @pytest.mark.parametrize("seconds_left", [0.0, -1.0])
    def test_nothing_is_begun_when_the_time_is_over(self, seconds_left: float) -> None:
        assert decided(Failure(Fault.UNREACHABLE), seconds_left=seconds_left) == HandOn()


@pytest.mark.parametrize(
    ("tries_here", "chance", "wait"),
    [
        (1, 0.0, 0.0),
        (1, 0.999, 0.24975),
        (2, 0.999, 1.5 + 0.4995),
        (3, 0.5, 1.5 + 0.5),
        (9, 1.0, 1.5 + 8.0),
    ],
)
def test_back_off_is_full_jitter_that_doubles_up_to_its_longest(
    tries_here: int, chance: float, wait: float
) -> None:
    decision = decided(status(500), RetryPolicy(attempts=10), tries_here=tries_here, chance=chance)
    assert isinstance(decision, Again)
    assert decision.wait == pytest.approx(wait)


@pytest.mark.parametrize(("retry_after", "wait"), [(0.0, 1.5), (-1.0, 1.5), (1.0, 1.5), (2.0, 2.0)])
def test_a_provider_that_asks_for_less_is_spared_all_the_same(retry_after: float, wait: float) -> None:
    failure = status(429, retry_after=retry_after)
    assert decided(failure, RetryPolicy(attempts=3), tries_here=2, chance=0.0) == Again(wait)


FAILURES = st.builds(
    Failure,
    st.sampled_from(Fault),
    st.none() | st.sampled_from([200, 400, 401, 403, 404, 409, 429, 500, 503]),
    st.none() | st.sampled_from(["content_filter", "context_length_exceeded", "odd", "insufficient_quota"]),
    st.none() | st.floats(-1, 10),
)
RETRY_ON = st.none() | st.frozensets(st.sampled_from(["5xx", "reset", "retriable-4xx", "429", "odd", "400"]))
POLICIES = st.builds(
    RetryPolicy,
    st.integers(1, 9),
    RETRY_ON,
    st.floats(0.001, 2),
    st.floats(0.001, 9),
    max_wait=st.floats(0.001, 9),
)


@given(st.lists(st.tuples(FAILURES, st.floats(0, 1, exclude_max=True), st.booleans()), min_size=9), POLICIES)
def test_no_backend_is_hammered_whatever_fails_and_whatever_is_configured(
    failures: list[tuple[Failure, float, bool]], policy: RetryPolicy
) -> None:
    now, sent = 0.0, [0.0]
    for failure, chance, other_key in failures:
        decision = decided(failure, policy, tries_here=len(sent), chance=chance, other_key=other_key)
        if not isinstance(decision, Again):
            break
        assert decision.wait >= 0
        now += decision.wait
        sent.append(now)
    assert len(sent) <= max(policy.attempts, 2)
    for start in sent:
        assert sum(start <= at < start + 1.5 for at in sent) <= 2
        assert sum(start <= at < start + 3 for at in sent) <= 4


@given(FAILURES, POLICIES, st.integers(1, 12), st.floats(0, 20), st.booleans(), st.booleans())
def test_no_decision_goes_beyond_tries_time_or_the_last_backend(
    failure: Failure, policy: RetryPolicy, tries_here: int, seconds_left: float, budget_left: bool, last: bool
) -> None:
    decision = decided(
        failure, policy, tries_here=tries_here, seconds_left=seconds_left, budget_left=budget_left, last=last
    )
    match decision:
        case Again(wait):
            assert wait < seconds_left
            assert tries_here < policy.attempts
            assert budget_left
        case Onward():
            assert not last


@given(FAILURES, POLICIES, st.floats(0, 1, exclude_max=True))
def test_a_longer_wait_is_never_shorter_than_the_provider_asked(
    failure: Failure, policy: RetryPolicy, chance: float
) -> None:
    decision = decided(evolve(failure, retry_after=1.25), policy, chance=chance)
    if isinstance(decision, Again):
        assert decision.wait >= 1.25
