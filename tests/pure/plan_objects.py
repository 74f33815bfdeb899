"""API objects in few words, and inventories made of them the way files are read."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.model.state import ClusterState, Pod, PodTemplate, Subject
from harness.snapshot import Builder
from harness.snapshot.convert import SUBJECTS

Json = dict[str, Any]
_KINDS: dict[str, Any] = {kind.__struct_config__.tag: kind for kind in SUBJECTS}
HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


def node(name: str, *, taints: tuple[str, ...] = (), zone: str = "", cordoned: bool = False, **room: Any) -> Json:
    """A node; `taints` as key=value:Effect; `room` overrides cpu 4, memory 8Gi, pods 110; ``labels`` adds labels."""
    labels = {HOST: name, **({ZONE: zone} if zone else {}), **room.pop("labels", {})}
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110", **room}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [taint(text) for text in taints], "unschedulable": cordoned},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def taint(text: str) -> Json:
    """``key=value:Effect``."""
    left, effect = text.rsplit(":", 1)
    key, _, value = left.partition("=")
    return {"key": key, "value": value, "effect": effect}


def tolerate(key: str = "", *, effect: str = "", seconds: int | None = None) -> Json:
    """A toleration with operator Exists."""
    out: Json = {"operator": "Exists"}
    if key:
        out["key"] = key
    if effect:
        out["effect"] = effect
    if seconds is not None:
        out["tolerationSeconds"] = seconds
    return out


def pod(
    name: str, on: str = "", *, app: str = "", owner: str = "", cpu: str = "100m", memory: str = "64Mi", **spec: Any
) -> Json:
    """A running pod on a node, or one without a node. `owner`: ``Kind/name``; ``ready``, ``phase``, ``labels``,
    ``deleting``, ``namespace``, ``mirror`` and ``requests`` are taken out of `spec`, the rest goes into it.
    """
    phase = spec.pop("phase", "Running" if on else "Pending")
    ready = spec.pop("ready", bool(on))
    meta: Json = {
        "name": name,
        "namespace": spec.pop("namespace", "default"),
        "uid": f"uid-{name}",
        "labels": {**({"app": app} if app else {}), **spec.pop("labels", {})},
    }
    if owner:
        kind, _, owner_name = owner.partition("/")
        meta["ownerReferences"] = [{"kind": kind, "name": owner_name, "uid": f"uid-{owner}", "controller": True}]
    if spec.pop("deleting", False):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if spec.pop("mirror", False):
        meta["annotations"] = {"kubernetes.io/config.mirror": "x"}
    requests = spec.pop("requests", {"cpu": cpu, "memory": memory})
    containers = [{"name": "main", "resources": {"requests": requests}, "ports": spec.pop("ports", [])}]
    grace = spec.pop("grace", 30)
    return {
        "kind": "Pod",
        "metadata": meta,
        "spec": {"nodeName": on, "containers": containers, "terminationGracePeriodSeconds": grace, **spec},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def selects(app: str) -> Json:
    """A label selector for ``app``."""
    return {"matchLabels": {"app": app}}


def away(app: str, key: str = HOST) -> Json:
    """Required anti-affinity, as the value of ``affinity``."""
    term = {"labelSelector": selects(app), "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def near(app: str, key: str = HOST) -> Json:
    """Required affinity, as the value of ``affinity``."""
    term = {"labelSelector": selects(app), "topologyKey": key}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def spread(app: str, key: str = ZONE, **more: Any) -> list[Json]:
    """One constraint that forbids."""
    constraint = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"}
    return [{**constraint, "labelSelector": selects(app), **more}]


def service(name: str, app: str, **spec: Any) -> Json:
    """A Service of the pods labelled so."""
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": app}, **spec},
    }


def budget(name: str, app: str, *, allowed: int, desired: int = 1, **spec: Any) -> Json:
    """A PodDisruptionBudget with its status."""
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": selects(app), **(spec or {"maxUnavailable": 1})},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": desired + allowed, "desiredHealthy": desired},
    }


def job(name: str, *, limit: int = 6, failed: int = 0, ignores: bool = False) -> Json:
    """A Job."""
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    policy = {"podFailurePolicy": {"rules": [rule]}} if ignores else {}
    return {
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"backoffLimit": limit, **policy},
        "status": {"failed": failed},
    }


def volume(name: str, *, key: str = ZONE, values: tuple[str, ...] = (), claim: str = "") -> list[Json]:
    """A volume tied to places, and the claim bound to it (of the same name unless `claim` says otherwise)."""
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}
    return [
        {
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}, "capacity": {"storage": "1Gi"}},
            "status": {"phase": "Bound"},
        },
        {
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim or name, "namespace": "default"},
            "spec": {"volumeName": name},
            "status": {"phase": "Bound"},
        },
    ]


def mounts(claim: str) -> list[Json]:
    """``volumes`` of a pod that uses the claim."""
    return [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]


def cluster_state(*objects: Json, missing: dict[Subject, str] | None = None, taken: str | None = None) -> ClusterState:
    """What a file with these objects is read as, with everything known but what is in `missing`."""
    builder = Builder()
    builder.add([msgspec.json.decode(msgspec.json.encode(each), type=_KINDS[each["kind"]]) for each in objects])
    return builder.build(kubernetes_version="v1.35.4", taken=taken, missing=missing or {})


def template_of(obj: Json) -> PodTemplate:
    """The template of one pod."""
    return record_of(obj).template


def record_of(obj: Json) -> Pod:
    """The record of one pod."""
    [found] = cluster_state(obj).pods
    return found
