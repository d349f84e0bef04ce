from __future__ import annotations

from bench.profiling import hottest


def test_a_function_that_calls_itself_counts_once_in_its_total() -> None:
    collapsed = "run;read;parse 6\nrun;read;read 2\nrun;write 2\n"
    assert hottest(collapsed) == [("parse", 0.6, 0.6), ("read", 0.2, 0.8), ("write", 0.2, 0.2)]


def test_nothing_sampled_is_no_row() -> None:
    assert hottest("") == []
