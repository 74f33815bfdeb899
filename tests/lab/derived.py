"""Copies of the library's experiments that can run side by side: nodes and namespace of their own, all else as is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LIBRARY = Path(__file__).resolve().parents[2] / "experiments"
POOL, NAMESPACE = "spot", "default"
"""What the library's own files choose."""


def derive(name: str, folder: Path, *, pool: str, namespace: str) -> Path:
    """Writes ``LIBRARY/name.yaml`` and its manifests below `folder`, for the nodes with the label ``pool=POOL`` and for
    `namespace`; the new experiment's path. KeyError or AssertionError for a file that chooses its nodes in another way.
    """
    experiment = yaml.safe_load((LIBRARY / f"{name}.yaml").read_text())
    spec = experiment["spec"]
    nodes = spec["target"]["nodes"]
    assert nodes["selector"] == f"pool={POOL}", f"{name} chooses nodes by {nodes['selector']}"
    nodes["selector"] = f"pool={pool}"
    if "load" in spec:
        spec["load"]["url"] = _moved(spec["load"]["url"], namespace)
    for manifest in spec["workload"]:
        objects = yaml.safe_load_all((LIBRARY / manifest).read_text())
        file = folder / manifest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump_all([_placed(obj, pool, namespace) for obj in objects], sort_keys=False))
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return path


def _moved(url: str, namespace: str) -> str:
    """``http://web.default.svc`` with another namespace."""
    before, dot, after = url.partition(f".{NAMESPACE}.svc")
    assert dot, f"{url} names no Service of namespace {NAMESPACE}"
    return f"{before}.{namespace}.svc{after}"


def _placed(obj: dict[str, Any], pool: str, namespace: str) -> dict[str, Any]:
    """The object in `namespace`, its pods on nodes of `pool`."""
    assert "namespace" not in obj["metadata"], f"{obj['metadata']['name']} has a namespace of its own"
    obj["metadata"]["namespace"] = namespace
    pod = {"Pod": obj, "Deployment": obj.get("spec", {}).get("template")}.get(obj["kind"])
    if pod is not None:
        assert pod["spec"]["nodeSelector"] == {"pool": POOL}, f"{obj['metadata']['name']} may run elsewhere"
        pod["spec"]["nodeSelector"] = {"pool": pool}
    return obj
