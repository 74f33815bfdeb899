"""Tells Prometheus what to scrape: ``python -m harness.lab.discovery KUBECONFIG FOLDER``, beside it in the lab.

It watches pods and nodes and keeps pods.json and kubelets.json (Prometheus' file_sd format) in FOLDER. Distributions
build Prometheus without its own Kubernetes discovery (Debian 12's 2.42: "field kubernetes_sd_configs not found").
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.files import write_whole
from harness.lab.addresses import KUBELET_PORT
from harness.lab.api import NO_ANSWER, Api, ApiRefused

PODS_FILE = "pods.json"
KUBELETS_FILE = "kubelets.json"
_WATCH_S = 300.0
_RETRY_S = 1.0
_LIVE = ("Pending", "Running")

Object = Mapping[str, Any]
Targets = list[dict[str, Any]]


def pod_targets(pods: Iterable[Object]) -> Targets:
    """One target for each pod that has an address and is annotated ``prometheus.io/scrape: "true"``.

    ``prometheus.io/port`` (default: the first port that a container declares; without any, no target) and ``/path`` as
    usual. Labels: those of the pod, with every odd character an underscore, then namespace, pod and node.
    """
    out = []
    for pod in pods:
        annotations = pod["metadata"].get("annotations") or {}
        address = pod.get("status", {}).get("podIP")
        port = annotations.get("prometheus.io/port") or _first_port(pod)
        live = pod.get("status", {}).get("phase") in _LIVE
        if annotations.get("prometheus.io/scrape") != "true" or not (address and port and live):
            continue
        labels = {_label(key): value for key, value in (pod["metadata"].get("labels") or {}).items()}
        labels |= {
            "namespace": pod["metadata"]["namespace"],
            "pod": pod["metadata"]["name"],
            "node": pod["spec"].get("nodeName", ""),
            "__metrics_path__": annotations.get("prometheus.io/path", "/metrics"),
        }
        out.append({"targets": [f"{address}:{port}"], "labels": labels})
    return out


def kubelet_targets(nodes: Iterable[Object]) -> Targets:
    """Every node's kubelet, by its InternalIP."""
    out = []
    for node in nodes:
        addresses = {each["type"]: each["address"] for each in node.get("status", {}).get("addresses") or []}
        if "InternalIP" in addresses:
            target = f"{addresses['InternalIP']}:{KUBELET_PORT}"
            out.append({"targets": [target], "labels": {"node": node["metadata"]["name"]}})
    return out


def _first_port(pod: Object) -> str:
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            return str(port["containerPort"])
    return ""


def _label(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", key)


def follow(api: Api, path: str, tell: Callable[[Sequence[Object]], None]) -> None:
    """Lists and watches the collection at `path` for ever; `tell` gets all its objects after every change."""
    while True:
        try:
            listed = api.request("GET", path)
            present = {item["metadata"]["uid"]: item for item in listed["items"]}
            tell(list(present.values()))
            version = listed["metadata"]["resourceVersion"]
            with api.watch(path, resource_version=version, timeout_s=_WATCH_S) as events:
                for event in events:
                    if event["type"] == "ERROR":  # the version is too old: list again
                        break
                    item = event["object"]
                    if event["type"] == "DELETED":
                        present.pop(item["metadata"]["uid"], None)
                    else:
                        present[item["metadata"]["uid"]] = item
                    tell(list(present.values()))
        except (ApiRefused, *NO_ANSWER) as error:
            sys.stderr.write(f"discovery: {path}: {error}\n")
            time.sleep(_RETRY_S)  # the API server is down or settling; there is nothing to watch


def writer(file: Path, targets: Callable[[Iterable[Object]], Targets]) -> Callable[[Sequence[Object]], None]:
    """Writes the targets of what it is given to `file`, only when they changed: Prometheus reads at every write."""
    written: list[Targets] = []

    def tell(objects: Sequence[Object]) -> None:
        found = targets(objects)
        if written != [found]:
            write_whole(file, json.dumps(found).encode(), durable=False)
            written[:] = [found]

    return tell


def main(kubeconfig: Path, folder: Path) -> None:
    """Runs until it is killed."""
    pods = threading.Thread(
        target=follow, args=(Api(kubeconfig), "/api/v1/pods", writer(folder / PODS_FILE, pod_targets)), daemon=True
    )
    pods.start()
    follow(Api(kubeconfig), "/api/v1/nodes", writer(folder / KUBELETS_FILE, kubelet_targets))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
