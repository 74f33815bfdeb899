"""Which cluster a recovery is about. A run folder comes from anybody: what it says about a cluster is a hint that is
compared with what the command line and the environment say, and never opens a file or allows a context by itself.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import lab as labs
from harness.adapters.kube import connect
from harness.clock import Clock
from harness.cluster.ports import Cluster
from harness.errors import UsageError
from harness.wiring.sessions import ClusterRef, is_kind, only_lab


def named(where: ClusterRef) -> ClusterRef:
    """`where` with the lab that is meant when the command line names none; UsageError when that is not clear."""
    if where.lab is not None or where.context is not None:
        return where
    return replace(where, lab=only_lab())


def of_folder(where: ClusterRef, reach: Mapping[str, Any]) -> ClusterRef:
    """Where the run of a folder was, as far as the folder may decide that; what the command line names goes first.

    `reach`: what the folder says (``{"lab": NAME}`` or ``{"context": NAME, "kubeconfig": PATH or None}``). UsageError
    when it says nothing, names a kubeconfig that is not the one in force, or a context that is neither lab nor kind
    and that the command line does not allow.
    """
    if where.lab is not None or where.context is not None:
        return where
    lab, context, kubeconfig = (_text(reach.get(key)) for key in ("lab", "context", "kubeconfig"))
    if lab:
        return replace(where, lab=lab)
    if not context:
        raise UsageError("the folder does not say where the run was: name it with --lab NAME or --context NAME")
    if kubeconfig and not _is_in_force(kubeconfig, where.kubeconfig):
        raise UsageError(
            f"the folder names the kubeconfig {kubeconfig!r}; in force is "
            f"{', '.join(map(str, in_force(where.kubeconfig)))}; a file that a folder names is never opened: if it is "
            f"yours, add --context {context} --kubeconfig FILE"
        )
    if not is_kind(context) and context not in where.allow:
        raise UsageError(
            f"the folder names the context {context!r}, which is neither a lab nor kind; a folder cannot allow its own "
            f"context: if it may really be changed, add --context {context} (or --allow-context {context})"
        )
    return replace(where, context=context)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def in_force(kubeconfig: Path | None) -> list[Path]:
    """The kubeconfig files that the command line (--kubeconfig), else KUBECONFIG, else the default name."""
    if kubeconfig is not None:
        return [kubeconfig]
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / ".kube" / "config"]


def _is_in_force(name: str, kubeconfig: Path | None) -> bool:
    """Whether `name` is one of the files in force. Relative names are those of the present folder, as everywhere on a
    command line, never those of the run folder.
    """
    return any(_same(Path(name), path.expanduser()) for path in in_force(kubeconfig))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.absolute() == other.absolute() or one.samefile(other)
    except (OSError, ValueError):
        return False


def is_where(reach: Mapping[str, Any], where: ClusterRef) -> bool:
    """Whether `where` is the very lab or context that a folder says."""
    lab, context, kubeconfig = (_text(reach.get(key)) for key in ("lab", "context", "kubeconfig"))
    if where.lab is not None:
        return where.lab == lab
    if not context or where.context != context:
        return False
    ours = in_force(where.kubeconfig)
    theirs = [Path(kubeconfig)] if kubeconfig else in_force(None)
    return any(_same(one.expanduser(), other.expanduser()) for one in ours for other in theirs)


def lab_is_gone(where: ClusterRef) -> bool:
    """Whether `where` is a lab that is not up any more; UsageError when its name cannot be one."""
    return where.lab is not None and labs.find(where.lab) is None


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
