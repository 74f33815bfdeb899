"""Good files of every kind that strangers may hand us, for the fuzz of readers to spoil."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.pure.plan_objects import away, budget, job, mounts, near, node, pod, service, spread, tolerate, volume

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "experiments" / "manifests"

EXPERIMENTS = tuple(path.read_bytes() for path in sorted((ROOT / "experiments").glob("*.yaml")))

SCRIPTS = (
    b"""\
version: 1
nodes:
- {name: a, labels: {zone: z1}, taints: [{key: gpu, value: x, effect: NoSchedule}]}
- {name: b}
pods:
- name: p0
  node: a
  tolerations:
  - {key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 5}
  - {key: gpu, operator: Equal, value: x, effect: NoSchedule}
- {name: p1, node: b, tolerations: []}
writes:
- {at: 0.0, taints: {node: a, set: [{key: spot, value: x, effect: NoExecute, timeAdded: "2026-01-02T03:04:05Z"}]}}
- {at: 2.0, tolerations: {pod: p0, set: [{key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 9}]}}
- {at: 3.0, create: {name: p2, node: a, tolerations: []}}
- {at: 4.0, delete: {pod: p2}}
- {at: 5.0, restart: kube-controller-manager}
- {at: 5.0, taints: {node: b, set: [{key: node.kubernetes.io/unreachable, effect: NoExecute}]}}
until: 12.0
""",
    json.dumps(
        {
            "version": 1,
            "nodes": [{"name": "n", "taints": [{"key": "spot", "effect": "NoExecute"}]}],
            "pods": [{"name": f"p{n}", "node": "n", "tolerations": [{"operator": "Exists"}]} for n in range(9)],
            "writes": [{"at": n / 2, "taints": {"node": "n", "set": []}} for n in range(9)],
            "until": 30,
        }
    ).encode(),
)

TOPOLOGIES = (
    b"""\
nodes:
  - name: spot
    count: 2
    labels: {pool: spot, topology.kubernetes.io/zone: zone-a}
    taints: ["spot=true:NoSchedule", {key: gpu, value: "true", effect: NoExecute}]
    capacity: {cpu: 16, memory: 64Gi, pods: 110, nvidia.com/gpu: 4}
    evictionHard: {memory.available: 500Mi, nodefs.available: 10%}
    evictionPressureTransitionPeriod: 30s
  - name: one
programs:
  registry.example/app: ["/usr/local/bin/app", "--flag"]
  registry.example/host: ["@host", "sleep", "5"]
""",
)

WORLD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "List",
    "taintlab": {
        "version": 1,
        "kubernetes": "v1.35.4",
        "taken": "2026-01-01T00:00:00Z",
        "cluster": "prod",
        "missing": {"jobs.batch": "may not list jobs.batch (forbidden)"},
        "flags": ["kube-controller-manager=--kube-api-qps=50"],
    },
    "items": [
        node("a", zone="z1"),
        node("b", zone="z2", taints=("x=y:NoSchedule",)),
        *(pod(f"web-{n}", "a", app="web", owner="ReplicaSet/web-1", tolerations=[tolerate("x")]) for n in range(4)),
        pod("apart-1", "a", app="apart", affinity=away("apart"), topologySpreadConstraints=spread("apart")),
        pod("near-1", "a", app="near", affinity=near("web"), volumes=mounts("data")),
        pod("job-1", "a", app="job", owner="Job/job"),
        service("web", "web"),
        budget("web", "web", allowed=1),
        job("job"),
        *volume("data", values=("z1",), claim="data"),
        {"kind": "Namespace", "metadata": {"name": "default", "labels": {"a": "b"}}},
        {"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000, "globalDefault": False},
        {
            "kind": "ResourceQuota",
            "metadata": {"name": "q", "namespace": "default"},
            "spec": {"hard": {"requests.cpu": "10"}},
            "status": {"hard": {"requests.cpu": "10", "pods": "20"}, "used": {"requests.cpu": "1", "pods": "5"}},
        },
    ],
}

PLAN_EXPERIMENT = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: fuzzed}
spec:
  workload: [manifests.yaml]
  target: {nodes: {selector: pool=spot, count: 1}, seed: 7}
  load: {url: "http://web.default.svc", rate: 10/s}
  phases: {baseline: 5s, fault: 30s}
  faults: [{taint: {key: spot, value: "true", effect: NoExecute}}, {cordon: {}}]
  expect: {slos: [{name: ok, phases: [fault], good: success, ratio: 0.99}]}
"""


def manifests(rng: Random | None = None) -> bytes:
    """Objects of most kinds that a plan looks at, and of one that it does not know; with `rng` a few of them."""
    spec = {
        "containers": [
            {
                "name": "c",
                "image": "example/app",
                "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": 1}},
                "ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}],
            }
        ],
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
        "affinity": away("web"),
        "topologySpreadConstraints": spread("web"),
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "high",
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    labels = {"matchLabels": {"app": "web"}}
    claims = [{"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "s"}}]
    objects = [
        _object("apps/v1", "Deployment", "web", {"replicas": 2, "selector": labels, "template": template}),
        _object(
            "apps/v1",
            "StatefulSet",
            "db",
            {"replicas": 2, "selector": labels, "template": template, "volumeClaimTemplates": claims},
        ),
        _object("apps/v1", "DaemonSet", "agent", {"selector": labels, "template": template}),
        _object("batch/v1", "Job", "job", {"parallelism": 2, "completions": 4, "template": template}),
        _object("v1", "Pod", "bare", spec),
        _object("v1", "Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        _object("policy/v1", "PodDisruptionBudget", "web", {"maxUnavailable": "50%", "selector": labels}),
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 5},
        _object("v1", "LimitRange", "lr", {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}),
        _object("v1", "PersistentVolumeClaim", "c", {"resources": {"requests": {"storage": "1Gi"}}}),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "b"}},
    ]
    chosen = objects if rng is None else rng.sample(objects, rng.randint(1, 4))
    return yaml.safe_dump_all(json.loads(json.dumps(chosen))).encode()


def _object(api_version: str, kind: str, name: str, spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": spec,
    }


CLAIM: dict[str, Any] = {
    "version": 1,
    "run": "noexecute-evicts-20260101T000000Z-7",
    "deadline": "2026-01-01T00:10:00Z",
    "taints": [
        {
            "ours": {"key": "spot", "value": "true", "effect": "NoExecute"},
            "before": {"key": "spot", "value": "x", "effect": "NoExecute"},
            "index": 0,
        }
    ],
    "unschedulableBefore": False,
}
