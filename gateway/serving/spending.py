"""What the attempts of one exchange have used and cost: each its own tokens, at the prices of its own backend.

Nearly always there is one attempt, and its answer is all there is to count.  Here is the rest: a client may have words
of several, and a provider that had the request whole bills at least its input, whether or not anybody got the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.dialects.dialect import AnswerFacts
from gateway.messages import TokenUsage, sum_of
from gateway.serving.attempt import Attempt
from gateway.serving.attempts import CANCELLED
from gateway.serving.costs import Costs
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.pursuit import Pursuit
from gateway.snapshot.backends import Backend
from gateway.telemetry.discarded_counts import Discarded
from gateway.telemetry.exchange_record import Tried, Used


class Spending(msgspec.Struct, frozen=True, gc=False):
    """What one attempt has used and cost."""

    backend: Backend
    usage: TokenUsage
    cost: float | None
    """In the currency of the backend's pricing; None where nobody knows."""
    discarded: Discarded | None
    """Why no client got anything of it; None where one has."""

    @property
    def currency(self) -> str:
        """Of the cost; empty where there is none."""
        pricing = self.backend.pricing
        return pricing.currency if self.cost is not None and pricing is not None else ""


def cost_of(answer: ProviderAnswer, facts: AnswerFacts, costs: Costs) -> float | None:
    """What an answer costs by the model that gave it, else by the one that was asked for; None where nobody knows."""
    pricing = answer.backend.pricing
    if pricing is None or facts.usage is None:
        return None
    return costs.cost(pricing, facts.usage, (facts.answered_model, answer.sent_model))


def spending_of(attempt: Attempt, discarded: Discarded | None, costs: Costs) -> Spending | None:
    """What an attempt has used; None where nothing is known of it, or nothing is to be paid.

    :param discarded: why no client got anything of it; None where one has.
    """
    answer = attempt.answer
    if discarded is None:
        facts = answer.facts()
    elif attempt.sent_whole:
        facts = answer.billed()
    else:
        return None
    if facts.usage is None:
        return None
    return Spending(attempt.backend, facts.usage, cost_of(answer, facts, costs), discarded)


def spendings_of(pursuit: Pursuit, costs: Costs) -> list[Spending]:
    """What each attempt has used, where not simply the only one has all; said of each in the access log, too."""
    heard, ended = pursuit.heard, pursuit.attempts.ended
    found = []
    for attempt, tried in ended:
        is_heard = any(attempt.answer is answer for answer in heard)
        why = None if is_heard else _why_discarded(attempt, tried, answered=bool(heard))
        spending = spending_of(attempt, why, costs)
        if spending is None:
            continue
        found.append(spending)
        if why is not None or len(ended) > 1:
            tried.usage = used(spending)
    return found


def in_all(spendings: Sequence[Spending]) -> tuple[TokenUsage | None, float | None, str]:
    """Usage, cost and currency of what the client has; without a cost where it cannot be one number."""
    spent = [each for each in spendings if each.discarded is None]
    if not spent:
        return None, None, ""
    usage, currency = sum_of([each.usage for each in spent]), spent[0].currency
    costs = [each.cost for each in spent if each.cost is not None and each.currency == currency]
    if len(costs) < len(spent):
        return usage, None, ""
    return usage, sum(costs), currency


def _why_discarded(attempt: Attempt, tried: Tried, *, answered: bool) -> Discarded:
    if attempt.answer.splice is not None:
        return Discarded.CONTINUATION
    if tried.outcome != CANCELLED:
        return Discarded.FAILED
    return Discarded.HEDGE if answered else Discarded.LEFT


def used(spending: Spending) -> Used:
    """As the access log says it."""
    usage = spending.usage
    return Used(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_input_tokens=usage.cached_input,
        reasoning_tokens=usage.reasoning,
        estimated=usage.estimated,
        cost=None if spending.cost is None else round(spending.cost, 10),
        currency=spending.currency,
        discarded=spending.discarded or "",
    )
