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
from msgspec.structs import replace as replaced

from harness.model import wellknown
from harness.model.state import ClusterState, NewPod, PersistentVolumeClaim
from harness.snapshot import wire
from harness.snapshot.convert import STRANGE, SUBJECTS, Builder
from harness.snapshot.templates import Templates
from harness.snapshot.wire import shapes

Json = dict[str, Any]

_REPLICATED = ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController")
_DAEMON_TOLERATIONS = (
    *((key, "NoExecute") for key in wellknown.DEFAULT_TOLERATED),
    (wellknown.DISK_PRESSURE, "NoSchedule"),
    (wellknown.MEMORY_PRESSURE, "NoSchedule"),
    (wellknown.PID_PRESSURE, "NoSchedule"),
    (wellknown.UNSCHEDULABLE, "NoSchedule"),
)


MAX_PODS = 10_000
"""Pods of one experiment's workload in a plan: some seconds of scheduling."""
_MAX_COPIED_BYTES = 64 << 20
"""Templates times replicas of StatefulSets, whose pods differ from each other."""
_SHAPES: Mapping[str, Any] = {
    "Pod": shapes.ManifestOfPod,
    **dict.fromkeys((*_REPLICATED, "Job", "DaemonSet"), shapes.ManifestOfWorkload),
}
_KINDS: Mapping[str, Any] = {kind.__struct_config__.tag: kind for kind in SUBJECTS}
_PODS_AND_NODES = ("Pod", "Node")


def with_objects(inventory: ClusterState, bodies: Sequence[Mapping[str, Any]]) -> tuple[ClusterState, ClusterState]:
    """`inventory` with the manifests' objects in it, and those objects alone; their pods are for `new_pods`, and their
    budgets are in the second only, since nobody has counted them yet. ValueError for what could not be stored.
    """
    builder = Builder()
    for body in bodies:
        kind = body.get("kind", "")
        _check(body)
        if kind in _KINDS and kind not in _PODS_AND_NODES:
            builder.add([_decoded(body, _KINDS[kind])])
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


def _check(body: Mapping[str, Any]) -> None:
    """ValueError, naming the object, when a part that is looked at is not of the API's shape."""
    try:
        msgspec.convert(body, _SHAPES.get(body.get("kind", ""), shapes.ManifestOfOther))
    except msgspec.ValidationError as error:
        raise ValueError(f"{_called(body)}: {error}") from error


def _decoded(body: Mapping[str, Any], kind: Any) -> Any:
    """The object as the API server would give it back. ValueError, naming it, for what could not be stored."""
    try:
        return msgspec.json.decode(msgspec.json.encode(body), type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{_called(body)}: {error}") from error


def _called(body: Mapping[str, Any]) -> str:
    return f"{body.get('kind')} {(body.get('metadata') or {}).get('name')}"


def _claims_of_set(body: Mapping[str, Any]) -> Iterator[PersistentVolumeClaim]:
    """The claims that a StatefulSet makes, one for each template and replica."""
    meta, spec = body["metadata"], body.get("spec") or {}
    for name in _replica_names("StatefulSet", meta["name"], spec.get("replicas")):
        for template in spec.get("volumeClaimTemplates") or ():
            wanted = template.get("spec") or {}
            yield PersistentVolumeClaim(
                namespace=meta.get("namespace") or "default",
                name=f"{template['metadata']['name']}-{name}",
                storage_class=wanted.get("storageClassName"),
                access_modes=tuple(wanted.get("accessModes") or ()),
            )


def new_pods(bodies: Sequence[Mapping[str, Any]], inventory: ClusterState) -> list[NewPod]:
    """The pods that Pods, Deployments, ReplicaSets, StatefulSets, Jobs and DaemonSets make; other kinds make none.
    ValueError for a pod that could not be stored, and for more than MAX_PODS.
    """
    templates = Templates()
    out: list[NewPod] = []
    for body in bodies:
        try:
            for pod in _of_object(body, inventory):
                record = templates.record(pod)
                out.append(NewPod(record.name, record.template, everywhere=body.get("kind") == "DaemonSet"))
                if len(out) > MAX_PODS:
                    raise _too_many(len(out))
        except STRANGE as error:
            raise ValueError(f"{_called(body)}: {error}") from error
    return out


def _too_many(number: int) -> ValueError:
    return ValueError(f"{number:,} pods or more; a plan takes at most {MAX_PODS:,} pods of a workload")


def _of_object(body: Mapping[str, Any], inventory: ClusterState) -> Iterator[wire.Pod]:
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
        names = _numbered(name, min(parallelism, parallelism if done is None else done))
    elif kind == "DaemonSet":
        names = [name]
    else:
        return
    owner_kind, owner = ("ReplicaSet", f"{name}-plan") if kind == "Deployment" else (kind, name)
    if kind == "StatefulSet" and len(names) * len(msgspec.json.encode(template)) > _MAX_COPIED_BYTES:
        raise ValueError(f"{len(names):,} replicas of so large a template are more than a plan takes")
    first: wire.Pod | None = None
    for number, pod_name in enumerate(names):
        if first is not None and kind != "StatefulSet":
            yield replaced(first, metadata=replaced(first.metadata, name=pod_name))
            continue
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
        first = _stored(namespace, pod_name, pod_meta, pod_spec, (owner_kind, owner), inventory)
        yield first


def _replica_names(kind: str, name: str, replicas: int | None) -> list[str]:
    middle = "-plan" if kind == "Deployment" else ""
    replicas = 1 if replicas is None else replicas
    return _numbered(f"{name}{middle}", replicas)


def _numbered(name: str, number: int) -> list[str]:
    if number > MAX_PODS:
        raise _too_many(number)
    return [f"{name}-{index}" for index in range(number)]


def _claim_of_replica(spec: Json, pod_spec: Json, pod_name: str) -> None:
    """A StatefulSet mounts volumeClaimTemplates as ``<template>-<pod>``."""
    for template in spec.get("volumeClaimTemplates") or ():
        claim = f"{template['metadata']['name']}-{pod_name}"
        pod_spec["volumes"] = [*(pod_spec.get("volumes") or ()), {"persistentVolumeClaim": {"claimName": claim}}]


def _daemon_toleration(pair: tuple[str, str]) -> Json:
    return {"key": pair[0], "operator": "Exists", "effect": pair[1]}


def _stored(
    namespace: str,
    name: str,
    meta: Mapping[str, Any],
    spec: Json,
    owner: tuple[str, str] | None,
    inventory: ClusterState,
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
    pod: wire.Pod = _decoded(body, wire.Pod)
    return pod


def _set_priority(spec: Json, inventory: ClusterState) -> None:
    """Admission plugin Priority."""
    name = spec.get("priorityClassName")
    builtin = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
    for each in inventory.priority_classes:
        if each.name == name or (not name and each.is_default):
            spec["priority"] = each.value
            spec["preemptionPolicy"] = spec.get("preemptionPolicy") or (
                "PreemptLowerPriority" if each.preempts else "Never"
            )
            return
    if name in builtin:
        spec["priority"] = builtin[name]


def _set_tolerations(spec: Json) -> None:
    """Admission plugin DefaultTolerationSeconds, with its default seconds."""
    given = list(spec.get("tolerations") or ())
    for key in wellknown.DEFAULT_TOLERATED:
        covered = any((t.get("key") or key) == key and (t.get("effect") or "NoExecute") == "NoExecute" for t in given)
        if not covered:
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute"}
            more = {**toleration, "tolerationSeconds": wellknown.DEFAULT_TOLERATION_S}
            spec["tolerations"] = [*(spec.get("tolerations") or ()), more]


def _set_requests(container: Json, namespace: str, inventory: ClusterState) -> None:
    """Admission plugin LimitRanger: defaults for what is left open; a given limit is the request's default."""
    resources = container.get("resources") or {}
    container["resources"] = resources
    for each in inventory.limit_ranges:
        if each.namespace == namespace:
            requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
            resources["requests"] = {**each.default_requests, **limits, **requests}
            resources["limits"] = {**each.default_limits, **limits}
