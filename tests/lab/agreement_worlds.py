"""Small worlds for the scheduler: nodes, pods that are there, pods that come; each with some of the constraints.

A world is a set of plain API objects in a namespace of its own, on nodes of its own (label and zone names carry the
world's name), so that several can be in one cluster without touching each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

Json = dict[str, Any]

WORLD_LABEL = "taintlab.test/world"
PRIORITIES = {"agree-low": -10, "agree-high": 1000, "agree-high-never": 1000}
GPU = "example.com/gpu"
_HOUR_S = 3600


class Constraint(StrEnum):
    """What the scheduler is asked about."""

    RESOURCES = "resources"
    POD_COUNT = "pod count"
    EXTENDED = "extended resources"
    TAINTS = "taints"
    CORDONS = "cordons"
    NODE_AFFINITY = "node affinity"
    POD_AFFINITY = "pod affinity"
    ANTI_AFFINITY = "pod anti-affinity"
    SPREAD = "topology spread"
    PORTS = "host ports"
    VOLUMES = "volume node affinity"
    QUOTAS = "quotas"
    PRIORITY = "priority and preemption"


@dataclass
class World:
    """`coming` in the order in which they are created. `uses`: the constraints that some coming pod meets with."""

    name: str
    nodes: list[Json] = field(default_factory=list)
    bound: list[Json] = field(default_factory=list)
    coming: list[Json] = field(default_factory=list)
    volumes: list[Json] = field(default_factory=list)
    claims: list[Json] = field(default_factory=list)
    quotas: list[Json] = field(default_factory=list)
    uses: set[Constraint] = field(default_factory=set)


def make_world(seed: int) -> World:
    """The world of that seed; the same every time."""
    return _Maker(Random(seed), World(f"w{seed}")).make()


class _Maker:
    def __init__(self, rng: Random, world: World) -> None:
        self.rng = rng
        self.world = world
        self.zones = [f"{world.name}-{letter}" for letter in "abc"[: rng.randint(2, 3)]]
        self.wanted = set(rng.sample(list(Constraint), k=rng.randint(3, 6)))

    def make(self) -> World:
        for number in range(self.rng.randint(3, 7)):
            self.world.nodes.append(self.node(number))
        for number in range(self.rng.randint(2, 8)):
            self.add_bound(number)
        if Constraint.VOLUMES in self.wanted:
            self.add_volume_pods()
        for number in range(self.rng.randint(2, 4)):
            self.add_workload(number)
        if Constraint.QUOTAS in self.wanted:
            self.add_quota()
        return self.world

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    # --- nodes ---

    def node(self, number: int) -> Json:
        rng, wanted = self.rng, self.wanted
        name = f"{self.world.name}-n{number}"
        room = {"cpu": f"{rng.randint(2, 4)}", "memory": f"{rng.randint(2, 6)}Gi", "pods": "110"}
        if Constraint.POD_COUNT in wanted:
            room["pods"] = str(rng.randint(2, 4))
        if Constraint.EXTENDED in wanted and self.chance(0.6):
            room[GPU] = str(rng.randint(1, 3))
        labels = {
            "kubernetes.io/hostname": name,
            WORLD_LABEL: self.world.name,
            "pool": rng.choice(["blue", "green"]),
            "cores": rng.choice(["4", "8", "16"]),
        }
        if not (Constraint.SPREAD in wanted and self.chance(0.15)):
            labels["topology.kubernetes.io/zone"] = rng.choice(self.zones)
        if self.chance(0.5):
            labels["disk"] = rng.choice(["ssd", "hdd"])
        taints = []
        if Constraint.TAINTS in wanted and self.chance(0.6):
            effect = rng.choice(["NoSchedule", "NoSchedule", "NoExecute", "PreferNoSchedule"])
            taints.append({"key": "dedicated", "value": rng.choice(["red", "gold"]), "effect": effect})
            if self.chance(0.3):
                taints.append({"key": "spot", "effect": "NoSchedule"})
        return {
            "metadata": {"name": name, "labels": labels},
            "spec": {"taints": taints, "unschedulable": Constraint.CORDONS in wanted and self.chance(0.4)},
            "status": {
                "capacity": room,
                "allocatable": room,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "no kubelet"}],
            },
        }

    # --- pods ---

    def pod(self, title: str, app: str, requests: Json, **spec: Any) -> Json:
        limits = {name: number for name, number in requests.items() if "/" in name}  # the API wants it so
        resources = {"requests": requests, "limits": limits}
        return {
            "metadata": {"name": title, "namespace": self.world.name, "labels": {"app": app}},
            "spec": {
                "containers": [{"name": "main", "image": "none", "resources": resources}],
                "terminationGracePeriodSeconds": 0,
                **spec,
            },
        }

    def requests(self) -> Json:
        if Constraint.RESOURCES in self.wanted:
            return {"cpu": self.rng.choice(["500m", "1", "1500m"]), "memory": self.rng.choice(["256Mi", "1Gi", "2Gi"])}
        return {"cpu": "50m", "memory": "32Mi"}

    def add_bound(self, number: int) -> None:
        """A pod that sits somewhere already; it tolerates everything, so that no controller takes it away."""
        node = self.rng.choice(self.world.nodes)
        if Constraint.POD_COUNT in self.wanted and self.chance(0.5):
            return
        spec: Json = {"nodeName": node["metadata"]["name"], "tolerations": [{"operator": "Exists"}]}
        if Constraint.PRIORITY in self.wanted:
            spec["priorityClassName"] = self.rng.choice(["agree-low", "agree-low", "agree-high"])
        app = self.rng.choice(["front", "back", "cache"])
        pod = self.pod(f"bound-{number}", app, self.requests(), **spec)
        if Constraint.ANTI_AFFINITY in self.wanted and self.chance(0.3):
            self.keep_away(pod, self.rng.choice(["front", "back"]))
        if Constraint.PORTS in self.wanted and self.chance(0.5):
            self.add_port(pod)
        self.world.bound.append(pod)

    def add_workload(self, number: int) -> None:
        """One to five equal pods with some of the constraints of this world."""
        app = self.rng.choice(["front", "back", "cache"])
        requests, spec = self.requests(), self.common_spec()
        uses: set[Constraint] = set()
        changes: list[Callable[[Json], None]] = []
        for constraint, share, change in (
            (Constraint.ANTI_AFFINITY, 0.5, lambda pod: self.keep_away(pod, target)),
            (Constraint.POD_AFFINITY, 0.5, lambda pod: self.stay_near(pod, friend, near_key)),
            (Constraint.SPREAD, 0.7, lambda pod: pod["spec"].update(topologySpreadConstraints=spread)),
            (Constraint.PORTS, 0.6, lambda pod: self.add_port(pod, port)),
        ):
            if constraint in self.wanted and self.chance(share):
                uses.add(constraint)
                changes.append(change)
        target = self.rng.choice([app, "front", "back"])
        friend, near_key = self.rng.choice([app, "front", "back"]), self.topology_key()
        spread, port = self.spread(app), self.port()
        if Constraint.EXTENDED in self.wanted and self.chance(0.6):
            requests = {**requests, GPU: str(self.rng.randint(1, 2))}
            uses.add(Constraint.EXTENDED)
        self.add_node_words(spec, uses)
        always = {Constraint.RESOURCES, Constraint.POD_COUNT, Constraint.TAINTS, Constraint.CORDONS} & self.wanted
        if Constraint.PRIORITY in self.wanted and self.chance(0.7):
            spec["priorityClassName"] = self.rng.choice(["agree-high", "agree-high", "agree-high-never"])
            uses.add(Constraint.PRIORITY)
        for replica in range(self.rng.randint(1, 5)):
            pod = self.pod(f"come-{number}-{replica}", app, requests, **_copied(spec))
            for change in changes:
                change(pod)
            self.world.coming.append(pod)
        self.world.uses |= uses | always

    def common_spec(self) -> Json:
        """Every coming pod stays in its world."""
        spec: Json = {"nodeSelector": {WORLD_LABEL: self.world.name}}
        if Constraint.TAINTS in self.wanted:
            spec["tolerations"] = self.rng.choice(
                [
                    [],
                    [{"key": "dedicated", "operator": "Equal", "value": "red"}],
                    [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
                    [
                        {"key": "dedicated", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _HOUR_S},
                        {"key": "spot", "operator": "Exists"},
                    ],
                    [{"operator": "Exists"}],
                ]
            )
        return spec

    def add_node_words(self, spec: Json, uses: set[Constraint]) -> None:
        if Constraint.NODE_AFFINITY not in self.wanted:
            return
        uses.add(Constraint.NODE_AFFINITY)
        if self.chance(0.4):
            spec["nodeSelector"]["pool"] = self.rng.choice(["blue", "green"])
            return
        terms = self.rng.choice(
            [
                [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}],
                [{"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["hdd"]}]}],
                [{"matchExpressions": [{"key": "disk", "operator": "DoesNotExist"}]}],
                [{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]}],
                [
                    {"matchExpressions": [{"key": "cores", "operator": "Lt", "values": ["8"]}]},
                    {"matchExpressions": [{"key": "disk", "operator": "Exists"}]},
                ],
                [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [self.some_node()]}]}],
            ]
        )
        self.affinity(spec)["nodeAffinity"] = {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        }

    def some_node(self) -> str:
        return str(self.rng.choice(self.world.nodes)["metadata"]["name"])

    @staticmethod
    def affinity(spec: Json) -> Json:
        found: Json = spec.setdefault("affinity", {})
        return found

    def topology_key(self) -> str:
        return self.rng.choice(["kubernetes.io/hostname", "topology.kubernetes.io/zone"])

    def keep_away(self, pod: Json, app: str) -> None:
        zonal = pod["metadata"]["labels"]["app"] == "back"  # the same for all pods of an app: workloads stay alike
        key = "topology.kubernetes.io/zone" if zonal else "kubernetes.io/hostname"
        term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
        self.affinity(pod["spec"])["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}

    def stay_near(self, pod: Json, app: str, key: str) -> None:
        term = {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": [app]}]}}
        required = [{**term, "topologyKey": key}]
        self.affinity(pod["spec"])["podAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": required}

    def spread(self, app: str) -> list[Json]:
        constraint: Json = {
            "maxSkew": self.rng.randint(1, 2),
            "topologyKey": self.topology_key(),
            "whenUnsatisfiable": self.rng.choice(["DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"]),
            "labelSelector": {"matchLabels": {"app": app}},
        }
        if self.chance(0.4):
            constraint["nodeTaintsPolicy"] = self.rng.choice(["Honor", "Ignore"])
        if self.chance(0.2):
            constraint["nodeAffinityPolicy"] = "Ignore"
        if constraint["whenUnsatisfiable"] == "DoNotSchedule" and self.chance(0.25):
            constraint["minDomains"] = self.rng.randint(2, 4)
        return [constraint]

    def port(self) -> int:
        return self.rng.choice([30080, 30443])

    def add_port(self, pod: Json, port: int | None = None) -> None:
        taken = {"containerPort": 80, "hostPort": port or self.port()}
        pod["spec"]["containers"][0]["ports"] = [taken]

    # --- volumes and quotas ---

    def add_volume_pods(self) -> None:
        """Pods whose volumes are tied to a zone or to a node."""
        world, rng = self.world, self.rng
        for number in range(rng.randint(1, 3)):
            key = self.topology_key()
            values = self.zones if key.endswith("zone") else [node["metadata"]["name"] for node in world.nodes]
            name = f"{world.name}-vol-{number}"
            term = {"matchExpressions": [{"key": key, "operator": "In", "values": [rng.choice(values)]}]}
            world.volumes.append(
                {
                    "metadata": {"name": name},
                    "spec": {
                        "capacity": {"storage": "1Gi"},
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": "",
                        "hostPath": {"path": "/none"},
                        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
                        "claimRef": {"namespace": world.name, "name": name},
                    },
                }
            )
            world.claims.append(
                {
                    "metadata": {"name": name, "namespace": world.name},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": "",
                        "volumeName": name,
                        "resources": {"requests": {"storage": "1Gi"}},
                    },
                }
            )
            volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
            spec = self.common_spec()
            world.coming.append(self.pod(f"vol-{number}", "cache", self.requests(), **spec, volumes=volumes))
        world.uses.add(Constraint.VOLUMES)

    def add_quota(self) -> None:
        """Room for some of the coming pods only."""
        there, come = len(self.world.bound), len(self.world.coming)
        hard = {"pods": str(there + max(1, come - self.rng.randint(0, 4)))}
        if self.chance(0.5):
            taken_m = sum(_cpu_m(pod) for pod in self.world.bound)
            hard["requests.cpu"] = f"{taken_m + 1000 * max(1, come // 2)}m"
        self.world.quotas.append({"metadata": {"name": "limit", "namespace": self.world.name}, "spec": {"hard": hard}})
        self.world.uses.add(Constraint.QUOTAS)


def _cpu_m(pod: Json) -> int:
    """The thousandths of a core that a pod of one container asks for."""
    wanted: str = pod["spec"]["containers"][0]["resources"]["requests"].get("cpu", "0")
    return int(wanted.removesuffix("m")) if wanted.endswith("m") else 1000 * int(wanted)


def _copied(spec: Json) -> Json:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in spec.items()}
