"""The processes of a run: started on their core, waited for, and always ended.

Each is a context manager that yields a running server.  What a server printed is kept in a file of the run's
own directory and shown when it does not come up.
"""

from __future__ import annotations

import os
import random
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template

from attrs import frozen

from bench.load import REQUEST_BODY, request_bytes

READY_SECONDS = 20.0
STOP_SECONDS = 5.0
ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent

GATEWAY_COMMAND = (
    "twistd -n --pidfile= llmgateway --conf {conf} --listen tcp:{port}:interface=127.0.0.1 "
    "--admin tcp:{admin_port}:interface=127.0.0.1"
)

ANSWER = (
    '{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion","created":1700000000,'
    '"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"A proxy stands between '
    "a client and a server that speak the same protocol, and passes on what they say. A gateway speaks for "
    "a whole system: it decides where a request goes, and may change it on its way. A small team is well "
    'served by a proxy until it has rules of its own.","refusal":null},"logprobs":null,'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":42,"completion_tokens":61,"total_tokens":103,'
    '"prompt_tokens_details":{"cached_tokens":0}}}'
)
"""A chat completion of usual size; no quotation marks of nginx's kind in it."""


class CannotRunError(Exception):
    """Something that a run needs is missing or does not start; the message is for whoever runs it."""


@frozen
class Cores:
    """Where processes run."""

    proxy: int
    """Whatever is measured, and nothing else."""
    load: int
    """Clients and upstreams, and this program."""


@frozen
class Server:
    """A process that answers."""

    name: str
    pid: int
    """Of the process that does the work: nginx's worker, not its master."""
    port: int


@frozen
class GatewayServer(Server):
    """The gateway, and how to reach what operators use."""

    conf: Path
    """Its conf.d."""
    admin_port: int


@frozen
class Certificate:
    """What an upstream shows when it is asked for TLS, all in PEM files."""

    chain: Path
    key: Path
    authority: Path
    """Who signed it; the gateway trusts nobody else."""


def two_cores() -> Cores:
    """The cores of a run; raises CannotRunError when there is only one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise CannotRunError(
            "Two cores are needed, one for the proxy and one for the load; there is only one."
        )
    return Cores(proxy=available[1], load=available[0])


def raise_open_files() -> int:
    """Let this process and those it starts open as many files as they may; the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def find_nginx() -> str:
    """nginx's path, also where a user's PATH leaves it out; raises CannotRunError."""
    found = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise CannotRunError(
            "nginx is not installed: it is upstream and rival here (Debian: apt install nginx-light)."
        )
    return found


def nginx_version(nginx: str) -> str:
    """As nginx says it: "nginx/1.22.1"."""
    return subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.rpartition(" ")[2].strip()


def free_port() -> int:
    """A port that nobody listens on now, and that no connection is given before somebody does.

    What the kernel gives to connections begins at 32768 (`net.ipv4.ip_local_port_range`).
    """
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


@contextmanager
def process(
    name: str,
    command: Sequence[str],
    core: int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, ended when the block is left."""
    with open(directory / f"{name}.log", "wb") as log:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _answers(port: int, request: bytes | None) -> bool:
    """Whether the port takes a connection and, if there is something to ask, answers it with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            if request is None:
                return True
            connection.sendall(request)
            return connection.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _wait_until_ready(
    name: str, running: subprocess.Popen[bytes], port: int, directory: Path, request: bytes | None
) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while not _answers(port, request):
        if running.poll() is not None or time.monotonic() > give_up:
            said = (directory / f"{name}.log").read_text(errors="replace")[-3000:]
            state = (
                "does not answer" if running.returncode is None else f"ended with code {running.returncode}"
            )
            raise CannotRunError(f"{name} {state}; the end of what it printed:\n{said}")
        time.sleep(0.05)


def _worker(master: int) -> int:
    return int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])


@contextmanager
def _nginx(name: str, template: str, core: int, directory: Path, **values: object) -> Iterator[Server]:
    nginx = find_nginx()
    port = free_port()
    text = Template((HERE / template).read_text()).substitute(
        values, name=name, directory=directory, port=port
    )
    written = directory / f"{name}.conf"
    written.write_text(text)
    command = [nginx, "-p", str(directory), "-e", "stderr", "-c", str(written)]
    with process(name, command, core, directory) as running:
        _wait_until_ready(name, running, port, directory, None)
        yield Server(name, _worker(running.pid), port)


@contextmanager
def nginx_answering(
    name: str, answer: str, cores: Cores, directory: Path, certificate: Certificate | None = None
) -> Iterator[Server]:
    """nginx with one answer to everything; nginx's variables in it are filled in."""
    ssl, lines = "", ""
    if certificate:
        ssl = "ssl"
        lines = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};"
    values = {"answer": answer, "ssl": ssl, "certificate": lines}
    with _nginx(name, "nginx_upstream.conf", cores.load, directory, **values) as server:
        yield server


@contextmanager
def request_upstream(
    cores: Cores, directory: Path, certificate: Certificate | None = None
) -> Iterator[Server]:
    """The provider for single requests: always ANSWER."""
    name = "nginx_upstream_tls" if certificate else "nginx_upstream"
    with nginx_answering(name, ANSWER, cores, directory, certificate) as server:
        yield server


@contextmanager
def stream_upstream(cores: Cores, directory: Path) -> Iterator[Server]:
    """bench.upstream: events at a pace."""
    name = "stream_upstream"
    port = free_port()
    command = [sys.executable, "-m", "bench.upstream", str(port)]
    with process(name, command, cores.load, directory) as running:
        _wait_until_ready(name, running, port, directory, None)
        yield Server(name, running.pid, port)


@contextmanager
def simulator(name: str, cores: Cores, directory: Path) -> Iterator[Server]:
    """`llmgateway simulate`: a provider that misbehaves as the gateway's configuration says."""
    port = free_port()
    listen = f"--listen=tcp:{port}:interface=127.0.0.1"
    command = [str(Path(sys.executable).parent / "llmgateway"), "simulate", listen]
    with process(name, command, cores.load, directory) as running:
        _wait_until_ready(name, running, port, directory, None)
        yield Server(name, running.pid, port)


@contextmanager
def nginx_proxy(cores: Cores, directory: Path, requests: Server, streams: Server) -> Iterator[Server]:
    """nginx as a plain proxy before both upstreams, one host each."""
    ports = {"requests_port": requests.port, "streams_port": streams.port}
    with _nginx("nginx_proxy", "nginx_proxy.conf", cores.proxy, directory, **ports) as server:
        yield server


def gateway_documents(name: str, upstream: Server, authority: Path | None = None) -> str:
    """Two providers, both this upstream, and the route with three rules for the host NAME.bench, as YAML."""
    tls = f'{{mode: SIMPLE, caCertificates: "{authority}"}}' if authority else "{mode: DISABLE}"
    return Template((HERE / "gateway.yaml").read_text()).substitute(name=name, port=upstream.port, tls=tls)


@contextmanager
def gateway(
    command: str,
    cores: Cores,
    directory: Path,
    documents: Mapping[str, str],
    asked: Collection[str] | None = None,
) -> Iterator[GatewayServer]:
    """The gateway on a conf.d of one file for each of these documents, once it answers.

    :param command: how to start it; {conf}, {port} and {admin_port} stand for what is chosen here.
    :param documents: text by the file's name without ending; `tenant/name` is a tenant's file.
    :param asked: those of which NAME.bench must answer before it counts as started; all if None.
    """
    name = "gateway"
    conf = Path(tempfile.mkdtemp(prefix="conf.d-", dir=directory))
    for host, text in documents.items():
        file = conf / f"{host}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    port, admin_port = free_port(), free_port()
    words = [word.format(conf=conf, port=port, admin_port=admin_port) for word in shlex.split(command)]
    beside_python = Path(sys.executable).parent / words[0]
    if beside_python.exists():
        words[0] = str(beside_python)
    with process(name, words, cores.proxy, directory, {"PYTHONPATH": str(ROOT)}) as running:
        _wait_until_ready(name, running, port, directory, None)
        for host in documents if asked is None else asked:
            _wait_until_ready(
                name,
                running,
                port,
                directory,
                request_bytes(f"{host}.bench", REQUEST_BODY, (("x-bench-events", 1),)),
            )
        yield GatewayServer(name, running.pid, port, conf, admin_port)
