"""A configuration whose every secret is a text of its own, and providers that say each of them wherever they can."""

from __future__ import annotations

import gzip
import json
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509

from tests.fakes.certificates import root, self_signed
from tests.whole.documents import (
    documents,
    key_hash,
    owned,
    provider,
    route,
    rule,
    settings,
    simulated,
    tenant,
)
from tests.whole.providers import Conversation, Provider, answer, chunk, server_context, stream_head

CANARY = "canary-8f3a61c2"
"""Part of every secret that is a text; who finds it has found a leak."""

NAMES = (
    *(
        "literal",
        "environment",
        "file",
        "pool-1",
        "pool-2",
        "pool-file",
        "header",
        "header-outside",
        "simulated",
    ),
    *(
        "parameter",
        "path",
        "health",
        "rule",
        "reply",
        "mutual",
        "collector",
        "client",
        "second-client",
        "admin",
    ),
)
ODD = f"""sk-{CANARY}/ab+cd&ef"gh'ij<kl>=="""
"""Of letters that nearly everybody writes in another way."""

SECRETS: Mapping[str, str] = {**{name: f"sk-{CANARY}-{name}" for name in NAMES}, "odd": ODD}

ADDRESS = "127.93.61.42"
"""From the environment, too, so it is shown no more than a key."""

ENVIRONMENT = {
    "THE_KEY": SECRETS["environment"],
    "THE_POOL": SECRETS["pool-2"],
    "THE_HEADER": SECRETS["header-outside"],
    "THE_PARAMETER": SECRETS["parameter"],
    "THE_PATH": SECRETS["path"],
    "THE_HEALTH": SECRETS["health"],
    "THE_RULE": SECRETS["rule"],
    "THE_REPLY": SECRETS["reply"],
    "THE_COLLECTOR": SECRETS["collector"],
    "THE_ADDRESS": ADDRESS,
    "LLMGATEWAY_ADMIN_TOKEN": SECRETS["admin"],
}

AUTHORITY = root("authority")
LISTENER = AUTHORITY.issue(x509.DNSName("localhost"), common_name="listener")
MUTUAL = AUTHORITY.issue(x509.DNSName("mutual.test"), common_name="mutual")
OURS = AUTHORITY.issue(x509.DNSName("gateway"), common_name="ours", for_clients=True)


def key_lines(pem: str) -> list[str]:
    """What stands in a private key's file, line by line."""
    return [line for line in pem.splitlines() if not line.startswith("-----")]


HIDDEN = [CANARY, ADDRESS, *key_lines(LISTENER.key_pem), *key_lines(OURS.key_pem)]
"""Nobody who operates the gateway, and no client, sees one of these."""

DEEDS = (
    *(
        "answer well",
        "refuse",
        "refuse in a stream",
        "refuse compressed",
        "refuse by code",
        "err in a stream",
    ),
    *(
        "err after content",
        "redirect",
        "limit",
        "cut",
        "reset",
        "lie",
        "lie twice",
        "say the model",
        "spell",
        "spell in a stream",
        "hint",
        "break down",
    ),
)
"""What a client asks for with `x-do`; the last one is for the gateway itself, see `BREAKING`."""


def _by_code(letters: str, form: str) -> Callable[[str], str]:
    """Writes these letters by their numbers, others as JSON has them."""

    def spell(text: str) -> str:
        written = (form % ord(each) if each in letters else json.dumps(each)[1:-1] for each in text)
        return "".join(written)

    return spell


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "JSON": _by_code("", ""),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[1:-1],
    "PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "Go": _by_code("<>&", "\\u%04x"),
    "Gson": _by_code("<>&='", "\\u%04x"),
    ".NET": _by_code("\"&'+<>`", "\\u%04X"),
    "a URL": lambda text: quote(text, safe=""),
    "a URL in lower case": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "a path": quote,
    "JavaScript": lambda text: quote(text, safe="!'()*"),
}
"""How servers repeat a text in an error that is JSON."""


def _spelled(key: str) -> str:
    """An error that has it in all spellings; each is fit for a JSON string."""
    words = ", ".join(f"{name}: {spell(key)}" for name, spell in SPELLINGS.items())
    return f'{{"error": {{"message": "{words}", "type": "{SPELLINGS["Go"](key)}", "code": "odd"}}}}'


def misbehave(conversation: Conversation) -> None:
    """Answer as the client asks by `x-do`, with everything that was sent to us wherever it can stand."""
    asked = conversation.request
    echoed = ", ".join([asked.target, *(f"{name}: {value}" for name, value in asked.headers)])
    told = json.dumps({"error": {"message": echoed, "type": echoed, "param": echoed, "code": "odd"}})
    content = b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "Well"}}]}\n\n'
    match asked.header("x-do"):
        case "refuse":
            conversation.send(answer(told, "401 Unauthorized", X_Echo=echoed, WWW_Authenticate=echoed))
        case "refuse in a stream":
            head = stream_head().replace(b"200 OK", b"500 Internal Server Error")
            pieces = [chunk(told[at : at + 7].encode()) for at in range(0, len(told), 7)]
            conversation.send(head + b"".join(pieces) + chunk(b""))
        case "refuse compressed":
            packed = gzip.compress(told.encode())
            head = answer("", "400 Bad Request", Content_Encoding="gzip").replace(
                b": 0\r\n", b": %d\r\n" % len(packed)
            )
            conversation.send(head + packed)
        case "refuse by code":
            code = (asked.header("Authorization") or "").removeprefix("Bearer ")
            conversation.send(
                answer(
                    json.dumps({"error": {"message": "No.", "type": code, "code": code}}), "400 Bad Request"
                )
            )
        case "spell":
            key = (asked.header("Authorization") or "").removeprefix("Bearer ")
            url = SPELLINGS["a URL"](key)
            conversation.send(answer(_spelled(key), "400 Bad Request", X_Echo=url, X_Request_Id=url))
        case "spell in a stream":
            key = (asked.header("Authorization") or "").removeprefix("Bearer ")
            event = chunk(f"data: {_spelled(key)}\n\n".encode())
            conversation.send(stream_head() + chunk(content) + event + chunk(b""))
        case "err in a stream":
            conversation.send(stream_head() + chunk(f"data: {told}\n\n".encode()) + chunk(b""))
        case "err after content":
            conversation.send(
                stream_head() + chunk(content) + chunk(f"data: {told}\n\n".encode()) + chunk(b"")
            )
        case "redirect":
            conversation.send(answer("{}", "302 Found", Location=f"http://elsewhere.test/{echoed}"))
        case "limit":
            conversation.send(
                answer(told, "429 Too Many Requests", Retry_After=echoed, X_Ratelimit_Reset_Requests=echoed)
            )
        case "cut":
            conversation.send(stream_head() + chunk(content))
            conversation.hang_up()
        case "reset":
            conversation.reset()
        case "lie":
            conversation.send(f"HTTP/1.1 200 {echoed}\r\n{echoed}\r\nno colon\r\n\r\n".encode())
        case "lie twice":
            conversation.send(f"{echoed}\r\n\r\n".encode())
        case "hint":
            conversation.send(f"HTTP/1.1 103 Early Hints\r\nLink: {echoed}\r\n\r\n".encode() + answer("{}"))
        case "say the model":
            conversation.send(answer(json.dumps({"id": echoed, "model": echoed, "choices": []})))
        case _:
            conversation.send(answer('{"id": "c"}', X_Echo=echoed, X_Request_Id=echoed))


BREAKING = """
from gateway.serving import attempts

whole = attempts.outgoing_request


def failing(original, backend, key, span=None):
    request = whole(original, backend, key, span)
    if original.head.header(b"x-do") == b"break down":
        raise RuntimeError(f"a fault of our own: {request!r} {backend!r} {key!r} {original!r}")
    return request


attempts.outgoing_request = failing
"""
"""A `sitecustomize` that makes the gateway fail at a request, with all that it knows in the exception."""


def configuration(folder: Path, echo: Provider, mutual: Provider, untrusted: Provider, collector: str) -> str:
    """All of it, in one file."""
    (folder / "key").write_text(f"{SECRETS['file']}\n")
    (folder / "pool-key").write_text(f"{SECRETS['pool-file']}\n")
    OURS.write(folder, "ours")
    AUTHORITY.write(folder, "ca")
    secrets = {
        "headers": {"x-token": SECRETS["header"], "x-outside": "${THE_HEADER}"},
        "parameters": {"user": "${THE_PARAMETER}", "metadata": {"inside": ["${THE_PARAMETER}"]}},
    }
    tls = {"mode": "MUTUAL", "caCertificates": str(folder / "ca.pem")}
    tls |= {"clientCertificate": str(folder / "ours.pem"), "privateKey": str(folder / "ours.key")}
    check = {"interval": "1s", "timeout": "1s", "path": "/health/${THE_HEALTH}"}
    path = "/v1/${THE_PATH}/chat/completions"
    pool = [
        {"name": "one", "key": SECRETS["pool-1"], "weight": 1},
        {"name": "two", "key": "${THE_POOL}", "weight": 1},
        {"name": "three", "key": f"${{file:{folder / 'pool-key'}}}", "weight": 1},
    ]
    each = [
        _keyed("literal.test", echo, SECRETS["literal"], secrets, path=path),
        _keyed("outside.test", echo, "${THE_KEY}", secrets),
        _keyed("checked.test", echo, "${THE_KEY}", {}, healthCheck=check),
        _keyed("odd.test", echo, ODD, {}),
        _keyed("file.test", echo, f"${{file:{folder / 'key'}}}", {}),
        _keyed("pool.test", echo, None, {"apiKeys": pool}),
        provider("mutual.test", mutual.port, key=SECRETS["mutual"], tls=tls),
        provider("untrusted.test", untrusted.port, key="${THE_KEY}", tls={"mode": "SIMPLE"}),
        provider("gone.test", 1, key="${THE_KEY}"),
        route(
            "ruled.test",
            rule(
                "all",
                "outside.test",
                headers={
                    "request": {"set": {"x-rule": "${THE_RULE}"}},
                    "response": {"set": {"x-reply": "${THE_REPLY}"}},
                },
            ),
        ),
        *(_drilled(host) for host in ("first.drill", "second.drill")),
        route(
            "drill.test",
            rule("all", "first.drill", fallback=[{"providerHost": "second.drill"}], retries={"attempts": 2}),
        ),
    ]
    clients = [{"name": name, "apiKeyHash": key_hash(SECRETS[name])} for name in ("client", "second-client")]
    acme = tenant("acme", *clients)
    acme["spec"]["capture"] = {"request": True, "response": True}
    timeouts = {
        "connect": "500ms",
        "headers": "500ms",
        "firstContent": "500ms",
        "idle": "500ms",
        "request": "3s",
    }
    tracing = {"endpoint": collector, "headers": {"x-collector": "${THE_COLLECTOR}"}}
    return documents(acme, *owned("acme", *each), settings(upstreamTimeouts=timeouts, tracing=tracing))


def _keyed(
    host: str, running: Provider, key: str | None, config: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    document = provider(host, running.port, key=key, **more)
    document["spec"]["endpoint"]["address"] = "${THE_ADDRESS}"
    document["spec"]["configs"]["defaultConfig"]["openAIConfig"] |= config
    return document


def _drilled(host: str) -> dict[str, Any]:
    document = simulated(host, prefill=True)
    config = document["spec"]["configs"]["defaultConfig"]["simulatorConfig"]
    config["apiKey"] = SECRETS["simulated"]
    return document


def untrusted_context(folder: Path) -> ssl.SSLContext:
    """Of a provider whose certificate nobody has signed."""
    folder.mkdir()
    return server_context(self_signed(), folder)


def mutual_context(folder: Path) -> ssl.SSLContext:
    """Of a provider that wants our certificate."""
    folder.mkdir()
    context = server_context(MUTUAL, folder)
    context.load_verify_locations(cadata=AUTHORITY.certificate_pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


_CONFIGS = (
    'apiKey: ["%s"]',
    'apiKey: {value: "%s"}',
    'apiKey: "%s\\n"',
    'apiKey: "%s é"',
    'apiKey: "${%s"',
    'headers: {x-token: ["%s"]}',
    'headers: {x-token: "%s\\r\\n"}',
    'headers: {authorization: "%s"}',
    'parameters: {messages: "%s"}',
    'apiKeys: [{name: a, key: "%s"}, {name: a, key: "%s"}]',
    'apiKey: "${THE_KEY}", unknown: "${THE_KEY}"',
)
_PROVIDER = "apiVersion: llmgateway.dev/v1\nkind: LLMProvider\nmetadata: {name: a}\nspec: {host: a.test, "

_BROKEN = [
    _PROVIDER + 'apiKey: "%s"}\n',
    _PROVIDER + 'path: "no path ${THE_PATH}"}\n',
    _PROVIDER + 'endpoint: {address: "${THE_KEY} "}}\n',
    _PROVIDER
    + 'endpoint: {tls: {mode: MUTUAL, clientCertificate: "/${THE_KEY}", privateKey: "/${THE_KEY}"}}}\n',
    'kind: LLMProvider\nspec: {configs: {defaultConfig: {openAIConfig: {apikey: "%s"}}}}\n',
    'apiKey: ["%s"\n',
    'apiKey: "%s"\napiKey: "%s"\n',
    "apiKey: &a %s\n",
    "apiKey: %s\n\tx: y\n",
    *(f"{_PROVIDER}configs: {{defaultConfig: {{openAIConfig: {{{config}}}}}}}}}\n" for config in _CONFIGS),
]

BROKEN = {f"b{number}.yaml": text.replace("%s", SECRETS["literal"]) for number, text in enumerate(_BROKEN)}
"""Files with a secret in the place that is wrong, or beside it."""
