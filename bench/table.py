"""Samples to the lines that are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.measure import Sample

COLUMNS = ("CPU µs", "× nginx", "range", "per second", "p50 µs", "p99 µs")


def ratios(samples: Sequence[Sample], reference: Sequence[Sample]) -> list[float]:
    """CPU of each round against the reference's CPU in the same round, ascending.

    A machine drifts from minute to minute: two proxies are comparable within a round, not across rounds.
    """
    return sorted(ours.cpu_us / theirs.cpu_us for ours, theirs in zip(samples, reference, strict=True))


def cells(samples: Sequence[Sample], reference: Sequence[Sample]) -> tuple[str, ...]:
    """One proxy's medians in the order of COLUMNS."""
    against = ratios(samples, reference)
    return (
        f"{median(s.cpu_us for s in samples):.1f}",
        f"{median(against):.2f}",
        f"{against[0]:.2f}–{against[-1]:.2f}",
        f"{median(s.per_second for s in samples):,.0f}",
        f"{median(s.p50_us for s in samples):,.0f}",
        f"{median(s.p99_us for s in samples):,.0f}",
    )


def table(title: str, rounds: Mapping[str, Sequence[Sample]]) -> str:
    """A titled table with one line for each proxy; the first one is what the others are compared with.

    :param rounds: by proxy, its samples in the order of the rounds.
    """
    reference = next(iter(rounds.values()))
    rows = [("", *COLUMNS), *((name, *cells(samples, reference)) for name, samples in rounds.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]
    return "\n".join((title, *lines))
