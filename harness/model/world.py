"""A cluster as it was at one moment: what the plan is made from and what a run is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model import wellknown
from harness.model.taints import Taint, Toleration, taints_from_api, tolerations_from_api


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling owner of a pod: ``ReplicaSet/web-7d9``."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class WorldPod:
    """What evictions depend on. `node` is "" while unbound; `deletion_timestamp` is RFC 3339 when the pod is
    terminating.
    """

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    tolerations: tuple[Toleration, ...] = ()
    grace_s: int = 30
    owner: Owner | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = False
    deletion_timestamp: str | None = None
    disruption_reason: str | None = None
    is_mirror: bool = False

    @property
    def key(self) -> str:
        """``namespace/name``: what the taint-eviction controller keys its timers by (the UID is ignored through
        1.37).
        """
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class WorldNode:
    """What faults change and evictions depend on."""

    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    resource_version: str = ""

    @property
    def zone(self) -> str:
        """The zone label's value, "" without one."""
        return self.labels.get(wellknown.ZONE, "")


@dataclass(frozen=True, slots=True)
class World:
    """A snapshot. `kubernetes_version` is the server's gitVersion; `unreadable` names what permissions kept from us."""

    nodes: tuple[WorldNode, ...]
    pods: tuple[WorldPod, ...]
    kubernetes_version: str = ""
    unreadable: tuple[str, ...] = ()

    def pods_on(self, node: str) -> tuple[WorldPod, ...]:
        """The pods bound to `node`."""
        return tuple(pod for pod in self.pods if pod.node == node)


def _condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for condition in obj.get("status", {}).get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return {}


def pod_from_api(obj: Mapping[str, Any]) -> WorldPod:
    """A core/v1 Pod object (only the fields above are read)."""
    meta, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status", {})
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    disruption = _condition(obj, "DisruptionTarget")
    return WorldPod(
        namespace=meta.get("namespace", "default"),
        name=meta["name"],
        uid=meta.get("uid", ""),
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "Pending",
        tolerations=tolerations_from_api(spec.get("tolerations")),
        grace_s=30 if spec.get("terminationGracePeriodSeconds") is None else spec["terminationGracePeriodSeconds"],
        owner=Owner(owner["kind"], owner["name"], owner.get("uid", "")) if owner else None,
        labels=dict(meta.get("labels") or {}),
        ready=_condition(obj, "Ready").get("status") == "True",
        deletion_timestamp=meta.get("deletionTimestamp"),
        disruption_reason=disruption.get("reason") if disruption.get("status") == "True" else None,
        is_mirror=wellknown.MIRROR in (meta.get("annotations") or {}),
    )


def node_from_api(obj: Mapping[str, Any]) -> WorldNode:
    """A core/v1 Node object (only the fields above are read)."""
    meta, spec = obj["metadata"], obj.get("spec", {})
    return WorldNode(
        name=meta["name"],
        uid=meta.get("uid", ""),
        labels=dict(meta.get("labels") or {}),
        annotations=dict(meta.get("annotations") or {}),
        taints=taints_from_api(spec.get("taints")),
        unschedulable=bool(spec.get("unschedulable")),
        ready=_condition(obj, "Ready").get("status") == "True",
        resource_version=meta.get("resourceVersion", ""),
    )
