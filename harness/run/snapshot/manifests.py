"""The pods that manifests would make, as the API server would store them: for plans of what is not applied yet.

Done here is what admission does on a stock cluster: priority from its class, the two default tolerations, defaults of a
LimitRange, the default namespace. The controllers' part is names, owners, labels, and a claim for each replica.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from harness.model.inventory import Claim, Inventory
from harness.plan.consequences.applied import NewPod
from harness.run.snapshot import wire
from harness.run.snapshot.convert import SUBJECTS, Builder
from harness.run.snapshot.templates import Templates

Json = dict[str, Any]

_REPLICATED = ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController")
_DEFAULT_TOLERATION_S = 300
_CONDITION_KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_DAEMON_TOLERATIONS = (
    *((key, "NoExecute") for key in _CONDITION_KEYS),
    *((f"node.kubernetes.io/{name}-pressure", "NoSchedule") for name in ("disk", "memory", "pid")),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


_KINDS: Mapping[str, Any] = {kind.__struct_config__.tag: kind for kind in SUBJECTS}
_PODS_AND_NODES = ("Pod", "Node")


def with_objects(inventory: Inventory, bodies: Sequence[Mapping[str, Any]]) -> tuple[Inventory, Inventory]:
    """`inventory` with the manifests' objects in it, and those objects alone; their pods are for `new_pods`, and their
    budgets are in the second only, since nobody has counted them yet. ValueError for what could not be stored.
    """
    builder = Builder()
    for body in bodies:
        kind = body.get("kind", "")
        if kind in _KINDS and kind not in _PODS_AND_NODES:
            builder.add([msgspec.json.decode(msgspec.json.encode(body), type=_KINDS[kind])])
    more = builder.build(kubernetes_version="", taken=None, missing={})
    claims = tuple(claim for body in bodies if body.get("kind") == "StatefulSet" for claim in _claims_of_set(body))
    whole = replace(
        inventory,
        namespaces={**inventory.namespaces, **more.namespaces},
        services=inventory.services + more.services,
        jobs=inventory.jobs + more.jobs,
        claims=inventory.claims + more.claims + claims,
        volumes=inventory.volumes + more.volumes,
        storage_classes=inventory.storage_classes + more.storage_classes,
        quotas=inventory.quotas + more.quotas,
        limit_ranges=inventory.limit_ranges + more.limit_ranges,
        priority_classes=inventory.priority_classes + more.priority_classes,
    )
    return whole, more


def _claims_of_set(body: Mapping[str, Any]) -> Iterator[Claim]:
    """The claims that a StatefulSet makes, one for each template and replica."""
    meta, spec = body["metadata"], body.get("spec") or {}
    for name in _replica_names("StatefulSet", meta["name"], spec.get("replicas", 1)):
        for template in spec.get("volumeClaimTemplates") or ():
            wanted = template.get("spec") or {}
            yield Claim(
                namespace=meta.get("namespace") or "default",
                name=f"{template['metadata']['name']}-{name}",
                storage_class=wanted.get("storageClassName"),
                access_modes=tuple(wanted.get("accessModes") or ()),
            )


def new_pods(bodies: Sequence[Mapping[str, Any]], inventory: Inventory) -> list[NewPod]:
    """The pods that Pods, Deployments, ReplicaSets, StatefulSets, Jobs and DaemonSets make; other kinds make none.
    ValueError for a pod that could not be stored.
    """
    templates = Templates()
    out = []
    for body in bodies:
        for pod in _of_object(body, inventory):
            record = templates.record(pod)
            out.append(NewPod(record.name, record.template, everywhere=body.get("kind") == "DaemonSet"))
    return out


def _of_object(body: Mapping[str, Any], inventory: Inventory) -> Iterator[wire.Pod]:
    kind, meta = body.get("kind", ""), body.get("metadata") or {}
    namespace, name = meta.get("namespace") or "default", meta.get("name") or ""
    spec = body.get("spec") or {}
    if kind == "Pod":
        yield _stored(namespace, name, meta, spec, None, inventory)
        return
    template = spec.get("template") or {}
    if kind in _REPLICATED:
        names = _replica_names(kind, name, spec.get("replicas"))
    elif kind == "Job":
        parallelism = 1 if spec.get("parallelism") is None else spec["parallelism"]
        done = spec.get("completions")
        names = [f"{name}-{number}" for number in range(min(parallelism, parallelism if done is None else done))]
    elif kind == "DaemonSet":
        names = [name]
    else:
        return
    owner_kind, owner = ("ReplicaSet", f"{name}-plan") if kind == "Deployment" else (kind, name)
    for number, pod_name in enumerate(names):
        pod = copy.deepcopy(template)
        labels = {**((pod.get("metadata") or {}).get("labels") or {})}
        pod_spec = pod.get("spec") or {}
        if kind == "Deployment":
            labels["pod-template-hash"] = "plan"
        if kind == "StatefulSet":
            labels["apps.kubernetes.io/pod-index"] = str(number)
            labels["statefulset.kubernetes.io/pod-name"] = pod_name
            _claim_of_replica(spec, pod_spec, pod_name)
        if kind == "DaemonSet":
            pod_spec["tolerations"] = [
                *(pod_spec.get("tolerations") or ()),
                *map(_daemon_toleration, _DAEMON_TOLERATIONS),
            ]
        pod_meta = {**(pod.get("metadata") or {}), "labels": labels}
        yield _stored(namespace, pod_name, pod_meta, pod_spec, (owner_kind, owner), inventory)


def _replica_names(kind: str, name: str, replicas: int | None) -> list[str]:
    middle = "-plan" if kind == "Deployment" else ""
    replicas = 1 if replicas is None else replicas
    return [f"{name}{middle}-{number}" for number in range(replicas)]


def _claim_of_replica(spec: Json, pod_spec: Json, pod_name: str) -> None:
    """A StatefulSet mounts volumeClaimTemplates as ``<template>-<pod>``."""
    for template in spec.get("volumeClaimTemplates") or ():
        claim = f"{template['metadata']['name']}-{pod_name}"
        pod_spec.setdefault("volumes", []).append({"persistentVolumeClaim": {"claimName": claim}})


def _daemon_toleration(pair: tuple[str, str]) -> Json:
    return {"key": pair[0], "operator": "Exists", "effect": pair[1]}


def _stored(
    namespace: str, name: str, meta: Mapping[str, Any], spec: Json, owner: tuple[str, str] | None, inventory: Inventory
) -> wire.Pod:
    spec = copy.deepcopy(spec)
    _set_priority(spec, inventory)
    _set_tolerations(spec)
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        _set_requests(container, namespace, inventory)
    references = [{"kind": owner[0], "name": owner[1], "uid": f"plan-{owner[1]}", "controller": True}] if owner else []
    body = {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "",
            "labels": meta.get("labels") or {},
            "ownerReferences": references,
        },
        "spec": spec,
        "status": {"phase": "Pending"},
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=wire.Pod)


def _set_priority(spec: Json, inventory: Inventory) -> None:
    """Admission plugin Priority."""
    name = spec.get("priorityClassName")
    builtin = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
    for each in inventory.priority_classes:
        if each.name == name or (not name and each.is_default):
            spec["priority"] = each.value
            spec.setdefault("preemptionPolicy", "PreemptLowerPriority" if each.preempts else "Never")
            return
    if name in builtin:
        spec["priority"] = builtin[name]


def _set_tolerations(spec: Json) -> None:
    """Admission plugin DefaultTolerationSeconds, with its default seconds."""
    given = list(spec.get("tolerations") or ())
    for key in _CONDITION_KEYS:
        covered = any(t.get("key", "") in ("", key) and t.get("effect", "") in ("", "NoExecute") for t in given)
        if not covered:
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute"}
            spec.setdefault("tolerations", []).append({**toleration, "tolerationSeconds": _DEFAULT_TOLERATION_S})


def _set_requests(container: Json, namespace: str, inventory: Inventory) -> None:
    """Admission plugin LimitRanger: defaults for what is left open; a given limit is the request's default."""
    resources = container.setdefault("resources", {}) or {}
    container["resources"] = resources
    for each in inventory.limit_ranges:
        if each.namespace == namespace:
            requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
            resources["requests"] = {**each.default_requests, **limits, **requests}
            resources["limits"] = {**each.default_limits, **limits}
