"""What operators ask of the running gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.live import Live
from gateway.serving.inquiries import Inquiries
from gateway.serving.questions import Question
from gateway.snapshot.current import CurrentSnapshot
from gateway.watcher.loading import LoadSettings
from gateway.wire.limits import DownstreamLimits
from tests.fakes.conf import ROOT, any_tls, provider, snapshot_of


def inquiries(*listeners: str) -> Inquiries:
    current = CurrentSnapshot()
    current.snapshot = snapshot_of(provider("a"))
    settings = LoadSettings(environment={}, labels={}, root_namespace=ROOT, prepare_tls=any_tls)
    return Inquiries(
        current,
        Live(),
        DownstreamLimits,
        lambda: None,
        Path("conf.d"),
        settings,
        listeners,
        busy=lambda: False,
    )


@pytest.mark.parametrize("listener", ["", "inside"])
def test_a_listener(listener: str) -> None:
    question = Question(host="a.example", data='{"messages": []}', listener=listener)
    assert inquiries("", "inside", "outside").explain(question).refusal is None


@pytest.mark.parametrize(
    ("listeners", "told"),
    [
        (("outside", "", "inside"), "There is no listener named insdie; there are inside, outside."),
        (("",), "There is no listener named insdie; none has a name."),
    ],
)
def test_a_listener_that_there_is_not(listeners: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match="insdie") as refused:
        inquiries(*listeners).explain(Question(host="a.example", listener="insdie"))
    assert str(refused.value) == told
