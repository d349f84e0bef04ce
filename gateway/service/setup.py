"""Everything that the command line decides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from gateway.messages import Secret
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.own_lines import OwnLines
from gateway.wire.ports import Listener


@frozen
class GatewaySetup:
    """What the operator has said, judged already."""

    conf: Path
    listeners: tuple[Listener, ...]
    admin: Listener
    admin_hosts: tuple[str, ...]
    """Names that the admin port answers to beside addresses and local names."""
    admin_token: Secret | None
    """What opens the admin port; None leaves it open."""
    labels: Mapping[str, str]
    root_namespace: str
    own_lines: OwnLines | None
    """The gateway's own log, where that goes to the standard output."""
    access_log: LineOutput | None
    """Where it is written, open already; None writes none."""
    capture_log: LineOutput | None
    """Likewise, of what tenants want kept."""
    strict: bool
    """Start only where no file has an error."""
    drain_delay: float
    """Seconds after SIGTERM for which new connections are still taken."""
    drain_timeout: float
    """Seconds that running exchanges get after that."""
