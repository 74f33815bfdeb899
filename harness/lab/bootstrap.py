"""The API objects that the lab itself puts into a fresh cluster, and no others.

The ServiceAccount and the ConfigMap are what the controller manager would make some seconds later; it takes them over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.lab import addresses, pki

Object = tuple[str, dict[str, Any]]
"""(the collection's path, the object)."""

SERVICE_ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
CONTROLLER_ACCOUNTS = (
    "attachdetach-controller",
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "service-cidrs-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
)
"""The controllers' own ServiceAccounts in kube-system (client names in cmd/kube-controller-manager/app of 1.35).

The controller manager asks for each and creates those that are missing, one by one at its 20 requests a second, before
it runs any controller: with all of them there it needs half the requests, and the controllers run 0.9 s after its start
rather than 4.3 s. One that a release does not know stays unused; one that is missing here it makes itself.
"""

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_READ = ("get", "list", "watch")


def controller_accounts() -> Iterator[Object]:
    """What the controller manager would make before it runs anything."""
    for name in CONTROLLER_ACCOUNTS:
        yield "/api/v1/namespaces/kube-system/serviceaccounts", _named("v1", "ServiceAccount", name)


def objects(*, ca: str) -> Iterator[Object]:
    """Everything, in the order in which it is needed. `ca`: the authority's certificate (PEM)."""
    yield SERVICE_ACCOUNTS, _named("v1", "ServiceAccount", "default")
    yield (
        "/api/v1/namespaces/default/configmaps",
        {**_named("v1", "ConfigMap", "kube-root-ca.crt"), "data": {"ca.crt": ca}},
    )
    yield _binding("kubelet-client", user=pki.KUBELET_CLIENT.user, role="system:kubelet-api-admin")
    yield _role(
        "dns",
        [
            _rule("", ("namespaces", "pods", "services"), ("list", "watch")),
            _rule("discovery.k8s.io", ("endpointslices",), ("list", "watch")),
        ],
    )
    yield _binding("dns", user=pki.DNS.user, role="taintlab:dns")
    yield _role(
        "prometheus",
        [
            _rule("", ("nodes", "pods", "services", "endpoints", "namespaces"), _READ),
            _rule("", ("nodes/metrics",), ("get",)),
            {"nonResourceURLs": ["/metrics", "/metrics/*"], "verbs": ["get"]},
        ],
    )
    yield _binding("prometheus", user=pki.PROMETHEUS.user, role="taintlab:prometheus")
    yield from _dns_service()


def _dns_service() -> Iterator[Object]:
    ports = [("dns", "UDP"), ("dns-tcp", "TCP")]
    yield (
        "/api/v1/namespaces/kube-system/services",
        {
            **_named("v1", "Service", "kube-dns", {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}),
            "spec": {
                "clusterIP": addresses.DNS_SERVICE,
                "ports": [{"name": name, "protocol": protocol, "port": 53} for name, protocol in ports],
            },
        },
    )
    labels = {"kubernetes.io/service-name": "kube-dns", "endpointslice.kubernetes.io/managed-by": "taintlab"}
    yield (
        "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
        {
            **_named("discovery.k8s.io/v1", "EndpointSlice", "kube-dns-taintlab", labels),
            "addressType": "IPv4",
            "endpoints": [{"addresses": [addresses.DNS_ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": name, "protocol": protocol, "port": 53} for name, protocol in ports],
        },
    )


def _named(api_version: str, kind: str, name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _rule(group: str, resources: tuple[str, ...], verbs: tuple[str, ...]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _role(name: str, rules: list[dict[str, Any]]) -> Object:
    role = _named("rbac.authorization.k8s.io/v1", "ClusterRole", f"taintlab:{name}")
    return f"{_RBAC}/clusterroles", {**role, "rules": rules}


def _binding(name: str, *, user: str, role: str) -> Object:
    binding = _named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", f"taintlab:{name}")
    group = "rbac.authorization.k8s.io"
    return (
        f"{_RBAC}/clusterrolebindings",
        {
            **binding,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    )
