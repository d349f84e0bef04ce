"""A rule's `retries` -> what `policy/retrying.py` decides by."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from gateway.policy.retrying import RetryPolicy
from gateway.resources.retries import Retries


def retry_policy_of(retries: Retries) -> RetryPolicy:
    """The policy: what was written, and its defaults."""
    written: dict[str, Any] = {
        name: value for name, value in asdict(retries, recurse=False).items() if value is not None
    }
    if retries.retry_on is not None:
        written["retry_on"] = frozenset(retries.retry_on)
    return RetryPolicy(**written)
