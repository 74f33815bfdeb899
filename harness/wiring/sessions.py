"""Opening a cluster: a lab, a kind cluster, or a context that was named and allowed. Nothing else is ever touched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import lab as labs
from harness.adapters.kube import KubeCluster, connect
from harness.clock import Clock
from harness.cluster.ports import Cluster, Components
from harness.cluster.reference import ClusterRef
from harness.errors import ClusterError, UsageError
from harness.lab.values import Lab
from harness.lab.view import record_of
from harness.semantics.eviction.settings import Settings
from harness.snapshot.control_plane import deciding, flags_of, settings_of


@dataclass(frozen=True, slots=True)
class ClusterSession:
    """An open cluster with all that belongs to it. `load_prefix`: argv prefix that puts a program where it can reach
    Services. `flags`: those of its components that decide evictions, as far as known (``COMPONENT=--name=value``).
    `notes`: what is to be said about `settings`.
    """

    cluster: KubeCluster
    components: Components | None
    load_prefix: tuple[str, ...]
    prometheus_url: str | None
    kubernetes_version: str
    settings: Settings
    reach: dict[str, Any]
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _LabComponents:
    """See `harness.cluster.ports.Components`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def restart(self, component: str) -> None:
        """SIGKILL and start again; LabError when the lab has no such component."""
        await asyncio.to_thread(labs.restart, self._lab, component)


@asynccontextmanager
async def open_session(where: ClusterRef, *, clock: Clock, for_writing: bool) -> AsyncIterator[ClusterSession]:
    """Connect. UsageError when nothing was named, the lab is not up, or the context may not be touched."""
    if where.context is not None:
        place = await _open_context(where.context, where, clock, for_writing=for_writing)
    else:
        place = await _open_lab(labs.get(where.lab or only_lab()), where, clock)
    try:
        yield place
    finally:
        await place.cluster.close()


@asynccontextmanager
async def open_cluster(where: ClusterRef, *, clock: Clock) -> AsyncIterator[Cluster]:
    """Connect to the lab or context of `where`; UsageError when there is no such thing. Nothing is asked of it: what
    does not answer is found out piece by piece.
    """
    if where.context is not None:
        name, kubeconfig = f"context {where.context}", where.kubeconfig
    else:
        lab = labs.get(where.lab or only_lab())
        name, kubeconfig = f"lab {lab.name}", lab.kubeconfig
    cluster = await connect(kubeconfig=kubeconfig, context=where.context, name=name, clock=clock)
    try:
        yield cluster
    finally:
        await cluster.close()


def named(where: ClusterRef) -> ClusterRef:
    """`where` with the lab that is meant when the command line names none; UsageError when that is not clear."""
    return where if where.is_named else replace(where, lab=only_lab())


def lab_is_gone(where: ClusterRef) -> bool:
    """Whether `where` is a lab that is not up any more; UsageError when its name cannot be one."""
    return where.lab is not None and labs.find(where.lab) is None


def default_kubeconfigs() -> list[Path]:
    """The kubeconfig files in force when the command line names none: KUBECONFIG's, else the default name."""
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / ".kube" / "config"]


def only_lab() -> str:
    """The lab that is meant when none is named: the only one that is up."""
    up = [row.name for row in labs.listing() if labs.find(row.name) is not None]
    if len(up) == 1:
        return up[0]
    seen = f"labs that are up: {', '.join(up)}" if up else "no lab is up"
    raise UsageError(f"name a cluster with --lab NAME or --context NAME ({seen})")


async def _open_lab(lab: Lab, where: ClusterRef, clock: Clock) -> ClusterSession:
    cluster = await connect(kubeconfig=lab.kubeconfig, context=None, name=f"lab {lab.name}", clock=clock)
    flags = deciding(record_of(lab).flags)
    settings, notes = settings_of(lab.kubernetes_version, flags)
    return ClusterSession(
        cluster=cluster,
        components=_LabComponents(lab),
        load_prefix=lab.namespace_prefix,
        prometheus_url=where.prometheus or lab.prometheus_url,
        kubernetes_version=lab.kubernetes_version,
        settings=settings,
        reach={"lab": lab.name},
        flags=flags,
        notes=notes,
    )


async def _open_context(context: str, where: ClusterRef, clock: Clock, *, for_writing: bool) -> ClusterSession:
    if for_writing and not where.may_be_changed:
        raise UsageError(
            f"context {context} is neither a lab nor kind: if it may really be changed, add --allow-context {context}"
        )
    cluster = await connect(kubeconfig=where.kubeconfig, context=context, name=f"context {context}", clock=clock)
    try:
        version = (await cluster.get("/version"))["gitVersion"]
    except (ClusterError, KeyError) as error:
        await cluster.close()
        raise ClusterError(f"context {context}: {error}") from error
    flags = await flags_of(cluster)
    settings, notes = settings_of(version, flags)
    return ClusterSession(
        cluster=cluster,
        components=None,
        load_prefix=(),
        prometheus_url=where.prometheus,
        kubernetes_version=version,
        settings=settings,
        reach={"context": context, "kubeconfig": str(where.kubeconfig.absolute()) if where.kubeconfig else None},
        flags=flags,
        notes=notes,
    )
