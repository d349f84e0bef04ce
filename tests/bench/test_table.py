from __future__ import annotations

import pytest

from bench.measure import Sample
from bench.table import ratios, table


def of(cpu_us: float, p50_us: float = 1000.0) -> Sample:
    return Sample(cpu_us=cpu_us, per_second=12345.6, p50_us=p50_us, p99_us=9000.0, pace=1.0, others=0.0)


def test_a_ratio_is_taken_within_its_round() -> None:
    # The machine slows down to half after the first round: the proxies keep their relation.
    assert ratios([of(60), of(120)], [of(20), of(40)]) == [3.0, 3.0]


def test_rounds_must_be_complete() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratios([of(60)], [of(20), of(40)])


def test_the_table_has_medians_ratios_and_their_range() -> None:
    text = table(
        "Requests", {"nginx": [of(20), of(22), of(21)], "gateway": [of(60, 1500), of(55, 1200), of(84, 9000)]}
    )
    assert text.splitlines() == [
        "Requests",
        "         CPU µs  × nginx      range  per second  p50 µs  p99 µs",
        "nginx      21.0     1.00  1.00–1.00      12,346   1,000   9,000",
        "gateway    60.0     3.00  2.50–4.00      12,346   1,500   9,000",
    ]
