"""What all tenants of one generation are compiled in."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from gateway.resources.file_reading import BrokenProvider
from gateway.snapshot.destinations import Destinations
from gateway.snapshot.exports import Exports
from gateway.snapshot.written import Surroundings


@frozen
class Context:
    """What all tenants are compiled in."""

    surroundings: Surroundings
    upstream_timeouts: Mapping[str, float]
    """Of the Gateway document."""
    destinations: Destinations
    exports: Exports
    refused: Exports
    """What tenants offer whose files are not used: who names one is told so."""
    broken: Mapping[str, tuple[BrokenProvider, ...]]
    """Providers that are left out for their own errors, by host; by an empty one where they cannot tell it."""
