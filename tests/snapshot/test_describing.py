"""What /config shows of a snapshot, and what it never shows."""

from __future__ import annotations

import json

import msgspec
from attrs import evolve

from gateway.messages import Destination, Secret
from gateway.snapshot.describing import describe
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.tables import GatewaySettings, Snapshot
from tests.fakes.canary import BACKEND, CANARY, snapshot_of
from tests.fakes.conf import provider
from tests.fakes.conf import snapshot_of as compiled


def test_the_whole() -> None:
    assert describe(snapshot_of(BACKEND)) == {
        "settings": {"body_bytes": 1000},
        "tenants": {
            "acme": {
                "anonymousHosts": ["*.example.com", "demo-llm-server"],
                "routes": [
                    {
                        "host": "demo-llm-server",
                        "name": "demo",
                        "gateways": ["a", "b"],
                        "rules": [
                            {
                                "name": "vip-route",
                                "matches": [
                                    {
                                        "headers": ["user-type: exact subscriber"],
                                        "sourceLabels": {"app": "web"},
                                        "gateways": ["egress"],
                                    }
                                ],
                                "backends": [
                                    {
                                        "provider": "dashscope-qwen",
                                        "providerHost": "dashscope.aliyuncs.com",
                                        "owner": "acme",
                                        "dialect": "openai",
                                        "weight": 50,
                                        "model": "qwen-turbo",
                                        "modelPolicy": "override",
                                        "stream": False,
                                        "destination": "dashscope.aliyuncs.com:443",
                                        "tls": {
                                            "sni": "dashscope.aliyuncs.com",
                                            "subjectAltNames": ["dashscope.aliyuncs.com"],
                                            "minVersion": "1.2",
                                            "insecureSkipVerify": False,
                                            "caCertificatesSet": True,
                                            "clientCertificateSet": True,
                                        },
                                        "timeouts": {
                                            "connect": 5.0,
                                            "handshake": 5.0,
                                            "headers": 300.0,
                                            "idle": 120.0,
                                            "request": 30.0,
                                        },
                                        "apiKeySet": True,
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        },
    }


def test_a_plain_provider_without_a_key() -> None:
    local = evolve(
        BACKEND,
        destination=Destination(owner="acme", address="simulator", port=0, tls=None, in_process=True),
        model=None,
        overrides_model=False,
        api_key=None,
    )
    text = json.dumps(describe(snapshot_of(local)))
    assert '"tls": null' in text
    assert '"destination": "simulator"' in text
    assert '"apiKeySet": false' in text
    assert '"modelPolicy": "default"' in text
    assert '"model": null' in text


def test_nothing_secret_is_shown() -> None:
    shown = msgspec.json.encode(describe(snapshot_of(BACKEND)))
    assert CANARY.encode() not in shown
    assert Secret(CANARY).digest().encode() not in shown


def test_an_empty_gateway() -> None:
    empty = Snapshot(
        tenants={},
        anonymous=HostTable(),
        withheld=HostTable(),
        settings=GatewaySettings(),
        destinations=frozenset(),
        turns_keys=frozenset(),
    )
    assert describe(empty) == {"settings": {}, "tenants": {}}


def test_an_address_from_outside_is_not_shown() -> None:
    spec = 'endpoint: {address: "${HOST}"}'
    snapshot = compiled(provider("a", spec), environment={"HOST": "canary.internal"})
    assert b"canary" not in msgspec.json.encode(describe(snapshot))
    (destination,) = snapshot.destinations
    assert str(destination) == "(hidden):443"
    assert "canary" not in repr(destination)
