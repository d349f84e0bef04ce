"""A snapshot with a secret in every place that can hold one, for tests that nothing shows it."""

from __future__ import annotations

from gateway.dialects.table import DIALECTS
from gateway.messages import Destination, PoolLimits, Secret, Timeouts, TlsSettings
from gateway.policy.breaking import OutlierDetection
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.conditions import Condition, Match
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.settings import GatewaySettings
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import BreakerName, SeriesLabels
from gateway.snapshot.tables import RouteTable, RuleTable, TenantTable

CANARY = "sk-canary-1234567890"
"""Whoever finds this text has found a leak."""

BACKEND = Backend(
    key="dashscope.aliyuncs.com",
    weight=50,
    owner="acme",
    provider="dashscope-qwen",
    provider_host="dashscope.aliyuncs.com",
    destination=Destination(
        owner="acme",
        provider="dashscope-qwen",
        address="dashscope.aliyuncs.com",
        port=443,
        tls=TlsSettings(
            server_name="dashscope.aliyuncs.com",
            names=("dashscope.aliyuncs.com",),
            ca_certificates=f"ca {CANARY}".encode(),
            client_certificate=f"certificate {CANARY}".encode(),
            private_key=Secret(CANARY),
        ),
    ),
    authority="dashscope.aliyuncs.com",
    path=f"/v1/{CANARY}".encode(),
    dialect=DIALECTS["openAIConfig"],
    model="qwen-turbo",
    overrides_model=True,
    stream=False,
    parameters=(("user", f'"{CANARY}"'.encode()),),
    hidden_parameters=frozenset({"user"}),
    keys=(
        ProviderKey(
            name="",
            weight=1,
            secret=Secret(CANARY),
            breaker_name=BreakerName("acme", "acme", "dashscope-qwen", "", Secret(CANARY)),
            head_lines=f"authorization: Bearer {CANARY}\r\n".encode(),
        ),
    ),
    headers=((b"authorization", Secret(f"Bearer {CANARY}")),),
    path_is_hidden=False,
    header_names=frozenset({b"authorization"}),
    header_names_beside_json=frozenset({b"authorization", b"content-type"}),
    head_lines=f"authorization: Bearer {CANARY}\r\n".encode(),
    secrets=(CANARY.encode(),),
    timeouts=Timeouts(request=30.0),
    pool=PoolLimits(),
    outlier=OutlierDetection(),
    prefill=False,
    pricing=None,
    prefill_field=None,
    labels=SeriesLabels(
        tenant="acme", route="demo", rule="vip-route", provider="dashscope-qwen", model="qwen-turbo"
    ),
)


def snapshot_of(*backends: Backend) -> Snapshot:
    """A snapshot of one tenant with one route and one rule."""
    match = Match(
        headers=(
            Condition(
                b"user-type", lambda value: value == b"subscriber", "header user-type exact subscriber"
            ),
        ),
        source_labels=(("app", "web"),),
        gateways=frozenset({"egress"}),
    )
    rule = RuleTable(
        name="vip-route",
        matches=(match,),
        backends=backends,
        weights=tuple(backend.weight for backend in backends),
        turns_key=("acme", "demo", "vip-route"),
    )
    route = RouteTable(
        tenant="acme", name="demo", host="demo-llm-server", gateways=frozenset({"b", "a"}), rules=(rule,)
    )
    acme = TenantTable(name="acme", routes=HostTable([(route.host, route)]))
    return Snapshot(
        tenants={"acme": acme},
        anonymous=HostTable([("demo-llm-server", acme), ("*.example.com", acme)]),
        withheld=HostTable(),
        settings=GatewaySettings(body_bytes=1000),
        destinations={backend.destination: backend.pool for backend in backends},
    )
