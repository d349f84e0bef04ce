"""The manifests render, what they say of one another is true, and the gateway can do what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from gateway.cli import main
from gateway.resources.kinds import GROUPS
from gateway.tap import Options
from tests.deploy.rendering import (
    KUBERNETES,
    container,
    needs_renderer,
    only,
    pod,
    rendered,
    volume_files,
    write_volume,
)

pytestmark = needs_renderer


def labels() -> dict[str, str]:
    """Of the gateway's pods."""
    found: dict[str, str] = only("Deployment")["spec"]["template"]["metadata"]["labels"]
    return found


def ports() -> dict[str, int]:
    """Of the container, by name."""
    return {port["name"]: port["containerPort"] for port in container()["ports"]}


def options(conf: Path) -> Options:
    """What the container's arguments mean."""
    parsed = Options()
    arguments = container()["args"]
    assert arguments[0] == "--conf=/etc/llmgateway/conf.d"
    parsed.parseOptions([f"--conf={conf}", *arguments[1:]])
    return parsed


def values(thing: Any, name: str) -> Iterator[Any]:
    """Every value under this name, anywhere."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(thing, list):
        for value in thing:
            yield from values(value, name)


def test_everything_is_in_one_namespace() -> None:
    namespace = only("Namespace")["metadata"]["name"]
    assert {each["metadata"]["namespace"] for each in rendered() if each["kind"] != "Namespace"} == {
        namespace
    }


def test_every_selector_finds_the_pods() -> None:
    selectors = [
        only("Deployment")["spec"]["selector"]["matchLabels"],
        only("Service")["spec"]["selector"],
        only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod()["topologySpreadConstraints"]),
        *(each["spec"]["selector"]["matchLabels"] for each in rendered("monitoring")),
    ]
    assert all(selector and selector.items() <= labels().items() for selector in selectors)


def test_every_port_is_one_of_the_containers(tmp_path: Path) -> None:
    named = [
        *(port["targetPort"] for port in only("Service")["spec"]["ports"]),
        *(port["port"] for rule in only("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]),
        *(probe["port"] for probe in values(container(), "httpGet")),
        *(end["port"] for each in rendered("monitoring") for end in each["spec"]["podMetricsEndpoints"]),
    ]
    assert set(named) == set(ports())
    said = options(tmp_path)
    listens = [listener.description for listener in (*said.setup.listeners, said.setup.admin)]
    assert listens == [f"tcp:{ports()['clients']}", f"tcp:{ports()['admin']}"]


def test_probes_ask_the_pages_that_tell() -> None:
    gateway = container()
    asked = [gateway[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")]
    assert asked == ["/healthz", "/readyz", "/healthz"]


def test_running_answers_have_their_time(tmp_path: Path) -> None:
    setup = options(tmp_path).setup
    readiness = container()["readinessProbe"]
    assert setup.drain_delay > readiness["periodSeconds"] * readiness["failureThreshold"]
    assert pod()["terminationGracePeriodSeconds"] > setup.drain_delay + setup.drain_timeout


def test_the_pods_are_restricted() -> None:
    """The profile `restricted` of kubernetes.io/docs/concepts/security/pod-security-standards, and a little more."""
    assert only("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    whole, own = pod()["securityContext"], container()["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] > 0
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["serviceAccountName"] == only("ServiceAccount")["metadata"]["name"]
    for name in ("hostNetwork", "hostPID", "hostIPC", "hostPath", "hostPort", "privileged"):
        assert list(values(pod(), name)) == []


def test_volumes_are_whole_and_do_not_nest() -> None:
    """A subPath is never updated, and a mount inside a ConfigMap's volume has nowhere to be."""
    mounts = container()["volumeMounts"]
    assert list(values(mounts, "subPath")) == []
    assert sorted(mount["name"] for mount in mounts) == sorted(volume["name"] for volume in pod()["volumes"])
    paths = [Path(mount["mountPath"]) for mount in mounts]
    assert not any(one != other and one.is_relative_to(other) for one in paths for other in paths)


def test_a_tenant_without_its_configmap_keeps_no_pod_from_starting() -> None:
    sources = [
        source["configMap"]
        for volume in pod()["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    assert len(sources) == 3
    assert all(source["optional"] for source in sources)


def test_names_have_no_digest_so_that_a_change_replaces_no_pod() -> None:
    named = {each["metadata"]["name"] for each in rendered() if each["kind"] in ("ConfigMap", "Secret")}
    assert named == {
        "llmgateway-settings",
        "llmgateway-tenant-acme",
        "llmgateway-tenant-umbrella",
        "llmgateway-keys",
    }


def test_the_image_is_of_this_version() -> None:
    assert container()["image"] == f"llmgateway:{__version__}"


def test_the_policy_lets_nobody_in_without_a_label_and_nothing_out_but_names_and_https() -> None:
    policy = only("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    for rule in policy["ingress"]:
        assert [bool(each["namespaceSelector"]["matchLabels"]) for each in rule["from"]] == [True]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443}
    assert all(rule["to"] for rule in policy["egress"])


def test_check_has_nothing_to_say_about_the_rendered_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = volume_files("keys")
    write_volume(tmp_path / "keys", keys)
    conf = {
        path: text.replace("/etc/llmgateway/keys", str(tmp_path / "keys"))
        for path, text in volume_files("conf").items()
    }
    assert set(conf) == {"gateway.yaml", "acme/acme.yaml", "umbrella/umbrella.yaml"}
    write_volume(tmp_path / "conf.d", conf)
    status = main(["check", str(tmp_path / "conf.d")])
    said = capsys.readouterr().out
    assert status == 0, said
    assert said.startswith("0 problems; ")


@pytest.mark.parametrize("group", GROUPS)
def test_the_definitions_are_those_of_the_schema(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Made anew by `llmgateway schema --crds GROUP > deploy/kubernetes/crds/GROUP.yaml`."""
    assert main(["schema", "--crds", group]) == 0
    assert (KUBERNETES / "crds" / f"{group}.yaml").read_text() == capsys.readouterr().out


def test_the_definitions_of_our_group_render() -> None:
    assert {each["spec"]["group"] for each in rendered("crds")} == {"llmgateway.dev"}
