"""The Kubernetes manifests as `kubectl kustomize` renders them, and their volumes as a kubelet writes them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"

_RENDERER = ("kubectl", "kustomize") if shutil.which("kubectl") else ("kustomize", "build")

needs_renderer = pytest.mark.skipif(
    not shutil.which(_RENDERER[0]), reason="neither kubectl nor kustomize is installed"
)


@cache
def rendered(folder: str = ".") -> tuple[dict[str, Any], ...]:
    """Every object of a kustomization below `deploy/kubernetes`."""
    command = [*_RENDERER, str(KUBERNETES / folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return tuple(yaml.safe_load_all(ran.stdout))


def only(kind: str) -> dict[str, Any]:
    """The one object of this kind."""
    (found,) = [each for each in rendered() if each["kind"] == kind]
    return found


def pod() -> dict[str, Any]:
    """What the Deployment's pods are."""
    spec: dict[str, Any] = only("Deployment")["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    """The gateway in such a pod."""
    (found,) = pod()["containers"]
    assert isinstance(found, dict)
    return found


def volume_files(name: str) -> dict[str, str]:
    """What lies in a volume of the pod: path -> content."""
    (volume,) = [each for each in pod()["volumes"] if each["name"] == name]
    if "secret" in volume:
        return _data("Secret", volume["secret"]["secretName"])
    files: dict[str, str] = {}
    for source in (each["configMap"] for each in volume["projected"]["sources"]):
        data = _data("ConfigMap", source["name"])
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        files |= {item["path"]: data[item["key"]] for item in items}
    return files


def _data(kind: str, name: str) -> dict[str, str]:
    (found,) = [each for each in rendered() if each["kind"] == kind and each["metadata"]["name"] == name]
    data: dict[str, str] = found["data"]
    if kind == "ConfigMap":
        return data
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def write_volume(folder: Path, files: dict[str, str]) -> None:
    """Write as a kubelet does: everything into a new hidden folder, then one rename of the link to it.

    As in k8s.io/kubernetes/pkg/volume/util/atomic_writer.go; what was there before is gone afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = list(folder.glob("..[0-9]*"))
    version = folder / f"..{len(before) and int(before[0].name[2:]) + 1}"
    for path, content in files.items():
        (version / path).parent.mkdir(parents=True, exist_ok=True)
        (version / path).write_text(content)
    new_link = folder / "..data_tmp"
    new_link.symlink_to(version.name)
    new_link.rename(folder / "..data")
    names = {Path(path).parts[0] for path in files}
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in names:
            link.unlink()
    for old in before:
        shutil.rmtree(old)
