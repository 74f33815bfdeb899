"""What each node is told (node.json), and which of its labels a kubelet may not give itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.lab import addresses
from harness.lab.hiding import Hiding
from harness.lab.state import SOCKET_PATH_BYTES, Folder
from harness.lab.topology import Node

BELOW_ROOT_BYTES = len("/kubelet/pod-resources/4294967295")
"""The longest socket that a kubelet makes below its node's root, under a random name at first."""

_OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
    }
)
_OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_GUARDED_DOMAINS = ("kubernetes.io", "k8s.io")


def settable_by_kubelet(label: str) -> bool:
    """Whether NodeRestriction lets a kubelet register with this label.

    Rule: k8s.io/kubelet/pkg/apis/well_known_labels.go (IsKubeletLabel) and plugin/pkg/admission/noderestriction.
    """
    namespace, slash, _ = label.partition("/")
    if not slash or not _within(namespace, _GUARDED_DOMAINS):
        return True
    return label in _OWN_LABELS or _within(namespace, _OWN_NAMESPACES)


def _within(namespace: str, domains: tuple[str, ...]) -> bool:
    return any(namespace == domain or namespace.endswith(f".{domain}") for domain in domains)


def kubelet_kubeconfig(folder: Folder, node: str) -> Path:
    """Where a node's kubeconfig is."""
    return folder.node(node) / "kubelet.kubeconfig"


def runtime_socket(sockets: Path, index: int) -> Path:
    """Where a node's runtime listens; short, whatever the node is called."""
    return sockets / f"runtime-{index}.sock"


def root_of(node: Node, *, folder: Folder, sockets: Path) -> Path:
    """The path under which the node's processes know its folder.

    That is the folder itself, or a short link to it from the sockets' folder when the kubelet's own sockets (its
    pod-resources API) would not fit below it.
    """
    place = folder.node(node.name)
    if len(os.fsencode(place)) + BELOW_ROOT_BYTES <= SOCKET_PATH_BYTES:
        return place
    return sockets / f"node-{node.index}"


def node_file(node: Node, *, folder: Folder, sockets: Path, hiding: Hiding) -> dict[str, Any]:
    """The content of node.json, which both processes of a node read (contract: harness/lab/plane)."""
    return {
        "name": node.name,
        "index": node.index,
        "node_ip": addresses.node_ip(node.index),
        "pod_cidr": addresses.pod_cidr(node.index),
        "root": str(root_of(node, folder=folder, sockets=sockets)),
        "kubeconfig": str(kubelet_kubeconfig(folder, node.name)),
        "runtime_socket": str(runtime_socket(sockets, node.index)),
        "client_ca_file": str(folder.pki / "ca.crt"),
        "cluster_dns": addresses.DNS_SERVICE,
        "cluster_domain": addresses.CLUSTER_DOMAIN,
        "capacity": dict(node.capacity),
        "labels": {key: value for key, value in node.labels.items() if settable_by_kubelet(key)},
        "taints": [taint.to_api() for taint in node.taints],
        "eviction_hard": dict(node.eviction_hard),
        "eviction_pressure_transition_s": node.eviction_pressure_transition_s,
        "programs": str(folder.programs),
        "hidden_paths": list(hiding.paths),
        "homes": list(hiding.homes),
        "kept_paths": list(hiding.kept),
        "feature_gates": {},
    }


def administrators_patch(node: Node) -> dict[str, Any]:
    """The merge patch that completes a node after its kubelet registered it: its pods' range, and the labels that
    only an administrator may set (``node-role.kubernetes.io/...``).
    """
    cidr = addresses.pod_cidr(node.index)
    labels = {key: value for key, value in node.labels.items() if not settable_by_kubelet(key)}
    patch: dict[str, Any] = {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
    if labels:
        patch["metadata"] = {"labels": labels}
    return patch
