"""From wire objects of every kind to an inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, TypeVar

from msgspec import UNSET

from harness.model import state as model
from harness.model import wellknown
from harness.model.state import ClusterState, LabelSelector, LabelTerm, NodeTerm, Operator, Subject, amount
from harness.model.taints import Taint
from harness.snapshot import parse, wire
from harness.snapshot.templates import Templates
from harness.snapshot.wire import shapes

SUBJECTS: Mapping[type[Any], Subject] = {
    wire.Node: Subject.NODES,
    wire.Pod: Subject.PODS,
    wire.Namespace: Subject.NAMESPACES,
    wire.Service: Subject.SERVICES,
    wire.EndpointSlice: Subject.ENDPOINT_SLICES,
    wire.Budget: Subject.BUDGETS,
    wire.ReplicaSet: Subject.REPLICA_SETS,
    wire.Deployment: Subject.DEPLOYMENTS,
    wire.StatefulSet: Subject.STATEFUL_SETS,
    wire.DaemonSet: Subject.DAEMON_SETS,
    wire.Job: Subject.JOBS,
    wire.Claim: Subject.CLAIMS,
    wire.Volume: Subject.VOLUMES,
    wire.StorageClass: Subject.STORAGE_CLASSES,
    wire.Quota: Subject.QUOTAS,
    wire.LimitRange: Subject.LIMIT_RANGES,
    wire.PriorityClass: Subject.PRIORITY_CLASSES,
    wire.WebhookConfiguration: Subject.WEBHOOKS,
    wire.AdmissionPolicy: Subject.POLICIES,
}
"""Which resource each kind is."""

T = TypeVar("T")

_ANNOTATION_BYTES = 256
STRANGE = (TypeError, KeyError, AttributeError, ValueError)
"""What parsers of raw parts raise where a part is not of the shape that the API gives it."""
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


class Builder:
    """Takes objects as they come and makes an inventory of them. ValueError, naming the object, for values that
    Kubernetes does not know.
    """

    def __init__(self) -> None:
        """Empty."""
        self._templates = Templates()
        self._taints: Callable[[bytes], tuple[Taint, ...]] = parse.once(parse.taints, list[shapes.Taint] | None)
        self._pods: list[model.Pod] = []
        self._nodes: list[model.Node] = []
        self._rest: dict[type[Any], list[Any]] = {}

    def add(self, items: Iterable[wire.Item]) -> None:
        """Some more objects."""
        pods, record = self._pods, self._templates.record
        item: wire.Item | None = None
        try:
            for item in items:
                if type(item) is wire.Pod:
                    pods.append(record(item))
                elif type(item) is wire.PodGroup:
                    pods += self._templates.records(item)
                elif type(item) is wire.Node:
                    self._nodes.append(self._node(item))
                else:
                    self._rest.setdefault(type(item), []).append(item)
        except STRANGE as error:
            raise _unreadable(item, error) from error

    def build(self, *, kubernetes_version: str, taken: str | None, missing: Mapping[Subject, str]) -> ClusterState:
        """The inventory of all that was added."""
        slices = _endpoints(self._rest.get(wire.EndpointSlice, ()))
        return ClusterState(
            nodes=tuple(self._nodes),
            pods=tuple(self._pods),
            namespaces={n.metadata.name: n.metadata.labels or {} for n in self._rest.get(wire.Namespace, ())},
            services=self._made(lambda s: _service(s, slices) if s.spec.type != "ExternalName" else None, wire.Service),
            budgets=self._made(_budget, wire.Budget),
            workloads=self._made(_workload, wire.ReplicaSet, wire.Deployment, wire.StatefulSet, wire.DaemonSet),
            jobs=self._made(_job, wire.Job),
            claims=self._made(_claim, wire.Claim),
            volumes=self._made(_volume, wire.Volume),
            storage_classes=self._made(_storage_class, wire.StorageClass),
            quotas=self._made(_quota, wire.Quota),
            limit_ranges=tuple(chain.from_iterable(self._made(_limit_ranges, wire.LimitRange))),
            priority_classes=self._made(_priority_class, wire.PriorityClass),
            webhooks=tuple(chain.from_iterable(self._made(_webhooks, wire.WebhookConfiguration, wire.AdmissionPolicy))),
            kubernetes_version=kubernetes_version,
            taken=taken,
            missing=missing,
        )

    def _made(self, make: Callable[[Any], T | None], *kinds: type[Any]) -> tuple[T, ...]:
        """What `make` makes of the objects of these kinds, without Nones."""
        out = []
        for item in chain.from_iterable(self._rest.get(kind, ()) for kind in kinds):
            try:
                made = make(item)
            except STRANGE as error:
                raise _unreadable(item, error) from error
            if made is not None:
                out.append(made)
        return tuple(out)

    @property
    def kinds(self) -> set[Subject]:
        """What at least one object was added of."""
        found = {SUBJECTS[kind] for kind in self._rest}
        return found | ({Subject.PODS} if self._pods else set()) | ({Subject.NODES} if self._nodes else set())

    def _node(self, node: wire.Node) -> model.Node:
        meta, spec, status = node.metadata, node.spec, node.status
        allocatable = status.allocatable if status.allocatable is not None else status.capacity
        ready = any(c.type == "Ready" and c.status == "True" for c in status.conditions or ())
        annotations = {k: v for k, v in (meta.annotations or {}).items() if len(v) <= _ANNOTATION_BYTES}
        return model.Node(
            name=meta.name,
            labels=meta.labels or {},
            annotations=annotations,
            taints=self._taints(b"" if spec.taints is UNSET else bytes(spec.taints)),
            unschedulable=spec.unschedulable,
            ready=ready,
            allocatable=parse.amounts(allocatable),
            uid=meta.uid,
        )


def _unreadable(item: Any, error: Exception) -> ValueError:
    """The same in one sentence that names the object."""
    meta = getattr(item, "metadata", None)
    names = [part for part in (getattr(meta, "namespace", ""), getattr(meta, "name", "")) if part]
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return ValueError(f"{type(item).__name__} {'/'.join(names) or 'without a name'}: {what}")


def _endpoints(slices: Iterable[wire.EndpointSlice]) -> dict[tuple[str, str], list[str]]:
    """Ready pods by (namespace, Service name)."""
    out: dict[tuple[str, str], list[str]] = {}
    for each in slices:
        service = (each.metadata.labels or {}).get(wellknown.SERVICE_NAME, "")
        ready = out.setdefault((each.metadata.namespace, service), [])
        for endpoint in each.endpoints or ():
            ref, conditions = endpoint.target_ref, endpoint.conditions
            if ref is not None and ref.kind == "Pod" and (conditions is None or conditions.ready is not False):
                ready.append(f"{ref.namespace or each.metadata.namespace}/{ref.name}")
    return out


def _service(service: wire.Service, slices: Mapping[tuple[str, str], list[str]]) -> model.Service:
    meta, selector = service.metadata, service.spec.selector
    terms = tuple(LabelTerm(k, Operator.IN, (v,)) for k, v in sorted((selector or {}).items()))
    return model.Service(
        namespace=meta.namespace,
        name=meta.name,
        selector=LabelSelector(terms) if selector else None,
        endpoints=() if selector else tuple(slices.get((meta.namespace, meta.name), ())),
        tolerates_unready=service.spec.publish_not_ready_addresses,
    )


def _budget(budget: wire.Budget) -> model.PodDisruptionBudget:
    spec, status = budget.spec, budget.status
    if spec.max_unavailable is not None:
        words = f"maxUnavailable {spec.max_unavailable}"
    else:
        words = f"minAvailable {1 if spec.min_available is None else spec.min_available}"
    return model.PodDisruptionBudget(
        namespace=budget.metadata.namespace,
        name=budget.metadata.name,
        selector=parse.selector_of(spec.selector),
        allowed=status.disruptions_allowed,
        healthy=status.current_healthy,
        desired=status.desired_healthy,
        spec=words,
        evicts_unready=spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    )


def _workload(
    item: wire.ReplicaSet | wire.Deployment | wire.StatefulSet | wire.DaemonSet,
) -> model.Workload:
    owner = next((o for o in item.metadata.owner_references or () if o.controller), None)
    if isinstance(item, wire.DaemonSet):
        replicas = item.status.desired_number_scheduled
    else:
        replicas = 1 if item.spec.replicas is None else item.spec.replicas
    return model.Workload(
        kind=type(item).__name__,
        namespace=item.metadata.namespace,
        name=item.metadata.name,
        replicas=replicas,
        owner=f"{owner.kind}/{owner.name}" if owner else "",
    )


def _job(job: wire.Job) -> model.Job:
    spec = job.spec
    rules = (spec.pod_failure_policy.rules or ()) if spec.pod_failure_policy else ()
    ignores = any(
        rule.action == "Ignore"
        and any(c.type == "DisruptionTarget" and c.status == "True" for c in rule.on_pod_conditions or ())
        for rule in rules
    )
    per_index = spec.backoff_limit_per_index is not None
    limit = spec.backoff_limit_per_index if per_index else spec.backoff_limit
    return model.Job(
        namespace=job.metadata.namespace,
        name=job.metadata.name,
        completions=spec.completions,
        parallelism=1 if spec.parallelism is None else spec.parallelism,
        failed=job.status.failed,
        max_failures=6 if limit is None else limit,
        per_index=per_index,
        ignores_disruption=ignores,
        suspended=bool(spec.suspend),
    )


def _claim(claim: wire.Claim) -> model.PersistentVolumeClaim:
    meta, spec = claim.metadata, claim.spec
    notes = meta.annotations
    completed = notes is not None and notes.bind_completed is not None
    size = ((spec.resources.requests if spec.resources else None) or {}).get("storage", 0)
    return model.PersistentVolumeClaim(
        namespace=meta.namespace,
        name=meta.name,
        volume=spec.volume_name,
        bound=bool(spec.volume_name) and (completed or claim.status.phase == "Bound"),
        lost=claim.status.phase == "Lost",
        deleting=meta.deletion_timestamp is not None,
        storage_class=spec.storage_class_name,
        access_modes=tuple(spec.access_modes or ()),
        size=amount("storage", str(size)),
        selector=parse.selector_of(spec.selector),
        selected_node=(notes.selected_node if notes else None) or "",
    )


def _volume(volume: wire.Volume) -> model.PersistentVolume:
    spec = volume.spec
    required = spec.node_affinity.required if spec.node_affinity else None
    ref = spec.claim_ref
    return model.PersistentVolume(
        name=volume.metadata.name,
        affinity=parse.node_terms_of(required) if required else None,
        labels=volume.metadata.labels or {},
        storage_class=spec.storage_class_name,
        access_modes=tuple(spec.access_modes or ()),
        size=amount("storage", str((spec.capacity or {}).get("storage", 0))),
        claim=f"{ref.namespace}/{ref.name}" if ref else "",
        phase=volume.status.phase,
    )


def _storage_class(item: wire.StorageClass) -> model.StorageClass:
    notes = item.metadata.annotations
    topologies = tuple(
        NodeTerm(
            tuple(LabelTerm(e.key, Operator.IN, tuple(e.values or ())) for e in term.match_label_expressions or ())
        )
        for term in item.allowed_topologies or ()
    )
    return model.StorageClass(
        name=item.metadata.name,
        waits=item.volume_binding_mode == "WaitForFirstConsumer",
        provisions=item.provisioner not in ("", _NO_PROVISIONER),
        topologies=topologies,
        is_default=notes is not None and notes.default_class == "true",
    )


def _quota_unit(name: str) -> str:
    """The resource that a quota's word is about: ``requests.cpu`` is counted in thousandths like cpu."""
    return name.removeprefix("requests.").removeprefix("limits.")


def _quota(item: wire.Quota) -> model.ResourceQuota:
    hard = item.status.hard if item.status.hard is not None else item.spec.hard
    chosen = (item.spec.scope_selector.match_expressions or ()) if item.spec.scope_selector else ()
    classes = tuple(
        LabelTerm("PriorityClass", Operator(e.operator), tuple(e.values or ()))
        for e in chosen
        if e.scope_name == "PriorityClass"
    )
    others = [e.scope_name for e in chosen if e.scope_name != "PriorityClass"]
    return model.ResourceQuota(
        namespace=item.metadata.namespace,
        name=item.metadata.name,
        hard={name: amount(_quota_unit(name), str(text)) for name, text in (hard or {}).items()},
        used={name: amount(_quota_unit(name), str(text)) for name, text in (item.status.used or {}).items()},
        scopes=tuple(item.spec.scopes or ()) + tuple(others),
        priority_classes=classes,
    )


def _limit_ranges(item: wire.LimitRange) -> list[model.LimitRange]:
    return [
        model.LimitRange(
            namespace=item.metadata.namespace,
            name=item.metadata.name,
            default_requests=limit.default_request or {},
            default_limits=limit.default or {},
        )
        for limit in item.spec.limits or ()
        if limit.type == "Container"
    ]


def _priority_class(item: wire.PriorityClass) -> model.PriorityClass:
    return model.PriorityClass(
        name=item.metadata.name,
        value=item.value,
        preempts=item.preemption_policy != "Never",
        is_default=item.global_default,
    )


def _webhooks(item: wire.WebhookConfiguration | wire.AdmissionPolicy) -> list[model.Webhook]:
    """Those that are asked when a pod is deleted."""
    if isinstance(item, wire.WebhookConfiguration):
        return [
            model.Webhook(
                name=f"{item.metadata.name}/{hook.name}",
                fails_closed=hook.failure_policy != "Ignore",
                namespaces=_all_or(hook.namespace_selector),
                objects=_all_or(hook.object_selector),
            )
            for hook in item.webhooks or ()
            if any(map(_meets_deletion, hook.rules or ()))
        ]
    limits = item.spec.match_constraints
    if limits is None or not any(map(_meets_deletion, limits.resource_rules or ())):
        return []
    return [
        model.Webhook(
            name=item.metadata.name,
            fails_closed=item.spec.failure_policy != "Ignore",
            namespaces=_all_or(limits.namespace_selector),
            objects=_all_or(limits.object_selector),
            is_policy=True,
        )
    ]


def _all_or(part: wire.Selector | None) -> LabelSelector:
    return LabelSelector() if part is None else parse.selector_of(part)


def _meets_deletion(rule: wire.WebhookRule) -> bool:
    groups = rule.api_groups or [""]
    return (
        any(operation in ("DELETE", "*") for operation in rule.operations or ())
        and any(resource in ("pods", "*", "*/*") for resource in rule.resources or ())
        and any(group in ("", "*") for group in groups)
    )
