from __future__ import annotations

import msgspec
import pytest
from attrs.exceptions import FrozenInstanceError

from gateway.snapshot.tables import SeriesLabels
from tests.fakes.canary import BACKEND, CANARY, snapshot_of


def test_nothing_of_a_snapshot_can_be_changed() -> None:
    snapshot = snapshot_of(BACKEND)
    route = next(iter(snapshot.tenants["acme"].routes.items()))[1]
    for holder, name in (
        (snapshot, "settings"),
        (snapshot.tenants["acme"], "routes"),
        (route, "rules"),
        (route.rules[0], "backends"),
        (BACKEND, "model"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(holder, name, None)
    with pytest.raises(AttributeError):
        BACKEND.labels.tenant = "other"  # type: ignore[misc]


def test_equal_labels_are_one_series() -> None:
    again = msgspec.structs.replace(BACKEND.labels)
    assert again == BACKEND.labels
    assert hash(again) == hash(BACKEND.labels)
    assert again != SeriesLabels(tenant="acme", route="demo", rule="", provider="", model="")


def test_secrets_of_a_backend_are_not_in_its_repr() -> None:
    assert CANARY not in repr(BACKEND.headers)
    assert CANARY not in repr(BACKEND.keys)
