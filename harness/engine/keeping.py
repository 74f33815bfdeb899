"""What a run writes into its folder beside its history and its undo records."""

from __future__ import annotations

import contextlib
import platform
import traceback

import harness
from harness.engine.request import RunCluster, RunRequest
from harness.errors import ClusterError
from harness.files import write_whole
from harness.history.folder import RunFolder, write_json
from harness.history.redact import redact_experiment
from harness.history.redact_yaml import stored_spec
from harness.model.world import World


def write_experiment(folder: RunFolder, request: RunRequest) -> None:
    """The experiment as it was given, and as it was meant. OSError when there is no room."""
    write_whole(folder.spec, stored_spec(request.spec, keep_secrets=request.keep_secrets).encode())
    kept = request.experiment if request.keep_secrets else redact_experiment(request.experiment)
    write_json(folder.experiment, kept)


def write_versions(folder: RunFolder, target: RunCluster, world: World) -> None:
    """What the run was done with. ClusterError when the cluster has no nodes."""
    if not world.nodes:
        raise ClusterError(f"{target.cluster.name} has no nodes")
    versions = {
        "taintlab": harness.__version__,
        "kubernetes": target.kubernetes_version,
        "python": platform.python_version(),
    }
    nodes = [
        {"name": node.name, "labels": dict(node.labels), "taints": [str(taint) for taint in node.taints]}
        for node in world.nodes
    ]
    body = {
        "versions": versions,
        "reach": target.reach,
        "settings": target.settings,
        "environment": {"cluster": target.cluster.name, "nodes": nodes},
    }
    write_json(folder.versions, body)


def keep_traceback(folder: RunFolder, defect: BaseException) -> None:
    """``defect.txt``, as far as there is room for it."""
    with contextlib.suppress(OSError):
        write_whole(folder.path / "defect.txt", "".join(traceback.format_exception(defect)).encode(errors="replace"))
