"""What is known of a control plane, its version and the flags of its components, as settings of the predictor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cluster.ports import Cluster
from harness.errors import ClusterError, UsageError
from harness.formats.values import duration_s
from harness.semantics.eviction.settings import BUSY, Gate, NodeLifecycle, Settings, settings_for

_PODS = "/api/v1/namespaces/kube-system/pods"
_COMPONENTS = ("kube-controller-manager", "kube-apiserver")

Reader = Callable[[Settings, str], Settings]


def _of_nodes(name: str, parse: Callable[[str], float]) -> Reader:
    """A flag that is a field of `NodeLifecycle`."""

    def read(settings: Settings, value: str) -> Settings:
        nodes: NodeLifecycle = replace(settings.nodes, **{name: parse(value)})  # type: ignore[arg-type]
        return replace(settings, nodes=nodes)

    return read


_READERS: Mapping[tuple[str, str], Reader] = {
    ("kube-controller-manager", "kube-api-qps"): lambda s, value: replace(s, kcm_qps=float(value)),
    ("kube-controller-manager", "kube-api-burst"): lambda s, value: replace(s, kcm_burst=int(value)),
    ("kube-controller-manager", "feature-gates"): lambda s, value: replace(s, gates=_gates_on(value)),
    ("kube-apiserver", "feature-gates"): lambda s, value: replace(s, api_gates=_gates_on(value)),
    ("kube-controller-manager", "node-monitor-period"): _of_nodes("period_s", duration_s),
    ("kube-controller-manager", "node-monitor-grace-period"): _of_nodes("grace_s", duration_s),
    ("kube-controller-manager", "node-eviction-rate"): _of_nodes("rate_per_s", float),
    ("kube-controller-manager", "secondary-node-eviction-rate"): _of_nodes("secondary_rate_per_s", float),
    ("kube-controller-manager", "unhealthy-zone-threshold"): _of_nodes("unhealthy_ratio", float),
    ("kube-controller-manager", "large-cluster-size-threshold"): _of_nodes("large_zone", int),
}
"""The flags that decide evictions. That the taint-eviction-controller is switched off is not among them: a run is to
find that out.
"""


def settings_of(version: str, flags: Sequence[str]) -> tuple[Settings, tuple[str, ...]]:
    """Upstream's defaults for `version`, changed by `flags` (``COMPONENT=--name=value``); and what is to be said about
    that: a version that was not modelled is taken for the default one, a flag that cannot be read for its default.

    The latency is what a verdict allows a control plane at least. The predictor's own defaults are those of a quiet
    lab; a machine that also runs the service and the load is busier, and a control plane that takes a second is slow,
    not wrong. What a run measures beyond a quiet machine's time comes on top (`harness.check.latency`).
    """
    notes: list[str] = []
    try:
        settings = settings_for(version)
    except UsageError as error:
        settings = Settings()
        notes.append(f"timing as of Kubernetes 1.{settings.minor}: {error}")
    for flag in flags:
        component, name, value = _parted(flag)
        reader = _READERS.get((component, name))
        if reader is None:
            continue
        try:
            settings = reader(settings, value.strip("'\""))
        except ValueError:
            notes.append(f"{component} has --{name}={value}, which could not be read: Kubernetes' default is assumed")
    return replace(settings, latency=BUSY), tuple(notes)


def _gates_on(value: str) -> frozenset[Gate]:
    on = {item.removesuffix("=true") for item in value.split(",") if item.endswith("=true")}
    return frozenset(gate for gate in Gate if gate.value in on)


async def flags_of(cluster: Cluster) -> tuple[str, ...]:
    """The flags of the controller manager and the API server, where these are pods that can be listed (kubeadm, kind);
    () for a managed control plane, or without the permission.
    """
    query = f"component in ({','.join(_COMPONENTS)})"
    try:
        listing = await cluster.list(_PODS, labelSelector=query)
    except ClusterError:
        return ()
    return deciding(flag for pod in listing.items for flag in _flags(pod))


def deciding(flags: Iterable[str]) -> tuple[str, ...]:
    """Those of `flags` that decide evictions, each once."""
    return tuple(dict.fromkeys(flag for flag in flags if _parted(flag)[:2] in _READERS))


def _parted(flag: str) -> tuple[str, str, str]:
    """Component, name and value of ``COMPONENT=--name=value``."""
    component, _, text = flag.partition("=")
    name, _, value = text.removeprefix("--").partition("=")
    return component, name, value


def _flags(pod: Mapping[str, Any]) -> Iterator[str]:
    component = (pod["metadata"].get("labels") or {}).get("component", "")
    for container in pod.get("spec", {}).get("containers") or ():
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        yield from (f"{component}={word}" for word in words if word.startswith("--") and "=" in word)
