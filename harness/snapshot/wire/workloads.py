"""Namespaces, Services, budgets and the controllers of pods."""

from __future__ import annotations

from msgspec import field

from harness.snapshot.wire.base import Part, PlainMeta, Selector, TargetRef


class Namespace(Part, tag_field="kind", tag="Namespace"):
    """v1 Namespace."""

    metadata: PlainMeta


class ServiceSpec(Part):
    """spec of a Service."""

    selector: dict[str, str] | None = None
    type: str = "ClusterIP"
    publish_not_ready_addresses: bool = False


class Service(Part, tag_field="kind", tag="Service"):
    """v1 Service."""

    metadata: PlainMeta
    spec: ServiceSpec = field(default_factory=ServiceSpec)


class EndpointConditions(Part):
    """endpoints[].conditions."""

    ready: bool | None = None


class Endpoint(Part):
    """endpoints[] of an EndpointSlice."""

    conditions: EndpointConditions | None = None
    target_ref: TargetRef | None = None


class EndpointSlice(Part, tag_field="kind", tag="EndpointSlice"):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: PlainMeta
    endpoints: list[Endpoint] | None = None


class BudgetSpec(Part):
    """spec of a PodDisruptionBudget."""

    selector: Selector | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class BudgetStatus(Part):
    """status of a PodDisruptionBudget."""

    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0


class Budget(Part, tag_field="kind", tag="PodDisruptionBudget"):
    """policy/v1 PodDisruptionBudget."""

    metadata: PlainMeta
    spec: BudgetSpec = field(default_factory=BudgetSpec)
    status: BudgetStatus = field(default_factory=BudgetStatus)


class ReplicasSpec(Part):
    """spec of a controller with replicas."""

    replicas: int | None = None


class DaemonSetStatus(Part):
    """status of a DaemonSet."""

    desired_number_scheduled: int = 0


class ReplicaSet(Part, tag_field="kind", tag="ReplicaSet"):
    """apps/v1 ReplicaSet."""

    metadata: PlainMeta
    spec: ReplicasSpec = field(default_factory=ReplicasSpec)


class Deployment(Part, tag_field="kind", tag="Deployment"):
    """apps/v1 Deployment."""

    metadata: PlainMeta
    spec: ReplicasSpec = field(default_factory=ReplicasSpec)


class StatefulSet(Part, tag_field="kind", tag="StatefulSet"):
    """apps/v1 StatefulSet."""

    metadata: PlainMeta
    spec: ReplicasSpec = field(default_factory=ReplicasSpec)


class DaemonSet(Part, tag_field="kind", tag="DaemonSet"):
    """apps/v1 DaemonSet."""

    metadata: PlainMeta
    status: DaemonSetStatus = field(default_factory=DaemonSetStatus)


class FailureCondition(Part):
    """podFailurePolicy.rules[].onPodConditions[]."""

    type: str = ""
    status: str = "True"


class FailureRule(Part):
    """podFailurePolicy.rules[]."""

    action: str = ""
    on_pod_conditions: list[FailureCondition] | None = None


class FailurePolicy(Part):
    """podFailurePolicy."""

    rules: list[FailureRule] | None = None


class JobSpec(Part):
    """spec of a Job."""

    completions: int | None = None
    parallelism: int | None = None
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None
    suspend: bool | None = None
    pod_failure_policy: FailurePolicy | None = None


class JobStatus(Part):
    """status of a Job."""

    failed: int = 0


class Job(Part, tag_field="kind", tag="Job"):
    """batch/v1 Job."""

    metadata: PlainMeta
    spec: JobSpec = field(default_factory=JobSpec)
    status: JobStatus = field(default_factory=JobStatus)
