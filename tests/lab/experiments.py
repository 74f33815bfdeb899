"""Short experiments for tests, written to a folder: the same service as experiment 01, in a namespace of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


def deployment(name: str, *, replicas: int, tolerations: list[dict[str, Any]], pool: str | None) -> dict[str, Any]:
    """A Deployment of podinfo."""
    pod: dict[str, Any] = {
        "terminationGracePeriodSeconds": 5,
        "tolerations": tolerations,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": name}},
            }
        ],
        "containers": [
            {
                "name": "web",
                "image": "ghcr.io/stefanprodan/podinfo:6",
                "command": ["./podinfo", "--port=9898"],
                "ports": [{"containerPort": 9898}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1},
                "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }
        ],
    }
    if pool:
        pod["nodeSelector"] = {"pool": pool}
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "9898"}
    template = {"metadata": {"labels": {"app": name}, "annotations": annotations}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def service(name: str) -> dict[str, Any]:
    """Its Service."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 9898}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@dataclass
class Made:
    """An experiment to be written. `name` also names the namespace, so that tests do not meet."""

    name: str
    objects: list[dict[str, Any]] = field(default_factory=list)
    target: dict[str, Any] = field(default_factory=lambda: {"nodes": {"selector": "pool=spot", "count": 1}, "seed": 7})
    phases: dict[str, str] = field(
        default_factory=lambda: {"warmup": "1s", "baseline": "4s", "fault": "8s", "recovery": "6s"}
    )
    faults: list[dict[str, Any]] = field(
        default_factory=lambda: [{"taint": {"key": "taintlab.test/spot", "value": "true", "effect": "NoExecute"}}]
    )
    load: bool = True
    expect: dict[str, Any] = field(
        default_factory=lambda: {
            "evictions": "as-predicted",
            "slos": [{"name": "success", "phases": ["baseline", "fault"], "good": "success", "ratio": 0.98}],
            "recovery": {"within": "5s"},
        }
    )

    def write(self, folder: Path) -> Path:
        """The experiment's file; its manifests beside it."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        objects = [namespace]
        objects += [{**obj, "metadata": {**obj["metadata"], "namespace": self.name}} for obj in self.objects]
        (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
        spec: dict[str, Any] = {
            "workload": ["objects.yaml"],
            "target": self.target,
            "phases": self.phases,
            "faults": self.faults,
            "expect": self.expect,
        }
        if self.load:
            spec["load"] = {"url": f"http://web.{self.name}.svc.cluster.local", "rate": "50/s", "timeout": "2s"}
        path = folder / f"{self.name}.yaml"
        body = {"apiVersion": "taintlab.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": self.name}}
        path.write_text(yaml.safe_dump({**body, "spec": spec}))
        return path


def web(name: str, **changes: Any) -> Made:
    """Six replicas of podinfo behind a Service, spread over all nodes."""
    objects = [deployment("web", replicas=6, tolerations=[], pool=None), service("web")]
    return Made(name, **{"objects": objects, **changes})
