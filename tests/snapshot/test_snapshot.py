from __future__ import annotations

import pytest
from attrs.exceptions import FrozenInstanceError

from tests.fakes.canary import BACKEND, snapshot_of


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
