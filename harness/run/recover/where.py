"""Which cluster a recovery is about. A run folder comes from anybody: what it says about a cluster is a hint that is
compared with what the command line and the environment say, and never opens a file or allows a context by itself.

`defaults`, below: the kubeconfig files that are in force when the command line names none (``KUBECONFIG``, or the
default name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cluster.reference import ClusterRef
from harness.errors import UsageError


def of_folder(where: ClusterRef, reach: Mapping[str, Any], *, defaults: Sequence[Path]) -> ClusterRef:
    """Where the run of a folder was, as far as the folder may decide that; what the command line names goes first.

    `reach`: what the folder says (``{"lab": NAME}`` or ``{"context": NAME, "kubeconfig": PATH or None}``). UsageError
    when it says nothing, names a kubeconfig that is not the one in force, or a context that is neither lab nor kind
    and that the command line does not allow.
    """
    if where.is_named:
        return where
    lab, context, kubeconfig = (_text(reach.get(key)) for key in ("lab", "context", "kubeconfig"))
    if lab:
        return replace(where, lab=lab)
    if not context:
        raise UsageError("the folder does not say where the run was: name it with --lab NAME or --context NAME")
    in_force = _in_force(where.kubeconfig, defaults)
    # Relative names are those of the present folder, as everywhere on a command line, never those of the run folder.
    if kubeconfig and not any(_same(Path(kubeconfig), path.expanduser()) for path in in_force):
        raise UsageError(
            f"the folder names the kubeconfig {kubeconfig!r}; in force is {', '.join(map(str, in_force))}; a file that "
            f"a folder names is never opened: if it is yours, add --context {context} --kubeconfig FILE"
        )
    meant = replace(where, context=context)
    if not meant.may_be_changed:
        raise UsageError(
            f"the folder names the context {context!r}, which is neither a lab nor kind; a folder cannot allow its own "
            f"context: if it may really be changed, add --context {context} (or --allow-context {context})"
        )
    return meant


def is_where(reach: Mapping[str, Any], where: ClusterRef, *, defaults: Sequence[Path]) -> bool:
    """Whether `where` is the very lab or context that a folder says."""
    lab, context, kubeconfig = (_text(reach.get(key)) for key in ("lab", "context", "kubeconfig"))
    if where.lab is not None:
        return where.lab == lab
    if not context or where.context != context:
        return False
    ours = _in_force(where.kubeconfig, defaults)
    theirs = [Path(kubeconfig)] if kubeconfig else defaults
    return any(_same(one.expanduser(), other.expanduser()) for one in ours for other in theirs)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _in_force(kubeconfig: Path | None, defaults: Sequence[Path]) -> Sequence[Path]:
    return defaults if kubeconfig is None else [kubeconfig]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.absolute() == other.absolute() or one.samefile(other)
    except (OSError, ValueError):
        return False
