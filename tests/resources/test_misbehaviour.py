from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources.directives import DIRECTIVES, DrillError
from gateway.resources.drills import Drill
from gateway.resources.misbehaviour import (
    MOST_GROUPS,
    Conditions,
    Group,
    Misbehaviour,
    in_list,
    read_misbehaviour,
)


def read(text: str) -> Misbehaviour:
    return read_misbehaviour(tuple(in_list(text)))


def conditions(text: str) -> Conditions:
    (group,) = read(text).sometimes
    return group.conditions


@pytest.mark.parametrize(
    ("text", "drill"),
    [
        ("", Drill()),
        ("delay=2s", Drill(delay=2.0)),
        ("delay=250ms", Drill(delay=0.25)),
        ("delay=1.5m", Drill(delay=90.0)),
        ("status=503, retry-after=7", Drill(status=503, retry_after=7)),
        ("status=429,code=insufficient_quota", Drill(status=429, code="insufficient_quota")),
        ("words=5,\tchunks=2 ,, no-done", Drill(words=5, chunks=2, no_done=True)),
        ("words=5&chunks=2", Drill(words=5, chunks=2)),
        ("stall", Drill(stall=True)),
        ("stall-after=0", Drill(stall_after=0)),
        ("malformed-event, cut-after=3, cut=reset", Drill(malformed_event=True, cut_after=3, cut="reset")),
        ("error-after=2, code=overloaded", Drill(error_after=2, code="overloaded")),
        ("stall-after=1, heartbeat=ping, heartbeat-delay=50ms",
         Drill(stall_after=1, heartbeat="ping", heartbeat_delay=0.05)),
        ("prefill=refuse, context=100", Drill(prefill="refuse", context=100)),
        ("usage=growing, cached=5", Drill(usage="growing", cached=5)),
        ("trickle=1ms, gzip", Drill(trickle=0.001, gzip=True)),
        ("content-length=longer, huge-headers=70000", Drill(content_length="longer", huge_headers=70000)),
        ("status=429, retry-after-ms=700, ratelimit-reset=6m",
         Drill(status=429, retry_after_ms=700, ratelimit_reset=360.0)),
    ],
)  # fmt: skip
def test_a_list_becomes_a_drill(text: str, drill: Drill) -> None:
    assert read(text).sometimes == ()
    assert read(text).drill() == drill


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30%reset", Conditions(chance=30.0)),
        ("0.5%reset", Conditions(chance=0.5)),
        ("status=500&first=1", Conditions(first=1)),
        ("for=30s&status=503", Conditions(lasts=30.0)),
        ("reset&from=10s&for=5s&every=1m", Conditions(begins=10.0, lasts=5.0, every=60.0)),
        ("status=401&key=00112233", Conditions(key="00112233")),
        ("10%status=401&key=none", Conditions(chance=10.0, key="none")),
    ],
)
def test_conditions(text: str, expected: Conditions) -> None:
    assert conditions(text) == expected


def test_what_has_no_conditions_always_holds() -> None:
    misbehaviour = read("words=50, 30%cut-after=5&cut=reset, status=503&for=30s, seed=7")
    assert misbehaviour.drill() == Drill(words=50)
    cut, outage = misbehaviour.sometimes
    assert misbehaviour.drill([cut]) == Drill(words=50, cut_after=5, cut="reset")
    assert misbehaviour.drill([outage]) == Drill(words=50, status=503)
    assert (misbehaviour.seed, misbehaviour.text) == (
        7,
        "words=50, 30%cut-after=5&cut=reset, status=503&for=30s, seed=7",
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("statsu=503", "'statsu' is unknown; did you mean 'status'?"),
        ("xyzzy", "'xyzzy' is unknown; there are delay, stall"),
        ("Delay=2s", "'Delay' is unknown"),
        ("delay = 2s", "'delay = 2s': directives have no blanks, and are joined by `&`, groups by `,`"),
        ("status=503;for=5s", "'status=503;for=5s': directives have no blanks, and are joined by `&`"),
        ("status=503&fro=5s", "'fro' is unknown; did you mean 'for' or 'from'?"),
        ("status:503", "'status:503' is unknown; did you mean 'status=503'?"),
        ("status=503&", "'status=503&': a directive is missing"),
        ("=503", "'=503': a directive is missing"),
        ("delay", "'delay'"),
        ("delay=2", "'delay=2': a time such as"),
        ("delay=-2s", "'delay=-2s'"),
        ("delay=2h", "'delay=2h'"),
        ("delay=61m", "at most one hour"),
        ("delay=２s", "'delay="),
        ("trickle=0s", "'trickle=0s': a time above 0"),
        ("status=200", "'status=200': a whole number from 400 to 599"),
        ("status=+503", "'status=+503'"),
        ("words=0", "'words=0'"),
        ("words=99999999999", "'words=99999999999'"),
        ("stall=1", "'stall' takes no value"),
        ("no-done=", "'no-done' takes no value"),
        ("status=500, code=a/b", "'code=a/b'"),
        ("cut-after=1, cut=off", "'cut=off': one of close, reset, end, done"),
        ("delay=1s, delay=1s", "'delay' is given twice"),
        ("delay=1s&delay=1s", "'delay' is given twice"),
        ("reset&first=1&first=2", "'first' is given twice"),
        ("delay=1s, delay=1s&first=1", "'delay' is given twice"),
        ("stall, status=503", "only one of 'stall' and 'status'"),
        ("cut-after=1, stall-after=1", "only one of 'stall-after' and 'cut-after'"),
        ("reset, status=500&first=1", "only one of 'reset' and 'status'"),
        ("code=quota", "'code' needs 'status' or 'error-after'"),
        ("retry-after=1", "'retry-after' needs 'status'"),
        ("retry-after=1, 10%status=429", "'retry-after' needs 'status'"),
        ("cut=reset", "'cut' needs 'cut-after' or 'cut-after-bytes'"),
        ("heartbeat=ping", "'heartbeat' needs 'first-content-delay'"),
        ("cut-after=3, no-done", "'no-done' changes nothing beside 'cut-after'"),
        ("reset, words=3", "'words' changes nothing beside 'reset'"),
        ("close, gzip", "'gzip' changes nothing beside 'close'"),
        ("status=503, 30%cut-after=2", "'cut-after' changes nothing beside 'status'"),
        ("first=1", "'first=1' limits nothing: join it by `&` to what it limits, as in status=500&first=1"),
        ("words=5, 30%reset, for=5s", "'for=5s' limits nothing: join it by `&` to what it limits, as in 30%reset&for="),
        ("30%", "'30%' limits nothing: write it before what it limits, as in 30%reset"),
        ("30%, status=503", "'30%' limits nothing"),
        ("words=5&30%cut-after=3",
         "a chance begins its group: did you mean '30%words=5&cut-after=3' or 'words=5, 30%cut-after=3'?"),
        ("cut-after=3&30%", "a chance begins its group: did you mean '30%cut-after=3'?"),
        ("x%reset", "'x%': a chance"),
        ("0%reset", "'0%': a chance"),
        ("101%reset", "'101%': a chance"),
        ("60%reset, 41%stall", "the chances make 101%"),
        ("reset&every=3s", "'every' needs a 'for'"),
        ("reset&every=3s&for=3s", "'every' needs a 'for' that is shorter"),
        ("reset&key=sk-secret", "8 to 64 hexadecimal digits"),
        ("seed=1", "'seed' needs a chance"),
        ("drill=a", "'drill' names what is counted"),
        ("reset&seed=1", "'seed' is said of the whole list"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(DrillError) as caught:
        read(text)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "30%reset, 30%status=500, 40%stall",
        "status=401&key=00112233, status=429&key=44556677",
        "words=50, chunk-delay=10ms, status=503&for=30s",
        "cut-after=3&first=1",
    ],
)
def test_what_never_meets_does_not_contradict(text: str) -> None:
    assert read(text).sometimes


def test_too_many_groups_are_refused() -> None:
    with pytest.raises(DrillError, match="33 groups"):
        read(", ".join(["stall"] * (MOST_GROUPS + 1)))


@pytest.mark.parametrize(
    ("limits", "times"),
    [
        (Conditions(lasts=2.0), [True, True, False, False, False, False]),
        (Conditions(begins=2.0), [False, False, True, True, True, True]),
        (Conditions(begins=1.0, lasts=1.0), [False, True, False, False, False, False]),
        (Conditions(begins=1.0, lasts=1.0, every=3.0), [False, True, False, False, True, False]),
    ],
)
def test_times(limits: Conditions, times: list[bool]) -> None:
    assert [limits.hold_at(float(second)) for second in range(6)] == times


@pytest.mark.parametrize(
    ("meant", "key", "holds"),
    [
        (None, None, True),
        (None, "ab", True),
        ("none", None, True),
        ("none", "ab", False),
        ("0011", "00112233", True),
        ("0011", "1100", False),
        ("0011", None, False),
    ],
)
def test_keys(meant: str | None, key: str | None, holds: bool) -> None:
    assert Conditions(key=meant).hold_for(key) is holds


def test_every_directive_is_a_field() -> None:
    fields = {name.replace("-", "_") for name in DIRECTIVES}
    assert fields == {attribute.name for attribute in Drill.__attrs_attrs__}


@given(st.text(max_size=40) | st.from_regex(r"([0-9]{1,3}%)?[a-z-]+=[0-9a-z.]+(&[a-z]+=[0-9a-z]+)?"))
def test_any_text_is_misbehaviour_or_an_error(text: str) -> None:
    with suppress(DrillError):
        misbehaviour = read(text)
        assert isinstance(misbehaviour.drill(misbehaviour.sometimes[:1]), Drill)


def test_a_group_is_compared_by_what_it_says() -> None:
    assert read("reset&first=1").sometimes == (Group(Conditions(first=1), {"reset": True}),)
