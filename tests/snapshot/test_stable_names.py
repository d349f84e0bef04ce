from __future__ import annotations

import msgspec

from gateway.snapshot.stable_names import SeriesLabels
from tests.fakes.canary import BACKEND


def test_equal_labels_are_one_series() -> None:
    again = msgspec.structs.replace(BACKEND.labels)
    assert again == BACKEND.labels
    assert hash(again) == hash(BACKEND.labels)
    assert again != SeriesLabels(tenant="acme", route="demo", rule="", provider="", model="")
