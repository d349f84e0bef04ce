from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.drills import DIRECTIVES, Drill, DrillError, read_drill


@pytest.mark.parametrize(
    ("lines", "drill"),
    [
        ([], Drill()),
        ([b""], Drill()),
        ([b"delay=2s"], Drill(delay=2.0)),
        ([b"delay=250ms"], Drill(delay=0.25)),
        ([b"delay=1.5m"], Drill(delay=90.0)),
        ([b"status=503, retry-after=7"], Drill(status=503, retry_after=7)),
        ([b"status=429,code=insufficient_quota"], Drill(status=429, code="insufficient_quota")),
        ([b"words=5,\tchunks=2 ,, no-done"], Drill(words=5, chunks=2, no_done=True)),
        ([b"first-content-delay=1s", b"chunk-delay=100ms"], Drill(first_content_delay=1.0, chunk_delay=0.1)),
        ([b"stall"], Drill(stall=True)),
        ([b"reset"], Drill(reset=True)),
        ([b"stall-after=0"], Drill(stall_after=0)),
        ([b"malformed-event, cut-after=3"], Drill(malformed_event=True, cut_after=3)),
    ],
)
def test_a_header_becomes_a_drill(lines: list[bytes], drill: Drill) -> None:
    assert read_drill(lines) == drill


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"statsu=503", "'statsu' is unknown; there are delay, stall"),
        (b"Delay=2s", "'Delay' is unknown"),
        (b"delay = 2s", "'delay ' is unknown"),
        (b"delay", "'delay'"),
        (b"delay=2", "'delay=2': a time such as"),
        (b"delay=-2s", "'delay=-2s'"),
        (b"delay=2h", "'delay=2h'"),
        (b"delay=61m", "at most one hour"),
        ("delay=２s".encode(), "'delay="),
        (b"status=200", "'status=200': a whole number from 400 to 599"),
        (b"status=+503", "'status=+503'"),
        (b"words=0", "'words=0'"),
        (b"words=99999999999", "'words=99999999999'"),
        (b"stall=1", "'stall' takes no value"),
        (b"no-done=", "'no-done' takes no value"),
        (b"status=500, code=a b", "'code=a b'"),
        (b"delay=1s, delay=1s", "'delay' is given twice"),
        (b"stall, status=503", "only one of 'stall' and 'status'"),
        (b"cut-after=1, stall-after=1", "only one of 'stall-after' and 'cut-after'"),
        (b"code=quota", "'code' needs a 'status'"),
        (b"retry-after=1", "'retry-after' needs a 'status'"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(line: bytes, named: str) -> None:
    with pytest.raises(DrillError) as caught:
        read_drill([line])
    assert named in str(caught.value)


def test_every_directive_is_a_field() -> None:
    fields = {name.replace("-", "_") for name in DIRECTIVES}
    assert fields == {attribute.name for attribute in Drill.__attrs_attrs__}


@given(st.binary(max_size=40) | st.from_regex(rb"[a-z-]+=[0-9a-z.]+", fullmatch=True))
def test_any_bytes_are_a_drill_or_an_error(line: bytes) -> None:
    with suppress(DrillError):
        read_drill([line])
