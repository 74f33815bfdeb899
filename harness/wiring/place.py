"""Where a run happens: a lab, a kind cluster, or a context that was named and allowed. Nothing else is ever touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import lab as labs
from harness.adapters.kube import KubeCluster, connect
from harness.clock import Clock
from harness.errors import ClusterError, UsageError
from harness.lab.values import Lab
from harness.lab.view import record_of
from harness.plan.predict.settings import BUSY, Gate, Settings, settings_for
from harness.run.ports import Components

_KIND_PREFIX = "kind-"

#: What a verdict allows a control plane. The predictor's own defaults are those of a quiet lab; a machine that also
#: runs the service and the load is busier, and a control plane that takes a second is slow, not wrong.
RUN_LATENCY = BUSY


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line named. Exactly one of `lab` and `context`, or neither (then a lab is started, or the
    running one used).

    `allow`: contexts that are neither lab nor kind and may be touched all the same. `prometheus`: a URL, None for
    the lab's own.
    """

    lab: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    allow: tuple[str, ...] = ()
    prometheus: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """An open cluster with all that belongs to it. `load_prefix`: argv prefix that puts a program where it can reach
    Services.
    """

    cluster: KubeCluster
    components: Components | None
    load_prefix: tuple[str, ...]
    prometheus_url: str | None
    kubernetes_version: str
    settings: Settings
    reach: dict[str, Any]


class _LabComponents:
    """See `harness.run.ports.Components`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def restart(self, component: str) -> None:
        """SIGKILL and start again; LabError when the lab has no such component."""
        await asyncio.to_thread(labs.restart, self._lab, component)


@asynccontextmanager
async def open_place(where: Where, *, clock: Clock, for_writing: bool) -> AsyncIterator[Place]:
    """Connect. UsageError when nothing was named, the lab is not up, or the context may not be touched."""
    if where.context is not None:
        place = await _open_context(where.context, where, clock, for_writing=for_writing)
    else:
        place = await _open_lab(labs.get(where.lab or _only_lab()), where, clock)
    try:
        yield place
    finally:
        await place.cluster.close()


def _only_lab() -> str:
    """The lab that is meant when none is named: the only one that is up."""
    up = [row.name for row in labs.listing() if labs.find(row.name) is not None]
    if len(up) == 1:
        return up[0]
    seen = f"labs that are up: {', '.join(up)}" if up else "no lab is up"
    raise UsageError(f"name a cluster with --lab NAME or --context NAME ({seen})")


async def _open_lab(lab: Lab, where: Where, clock: Clock) -> Place:
    cluster = await connect(kubeconfig=lab.kubeconfig, context=None, name=f"lab {lab.name}", clock=clock)
    return Place(
        cluster=cluster,
        components=_LabComponents(lab),
        load_prefix=lab.namespace_prefix,
        prometheus_url=where.prometheus or lab.prometheus_url,
        kubernetes_version=lab.kubernetes_version,
        settings=settings_of_lab(lab.kubernetes_version, record_of(lab).flags),
        reach={"lab": lab.name},
    )


async def _open_context(context: str, where: Where, clock: Clock, *, for_writing: bool) -> Place:
    if for_writing and not context.startswith(_KIND_PREFIX) and context not in where.allow:
        raise UsageError(
            f"context {context} is neither a lab nor kind: if it may really be changed, add --allow-context {context}"
        )
    cluster = await connect(kubeconfig=where.kubeconfig, context=context, name=f"context {context}", clock=clock)
    try:
        version = (await cluster.get("/version"))["gitVersion"]
    except (ClusterError, KeyError) as error:
        await cluster.close()
        raise ClusterError(f"context {context}: {error}") from error
    return Place(
        cluster=cluster,
        components=None,
        load_prefix=(),
        prometheus_url=where.prometheus,
        kubernetes_version=version,
        settings=replace(settings_for(version), latency=RUN_LATENCY),
        reach={"context": context, "kubeconfig": str(where.kubeconfig) if where.kubeconfig else None},
    )


def settings_of_lab(version: str, flags: Sequence[str]) -> Settings:
    """Upstream's defaults for `version`, changed by the lab's own component flags (``COMPONENT=--name=value``).

    Read are kube-controller-manager's --kube-api-qps, --kube-api-burst and --feature-gates; a gate counts when that
    component has it.
    """
    settings = replace(settings_for(version), latency=RUN_LATENCY)
    for flag in flags:
        component, _, text = flag.partition("=")
        name, _, value = text.removeprefix("--").partition("=")
        match component, name:
            case "kube-controller-manager", "kube-api-qps":
                settings = replace(settings, kcm_qps=float(value))
            case "kube-controller-manager", "kube-api-burst":
                settings = replace(settings, kcm_burst=int(value))
            case "kube-controller-manager", "feature-gates":
                settings = replace(settings, gates=_gates_on(value))
            case "kube-apiserver", "feature-gates":
                settings = replace(settings, api_gates=_gates_on(value))
            case _:
                pass
    return settings


def _gates_on(value: str) -> frozenset[Gate]:
    on = {item.removesuffix("=true") for item in value.split(",") if item.endswith("=true")}
    return frozenset(gate for gate in Gate if gate.value in on)
