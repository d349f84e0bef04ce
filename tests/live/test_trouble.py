"""Breakers, keys and budgets are kept by name, take no room while all is well, and are forgotten with their names."""

from __future__ import annotations

from gateway.live import Live
from gateway.live.standing import BreakerStanding
from gateway.policy.breaking import Outcome
from gateway.snapshot.backends import Backend
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import BreakerName
from tests.fakes.conf import backend, provider, snapshot_of

POOL = """
configs:
  defaultConfig:
    openAIConfig:
      apiKeys: [{name: one, key: sk-number-one, weight: 2}, {name: two, key: sk-number-two}]
outlierDetection: {consecutiveErrors: 1, baseEjectionTime: 5s}
"""


def pool() -> tuple[Snapshot, Backend, Live]:
    snapshot = snapshot_of(provider("a", POOL))
    return snapshot, backend(snapshot, "a.example"), Live()


def chosen(live: Live, to: Backend, number: int, now: float = 0.0) -> str:
    """The names of the keys whose turn it is, one after the other."""
    keys = [live.keys.choose(to, now) for _ in range(number)]
    return " ".join(key.name if key is not None else "-" for key in keys)


def fail(live: Live, to: Backend, key: int, now: float = 0.0) -> None:
    is_probe = live.breakers.begin(to.keys[key], now)
    live.breakers.report(to, to.keys[key], Outcome.FAILURE, now, probe=is_probe)


def test_keys_take_turns_by_weight() -> None:
    _, to, live = pool()
    assert chosen(live, to, 6) == "one two one one two one"


def test_a_key_whose_breaker_is_open_is_no_choice() -> None:
    _, to, live = pool()
    fail(live, to, 0)
    assert chosen(live, to, 2) == "two two"
    assert live.keys.has_other(to, to.keys[0], 0.0)
    assert not live.keys.has_other(to, to.keys[1], 0.0)
    fail(live, to, 1, now=1.0)
    assert chosen(live, to, 1, now=1.0) == "-"
    assert live.keys.seconds_until_usable(to, 1.0) == 4.0
    assert [key.name for key in live.keys.unbroken(to, 1.0)] == ["one", "two"]
    assert live.breakers.least_bad(live.keys.unbroken(to, 1.0)) == 0
    assert chosen(live, to, 1, now=5.0) == "one"


def test_a_refused_key_is_no_choice_until_it_is_another() -> None:
    _, to, live = pool()
    live.keys.answered(to.keys[0], 401, None, None, 0.0)
    live.keys.answered(to.keys[1], 429, None, 30.0, 0.0)
    assert chosen(live, to, 1) == "-"
    assert live.keys.seconds_until_usable(to, 10.0) == 20.0
    assert chosen(live, to, 2, now=31.0) == "two two"
    changed = backend(snapshot_of(provider("a", POOL.replace("sk-number-one", "sk-number-3"))), "a.example")
    assert chosen(live, changed, 2, now=31.0) == "one two"
    live.keys.answered(to.keys[1], 401, None, None, 31.0)
    assert live.keys.seconds_until_usable(to, 31.0) is None


def test_a_refused_key_that_the_provider_accepts_is_used_again() -> None:
    heard = Heard()
    to, live = pool()[1], Live(heard)
    one, two = to.keys
    live.keys.accepted(one)
    live.keys.answered(one, 401, None, None, 0.0)
    live.keys.answered(two, 429, None, 30.0, 0.0)
    for key in to.keys:
        live.keys.accepted(key)
    assert (
        chosen(live, to, 2) == "one one"
    )  # a limit is not over because of an answer that was asked for before
    assert heard.told[-1] == ("accepted", "one")
    assert len(heard.told) == 3


def test_who_wants_no_key_has_none_to_blame() -> None:
    keyless = snapshot_of(provider("a", "configs: {defaultConfig: {openAIConfig: {model: plain}}}"))
    to, live = backend(keyless, "a.example"), Live()
    live.keys.answered(to.keys[0], 401, None, None, 0.0)
    assert live.keys.choose(to, 0.0) is to.keys[0]


def test_how_they_stand() -> None:
    snapshot, to, live = pool()
    fail(live, to, 0)
    live.keys.answered(to.keys[1], 429, None, 30.0, 0.0)
    one, two = live.standings(snapshot, 1.0)
    assert (one.key, one.breaker, one.is_usable) == ("one", BreakerStanding.OPEN, True)
    assert (two.owner, two.provider, two.key) == ("default", "a", "two")
    assert (two.breaker, two.is_usable) == (BreakerStanding.CLOSED, False)
    one, two = live.standings(snapshot, 5.0)
    assert (one.breaker, one.admits_in) == (BreakerStanding.PROBING, 0.0)
    assert live.breakers.begin(to.keys[0], 5.0)
    one, two = live.standings(snapshot, 30.0)
    assert (one.breaker, two.is_usable) == (BreakerStanding.PROBING, True)


def test_on_a_good_day_nothing_is_remembered() -> None:
    _, to, live = pool()
    assert not live.breakers.begin(to.keys[0], 0.0)
    live.breakers.report(to, to.keys[0], Outcome.SUCCESS, 0.0, probe=False)
    assert not live.breakers.remembered()
    live.keys.answered(to.keys[0], 400, None, None, 0.0)
    assert not live.keys.remembered()


class Heard:
    """What a listener was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def breaker_opened(self, name: BreakerName, until: float, fault: str) -> None:
        self.told.append(("opened", name.key, until, fault))

    def breaker_closed(self, name: BreakerName) -> None:
        self.told.append(("closed", name.key))

    def key_refused(self, name: BreakerName, status: int) -> None:
        self.told.append(("refused", name.key, status))

    def key_accepted(self, name: BreakerName) -> None:
        self.told.append(("accepted", name.key))

    def key_limited(self, name: BreakerName, until: float, status: int) -> None:
        self.told.append(("limited", name.key, until, status))


def test_whoever_listens_hears_of_a_breaker_that_opens_and_of_one_that_closes() -> None:
    heard = Heard()
    to, live = pool()[1], Live(heard)
    breakers, key = live.breakers, to.keys[0]
    breakers.report(to, key, Outcome.FAILURE, 0.0, probe=False, fault="status 503")
    assert heard.told == [("opened", "one", 5.0, "status 503")]
    fail(live, to, 0, now=5.0)  # the probe
    for outcome in (Outcome.FAILURE, Outcome.SUCCESS):  # those that were under way
        breakers.report(to, key, outcome, 6.0, probe=False)
    assert len(heard.told) == 1
    assert breakers.begin(key, 60.0)
    breakers.report(to, key, Outcome.SUCCESS, 60.0, probe=True)
    assert heard.told[1:] == [("closed", "one")]
    breakers.report(to, key, Outcome.SUCCESS, 61.0, probe=False)
    assert len(heard.told) == 2


def test_of_one_that_a_health_check_opens_too() -> None:
    heard = Heard()
    to, live = pool()[1], Live(heard)
    names = [key.breaker_name for key in to.keys]
    live.breakers.checked(names, False, to.outlier, 0.0, "status 500")
    live.breakers.checked(names, True, to.outlier, 1.0)
    assert heard.told == [("opened", "one", 5.0, "status 500"), ("opened", "two", 5.0, "status 500")]


def test_of_a_key_that_is_refused_or_meets_its_limit() -> None:
    heard = Heard()
    to, live = pool()[1], Live(heard)
    one, two = to.keys
    for now in (0.0, 1.0):
        live.keys.answered(one, 401, None, None, now)
    assert heard.told == [("refused", "one", 401)]
    live.keys.answered(two, 429, None, None, 2.0)  # which rests: it is used where there is no other
    live.keys.answered(two, 400, None, None, 2.0)
    assert len(heard.told) == 1
    for now in (3.0, 4.0, 33.5):
        live.keys.answered(two, 429, None, 30.0, now)
    live.keys.answered(two, 429, None, 30.0, 100.0)
    assert heard.told[1:] == [("limited", "two", 33.0, 429), ("limited", "two", 130.0, 429)]


def test_retries_have_a_budget() -> None:
    _, to, live = pool()
    assert live.budgets.allows_retry(to.name, 0.0)
    live.budgets.request_sent(to.name, 0.0)
    for _ in range(100):
        live.budgets.retry_sent(to.name, 0.0)
    assert not live.budgets.allows_retry(to.name, 0.0)
    for _ in range(10):
        live.budgets.request_sent(to.name, 0.0)
    assert live.budgets.allows_retry(to.name, 0.0)
    assert live.budgets.allows_retry(to.name, 60.0)


def test_what_nobody_names_is_forgotten() -> None:
    snapshot, to, live = pool()
    fail(live, to, 0)
    live.keys.answered(to.keys[1], 401, None, None, 0.0)
    live.budgets.request_sent(to.name, 0.0)
    for _ in range(100):
        live.budgets.retry_sent(to.name, 0.0)
    live.keep(snapshot)
    assert chosen(live, to, 1) == "-"
    assert not live.budgets.allows_retry(to.name, 0.0)
    live.keep(snapshot_of(provider("b")))
    assert chosen(live, to, 1) == "one"
    assert live.budgets.allows_retry(to.name, 0.0)
    assert not live.breakers.remembered()
    assert not live.keys.remembered()
