"""What every exchange uses, made once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from attrs import field, frozen

from gateway.live import Live
from gateway.serving.costs import Costs
from gateway.serving.held_bodies import HeldBodies
from gateway.serving.redactor import Redactor
from gateway.snapshot.current import CurrentSnapshot
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent_failures import RecentFailures
from gateway.telemetry.traces import CurrentTracer
from gateway.wire.pools import Pools
from gateway.wire.sweep import Sweep


@frozen(eq=False)
class Surroundings:
    """What every exchange uses."""

    current: CurrentSnapshot
    live: Live
    pools: Pools
    metrics: Metrics
    access_log: AccessLog | None
    sweep: Sweep
    via: bytes
    """This gateway's own name in `Via`, by which it knows a request that it has sent itself."""
    wall_clock: Callable[[], float] = time.time
    """Seconds of Unix time, by which clients' keys end and providers' dates are read."""
    chance: Callable[[], float] = random.random
    """A random number from 0 to 1, 1 not included."""
    recent_failures: RecentFailures | None = None
    """None remembers none for the page."""
    redactor: Redactor | None = None
    """None keeps nothing of what is asked and answered."""
    costs: Costs = field(factory=Costs)
    """What answers cost."""
    bodies: HeldBodies = field(factory=HeldBodies)
    """What is held of requests' bodies."""
    tracing: CurrentTracer = field(factory=CurrentTracer)
    """Whether there is tracing."""
