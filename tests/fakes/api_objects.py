"""Objects as the API has them, with what taintlab reads and little more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def node(labels: Mapping[str, str] | None = None, taints: Sequence[Mapping[str, Any]] = (), **spec: Any) -> Json:
    """A Ready node."""
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    if taints:
        spec["taints"] = [dict(taint) for taint in taints]
    return {
        "metadata": {"labels": dict(labels or {})},
        "spec": spec,
        "status": {"conditions": conditions, "allocatable": allocatable, "capacity": allocatable},
    }


def pod(
    node_name: str = "",
    *,
    tolerations: Sequence[Mapping[str, Any]] = (),
    labels: Mapping[str, str] | None = None,
    owner: Mapping[str, str] | None = None,
    grace_s: int = 30,
    finalizers: Sequence[str] = (),
) -> Json:
    """A running, Ready pod on `node_name`; Pending without one. `owner`: kind, name, uid of its controller."""
    meta: Json = {"labels": dict(labels or {})}
    if owner:
        meta["ownerReferences"] = [{"apiVersion": "apps/v1", "controller": True, **owner}]
    if finalizers:
        meta["finalizers"] = list(finalizers)
    spec: Json = {
        "containers": [{"name": "main", "image": "example.com/main:1"}],
        "tolerations": [dict(toleration) for toleration in tolerations],
        "terminationGracePeriodSeconds": grace_s,
    }
    status: Json = {"phase": "Pending"}
    if node_name:
        spec["nodeName"] = node_name
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": meta, "spec": spec, "status": status}


def endpoint_slice(service: str, *, ready: int, terminating: int = 0) -> Json:
    """A slice with that many endpoints."""

    def endpoint(number: int, *, is_ready: bool) -> Json:
        conditions = {"ready": is_ready, "serving": True, "terminating": not is_ready}
        return {"addresses": [f"10.0.0.{number}"], "conditions": conditions}

    endpoints = [endpoint(1 + i, is_ready=True) for i in range(ready)]
    endpoints += [endpoint(100 + i, is_ready=False) for i in range(terminating)]
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [],
    }
