"""What a lab is made of, as values: what was asked for, what came up, and the words for its parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from harness.lab.topology import Topology, default_topology


class Component(StrEnum):
    """A part of the lab that can be restarted, killed or read the log of. Kubelets and runtimes are one a node."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    PROXY = "kube-proxy"
    KUBELET = "kubelet"
    RUNTIME = "runtime"
    DNS = "dns"
    PORT_FORWARDS = "port-forwards"
    PROMETHEUS = "prometheus"
    DISCOVERY = "discovery"


FLAGGABLE = (
    Component.ETCD,
    Component.API_SERVER,
    Component.CONTROLLER_MANAGER,
    Component.SCHEDULER,
    Component.KUBELET,
    Component.PROXY,
)
"""The components that take upstream's own flags from ``--flag COMPONENT=--name=value``."""


class NodeAction(StrEnum):
    """What can be done to a whole node.

    KILL: SIGKILL to kubelet, runtime and so every container at once (power loss); START: power back; PAUSE and
    RESUME: SIGSTOP and SIGCONT for the kubelet, the runtime and every process of its containers.
    """

    KILL = "kill"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Flag:
    """One extra flag of one component, as its own command line spells it: ``--name=value`` or a bare ``--name``."""

    component: Component
    text: str

    @property
    def name(self) -> str:
        """The flag without dashes and value: ``feature-gates`` of ``--feature-gates=A=true``."""
        return self.text.removeprefix("--").partition("=")[0]


@dataclass(frozen=True, slots=True)
class LabSpec:
    """What `up` is asked for.

    `kubernetes`: minor or full version (``1.35``), None for that of plane/go.mod. `binaries`: a folder that holds
    kubeplane, noderuntime and podinfo, None for the cache or a build. `prometheus`: a Prometheus program, None to
    find or fetch one; `with_prometheus` False runs the lab without. `timeout_s` bounds the wait for Ready nodes.
    """

    name: str = "default"
    kubernetes: str | None = None
    topology: Topology = field(default_factory=default_topology)
    flags: tuple[Flag, ...] = ()
    binaries: Path | None = None
    prometheus: Path | None = None
    with_prometheus: bool = True
    timeout_s: float = 90.0


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that is up.

    `kubeconfig` and `prometheus_url` (None: no Prometheus) work from the host and from inside the lab's network
    alike. `audit_log` holds one JSON object a line. `namespace_prefix` is an argv that, put before a program's own
    argv, runs it inside the lab's network with the lab's DNS, in the caller's working directory.
    """

    name: str
    folder: Path
    kubeconfig: Path
    audit_log: Path
    prometheus_url: str | None
    kubernetes_version: str
    namespace_prefix: tuple[str, ...]
