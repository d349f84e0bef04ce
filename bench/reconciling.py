"""Four books of the same requests, compared: the clients', the access log's, the metrics' and the simulator's.

Each function tells what does not agree, in sentences; none is what is wanted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families

from bench.bookings import EVENTS_BEFORE_LEAVING, LEFT, Asked, Seen
from bench.spending import TOKENS, Record, heard, lost, parts_of, price_of

Sums: TypeAlias = Mapping[tuple[str, ...], float]

_DISCARDED = "llmgateway_discarded_tokens_total"

_NOT_ASKED = ("open", "unreachable")
"""Outcomes of attempts that no provider has seen."""

_WHO = ("tenant", "client", "route", "rule", "provider")
_BACKEND = ("tenant", "route", "rule", "provider")

_ENDS = ("ok", "cancelled", "unreachable", "reset", "silent", "status", "cut", "open")
"""Of attempts, at least one each."""

_MORE = 1.05
"""By so much an estimate may be above what was said."""


@frozen
class Books:
    """All that was counted."""

    asked: Mapping[str, Asked]
    """By request id."""
    seen: Mapping[str, Seen]
    records: Sequence[Record]
    samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
    """Labels and value of each sample, by its metric."""
    simulated: Mapping[str, Any]
    """The simulator's page."""

    def sums(self, metric: str, labels: Sequence[str], **only: str) -> Sums:
        """The sums of a metric by these labels, of the series that have `only`."""
        found: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for values, value in self.samples.get(metric, ()):
            if only.items() <= values.items():
                found[tuple(values[label] for label in labels)] += value
        return found

    def of_simulator(self) -> dict[str, Record]:
        """Its line of each provider, `tenant/provider`; here each has one model."""
        return {line["provider"]: line for line in self.simulated["lines"]}


def samples_in(page: str) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    """The samples of a page of metrics."""
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def _differing(what: str, one: Mapping[Any, float], other: Mapping[Any, float]) -> Iterator[str]:
    for key in sorted({*one, *other}, key=str):
        mine, theirs = one.get(key, 0), other.get(key, 0)
        if abs(mine - theirs) > 1e-6 * max(abs(mine), abs(theirs)):
            yield f"{what}, {key}: {mine:g}, but {theirs:g}"


def _logged(records: Iterable[Record], fields: Sequence[str], of: str | None = None) -> Sums:
    """How many records there are by these fields, or the sums of another field."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for record in records:
        found[tuple(str(record[field]) for field in fields)] += 1 if of is None else record[of] or 0
    return found


def _provider_of(record: Record) -> str:
    """As the simulator calls it."""
    return f"{record['tenant']}/{record['provider']}"


def _requests(books: Books) -> Iterator[str]:
    """Every client's request is in the log once, and ended there as the client saw it."""
    times = Counter(record["request_id"] for record in books.records)
    for name, asked in books.asked.items():
        if times[name] != asked.kind.has_id:
            yield f"{name} is {times[name]}× in the log"
    strangers = [record for record in books.records if record["request_id"] not in books.asked]
    for record in books.records:
        name = record["request_id"]
        if name not in books.asked:
            continue
        seen, kind = books.seen[name], books.asked[name].kind
        if record["code"] != seen.status or seen.status not in kind.statuses:
            yield f"{name}: its client saw {seen.status}, the log has {record['code']}"
        told = (record["request_prompt_tokens"], record["request_completion_tokens"])
        if seen.tokens is not None and not kind.is_mixed and told != seen.tokens:
            yield f"{name}: its client was told of {seen.tokens} tokens, the log has {told}"
    nameless = Counter(
        (str(books.seen[name].status),) for name, asked in books.asked.items() if not asked.kind.has_id
    )
    yield from _differing("requests without an id", nameless, _logged(strangers, ("code",)))
    by = (*_WHO, "code", "outcome")
    counted = books.sums("llmgateway_requests_total", by)
    yield from _differing("requests", counted, _logged(books.records, by))
    counted = books.sums("llmgateway_request_duration_seconds_count", _WHO)
    yield from _differing("durations", counted, _logged(books.records, _WHO))
    for metric, name in (("request", "bytes_in"), ("response", "bytes_out")):
        counted = books.sums(f"llmgateway_{metric}_bytes_total", _WHO)
        yield from _differing(f"{metric} bytes", counted, _logged(books.records, _WHO, of=name))


def _attempts(books: Books) -> Iterator[str]:
    """Every attempt is in the log, in the metrics and, where it came to that, in the simulator's books."""
    tried: Counter[tuple[str, ...]] = Counter()
    sent: Counter[str] = Counter()
    for record in books.records:
        providers = []
        for attempt in record["tried"]:
            at = {**record, **attempt}
            tried[tuple(at[label] for label in (*_BACKEND, "outcome"))] += 1
            if attempt["outcome"] != "open":
                providers.append(_provider_of(at))
            if attempt["outcome"] not in _NOT_ASKED:
                sent[providers[-1]] += 1
        again = record["attempts"] - len(providers)
        if again:  # on a kept connection that was dead; only the providers that are asked first reset theirs
            sent[providers[0] if providers else f"{record['tenant']}/(nobody)"] += again
    counted = books.sums("llmgateway_attempts_total", (*_BACKEND, "outcome"))
    yield from _differing("attempts", counted, tried)
    mirrored = books.sums("llmgateway_mirrored_requests_total", ("tenant", "provider", "outcome"))
    for (tenant, provider, outcome), number in mirrored.items():
        if outcome not in (*_NOT_ASKED, "skipped"):
            sent[f"{tenant}/{provider}"] += int(number)
    simulated = {provider: line["requests"] for provider, line in books.of_simulator().items()}
    yield from _differing("requests to providers", sent, simulated)


def _tokens(books: Books) -> Iterator[str]:
    """Metrics and log have the same tokens, attempt by attempt, and of those not estimated so has the simulator."""
    parts, of_lost = parts_of(books.records), (*_WHO, "reason", "estimated")
    estimates = [part for part in heard(parts) if part["estimated"] == "true"]
    for kind, (_, name) in TOKENS.items():
        counted = books.sums("llmgateway_tokens_total", _WHO, type=kind)
        yield from _differing(f"{kind} tokens", counted, _logged(heard(parts), _WHO, of=name))
        if kind in ("input", "output"):
            counted = books.sums("llmgateway_tokens_estimated_total", _WHO, type=kind)
            yield from _differing(f"estimated {kind} tokens", counted, _logged(estimates, _WHO, of=name))
            counted = books.sums(_DISCARDED, of_lost, type=kind)
            counted = {labels: number for labels, number in counted.items() if "mirror" not in labels}
            yield from _differing(f"discarded {kind} tokens", counted, _logged(lost(parts), of_lost, of=name))
        lines = books.of_simulator().items()
        told = {provider: line["told"][f"{kind}_tokens"] for provider, line in lines}
        yield from _differing(f"exact {kind} tokens", _exact(books, parts, kind), told)


def _exact(books: Books, parts: Iterable[Record], kind: str) -> Mapping[str, float]:
    """What each provider has said of its tokens, to clients or to nobody."""
    exact: Counter[str] = Counter()
    for part in parts:
        exact[_provider_of(part)] += part[TOKENS[kind][1]] if part["estimated"] == "false" else 0
    labels = {"type": kind, "reason": "mirror", "estimated": "false"}
    for who, number in books.sums(_DISCARDED, ("tenant", "provider"), **labels).items():
        exact["/".join(who)] += int(number)
    return exact


def _estimates(books: Books) -> Iterator[str]:
    """Where something was said that nobody has counted, there is an estimate, and it is near."""
    for record in books.records:
        asked = books.asked.get(record["request_id"])
        if asked is None:
            continue
        name, output = asked.name, record["request_completion_tokens"]
        if record["usage_estimated"] and not (output and record["request_prompt_tokens"]):
            yield f"{name}: estimated as {record['request_prompt_tokens']} and {output} tokens"
        if asked.kind.is_estimated != record["usage_estimated"]:
            yield f"{name}: its usage is{'' if record['usage_estimated'] else ' not'} estimated"
        if asked.kind.is_estimated and (output or 0) < EVENTS_BEFORE_LEAVING:
            yield f"{name}: {output} tokens, though {EVENTS_BEFORE_LEAVING} words or more were heard"
        if output is None and record["provider"] and record["outcome"] == "ok":
            yield f"{name}: no tokens"
        reasons = [part["reason"] for part in lost(parts_of([record])) if part["input_tokens"]]
        if asked.kind.discards and reasons != [asked.kind.discards]:
            yield f"{name}: discarded as {reasons}"
    sums: Counter[str] = Counter()
    for part in parts_of(books.records):
        sums[_provider_of(part)] += part["output_tokens"] if part["estimated"] == "true" else 0
    lines = books.of_simulator()
    for provider, number in sums.items():
        said = lines[provider]["output_tokens"] if number else 0
        if number > said * _MORE:
            yield f"{provider}: estimated as {number} tokens, though only {said} were said"


def _costs(books: Books) -> Iterator[str]:
    """Each attempt has cost its tokens at its provider's prices, each exchange its attempts, and all together that."""
    parts = parts_of(books.records)
    for part in parts:
        currency, cost = price_of(part)
        if part["currency"] != currency or not _alike(part["cost"], cost):
            logged = f"{part['cost']} {part['currency']}"
            yield f"{part['request_id']}: {part['provider']} costs {cost} {currency}, the log has {logged}"
    for record in books.records:
        mine = heard(parts_of([record]))
        one_currency = len({part["currency"] for part in mine}) == 1
        cost = sum(part["cost"] or 0 for part in mine) if one_currency else 0
        if not _alike(record["cost"], cost):
            yield f"{record['request_id']}: has cost {cost}, the log has {record['cost']}"
    for metric, which, by in (
        ("cost", heard(parts), ("currency",)),
        ("discarded_cost", [*lost(parts), *_copies(books)], ("reason", "currency")),
    ):
        counted = books.sums(f"llmgateway_{metric}_total", (*_WHO, *by))
        yield from _differing(metric, counted, _logged(which, (*_WHO, *by), of="cost"))


def _alike(cost: float | None, other: float) -> bool:
    return abs((cost or 0) - other) < 1e-9


def _copies(books: Books) -> list[Record]:
    """What copies have used as the metrics have it, which are in no line of the log, and what that should have cost."""
    copies: list[Record] = []
    for who, given in books.sums(_DISCARDED, _WHO, reason="mirror", type="input").items():
        labels = dict(zip(_WHO, who, strict=True))
        made = books.sums(_DISCARDED, _WHO, reason="mirror", type="output")[who]
        tokens = {"input_tokens": given, "cached_input_tokens": 0, "output_tokens": made}
        copy = {**labels, "reason": "mirror", **tokens}
        currency, cost = price_of(copy)
        copies.append({**copy, "currency": currency, "cost": cost})
    return copies


def at_rest(books: Books) -> list[str]:
    """What is still under way, or was lost."""
    wrong = [
        f"{metric} {dict(labels)}: {value:g}"
        for metric in (
            "llmgateway_requests_in_flight",
            "llmgateway_upstream_connections",
            "llmgateway_downstream_connections",
            "llmgateway_access_log_lines_dropped_total",
        )
        for labels, value in books.samples[metric]
        if value
    ]
    for provider, line in books.of_simulator().items():
        under_way = line["requests"] - sum(line["endings"].values())
        if under_way:
            wrong.append(f"the simulator still answers {under_way} requests to {provider}")
    return wrong


def never_seen(books: Books) -> list[str]:
    """Ends that none of the requests came to, though some should have."""
    outcomes = {attempt["outcome"] for record in books.records for attempt in record["tried"]}
    wrong = [f"no attempt ended as {each}" for each in _ENDS if each not in outcomes]
    if not any(seen.status == LEFT for seen in books.seen.values()):
        wrong.append("no client has left")
    return wrong


def disagreements(books: Books) -> list[str]:
    """Everything that does not agree."""
    compared = (_requests, _attempts, _tokens, _estimates, _costs)
    return [sentence for compare in compared for sentence in compare(books)]
