"""The API's own JSON, as far as a plan reads it: what is declared here is what a snapshot file keeps.

Decoded by msgspec, which skips everything else without building it. Parts that many objects share word for word stay
raw bytes (`Raw`) and are parsed once for all of them, in `harness.run.snapshot.templates`.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType, field


class Part(Struct, rename="camel", omit_defaults=True, gc=False):
    """Base of everything below: camelCase names, defaults left out when written, no cycles to collect."""


class Owner(Part):
    """metadata.ownerReferences[]."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Notes(Part):
    """The annotations that matter, of any kind of object."""

    mirror: str | None = field(name="kubernetes.io/config.mirror", default=None)
    bind_completed: str | None = field(name="pv.kubernetes.io/bind-completed", default=None)
    selected_node: str | None = field(name="volume.kubernetes.io/selected-node", default=None)
    default_class: str | None = field(name="storageclass.kubernetes.io/is-default-class", default=None)


class Meta(Part):
    """metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Raw | UnsetType = UNSET
    annotations: Notes | None = None
    owner_references: Raw | UnsetType = UNSET
    deletion_timestamp: str | None = None


class Condition(Part):
    """status.conditions[]."""

    type: str = ""
    status: str = ""


# --- pods ---


class Container(Part):
    """spec.containers[] and spec.initContainers[]."""

    resources: Raw | UnsetType = UNSET
    ports: Raw | UnsetType = UNSET
    restart_policy: str = ""


class ClaimSource(Part):
    """spec.volumes[].persistentVolumeClaim."""

    claim_name: str = ""


class VolumeSource(Part):
    """spec.volumes[]: only what binds a pod to a place is kept."""

    persistent_volume_claim: ClaimSource | None = None
    ephemeral: Raw | UnsetType = UNSET
    empty_dir: Raw | UnsetType = UNSET


class PodSpec(Part):
    """spec of a Pod."""

    node_name: str = ""
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    tolerations: Raw | UnsetType = UNSET
    affinity: Raw | UnsetType = UNSET
    node_selector: Raw | UnsetType = UNSET
    topology_spread_constraints: Raw | UnsetType = UNSET
    volumes: list[VolumeSource] | None = None
    overhead: Raw | UnsetType = UNSET
    resources: Raw | UnsetType = UNSET
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    scheduler_name: str = "default-scheduler"
    scheduling_gates: Raw | UnsetType = UNSET
    termination_grace_period_seconds: int | None = None
    resource_claims: Raw | UnsetType = UNSET


class PodStatus(Part):
    """status of a Pod."""

    phase: str = "Pending"
    conditions: list[Condition] | None = None
    start_time: str | None = None


class Pod(Part, tag_field="kind", tag="Pod"):
    """v1 Pod."""

    metadata: Meta
    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)


class Own(Struct, array_like=True, gc=False):
    """What is a pod's own, as an array."""

    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    deleting: bool
    started: str | None


class PodGroup(Part, tag_field="kind", tag="PodGroup"):
    """Of our own making: pods that are the same but for `own`. World files are a tenth of the size for it."""

    template: Pod
    own: list[Own]


# --- nodes ---


class NodeMeta(Part):
    """metadata of a Node: annotations as they are, since prices and claims of ours may be in them."""

    name: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class NodeSpec(Part):
    """spec of a Node."""

    taints: Raw | UnsetType = UNSET
    unschedulable: bool = False


class NodeStatus(Part):
    """status of a Node."""

    allocatable: dict[str, str | int | float] | None = None
    capacity: dict[str, str | int | float] | None = None
    conditions: list[Condition] | None = None


class Node(Part, tag_field="kind", tag="Node"):
    """v1 Node."""

    metadata: NodeMeta
    spec: NodeSpec = field(default_factory=NodeSpec)
    status: NodeStatus = field(default_factory=NodeStatus)


# --- everything else: small in number, so plainly typed ---


class PlainMeta(Part):
    """metadata, with labels parsed."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: Notes | None = None
    owner_references: list[Owner] | None = None
    deletion_timestamp: str | None = None


class Expression(Part):
    """matchExpressions[]; `operator` in the API's words."""

    key: str
    operator: str
    values: list[str] | None = None


class Selector(Part):
    """metav1.LabelSelector."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Expression] | None = None


class NodeSelectorTerm(Part):
    """core/v1 NodeSelectorTerm."""

    match_expressions: list[Expression] | None = None
    match_fields: list[Expression] | None = None


class NodeSelector(Part):
    """core/v1 NodeSelector."""

    node_selector_terms: list[NodeSelectorTerm] | None = None


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


class TargetRef(Part):
    """endpoints[].targetRef."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


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


class Requests(Part):
    """resources of a claim."""

    requests: dict[str, str | int | float] | None = None


class ClaimSpec(Part):
    """spec of a PersistentVolumeClaim."""

    volume_name: str = ""
    storage_class_name: str | None = None
    access_modes: list[str] | None = None
    resources: Requests | None = None
    selector: Selector | None = None


class ClaimStatus(Part):
    """status of a PersistentVolumeClaim."""

    phase: str = ""


class Claim(Part, tag_field="kind", tag="PersistentVolumeClaim"):
    """v1 PersistentVolumeClaim."""

    metadata: PlainMeta
    spec: ClaimSpec = field(default_factory=ClaimSpec)
    status: ClaimStatus = field(default_factory=ClaimStatus)


class VolumeAffinity(Part):
    """spec.nodeAffinity of a PersistentVolume."""

    required: NodeSelector | None = None


class VolumeSpec(Part):
    """spec of a PersistentVolume."""

    node_affinity: VolumeAffinity | None = None
    storage_class_name: str = ""
    access_modes: list[str] | None = None
    capacity: dict[str, str | int | float] | None = None
    claim_ref: TargetRef | None = None


class Volume(Part, tag_field="kind", tag="PersistentVolume"):
    """v1 PersistentVolume."""

    metadata: PlainMeta
    spec: VolumeSpec = field(default_factory=VolumeSpec)
    status: ClaimStatus = field(default_factory=ClaimStatus)


class TopologyExpression(Part):
    """matchLabelExpressions[] of a TopologySelectorTerm."""

    key: str
    values: list[str] | None = None


class TopologyTerm(Part):
    """core/v1 TopologySelectorTerm."""

    match_label_expressions: list[TopologyExpression] | None = None


class StorageClass(Part, tag_field="kind", tag="StorageClass"):
    """storage.k8s.io/v1 StorageClass."""

    metadata: PlainMeta
    provisioner: str = ""
    volume_binding_mode: str = "Immediate"
    allowed_topologies: list[TopologyTerm] | None = None


class ScopeTerm(Part):
    """scopeSelector.matchExpressions[]."""

    scope_name: str = ""
    operator: str = ""
    values: list[str] | None = None


class ScopeSelector(Part):
    """scopeSelector of a ResourceQuota."""

    match_expressions: list[ScopeTerm] | None = None


class QuotaSpec(Part):
    """spec of a ResourceQuota."""

    hard: dict[str, str | int | float] | None = None
    scopes: list[str] | None = None
    scope_selector: ScopeSelector | None = None


class QuotaStatus(Part):
    """status of a ResourceQuota."""

    hard: dict[str, str | int | float] | None = None
    used: dict[str, str | int | float] | None = None


class Quota(Part, tag_field="kind", tag="ResourceQuota"):
    """v1 ResourceQuota."""

    metadata: PlainMeta
    spec: QuotaSpec = field(default_factory=QuotaSpec)
    status: QuotaStatus = field(default_factory=QuotaStatus)


class LimitItem(Part):
    """limits[] of a LimitRange."""

    type: str = ""
    default: dict[str, str] | None = None
    default_request: dict[str, str] | None = None


class LimitSpec(Part):
    """spec of a LimitRange."""

    limits: list[LimitItem] | None = None


class LimitRange(Part, tag_field="kind", tag="LimitRange"):
    """v1 LimitRange."""

    metadata: PlainMeta
    spec: LimitSpec = field(default_factory=LimitSpec)


class PriorityClass(Part, tag_field="kind", tag="PriorityClass"):
    """scheduling.k8s.io/v1 PriorityClass."""

    metadata: PlainMeta
    value: int = 0
    global_default: bool = False
    preemption_policy: str | None = None


class WebhookRule(Part):
    """rules[] of a webhook and resourceRules[] of a policy."""

    operations: list[str] | None = None
    resources: list[str] | None = None
    api_groups: list[str] | None = None


class ValidatingWebhook(Part):
    """webhooks[]."""

    name: str = ""
    failure_policy: str | None = None
    rules: list[WebhookRule] | None = None
    namespace_selector: Selector | None = None
    object_selector: Selector | None = None


class WebhookConfiguration(Part, tag_field="kind", tag="ValidatingWebhookConfiguration"):
    """admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration."""

    metadata: PlainMeta
    webhooks: list[ValidatingWebhook] | None = None


class PolicyConstraints(Part):
    """matchConstraints of a policy."""

    resource_rules: list[WebhookRule] | None = None
    namespace_selector: Selector | None = None
    object_selector: Selector | None = None


class PolicySpec(Part):
    """spec of a ValidatingAdmissionPolicy."""

    failure_policy: str | None = None
    match_constraints: PolicyConstraints | None = None


class AdmissionPolicy(Part, tag_field="kind", tag="ValidatingAdmissionPolicy"):
    """admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy."""

    metadata: PlainMeta
    spec: PolicySpec = field(default_factory=PolicySpec)


Item = (
    Pod
    | PodGroup
    | Node
    | Namespace
    | Service
    | EndpointSlice
    | Budget
    | ReplicaSet
    | Deployment
    | StatefulSet
    | DaemonSet
    | Job
    | Claim
    | Volume
    | StorageClass
    | Quota
    | LimitRange
    | PriorityClass
    | WebhookConfiguration
    | AdmissionPolicy
)
"""Every kind that is read."""
