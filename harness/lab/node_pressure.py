"""The figures that a kubelet is told to believe: ``dials.json`` in the node's folder, read by it at every look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError
from harness.formats.values import quantity

NODE_SIGNALS = (
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "pid.available",
)
"""What is free on the node, by the kubelet's eviction signals. Unset: its capacity minus what the pods really use."""

POD_FIGURES = ("memory.workingset", "disk.used")
"""What one pod uses. Unset: what its processes really use."""


def parse_figures(figures: Mapping[str, str], *, pod: str | None) -> dict[str, str]:
    """The same figures, checked; UsageError for a key that cannot be set, a bad quantity or a bad pod name."""
    known = NODE_SIGNALS if pod is None else POD_FIGURES
    if pod is not None and (pod.count("/") != 1 or not all(pod.split("/"))):
        raise UsageError(f"--pod {pod}: write NAMESPACE/NAME")
    out = {}
    for key, value in figures.items():
        if key not in known:
            of = "a node" if pod is None else "a pod"
            raise UsageError(f"{key!r} cannot be set for {of}; there are: {', '.join(known)}")
        try:
            out[key] = quantity(value)
        except ValueError as error:
            raise UsageError(f"{key}: {error}") from error
    return out


def merged(present: Mapping[str, Any], figures: Mapping[str, str] | None, *, pod: str | None) -> dict[str, Any]:
    """The new content of ``dials.json``: `present` with `figures` put in (of the node, or of one pod).

    `figures` None removes: everything without `pod`, that pod's figures with it.
    """
    if figures is None and pod is None:
        return {}
    pods = {name: dict(values) for name, values in (present.get("pods") or {}).items()}
    content = {key: value for key, value in present.items() if key != "pods"}
    if pod is None:
        content.update(figures or {})
    elif figures is None:
        pods.pop(pod, None)
    else:
        pods[pod] = {**pods.get(pod, {}), **figures}
    return {**content, "pods": pods} if pods else content
