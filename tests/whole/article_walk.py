"""Walks the article's steps and tells what every curl printed and every provider was sent; run by test_article.py.

It runs in a network and among mounts of its own (`unshare`), where it may take the ports and the names that the
article has: the providers' names lead to servers of ours on port 443, and the gateway has port 80 of another
address.  Between them stands what the mesh gave the article for nothing: `kubectl exec` runs its command in a "pod",
from where every name leads to the gateway, by its hosts file (as a sidecar does it, unnoticed) or as its HTTP proxy.

Reads nothing; takes the folder to work in as its argument; writes what it saw as JSON to standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509

from tests.fakes.certificates import Identity, root
from tests.whole.providers import Conversation, Provider, answer, server_context
from tests.whole.running import Gateway

ARTICLE = Path(__file__).parent / "article"

DASHSCOPE = "127.0.0.3"
MOONSHOT = "127.0.0.4"
GATEWAY = "127.0.0.2"

HOSTS = f"127.0.0.1 localhost\n{DASHSCOPE} dashscope.aliyuncs.com\n{MOONSHOT} api.moonshot.cn\n"
POD_HOSTS = f"127.0.0.1 localhost\n{GATEWAY} dashscope.aliyuncs.com demo-llm-server\n"

KUBECTL = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""

KEYS = ["dashscope的API_KEY=sk-dashscope", "Moonshot的API_KEY=sk-moonshot"]

POD = {
    "hosts": ["unshare", "--mount", "sh", "-c", 'mount --bind pod-hosts /etc/hosts && exec sh "$1"', "pod"],
    "proxy": ["env", f"http_proxy=http://{GATEWAY}:80", "sh"],
}
"""How a command reaches the gateway, by what decides it."""


class Walk:
    """What is there, and what was seen."""

    def __init__(self, folder: Path, rooms: ExitStack) -> None:
        self.curls: dict[str, list[str]] = {}
        """What each curl of the article printed, every time."""
        self.answers: dict[str, bytes] = {}
        """What is answered to who asks for a model."""
        self._folder = folder
        (folder / "pod-hosts").write_text(POD_HOSTS)
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl").write_text(KUBECTL)
        (folder / "bin" / "kubectl").chmod(0o755)
        authority = root("authority of our own")
        (folder / "roots.pem").write_bytes(authority.certificate_pem)
        self.providers = {
            name: rooms.enter_context(self._provider(name, address, authority))
            for name, address in (("dashscope.aliyuncs.com", DASHSCOPE), ("api.moonshot.cn", MOONSHOT))
        }
        self.gateway = rooms.enter_context(
            Gateway(
                folder,
                {},
                listen=[f"tcp:80:interface={GATEWAY}"],
                environment={"SSL_CERT_FILE": str(folder / "roots.pem")},
                within=["env", *KEYS],
            )
        )

    def _provider(self, name: str, address: str, authority: Identity) -> Provider:
        certificates = self._folder / name
        certificates.mkdir()
        context = server_context(authority.issue(x509.DNSName(name)), certificates)
        return Provider(self._answer, context, (address, 443))

    def _answer(self, conversation: Conversation) -> None:
        model = json.loads(conversation.request.body)["model"]
        conversation.send(answer(self.answers[model]))

    def apply(self, *names: str) -> None:
        """Apply manifests of the article: a resource has a file, which its newer version replaces."""
        manifests = [(ARTICLE / f"{name}.yaml").read_text(encoding="utf-8") for name in names]
        self.gateway.apply({f"{_resource(manifest)}.yaml": manifest for manifest in manifests})

    def curl(self, name: str, answers: Mapping[str, str], times: int = 1, by: str = "hosts") -> None:
        """Run a command of the article.

        :param answers: which of the article's outputs a model answers with.
        :param by: how its pod reaches the gateway.
        """
        self.answers = {model: (ARTICLE / f"{output}.json").read_bytes() for model, output in answers.items()}
        for _ in range(times):
            ran = subprocess.run(
                [*POD[by], str(ARTICLE / f"{name}.sh")],
                cwd=self._folder,
                env={"PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=20,
                check=True,
            )
            self.curls.setdefault(f"{name} by {by}", []).append(ran.stdout.decode())

    def seen(self) -> dict[str, object]:
        """Everything, as JSON can hold it."""
        return {
            "curls": self.curls,
            "requests": {
                name: [
                    {
                        "method": request.method,
                        "target": request.target,
                        "headers": dict(request.headers),
                        "server_name": request.server_name,
                        "body": request.body.decode(),
                    }
                    for request in provider.requests
                ]
                for name, provider in self.providers.items()
            },
            "metrics": self.gateway.admin("/metrics"),
            "status": self.gateway.stop(),
            "log": self.gateway.log,
        }


def _resource(manifest: str) -> str:
    """The kind and the name of the first document: what `kubectl apply` knows a resource by."""
    lines = manifest.splitlines()
    kind = next(line for line in lines if line.startswith("kind: ")).removeprefix("kind: ")
    name = next(line for line in lines if line.startswith("  name: ")).removeprefix("  name: ")
    return f"{kind}-{name}"


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "hosts").write_text(HOSTS)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)
    with ExitStack() as rooms:
        walk = Walk(folder, rooms)
        walk.apply("step1-sleep")
        walk.apply("step2-provider")
        walk.curl("step2", {"qwen-1.8b-chat": "step2"})
        walk.curl("step2", {"qwen-1.8b-chat": "step2"}, by="proxy")
        walk.apply("step3-route", "step3-provider")
        models = {"qwen-1.8b-chat": "step3-everybody", "qwen-turbo": "step3-subscriber"}
        walk.curl("step3-everybody", models)
        walk.curl("step3-subscriber", models)
        walk.apply("step4-provider")
        walk.apply("step4-service", "step4-route")
        walk.curl(
            "step4", {"qwen-1.8b-chat": "step4-dashscope", "moonshot-v1-8k": "step4-moonshot"}, times=40
        )
        json.dump(walk.seen(), sys.stdout)


if __name__ == "__main__":
    main()
