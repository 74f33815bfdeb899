"""Is the workload there? The Ready pods that its manifests ask for, and an endpoint of each Service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.cluster.ports import Json
from harness.model import wellknown
from harness.model.experiment import Manifest
from harness.run.observe import Observer


@dataclass(frozen=True, slots=True)
class ReadyCondition:
    """How many Ready pods with these labels a manifest asks for."""

    what: str
    namespace: str
    labels: Mapping[str, str]
    replicas: int

    def ready(self, pods: list[Json]) -> int:
        """Ready, not terminating pods of it."""
        return sum(self.owns(pod) and _is_ready(pod) for pod in pods)

    def owns(self, pod: Json) -> bool:
        """Whether a pod object carries the labels."""
        labels = pod["metadata"].get("labels") or {}
        same = all(labels.get(key) == value for key, value in self.labels.items())
        return same and pod["metadata"]["namespace"] == self.namespace


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def ready_conditions(manifests: tuple[Manifest, ...]) -> list[ReadyCondition]:
    """Ready pods to wait for: Deployments, StatefulSets and ReplicaSets by their replicas, bare Pods by themselves.

    DaemonSets and Jobs are not waited for (how many pods they get is the cluster's business).
    """
    out = []
    for manifest in manifests:
        namespace = manifest.namespace or "default"
        spec: Mapping[str, Any] = manifest.body.get("spec") or {}
        if manifest.kind in ("Deployment", "StatefulSet", "ReplicaSet"):
            labels = (spec.get("selector") or {}).get("matchLabels") or {}
            replicas = 1 if spec.get("replicas") is None else int(spec["replicas"])
            out.append(ReadyCondition(f"{manifest.kind}/{manifest.name}", namespace, labels, replicas))
        elif manifest.kind == "Pod":
            labels = (manifest.body.get("metadata") or {}).get("labels") or {}
            if labels:
                out.append(ReadyCondition(f"Pod/{manifest.name}", namespace, labels, 1))
    return out


class Readiness:
    """What the manifests of one run ask for, held against what is seen."""

    def __init__(self, manifests: tuple[Manifest, ...]) -> None:
        """Of these manifests."""
        self._conditions = ready_conditions(manifests)
        self._services = [
            (manifest.namespace or "default", manifest.name)
            for manifest in manifests
            if manifest.kind == "Service" and (manifest.body.get("spec") or {}).get("selector")
        ]

    def unready(self, observer: Observer) -> list[str]:
        """What is not there yet, one line each; empty when every condition is met and every Service of ours has a ready
        endpoint.
        """
        pods = observer.pods
        out = [
            f"{one.what}: {one.ready(pods)} of {one.replicas} pods Ready"
            for one in self._conditions
            if one.ready(pods) < one.replicas
        ]
        out += [
            f"Service/{name}: no ready endpoint"
            for namespace, name in self._services
            if not _has_endpoint(observer, namespace, name)
        ]
        return out

    def words(self, observer: Observer) -> str:
        """All that is not there yet, and what the cluster says of the first pod that is not Ready."""
        return "; ".join(self.unready(observer)) + _why_not(observer, self._conditions)


def _has_endpoint(observer: Observer, namespace: str, service: str) -> bool:
    for item in observer.slices:
        labels = item["metadata"].get("labels") or {}
        if item["metadata"]["namespace"] == namespace and labels.get(wellknown.SERVICE_NAME) == service:
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True) is not False:
                    return True
    return False


def _why_not(observer: Observer, asked: list[ReadyCondition]) -> str:
    """The scheduler's or kubelet's own words about the first pod that is not Ready."""
    unready: Callable[[Json], bool] = lambda pod: any(w.owns(pod) for w in asked) and not _is_ready(pod)  # noqa: E731
    for pod in filter(unready, observer.pods):
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition["status"] != "True" and condition.get("message"):
                return f"; {pod['metadata']['name']}: {condition['message']}"
    return ""
