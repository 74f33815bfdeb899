"""The lab's addresses. Every lab has a network namespace of its own, so all labs use the same ones."""

from __future__ import annotations

from ipaddress import IPv4Address

from harness.model.topology import MAX_NODES as MAX_NODES  # node i owns 10.244.i.0/24

API_ADDRESS = "172.30.0.1"
"""Where the API server and Prometheus listen; on the namespace's loopback interface."""
API_PORT = 6443
DNS_ADDRESS = "172.30.0.2"
"""Where CoreDNS listens; the endpoint behind DNS_SERVICE."""
DNS_SERVICE = "10.96.0.10"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
POD_CIDR = "10.244.0.0/16"
CLUSTER_DOMAIN = "cluster.local"
PROMETHEUS_PORT = 9090
KUBELET_PORT = 10250


def node_ip(index: int) -> str:
    """The address of node `index` (1-based): 172.30.0.10 plus index."""
    return str(IPv4Address("172.30.0.10") + index)


def pod_cidr(index: int) -> str:
    """The pods' range on node `index` (1-based)."""
    return f"10.244.{index}.0/24"
