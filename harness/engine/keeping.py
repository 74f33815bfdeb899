"""Where a run is kept, and what it writes into its folder beside its history and its undo records."""

from __future__ import annotations

import contextlib
import platform
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import harness
from harness.engine.request import RunCluster, RunRequest
from harness.errors import ClusterError
from harness.files import write_whole
from harness.history.folder import RunFolder, write_json
from harness.history.redact import redact_experiment
from harness.history.redact_yaml import stored_spec
from harness.model.experiment import Experiment
from harness.model.state import Node


def write_experiment(folder: RunFolder, request: RunRequest) -> None:
    """The experiment as it was given, and as it was meant. OSError when there is no room."""
    write_whole(folder.spec, stored_spec(request.spec, keep_secrets=request.keep_secrets).encode())
    kept = request.experiment if request.keep_secrets else redact_experiment(request.experiment)
    write_json(folder.experiment, kept)


def write_versions(folder: RunFolder, target: RunCluster, nodes: Sequence[Node]) -> None:
    """What the run was done with. ClusterError when the cluster has no nodes."""
    if not nodes:
        raise ClusterError(f"{target.cluster.name} has no nodes")
    versions = {
        "taintlab": harness.__version__,
        "kubernetes": target.kubernetes_version,
        "python": platform.python_version(),
    }
    told = [
        {"name": node.name, "labels": dict(node.labels), "taints": [str(taint) for taint in node.taints]}
        for node in sorted(nodes, key=lambda node: node.name)
    ]
    body = {
        "versions": versions,
        "reach": target.reach,
        "settings": target.settings,
        "environment": {"cluster": target.cluster.name, "nodes": told},
    }
    write_json(folder.versions, body)


def keep_traceback(folder: RunFolder, defect: BaseException) -> None:
    """``defect.txt``, as far as there is room for it."""
    with contextlib.suppress(OSError):
        write_whole(folder.path / "defect.txt", "".join(traceback.format_exception(defect)).encode(errors="replace"))


def default_folder(experiment: Experiment, *, wall_ns: int, base: Path) -> Path:
    """``runs/<experiment>/<UTC>-<seed>`` in `base`; `wall_ns`: now, since the epoch."""
    stamp = datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    seed = experiment.target.seed if experiment.target else 0
    return base / "runs" / experiment.name / f"{stamp}-{seed}"
