"""Every component's command line, as pure functions: what we set, and how a user's flag replaces ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.lab import addresses
from harness.lab.values import FLAGGABLE, Component, Flag

_ETCD_NAMED = "http://127.0.0.1:2379"
_ETCD_PEER_NAMED = "http://127.0.0.1:2380"
"""What the member calls itself; etcd wants a host and a port there. Nobody listens on them."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The files that command lines name."""

    kubeplane: Path
    pki: Path
    etcd_data: Path
    sockets: Path
    audit_policy: Path
    audit_log: Path

    @property
    def etcd_url(self) -> str:
        """A Unix socket, where only the lab's owner gets: on a port, every pod with hostNetwork could read and write
        the whole cluster past the API server.
        """
        return f"unix://{self.sockets}/etcd.sock"


def parse_flag(text: str) -> Flag:
    """``COMPONENT=--name=value`` or ``COMPONENT=--name`` as `lab up --flag` takes it; UsageError with the fix."""
    known = ", ".join(FLAGGABLE)
    component, _, flag = text.partition("=")
    if component not in list(FLAGGABLE):
        raise UsageError(
            f"--flag {text}: unknown component {component!r}; write COMPONENT=--flag=value, with one of: {known}"
        )
    if not flag.startswith("--") or len(flag) < 3:
        raise UsageError(f"--flag {text}: after {component}= comes the flag with its dashes: --some-flag=value")
    return Flag(component=Component(component), text=flag)


def merged(ours: Iterable[str], user: Sequence[Flag], component: Component) -> tuple[str, ...]:
    """Our flags without those that the user names as well, then the user's for this component, in their order."""
    chosen = [flag for flag in user if flag.component is component]
    names = {flag.name for flag in chosen}
    kept = [text for text in ours if Flag(component, text).name not in names]
    return (*kept, *(flag.text for flag in chosen))


def etcd(paths: Paths, user: Sequence[Flag]) -> tuple[str, ...]:
    """One member. Without fsync: a lab's data need not outlive the machine's power."""
    ours = (
        f"--data-dir={paths.etcd_data}",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
        f"--listen-client-urls={paths.etcd_url}",
        f"--advertise-client-urls={_ETCD_NAMED}",
        f"--listen-peer-urls=unix://{paths.sockets}/etcd-peer.sock",
        f"--initial-advertise-peer-urls={_ETCD_PEER_NAMED}",
        f"--initial-cluster=default={_ETCD_PEER_NAMED}",
    )
    return (str(paths.kubeplane), "etcd", *merged(ours, user, Component.ETCD))


def api_server(paths: Paths, user: Sequence[Flag]) -> tuple[str, ...]:
    """RBAC, Node authorizer, NodeRestriction and (upstream's default) ServiceAccount admission are on."""
    issuer = f"https://kubernetes.default.svc.{addresses.CLUSTER_DOMAIN}"
    ours = (
        f"--etcd-servers={paths.etcd_url}",
        "--bind-address=0.0.0.0",
        f"--secure-port={addresses.API_PORT}",
        f"--advertise-address={addresses.API_ADDRESS}",
        f"--service-cluster-ip-range={addresses.SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={paths.pki}/ca.crt",
        f"--tls-cert-file={paths.pki}/apiserver.crt",
        f"--tls-private-key-file={paths.pki}/apiserver.key",
        f"--kubelet-client-certificate={paths.pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={paths.pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={paths.pki}/sa.pub",
        f"--service-account-signing-key-file={paths.pki}/sa.key",
        f"--service-account-issuer={issuer}",
        f"--audit-policy-file={paths.audit_policy}",
        f"--audit-log-path={paths.audit_log}",
        "--profiling=false",
    )
    return (str(paths.kubeplane), "kube-apiserver", *merged(ours, user, Component.API_SERVER))


def controller_manager(paths: Paths, user: Sequence[Flag]) -> tuple[str, ...]:
    """Client QPS, grace periods and eviction rates stay upstream's; leader election is off (there is one)."""
    kubeconfig = f"{paths.pki}/controller-manager.kubeconfig"
    ours = (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={paths.pki}/sa.key",
        f"--root-ca-file={paths.pki}/ca.crt",
        f"--cluster-signing-cert-file={paths.pki}/ca.crt",
        f"--cluster-signing-key-file={paths.pki}/ca.key",
        f"--cluster-cidr={addresses.POD_CIDR}",
        "--profiling=false",
    )
    return (
        str(paths.kubeplane),
        "kube-controller-manager",
        *merged(ours, user, Component.CONTROLLER_MANAGER),
    )


def scheduler(paths: Paths, user: Sequence[Flag]) -> tuple[str, ...]:
    """Upstream's default profile; leader election is off."""
    kubeconfig = f"{paths.pki}/scheduler.kubeconfig"
    ours = (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    )
    return (str(paths.kubeplane), "kube-scheduler", *merged(ours, user, Component.SCHEDULER))


def proxy(paths: Paths, user: Sequence[Flag], *, node: str) -> tuple[str, ...]:
    """One for all nodes (they share a network namespace), under the name of `node`, which must be registered.

    In a network namespace the conntrack limits may not be written: all of them are set to leave them alone.
    """
    ours = (
        f"--kubeconfig={paths.pki}/proxy.kubeconfig",
        "--proxy-mode=nftables",
        f"--hostname-override={node}",
        f"--cluster-cidr={addresses.POD_CIDR}",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    )
    return (str(paths.kubeplane), "kube-proxy", *merged(ours, user, Component.PROXY))


def kubelet(kubeplane: Path, node_file: Path, user: Sequence[Flag]) -> tuple[str, ...]:
    """The kubelet's settings are in node.json; only the user's flags come here."""
    return (str(kubeplane), "kubelet", f"--node={node_file}", *merged((), user, Component.KUBELET))


def dns(paths: Paths) -> tuple[str, ...]:
    """CoreDNS for the cluster's own names; every other name does not exist."""
    return (
        str(paths.kubeplane),
        "dns",
        f"--kubeconfig={paths.pki}/dns.kubeconfig",
        f"--listen={addresses.DNS_ADDRESS}",
        f"--domain={addresses.CLUSTER_DOMAIN}",
    )


AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
"""
"""Every write, once, when it is answered; stamps have microseconds (requestReceivedTimestamp, stageTimestamp)."""
