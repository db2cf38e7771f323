"""Renders the overlays as kustomize does, for as much of kustomize as they use; anything else is an error.

A test compares the result with the real kustomize where that is installed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("staging", "production")
KNOWN_KEYS = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}

Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def render(folder: Path) -> list[Manifest]:
    """Every object of a kustomization, patched, with its namespace and images set."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    assert kustomization.keys() <= KNOWN_KEYS, kustomization.keys() - KNOWN_KEYS
    objects: list[Manifest] = []
    for resource in kustomization["resources"]:
        objects += render(folder / resource) if (folder / resource).is_dir() else documents(folder / resource)
    by_identity = {identity(item): item for item in objects}
    assert len(by_identity) == len(objects)
    for patch in kustomization.get("patches", []):
        (change,) = documents(folder / patch["path"])
        merge(by_identity[identity(change)], change)
    for item in objects:
        if "namespace" in kustomization and item["kind"] != "Namespace":
            item["metadata"]["namespace"] = kustomization["namespace"]
        for container in containers(item):
            for image in kustomization.get("images", []):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def identity(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def merge(target: Manifest, change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        assert not isinstance(value, list), "merging lists is kustomize's business: patch maps only"
        if isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def pod_spec(item: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = item["spec"]["template"]["spec"]
    return spec


def containers(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if item["kind"] in {"Deployment", "Job", "StatefulSet", "DaemonSet"}:
        spec = pod_spec(item)
        yield from (*spec.get("initContainers", []), *spec["containers"])


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}
