"""Two tenants, the same host, keys mixed at random: not one answer by the other's provider or key.

The provider answers with the credential that it was sent.  Each thread keeps a connection and takes a client's key
by chance for every request, so that connections, pools and turns are shared as much as they can be.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from string import Template

from bench.servers import Cores, gateway, nginx_answering

THREADS = 40
TENANTS = ("red", "blue")
KEYS_EACH = 3
SEED = 3

_ECHO = '{"model":"bench","credential":"$http_authorization"}'
_BODY = b'{"messages": [{"role": "user", "content": "Whose am I?"}]}'

_TENANT = Template("""
apiVersion: llmgateway.dev/v1
kind: Tenant
metadata: {name: $tenant}
spec: {clients: [{name: application, apiKeyHashes: [$hashes]}]}
---
apiVersion: llmgateway.dev/v1
kind: LLMProvider
metadata: {name: provider}
spec:
  host: provider.bench
  endpoint: {address: 127.0.0.1, port: $port, tls: {mode: DISABLE}}
  configs: {defaultConfig: {openAIConfig: {apiKey: $credential}}}
---
apiVersion: llmgateway.dev/v1
kind: LLMRoute
metadata: {name: everything}
spec: {host: "*", rules: [{backendRefs: [{providerHost: provider.bench}]}]}
""")


def client_key(tenant: str, number: int) -> str:
    """A key of a tenant's client."""
    return f"client-of-{tenant}-number-{number}"


def credential(tenant: str) -> str:
    """What the tenant's provider must be sent, and nobody else's."""
    return f"sk-of-the-provider-of-{tenant}"


def tenant_file(tenant: str, port: int) -> str:
    """All documents of one tenant.

    :param port: of the provider, the same for both.
    """
    digests = (sha256(client_key(tenant, number).encode()).hexdigest() for number in range(KEYS_EACH))
    hashes = ", ".join(f'{{hash: "sha256:{digest}"}}' for digest in digests)
    return _TENANT.substitute(tenant=tenant, hashes=hashes, port=port, credential=credential(tenant))


def _ask(port: int, requests: int, seed: int, outcomes: Counter[str]) -> None:
    chance = random.Random(seed)
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(requests):
        tenant = chance.choice(TENANTS)
        key = client_key(tenant, chance.randrange(KEYS_EACH))
        headers = {"Host": "provider.bench", "Authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/chat/completions", _BODY, headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            outcomes[f"status {answer.status}"] += 1
        elif json.loads(body)["credential"] == f"Bearer {credential(tenant)}":
            outcomes["right"] += 1
        else:
            outcomes["ANOTHER'S"] += 1
    connection.close()


def check_isolation(command: str, cores: Cores, directory: Path, *, requests: int) -> bool:
    """Drive it and print what came of it; whether every answer was right."""
    each = -(-requests // THREADS)
    by_thread: list[Counter[str]] = [Counter() for _ in range(THREADS)]  # counting is not atomic
    with nginx_answering("echo", _ECHO, cores, directory) as upstream:
        documents = {f"{tenant}/all": tenant_file(tenant, upstream.port) for tenant in TENANTS}
        with gateway(command, cores, directory, documents, asked=()) as server:
            started = time.monotonic()
            threads = [
                threading.Thread(target=_ask, args=(server.port, each, SEED + number, outcomes))
                for number, outcomes in enumerate(by_thread)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.monotonic() - started
    outcomes = sum(by_thread, Counter())
    good = outcomes == {"right": each * THREADS}
    told = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.most_common())
    print(
        f"{each * THREADS:,} requests by {THREADS} threads with the keys of {len(TENANTS)} tenants, "
        f"{seconds:.1f} s: {told}: {'good' if good else 'FAILED'}",
        flush=True,
    )
    return good
