"""The part of the page that tells in figures what happens as a whole."""

from __future__ import annotations

from gateway.serving.page.activity import Activity
from gateway.serving.page.markup import Html, Markup, tags
from gateway.serving.page.overview import Overview
from gateway.serving.page.wording import NOTHING, money, number, percent, rate, seconds


def numbers_section(overview: Overview) -> Markup:
    """What happens as a whole, in large figures."""
    whole, recent = overview.whole, overview.seen.recent
    lately, total = whole.lately, whole.total
    tiles = [
        _tile("requests / s", rate(whole.rate), f"{number(total.requests)} in all"),
        _tile(
            "failed",
            percent(whole.failing) if lately.requests else NOTHING,
            f"{number(total.failed)} in all",
            "bad" if lately.failed else "",
        ),
        _tile("in flight", number(recent.now.in_flight if recent is not None else 0), "now"),
        _tile(
            "latency p95",
            seconds(lately.duration.quantile(0.95)),
            f"p50 {seconds(lately.duration.quantile(0.5))}",
        ),
        _tile(
            "first token p95",
            seconds(lately.first_token.quantile(0.95)),
            f"p50 {seconds(lately.first_token.quantile(0.5))}",
        ),
        _tile(
            "overhead p95",
            seconds(lately.overhead.quantile(0.95)),
            f"p50 {seconds(lately.overhead.quantile(0.5))}",
        ),
        _tile(
            "tokens / s",
            rate(_per_second(lately.input_tokens + lately.output_tokens, whole)),
            _tokens(total.input_tokens, total.output_tokens),
        ),
        _tile("cost", money(total.costs.items()), _hourly(whole)),
    ]
    if recent is not None:
        up = seconds(max(0.0, overview.seen.time - recent.now.started))
        tiles.append(_tile("up for", up, f"{recent.now.memory / 1e6:.0f} MB of memory"))
    return tags.dl(*tiles, class_="tiles")


def _tile(name: str, value: str, more: str, kind: str = "") -> Html:
    return tags.div(
        tags.dt(name), tags.dd(value, class_=f"value {kind}".strip()), tags.dd(more), class_="tile"
    )


def _tokens(given: float, got: float) -> str:
    return f"{number(given)} in, {number(got)} out" if given or got else "none yet"


def _hourly(activity: Activity) -> str:
    hourly = [
        (currency, amount / activity.seconds * 3600)
        for currency, amount in activity.lately.costs.items()
        if activity.seconds
    ]
    told = money(hourly)
    return f"{told} an hour" if told != NOTHING else "nothing in the last minute"


def _per_second(amount: float, activity: Activity) -> float:
    return amount / activity.seconds if activity.seconds else 0.0
