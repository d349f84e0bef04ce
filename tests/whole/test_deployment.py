"""What `deploy/` says, done: a socket that somebody else has bound, and volumes as a kubelet writes them."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.deploy.rendering import container, needs_renderer, volume_files, write_volume
from tests.deploy.test_systemd import options
from tests.whole.clients import ask
from tests.whole.documents import documents, route, rule, simulated
from tests.whole.running import Gateway

ACTIVATION = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)  # it may have been 3 before
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "clients"}
os.execv(sys.argv[1], sys.argv[1:])
"""
"""What systemd does before it starts a service that has a socket (sd_listen_fds(3))."""


def test_the_service_takes_the_socket_that_systemd_has_bound(tmp_path: Path) -> None:
    conf = documents(simulated("first.test"), route("*", rule("all", "first.test")))
    within = [sys.executable, "-c", ACTIVATION]
    with Gateway(tmp_path, {"a.yaml": conf}, listen=[options()["listen"]], within=within) as gateway:
        assert gateway.address.startswith("127.0.0.1:")
        assert ask(gateway.address).status == 200
        assert gateway.stop() == 0


def in_volume(files: dict[str, str], keys: Path) -> dict[str, str]:
    """What a volume holds, with the keys where this test has them."""
    return {path: text.replace("/etc/llmgateway/keys", str(keys)) for path, text in files.items()}


@needs_renderer
def test_a_pod_serves_its_tenants_and_follows_their_configmaps(tmp_path: Path) -> None:
    """With the Deployment's own options, but for ports and how long it drains."""
    keys = tmp_path / "keys"
    write_volume(keys, volume_files("keys"))
    conf = in_volume(volume_files("conf"), keys)
    kept = [
        argument
        for argument in container()["args"]
        if not argument.startswith(("--conf", "--listen", "--admin", "--drain"))
    ]
    gateway = Gateway(tmp_path / "pod", {}, *kept, listen=["tcp:0"], admin="tcp:0")
    write_volume(gateway.conf, conf)
    with gateway:
        gateway.wait_for_log("configuration applied, ")
        port = gateway.address.rpartition(":")[2]

        def model(host: str) -> str:
            reply = ask(f"127.0.0.1:{port}", host=host)
            return str(reply.json()["model"]) if reply.status == 200 else str(reply.status)

        assert (model("chat.acme.example"), model("llmgateway.llmgateway")) == (
            "acme-small",
            "umbrella-small",
        )

        changed = conf["acme/acme.yaml"].replace("acme-small", "acme-large")
        write_volume(gateway.conf, {**conf, "acme/acme.yaml": changed})
        gateway.wait_for_log("configuration applied, ", times=2)
        assert (model("chat.acme.example"), model("llmgateway.llmgateway")) == (
            "acme-large",
            "umbrella-small",
        )

        write_volume(
            gateway.conf, {path: text for path, text in conf.items() if not path.startswith("acme/")}
        )
        gateway.wait_for_log("configuration applied, ", times=3)
        assert model("chat.acme.example") == "umbrella-small"
