"""Volumes and claims, quotas and limits, priorities, and who is asked before a pod is deleted."""

from __future__ import annotations

from msgspec import field

from harness.snapshot.wire.base import NodeSelector, Part, PlainMeta, Selector, TargetRef


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
