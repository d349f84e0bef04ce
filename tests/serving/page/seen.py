"""A gateway as the page sees it, made from documents and from what the metrics are to say."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from gateway.live.standing import KeyStanding
from gateway.serving.page.counts import Sizes, Tally, tally, total
from gateway.serving.page.history import Recent
from gateway.serving.page.inventory import inventory_of
from gateway.serving.page.overview import Seen, overview
from gateway.serving.page.reading import Reading
from gateway.serving.page.sections import SectionMaker, Sections
from gateway.serving.status import Since
from gateway.snapshot.generations import Generation
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.families import BUCKETS
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.recent_failures import Failures
from tests.fakes.conf import adopt_conf

UNIX = 1_795_000_000.0


_CODES = {
    Outcome.OK: 200,
    Outcome.CLIENT_ERROR: 401,
    Outcome.CLIENT_LEFT: 499,
    Outcome.PROVIDER_ERROR: 500,
    Outcome.PROVIDER_FAILED: 502,
    Outcome.GATEWAY_ERROR: 503,
    Outcome.ANSWER_CUT: 200,
}


def counts(
    *,
    attempts: Mapping[str, int] | None = None,
    costs: Mapping[str, float] | None = None,
    codes: Mapping[Outcome, int] = _CODES,
    **outcomes: int,
) -> Tally:
    """So many requests of each outcome, which took some 200 ms.

    :param codes: the status of each outcome.
    """
    duration = [0] * (len(BUCKETS) + 1)
    duration[bisect_left(BUCKETS, 0.2)] = sum(outcomes.values())
    answers = {(codes[Outcome(name)], Outcome(name)): number for name, number in outcomes.items()}
    return tally(answers, attempts or {}, duration=duration, costs=costs or {})


def recent(backends: Mapping[SeriesLabels, Tally], **more: Any) -> Recent:
    """All of this within the last minute.

    :param more: further fields of the reading.
    """
    now = Reading(60.0, UNIX, total(backends.values()).tally(), backends, **more)
    lag = Sizes(now.lag.bounds, [0] * len(now.lag.numbers))
    return Recent(now, Reading(0.0, UNIX - 60, tally({}, {}), {}, lag=lag))


def shown(made: Seen) -> Sections:
    """Every part of the page."""
    return SectionMaker().sections(overview(made))


def seen(
    text: str = "",
    *,
    generation: Generation | None = None,
    backends: Mapping[SeriesLabels, Tally] | None = None,
    standings: Sequence[KeyStanding] = (),
    failures: Sequence[Failures] = (),
    **more: Any,
) -> Seen:
    """What there is to be seen of a gateway with these documents.

    :param generation: instead of the documents.
    :param more: further fields.
    """
    runs = generation or adopt_conf(text)
    made = Seen(
        time=UNIX,
        draining=False,
        ready=True,
        reasons=(),
        generation=runs,
        since={name: Since(UNIX, UNIX) for name in runs.tenants},
        inventory=inventory_of(runs.snapshot),
        standings=tuple(standings),
        recent=recent(backends or {}),
        failures=tuple(failures),
    )
    return evolve(made, **more)
