"""A snapshot as an operator reads it at `/config`: what the gateway runs on, as values that JSON can hold.

Only what is named here is shown.  Of what may hold a secret (key, headers, parameters, path, certificates)
it says at most that it is set, never its value nor a digest that a guess could be checked against.  Names
are those of the resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from attrs import asdict

from gateway.messages import TlsSettings, shown
from gateway.policy.retrying import RetryPolicy
from gateway.resources.problems import Problem
from gateway.resources.shapes import operators_word
from gateway.resources.tenant import Tenant
from gateway.snapshot.backends import Backend
from gateway.snapshot.captures import CaptureTable
from gateway.snapshot.conditions import Match
from gateway.snapshot.health_checks import HealthCheck
from gateway.snapshot.rule_headers import HeaderEdit
from gateway.snapshot.settings import GatewaySettings
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stickiness import Stickiness
from gateway.snapshot.tables import RouteTable, RuleTable, TenantTable

Description = dict[str, object]


def describe(table: TenantTable, anonymous_hosts: Iterable[str]) -> Description:
    """What one tenant runs on.

    :param anonymous_hosts: those on which anybody reaches it.
    """
    return {
        "anonymousHosts": sorted(anonymous_hosts),
        "routes": [_route(route) for _, route in table.routes.items()],
        "healthChecks": [_health_check(check) for check in table.health_checks.values()],
        "capture": _capture(table.capture),
    }


def anonymous_hosts(snapshot: Snapshot) -> dict[str, list[str]]:
    """By tenant, the hosts on which anybody reaches it."""
    hosts: dict[str, list[str]] = {}
    for host, table in snapshot.anonymous.items():
        hosts.setdefault(table.name, []).append(host)
    return hosts


def describe_clients(document: Tenant | None) -> list[Description] | None:
    """Who the tenant's clients are and by what they are known; None for an anonymous tenant.

    Of a key's hash its first digits are shown, which tell keys apart and are no help in finding one.
    """
    if document is None or document.clients is None:
        return None
    return [
        {
            "name": client.name,
            "labels": dict(client.labels),
            "keys": [
                {
                    "hash": f"sha256:{key.digest[:_DIGITS]}…",
                    "notAfter": None if key.not_after is None else shown_time(key.not_after),
                }
                for key in client.keys
            ],
            "certificates": list(client.certificates),
            "sourceCIDRs": list(client.networks),
        }
        for client in document.clients
    ]


_DIGITS = 8


def describe_settings(settings: GatewaySettings) -> Description:
    """What the Gateway document sets, as it stands there; times are in seconds."""
    tracing = settings.tracing
    return _written(
        {
            "limits": _written(
                {
                    "bodyBytes": settings.body_bytes,
                    "allBodiesBytes": settings.all_bodies_bytes,
                    "headBytes": settings.head_bytes,
                    "headers": settings.headers,
                    "connections": settings.connections,
                }
            ),
            "timeouts": _written(
                {
                    "head": settings.head_seconds,
                    "body": settings.body_seconds,
                    "keepAlive": settings.keep_alive_seconds,
                }
            ),
            "attemptHeaders": settings.attempt_headers,
            "metrics": _written({"genAi": list(settings.gen_ai)}),
            "tracing": None
            if tracing is None
            else {
                "endpoint": shown(tracing.endpoint),
                "headers": sorted(tracing.headers),
                "sampleRatio": tracing.sample_ratio,
            },
        }
    )


def _written(settings: Description) -> Description:
    return {name: value for name, value in settings.items() if value not in (None, [], {})}


def describe_problem(problem: Problem) -> Description:
    """A problem, and where it is."""
    place = problem.position
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "field": problem.path,
        "message": problem.message,
    }


def shown_time(seconds: float) -> str:
    """Unix time as ISO 8601 has it, in UTC, to the second."""
    within = max(_FIRST, min(int(seconds), _LAST))
    return datetime.fromtimestamp(within, UTC).isoformat().replace("+00:00", "Z")


_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""Of the years 1 to 9999, which is as far as ISO 8601 goes without agreement; with its offset a date may be beyond."""


def _capture(capture: CaptureTable | None) -> Description | None:
    if capture is None:
        return None
    return {
        "request": capture.request,
        "response": capture.response,
        "maxBytes": capture.max_bytes,
        "samplePercent": round(capture.share * 100),
        "redact": list(capture.redaction.own),
    }


def _health_check(check: HealthCheck) -> Description:
    return {
        "provider": check.backend.provider,
        "owner": check.backend.owner,
        "operation": check.operation.value if check.operation is not None else None,
        "target": "(hidden)" if check.is_hidden else check.target.decode(),
        "bodySet": check.body is not None,
        "interval": check.interval,
        "timeout": check.timeout,
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
        "headers": {"request": _edit(rule.headers.request), "response": _edit(rule.headers.answer)},
        "sticky": _stickiness(rule.sticky),
        "backends": [_backend(backend) for backend in rule.backends],
        "fallback": [_backend(backend) for backend in rule.fallback],
        "retries": _retries(rule.retries),
        "fallbackOn": sorted(rule.fallback_on),
        "hedge": None if rule.hedge_after is None else {"after": rule.hedge_after},
        "mirror": None
        if rule.mirror is None
        else {**_backend(rule.mirror.backend), "percent": rule.mirror.percent},
        "onStreamBreak": "continue" if rule.continues else "error",
        "onClientDisconnect": "drain" if rule.drains else "cancel",
        "onAllOpen": "leastBad" if rule.tries_least_bad else "error",
        "keepAlive": rule.keep_alive,
    }


def _retries(policy: RetryPolicy) -> Description:
    return {
        "attempts": policy.attempts,
        "retryOn": None if policy.retry_on is None else sorted(policy.retry_on),
        "backoff": {"base": policy.base, "max": policy.max},
        "perTryTimeout": policy.per_try,
        "maxWait": policy.max_wait,
    }


def _match(match: Match) -> Description:
    return {
        "conditions": [condition.text for condition in match.conditions],
        "sourceLabels": dict(match.source_labels),
        "gateways": sorted(match.gateways),
    }


def _edit(edit: HeaderEdit) -> Description:
    return {
        "set": [name.decode() for name, _ in edit.set],
        "add": [name.decode() for name, _ in edit.added],
        "remove": sorted(name.decode() for name in edit.removed),
    }


def _stickiness(sticky: Stickiness | None) -> Description | None:
    if sticky is None:
        return None
    return {"client": True} if sticky.header is None else {"header": sticky.header.decode()}


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
        "timeouts": _camel(asdict(backend.timeouts)),
        "connectionPool": _camel(asdict(backend.pool)),
        "outlierDetection": _camel(asdict(backend.outlier)),
        "prefill": {"field": backend.prefill_field} if backend.prefill_field else backend.prefill,
        "apiKeySet": backend.keys[0].secret is not None,
        "apiKeys": [{"name": key.name, "weight": key.weight} for key in backend.keys if key.name],
    }


def _camel(settings: Mapping[str, object]) -> Description:
    return {operators_word(name): value for name, value in settings.items()}


def _tls(tls: TlsSettings) -> Description:
    return {
        "sni": tls.server_name,
        "subjectAltNames": list(tls.names),
        "minVersion": tls.min_version,
        "insecureSkipVerify": not tls.verify,
        "caCertificatesSet": tls.ca_certificates is not None,
        "clientCertificateSet": tls.client_certificate is not None,
    }
