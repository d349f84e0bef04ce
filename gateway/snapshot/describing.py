"""A snapshot as an operator reads it at `/config`: what the gateway runs on, as values that JSON can hold.

Only what is named here is shown.  Of what may hold a secret (key, headers, parameters, path, certificates)
it says at most that it is set, never its value nor a digest that a guess could be checked against.  Names
are those of the resources.
"""

from __future__ import annotations

from attrs import asdict

from gateway.messages import TlsSettings
from gateway.snapshot.tables import Backend, Match, RouteTable, RuleTable, Snapshot

Description = dict[str, object]


def describe(snapshot: Snapshot) -> Description:
    """Describe the whole."""
    hosts: dict[str, list[str]] = {}
    for host, tenant in snapshot.anonymous.items():
        hosts.setdefault(tenant.name, []).append(host)
    return {
        "settings": {name: value for name, value in asdict(snapshot.settings).items() if value is not None},
        "tenants": {
            name: {
                "anonymousHosts": sorted(hosts.get(name, ())),
                "routes": [_route(route) for _, route in tenant.routes.items()],
            }
            for name, tenant in sorted(snapshot.tenants.items())
        },
    }


def _route(route: RouteTable) -> Description:
    return {
        "host": route.host,
        "name": route.name,
        "gateways": sorted(route.gateways),
        "rules": [_rule(rule) for rule in route.rules],
    }


def _rule(rule: RuleTable) -> Description:
    return {
        "name": rule.name,
        "matches": [_match(match) for match in rule.matches],
        "backends": [_backend(backend) for backend in rule.backends],
    }


def _match(match: Match) -> Description:
    return {
        "headers": [header.text for header in match.headers],
        "sourceLabels": dict(match.source_labels),
        "gateways": sorted(match.gateways),
    }


def _backend(backend: Backend) -> Description:
    destination = backend.destination
    return {
        "provider": backend.provider,
        "providerHost": backend.provider_host,
        "owner": backend.owner,
        "dialect": backend.dialect.name,
        "weight": backend.weight,
        "model": backend.model,
        "modelPolicy": "override" if backend.overrides_model else "default",
        "stream": backend.stream,
        "destination": str(destination),
        "tls": None if destination.tls is None else _tls(destination.tls),
        "timeouts": asdict(backend.timeouts),
        "apiKeySet": backend.api_key is not None,
    }


def _tls(tls: TlsSettings) -> Description:
    return {
        "sni": tls.server_name,
        "subjectAltNames": list(tls.names),
        "minVersion": tls.min_version,
        "insecureSkipVerify": not tls.verify,
        "caCertificatesSet": tls.ca_certificates is not None,
        "clientCertificateSet": tls.client_certificate is not None,
    }
