"""Worlds as large clusters have them: three zones, three pools, and the workloads that practitioners' guides describe.

Pools: `general`; `spot` (tainted spot=true:NoSchedule); `gpu` (tainted, extended resource). Workloads: replicated APIs,
some spread or kept apart, many small internal services, batch on spot with a finite toleration, training Jobs,
inference, databases with volumes tied to a zone, four agents on each node, a few legacy services that tolerate
everything, and bare pods. Sizes have a long tail. The same seed gives the same world.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from harness.snapshot import Header, WorldWriter, wire

Json = dict[str, Any]

ZONES = ("eu-1a", "eu-1b", "eu-1c")
POOLS = (("general", 0.60), ("spot", 0.30), ("gpu", 0.10))
GPU = "nvidia.com/gpu"
TAKEN = "2026-03-01T12:00:00Z"
_STARTED = "2026-03-01T09:30:00Z"
_AGENTS = ("log-agent", "node-exporter", "cni", "csi-node")
_PLACE = "\x00"
_LISTED = tuple(f'{{"apiVersion": "v1", "kind": "{kind}"' for kind in ("Pod", "Node"))


def write_world(path: Path, *, nodes: int, pods: int, seed: int = 1) -> None:
    """A world file as `taintlab snapshot` writes it, packed."""
    decoder = msgspec.json.Decoder(list[wire.Item])
    with path.open("wb") as file:
        writer = WorldWriter(file, packed=path.suffix == ".gz")
        for lines in _batches(make_items(nodes=nodes, pods=pods, seed=seed)):
            writer.add(decoder.decode(f"[{','.join(lines)}]"))
        writer.close(Header(version=1, kubernetes="v1.35.4", taken=TAKEN, cluster="benchmark"))


def write_kubectl_list(path: Path, *, nodes: int, pods: int, seed: int = 1) -> None:
    """Nodes and Pods alone, complete and indented, as ``kubectl get nodes,pods -A -o json`` prints them."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{\n    "apiVersion": "v1",\n    "items": [')
        separator = "\n"
        for item in make_items(nodes=nodes, pods=pods, seed=seed):
            if item.startswith(('{"apiVersion": "v1", "kind": "Pod"', '{"apiVersion": "v1", "kind": "Node"')):
                text = json.dumps(json.loads(item), indent=4)
                file.write(separator + "\n".join(f"        {line}" for line in text.split("\n")))
                separator = ",\n"
        file.write('\n    ],\n    "kind": "List",\n    "metadata": {\n        "resourceVersion": ""\n    }\n}\n')


def _batches(items: Iterator[str], size: int = 2000) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def make_items(*, nodes: int, pods: int, seed: int) -> Iterator[str]:
    """Every object of the world as a line of JSON."""
    return _World(nodes, pods, Random(seed)).items()


class _World:
    def __init__(self, nodes: int, pods: int, rng: Random) -> None:
        self.rng = rng
        self.pods = pods
        self.pools: dict[str, list[str]] = {}
        self.zone_of: dict[str, str] = {}
        first = 0
        for pool, share in POOLS:
            count = max(3, round(nodes * share))
            self.pools[pool] = [f"{pool}-{number:05d}" for number in range(first, first + count)]
            first += count
        for names in self.pools.values():
            for number, name in enumerate(names):
                self.zone_of[name] = ZONES[number % 3]
        self.namespaces = [f"team-{number:03d}" for number in range(max(5, nodes // 20))]
        self.turn: dict[str, int] = dict.fromkeys(self.pools, 0)
        self.serial = 0

    def items(self) -> Iterator[str]:
        yield from self.nodes()
        for name in (*self.namespaces, "kube-system"):
            yield self.plain(
                "v1", "Namespace", name, "", {"metadata": {"labels": {"kubernetes.io/metadata.name": name}}}
            )
        for name, value in (("batch-low", -10), ("business-high", 10000)):
            yield self.plain("scheduling.k8s.io/v1", "PriorityClass", name, "", {"value": value})
        yield from self.agents()
        left = self.pods - self.serial
        makers = (
            (self.service, 0.62),
            (self.batch, 0.14),
            (self.inference, 0.04),
            (self.training, 0.05),
            (self.database, 0.07),
            (self.legacy, 0.06),
            (self.bare, 0.02),
        )
        number = 0
        while left > 0:
            [maker] = self.rng.choices([maker for maker, _ in makers], [share for _, share in makers])
            number += 1
            size = min(left, self.size())
            yield from maker(f"{maker.__name__}-{number:05d}", self.rng.choice(self.namespaces), size)
            left = self.pods - self.serial
        yield from self.quotas()

    def size(self) -> int:
        """Long-tailed: mostly two to ten pods, now and then some hundred."""
        return max(1, min(400, int(self.rng.paretovariate(1.1) * 3)))

    # --- objects ---

    def plain(self, version: str, kind: str, name: str, namespace: str, body: Json) -> str:
        meta = {"name": name, **({"namespace": namespace} if namespace else {}), **body.pop("metadata", {})}
        return json.dumps({"apiVersion": version, "kind": kind, "metadata": meta, **body})

    def nodes(self) -> Iterator[str]:
        shapes = {
            "general": {"cpu": "15890m", "memory": "61Gi", "pods": "110"},
            "spot": {"cpu": "15890m", "memory": "61Gi", "pods": "110"},
            "gpu": {"cpu": "31750m", "memory": "240Gi", "pods": "110", GPU: "8"},
        }
        taints: dict[str, list[Json]] = {
            "general": [],
            "spot": [{"effect": "NoSchedule", "key": "spot", "value": "true"}],
            "gpu": [{"effect": "NoSchedule", "key": GPU, "value": "present"}],
        }
        for pool, names in self.pools.items():
            for name in names:
                labels = {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "node.kubernetes.io/instance-type": f"{pool}.4xlarge",
                    "pool": pool,
                    "topology.kubernetes.io/region": "eu-1",
                    "topology.kubernetes.io/zone": self.zone_of[name],
                }
                conditions = [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "False"}]
                room = {**shapes[pool], "ephemeral-storage": "90Gi"}
                body = {
                    "metadata": {"labels": labels, "uid": f"node-{name}"},
                    "spec": {"taints": taints[pool]} if taints[pool] else {},
                    "status": {"allocatable": room, "capacity": room, "conditions": conditions},
                }
                yield self.plain("v1", "Node", name, "", body)

    def pod(self, app: str, namespace: str, owner: tuple[str, str] | None, requests: Json, **spec: Any) -> Json:
        """A pod with all that real ones carry about, much of which a plan does not look at."""
        labels = {"app": app, "app.kubernetes.io/name": app, "team": namespace}
        if owner is not None and owner[0] == "ReplicaSet":
            labels["pod-template-hash"] = "6d4cf56db6"
        env = [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(6)]
        probe = {"failureThreshold": 3, "httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
        token = f"kube-api-access-{_PLACE}"
        limits = {name: value for name, value in requests.items() if "/" in name or name == "memory"}
        container: dict[str, Any] = {
            "env": env,
            "image": f"registry.example.com/{namespace}/{app}:1.42.0",
            "livenessProbe": probe,
            "name": "main",
            "ports": [{"containerPort": 8080, "protocol": "TCP"}],
            "readinessProbe": probe,
            "resources": {"limits": limits, "requests": requests},
            "volumeMounts": [{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": token}],
        }
        host_port = spec.pop("hostPort", None)
        if host_port is not None:
            container["ports"][0]["hostPort"] = host_port
        tolerations = spec.pop("tolerations", []) + [
            {"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ]
        volumes = [{"name": token, "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]
        references = []
        if owner is not None:
            reference = {"apiVersion": "apps/v1", "controller": True, "kind": owner[0], "name": owner[1]}
            references = [{**reference, "uid": f"uid-{owner[0]}-{owner[1]}"}]
        status = {"containerID": f"containerd://{_PLACE}", "name": "main", "ready": True, "restartCount": 0}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "creationTimestamp": _STARTED,
                "labels": labels,
                "name": _PLACE,
                "namespace": namespace,
                "ownerReferences": references,
                "uid": f"uid-{_PLACE}",
            },
            "spec": {
                "containers": [container],
                "enableServiceLinks": True,
                "nodeName": f"{_PLACE}{_PLACE}",
                "priority": spec.pop("priority", 0),
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "serviceAccountName": "default",
                "terminationGracePeriodSeconds": spec.pop("grace", 30),
                "tolerations": tolerations,
                "volumes": spec.pop("volumes", []) + volumes,
                **spec,
            },
            "status": {
                "conditions": [
                    {"lastTransitionTime": _STARTED, "status": "True", "type": kind}
                    for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
                ],
                "containerStatuses": [status],
                "phase": "Running",
                "startTime": _STARTED,
            },
        }

    def spawn(self, pod: Json, prefix: str, size: int, pools: tuple[str, ...]) -> Iterator[str]:
        """`size` pods of one template, dealt out over the nodes of these pools in turn."""
        text = json.dumps(pod)
        marker, double = json.dumps(_PLACE)[1:-1], json.dumps(_PLACE + _PLACE)[1:-1]
        for _ in range(size):
            pool = self.rng.choice(pools)
            names = self.pools[pool]
            node = names[self.turn[pool] % len(names)]
            self.turn[pool] += 1
            self.serial += 1
            yield text.replace(double, node).replace(marker, f"{prefix}-{self.serial:06x}")

    def guard(self, app: str, namespace: str, size: int) -> Iterator[str]:
        """A Service, and a budget for what has more than one replica."""
        yield self.plain("v1", "Service", app, namespace, {"spec": {"selector": {"app": app}, "type": "ClusterIP"}})
        if size > 1:
            body = {
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}},
                "status": {"disruptionsAllowed": 1, "currentHealthy": size, "desiredHealthy": size - 1},
            }
            yield self.plain("policy/v1", "PodDisruptionBudget", app, namespace, body)

    def agents(self) -> Iterator[str]:
        for agent in _AGENTS:
            tolerations = [{"effect": "NoSchedule", "operator": "Exists"}]
            tolerations += [
                {"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists"}
                for key in ("not-ready", "unreachable")
            ]
            if agent != "log-agent":  # one that nobody thought of
                tolerations.append({"key": "spot", "operator": "Exists"})
            spec: Json = {"tolerations": tolerations, "priority": 2_000_001_000}
            if agent == "node-exporter":
                spec["hostPort"] = 9100
            pod = self.pod(agent, "kube-system", ("DaemonSet", agent), {"cpu": "100m", "memory": "128Mi"}, **spec)
            text = json.dumps(pod)
            marker, double = json.dumps(_PLACE)[1:-1], json.dumps(_PLACE + _PLACE)[1:-1]
            for node in (name for names in self.pools.values() for name in names):
                self.serial += 1
                yield text.replace(double, node).replace(marker, f"{agent}-{self.serial:06x}")

    def requests(self) -> Json:
        cpu = self.rng.choice(["50m", "100m", "100m", "250m", "250m", "500m", "1"])
        return {"cpu": cpu, "memory": self.rng.choice(["128Mi", "256Mi", "512Mi", "1Gi", "2Gi"])}

    def service(self, app: str, namespace: str, size: int) -> Iterator[str]:
        """A replicated service; a third on spot too, some spread over zones, some kept one to a node."""
        spec: Json = {}
        selector = {"labelSelector": {"matchLabels": {"app": app}}}
        if self.rng.random() < 0.3:
            spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
            spec["topologySpreadConstraints"] = [{**spread, **selector}]
        elif self.rng.random() < 0.15:
            term = {**selector, "topologyKey": "kubernetes.io/hostname"}
            spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        if self.rng.random() < 0.1:
            spec["priority"] = 10000
        pools: tuple[str, ...] = ("general",)
        if self.rng.random() < 0.35:
            spec["tolerations"] = [{"effect": "NoSchedule", "key": "spot", "operator": "Exists"}]
            pools = ("general", "spot", "spot")
        owner = "ReplicaSet", f"{app}-6d4cf56db6"
        yield from self.spawn(self.pod(app, namespace, owner, self.requests(), **spec), app, size, pools)
        yield from self.guard(app, namespace, size)

    def batch(self, app: str, namespace: str, size: int) -> Iterator[str]:
        """On spot, with half a minute to finish."""
        finite = {"effect": "NoExecute", "key": "spot", "operator": "Exists", "tolerationSeconds": 30}
        tolerations = [{"effect": "NoSchedule", "key": "spot", "operator": "Exists"}, finite]
        spec = {"nodeSelector": {"pool": "spot"}, "tolerations": tolerations, "priority": -10, "grace": 120}
        owner = "ReplicaSet", f"{app}-6d4cf56db6"
        yield from self.spawn(self.pod(app, namespace, owner, self.requests(), **spec), app, size, ("spot",))

    def inference(self, app: str, namespace: str, size: int) -> Iterator[str]:
        tolerations = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
        requests = {"cpu": "2", "memory": "8Gi", GPU: "1"}
        pod = self.pod(app, namespace, ("ReplicaSet", f"{app}-6d4cf56db6"), requests, tolerations=tolerations)
        size = min(size, 30)
        yield from self.spawn(pod, app, size, ("gpu",))
        yield from self.guard(app, namespace, size)

    def training(self, app: str, namespace: str, size: int) -> Iterator[str]:
        tolerations = [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]
        spec = {"tolerations": tolerations, "grace": 60}
        size = min(size, 20)
        pod = self.pod(app, namespace, ("Job", app), {"cpu": "1", "memory": "2Gi"}, **spec)
        yield from self.spawn(pod, app, size, ("spot",))
        body = {"spec": {"parallelism": size, "backoffLimit": self.rng.choice([0, 3, 6])}, "status": {"active": size}}
        yield self.plain("batch/v1", "Job", app, namespace, body)

    def database(self, app: str, namespace: str, size: int) -> Iterator[str]:
        """Three or five members on nodes of their own, each with a volume in its zone."""
        size = min(size, self.rng.choice([1, 3, 5]))
        term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
        affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        for number in range(size):
            name = f"{app}-{number}"
            claim = f"data-{name}"
            node = self.pools["general"][self.turn["general"] % len(self.pools["general"])]
            self.turn["general"] += 1
            volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
            requests = {"cpu": "1", "memory": "4Gi"}
            pod = self.pod(app, namespace, ("StatefulSet", app), requests, affinity=affinity, volumes=volumes)
            pod = copy.deepcopy(pod)
            pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name
            self.serial += 1
            text = json.dumps(pod)
            yield text.replace(json.dumps(_PLACE + _PLACE)[1:-1], node).replace(json.dumps(_PLACE)[1:-1], name)
            zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [self.zone_of[node]]}
            size_spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "disk"}
            volume = {
                **size_spec,
                "capacity": {"storage": "100Gi"},
                "claimRef": {"namespace": namespace, "name": claim},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}},
            }
            yield self.plain("v1", "PersistentVolume", f"pv-{name}", "", {"spec": volume, "status": {"phase": "Bound"}})
            bound = {**size_spec, "volumeName": f"pv-{name}", "resources": {"requests": {"storage": "100Gi"}}}
            yield self.plain(
                "v1", "PersistentVolumeClaim", claim, namespace, {"spec": bound, "status": {"phase": "Bound"}}
            )
        yield from self.guard(app, namespace, size)

    def legacy(self, app: str, namespace: str, size: int) -> Iterator[str]:
        """Tolerates everything, for ever."""
        size = min(size, 40)
        spec = {"tolerations": [{"operator": "Exists"}]}
        owner = "ReplicaSet", f"{app}-6d4cf56db6"
        pod = self.pod(app, namespace, owner, self.requests(), **spec)
        yield from self.spawn(pod, app, size, ("general", "spot", "gpu"))
        yield from self.guard(app, namespace, size)

    def bare(self, app: str, namespace: str, size: int) -> Iterator[str]:
        yield from self.spawn(self.pod(app, namespace, None, self.requests()), app, min(size, 3), ("general",))

    def quotas(self) -> Iterator[str]:
        """In every tenth namespace, all but full."""
        for namespace in self.namespaces[::10]:
            hard = {"pods": "2000", "requests.cpu": "1200"}
            body = {"spec": {"hard": hard}, "status": {"hard": hard, "used": {"pods": "1996", "requests.cpu": "700"}}}
            yield self.plain("v1", "ResourceQuota", "team", namespace, body)
