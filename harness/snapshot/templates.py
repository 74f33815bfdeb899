"""From wire pods to records: one template for all pods whose specs are the same, word for word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from harness.model.state import Phase, Pod, PodTemplate
from harness.snapshot import parse, wire
from harness.snapshot.wire import shapes

_PHASES = {phase.value: phase for phase in Phase}


def _bytes(raw: Raw | UnsetType) -> bytes:
    return b"" if raw is UNSET else bytes(raw)


_PLAIN = attrgetter(
    "priority", "priority_class_name", "preemption_policy", "scheduler_name", "termination_grace_period_seconds"
)


def key_of(pod: wire.Pod) -> tuple[Any, ...]:
    """Everything a template is made of: equal keys mean equal templates. Called for every pod, hence one join of the
    raw parts: each is whole JSON or nothing, so that commas between them tell them apart.
    """
    meta, spec = pod.metadata, pod.spec
    parts: list[Any] = [
        meta.labels or b"",
        meta.owner_references or b"",
        spec.tolerations or b"",
        spec.affinity or b"",
        spec.node_selector or b"",
        spec.topology_spread_constraints or b"",
        spec.overhead or b"",
        spec.resources or b"",
        spec.scheduling_gates or b"",
        spec.resource_claims or b"",
    ]
    for container in spec.containers or ():
        parts.append(container.resources or b"")
        parts.append(container.ports or b"")
    return (
        meta.namespace,
        b",".join(parts),
        _PLAIN(spec),
        _init_key(spec.init_containers) if spec.init_containers else None,
        _volumes_key(spec.volumes) if spec.volumes else None,
        meta.annotations is not None and meta.annotations.mirror is not None,
    )


def _is_ready(status: wire.PodStatus) -> bool:
    for condition in status.conditions or ():
        if condition.type == "Ready":
            return condition.status == "True"
    return False


def grouped(pods: Iterable[wire.Pod]) -> Iterator[wire.PodGroup]:
    """Pods by template, in order of appearance. The first of each group is changed: it becomes the template."""
    groups: dict[tuple[Any, ...], wire.PodGroup] = {}
    for pod in pods:
        meta, status = pod.metadata, pod.status
        deleting = meta.deletion_timestamp is not None
        place = pod.spec.node_name
        own = wire.Own(meta.name, meta.uid, place, status.phase, _is_ready(status), deleting, status.start_time)
        key = key_of(pod)
        group = groups.get(key)
        if group is None:
            groups[key] = wire.PodGroup(_stripped(pod), [own])
        else:
            group.own.append(own)
    yield from groups.values()


def _stripped(pod: wire.Pod) -> wire.Pod:
    """Without what is the pod's own, and without volumes that are nowhere."""
    pod.metadata.name = pod.metadata.uid = pod.spec.node_name = ""
    pod.metadata.deletion_timestamp = None
    pod.status = wire.PodStatus()
    held = [v for v in pod.spec.volumes or () if _volumes_key([v]) is not None]
    pod.spec.volumes = held or None
    return pod


def _init_key(containers: list[wire.Container]) -> tuple[Any, ...]:
    return tuple([(_bytes(c.resources), _bytes(c.ports), c.restart_policy) for c in containers])


class Templates:
    """Makes records; knows every template so far by the bytes it was made of."""

    def __init__(self) -> None:
        """No template yet."""
        self._known: dict[tuple[Any, ...], PodTemplate] = {}
        self._names: dict[str, str] = {}
        self._labels = parse.once(parse.labels, shapes.Texts)
        self._owner = parse.once(parse.controller, list[shapes.Owner] | None)
        self._tolerations = parse.once(parse.tolerations, list[shapes.Toleration] | None)
        self._pairs = parse.once(parse.pairs, shapes.Texts)
        self._affinity = parse.once(_as_it_is, shapes.Affinity | None)
        self._gates = parse.once(_as_it_is, list[shapes.Gate] | None)
        self._anything = parse.once(_as_it_is, shapes.Anything)
        self._requests = parse.once(parse.container_requests, shapes.Resources | None)
        self._amounts = parse.once(parse.amounts, shapes.Amounts)
        self._ports = parse.once(parse.host_ports, list[shapes.Port] | None)
        self._node_terms = parse.once(parse.required_node_terms, shapes.Affinity | None)
        self._spreads = parse.once(_as_it_is, list[shapes.Spread] | None)
        self._ephemeral = parse.once(_ephemeral_class, shapes.Ephemeral | None)

    def record(self, pod: wire.Pod) -> Pod:
        """The record of one pod. ValueError for an operator, effect or quantity that Kubernetes does not know."""
        meta, status, node = pod.metadata, pod.status, pod.spec.node_name
        return Pod(
            meta.name,
            meta.uid,
            self._names.setdefault(node, node),
            _PHASES.get(status.phase, Phase.UNKNOWN),
            _is_ready(status),
            meta.deletion_timestamp is not None,
            self._of(pod),
            status.start_time,
        )

    def records(self, group: wire.PodGroup) -> list[Pod]:
        """The records of a group."""
        template, names = self._of(group.template), self._names
        return [
            Pod(
                own.name,
                own.uid,
                names.setdefault(own.node, own.node),
                _PHASES.get(own.phase, Phase.UNKNOWN),
                own.ready,
                own.deleting,
                template,
                own.started,
            )
            for own in group.own
        ]

    def _of(self, pod: wire.Pod) -> PodTemplate:
        key = key_of(pod)
        template = self._known.get(key)
        if template is None:
            template = self._known[key] = self._template(pod)
        return template

    def _template(self, pod: wire.Pod) -> PodTemplate:
        meta, spec = pod.metadata, pod.spec
        namespace = meta.namespace or "default"
        own = self._labels(_bytes(meta.labels))
        affinity = self._affinity(_bytes(spec.affinity))
        volumes = spec.volumes or []
        return PodTemplate(
            namespace=namespace,
            labels=own,
            owner=self._owner(_bytes(meta.owner_references)),
            tolerations=self._tolerations(_bytes(spec.tolerations)),
            requests=self._pod_requests(spec),
            node_selector=self._pairs(_bytes(spec.node_selector)),
            node_affinity=self._node_terms(_bytes(spec.affinity)),
            affinity=parse.pod_terms(affinity, "podAffinity", namespace),
            anti_affinity=parse.pod_terms(affinity, "podAntiAffinity", namespace),
            spread=parse.spreads(self._spreads(_bytes(spec.topology_spread_constraints)), own),
            host_ports=self._host_ports(spec),
            claims=tuple(v.persistent_volume_claim.claim_name for v in volumes if v.persistent_volume_claim),
            ephemeral_classes=tuple(self._ephemeral(_bytes(v.ephemeral)) for v in volumes if v.ephemeral is not UNSET),
            priority=spec.priority or 0,
            priority_class=spec.priority_class_name,
            preempts=spec.preemption_policy != "Never",
            grace_s=30 if spec.termination_grace_period_seconds is None else spec.termination_grace_period_seconds,
            scheduler=spec.scheduler_name,
            gates=tuple(gate["name"] for gate in self._gates(_bytes(spec.scheduling_gates)) or ()),
            is_mirror=meta.annotations is not None and meta.annotations.mirror is not None,
            has_local_data=any(v.empty_dir is not UNSET for v in volumes),
            unmodelled=("dynamic resource claims",) if self._anything(_bytes(spec.resource_claims)) else (),
        )

    def _host_ports(self, spec: wire.PodSpec) -> tuple[Any, ...]:
        running = [c for c in spec.init_containers or () if c.restart_policy == "Always"] + (spec.containers or [])
        return tuple(port for container in running for port in self._ports(_bytes(container.ports)))

    def _pod_requests(self, spec: wire.PodSpec) -> dict[str, int]:
        """What the scheduler counts: containers and sidecars together, or the largest init container with the sidecars
        before it; then pod-level requests; then overhead (k8s.io/component-helpers resource/helpers.go, PodRequests).
        """
        total: dict[str, int] = {}
        for container in spec.containers or ():
            _add(total, self._requests(_bytes(container.resources)))
        sidecars: dict[str, int] = {}
        largest: dict[str, int] = {}
        for container in spec.init_containers or ():
            own = self._requests(_bytes(container.resources))
            if container.restart_policy == "Always":
                _add(total, own)
                _add(sidecars, own)
                _raise(largest, sidecars)
            else:
                _raise(largest, _sum(sidecars, own))
        _raise(total, largest)
        of_pod = self._requests(_bytes(spec.resources))
        total |= {name: of_pod[name] for name in of_pod if name in ("cpu", "memory") or name.startswith("hugepages-")}
        _add(total, self._amounts(_bytes(spec.overhead)))
        return {name: number for name, number in total.items() if number}


def _volumes_key(volumes: list[wire.VolumeSource]) -> tuple[Any, ...] | None:
    """What binds to a place; None for the usual pod, whose only volume is its token."""
    out: list[Any] | None = None
    for volume in volumes:
        claim, local, ephemeral = volume.persistent_volume_claim, volume.empty_dir, volume.ephemeral
        if claim is not None or local is not UNSET or ephemeral is not UNSET:
            out = out or []
            out += (claim and claim.claim_name, _bytes(ephemeral), local is not UNSET)
    return None if out is None else tuple(out)


def _as_it_is(value: Any) -> Any:
    return value


def _ephemeral_class(value: Mapping[str, Any] | None) -> str:
    template = (value or {}).get("volumeClaimTemplate") or {}
    return (template.get("spec") or {}).get("storageClassName") or ""


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def _raise(total: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, number in floor.items():
        total[name] = max(total.get(name, 0), number)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    out = dict(one)
    _add(out, other)
    return out
