from __future__ import annotations

from collections import Counter

from gateway.resources.drills import Drill
from gateway.resources.misbehaviour import in_list, read_misbehaviour
from gateway.simulator.courses import MOST_COURSES, Caller, Courses


class Provider:
    """One that is asked again and again."""

    def __init__(self, text: str, name: str = "a", courses: Courses | None = None) -> None:
        self.misbehaviour = read_misbehaviour(tuple(in_list(text)))
        self.name = name
        self.courses = courses or Courses()

    def drill(self, now: float = 0.0, key: str | None = None) -> Drill:
        return self.courses.drill(self.misbehaviour, Caller(self.name, key), now)


def test_what_always_holds() -> None:
    assert Provider("words=3").drill() == Drill(words=3)


def test_the_first_requests_fail_and_then_it_works() -> None:
    provider = Provider("words=3, status=500&first=2")
    assert [provider.drill().status for _ in range(4)] == [500, 500, None, None]


def test_an_outage_begins_with_the_first_request() -> None:
    provider = Provider("status=503&for=30s")
    assert [provider.drill(now).status for now in (100.0, 129.9, 130.0, 200.0)] == [503, 503, None, None]


def test_a_periodic_outage() -> None:
    provider = Provider("reset&from=2s&for=1s&every=5s")
    assert [now for now in range(14) if provider.drill(float(now)).reset] == [2, 7, 12]


def test_only_requests_for_which_all_else_holds_are_counted() -> None:
    provider = Provider("status=401&key=aaaaaaaa&first=1")
    keys = [None, "bbbbbbbbbb", "aaaaaaaa11", "aaaaaaaa11"]
    assert [provider.drill(key=key).status for key in keys] == [None, None, 401, None]


def test_each_key_may_meet_something_else() -> None:
    provider = Provider("status=401&key=aaaaaaaa, status=429&key=bbbbbbbb&first=1")
    assert provider.drill(key="aaaaaaaa11").status == 401
    assert [provider.drill(key="bbbbbbbb11").status for _ in range(2)] == [429, None]


def test_each_provider_and_each_way_of_misbehaving_has_its_own_count() -> None:
    courses = Courses()
    for text in ("status=500&first=1", "reset&first=1", "reset&first=1, drill=second"):
        for name in ("a", "b"):
            provider = Provider(text, name, courses)
            assert [provider.drill() == Drill() for _ in range(2)] == [False, True]


def test_chances_come_true_as_often_as_they_say_and_one_at_a_time() -> None:
    provider = Provider("30%reset, 10%status=503, chunk-delay=1ms")
    met = Counter((drill.reset, drill.status) for drill in (provider.drill() for _ in range(5000)))
    assert set(met) == {(True, None), (False, 503), (False, None)}
    assert abs(met[True, None] / 5000 - 0.3) < 0.03
    assert abs(met[False, 503] / 5000 - 0.1) < 0.03


def test_certainty() -> None:
    provider = Provider("50%reset, 50%stall")
    assert all(drill.reset or drill.stall for drill in (provider.drill() for _ in range(1000)))


def test_chances_are_the_same_in_every_process_and_differ_by_seed_and_provider() -> None:
    def sequence(text: str, name: str = "a") -> list[bool]:
        provider = Provider(text, name)
        return [provider.drill().reset for _ in range(64)]

    assert sequence("50%reset") == sequence("50%reset")
    assert len({tuple(sequence(text)) for text in ("50%reset", "50%reset, seed=1", "50%reset, seed=2")}) == 3
    assert sequence("50%reset", "a") != sequence("50%reset", "b")
    assert "".join("01"[each] for each in sequence("50%reset")[:16]) == "1100111100110110"


def test_what_clients_make_up_is_forgotten_again() -> None:
    courses = Courses()
    first = Provider("reset&first=1", "first", courses)
    assert first.drill().reset
    for number in range(MOST_COURSES):
        Provider("reset&first=1", str(number), courses).drill()
    assert first.drill().reset
