"""Small parsers from raw JSON parts to the model's values; each text is parsed once, however many objects share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from harness.model.state import (
    NOTHING,
    HostPort,
    Inclusion,
    LabelSelector,
    LabelTerm,
    NodeTerm,
    Operator,
    PodTerm,
    TopologySpreadConstraint,
    amount,
)
from harness.model.taints import Taint, Toleration, taints_from_api, tolerations_from_api
from harness.model.world import Owner
from harness.snapshot import wire

T = TypeVar("T")


def once(parse: Callable[[Any], T], shape: Any) -> Callable[[bytes], T]:
    """`parse` of decoded JSON, as a function of its bytes that remembers every answer. No bytes stand for null.

    `shape`: the type that the JSON must have, see `wire.shapes`; ValueError for another.
    """
    known: dict[bytes, T] = {}
    decoder = msgspec.json.Decoder(shape)

    def parsed(raw: bytes) -> T:
        if raw not in known:
            try:
                value = decoder.decode(raw) if raw else None
            except msgspec.ValidationError as error:
                raise ValueError(str(error)) from error
            known[raw] = parse(value)
        return known[raw]

    return parsed


def labels(value: Mapping[str, str] | None) -> Mapping[str, str]:
    """metadata.labels and other maps of text."""
    return dict(value or {})


def pairs(value: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """spec.nodeSelector, in the order of its keys."""
    return tuple(sorted((value or {}).items()))


def controller(value: list[Mapping[str, Any]] | None) -> Owner | None:
    """The controlling owner among metadata.ownerReferences."""
    for owner in value or ():
        if owner.get("controller"):
            return Owner(owner["kind"], owner["name"], owner.get("uid", ""))
    return None


def taints(value: list[Mapping[str, Any]] | None) -> tuple[Taint, ...]:
    """spec.taints."""
    return taints_from_api(value)


def tolerations(value: list[Mapping[str, Any]] | None) -> tuple[Toleration, ...]:
    """spec.tolerations."""
    return tolerations_from_api(value)


def amounts(value: Mapping[str, Any] | None) -> dict[str, int]:
    """A ResourceList, in the scheduler's units."""
    return {name: amount(name, str(text)) for name, text in (value or {}).items()}


def container_requests(value: Mapping[str, Any] | None) -> dict[str, int]:
    """resources.requests of a container; where only a limit is given, the API server takes it as the request."""
    given = value or {}
    return amounts({**(given.get("limits") or {}), **(given.get("requests") or {})})


def host_ports(value: list[Mapping[str, Any]] | None) -> tuple[HostPort, ...]:
    """The ports of a container that are taken on the node."""
    return tuple(
        HostPort(port["hostPort"], port.get("protocol") or "TCP", port.get("hostIP") or "0.0.0.0")  # noqa: S104
        for port in value or ()
        if port.get("hostPort")
    )


def label_selector(value: Mapping[str, Any] | None) -> LabelSelector:
    """metav1.LabelSelector; None is the one that selects nothing."""
    if value is None:
        return NOTHING
    equal = tuple(LabelTerm(k, Operator.IN, (v,)) for k, v in sorted((value.get("matchLabels") or {}).items()))
    return LabelSelector(equal + _terms(value.get("matchExpressions")))


def _terms(value: Iterable[Mapping[str, Any]] | None) -> tuple[LabelTerm, ...]:
    return tuple(LabelTerm(e["key"], Operator(e["operator"]), tuple(e.get("values") or ())) for e in value or ())


def node_terms(value: Mapping[str, Any] | None) -> tuple[NodeTerm, ...] | None:
    """A core/v1 NodeSelector: its alternatives; None when absent."""
    if value is None:
        return None
    return tuple(
        NodeTerm(_terms(term.get("matchExpressions")), _terms(term.get("matchFields")))
        for term in value.get("nodeSelectorTerms") or ()
    )


def required_node_terms(value: Mapping[str, Any] | None) -> tuple[NodeTerm, ...] | None:
    """The required part of spec.affinity.nodeAffinity."""
    return node_terms(((value or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution"))


def pod_terms(value: Mapping[str, Any] | None, part: str, namespace: str) -> tuple[PodTerm, ...]:
    """The required terms of spec.affinity.podAffinity or podAntiAffinity (`part`) of a pod in `namespace`."""
    required = ((value or {}).get(part) or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    out = []
    for term in required or ():
        named = tuple(term.get("namespaces") or ())
        elsewhere = term.get("namespaceSelector")
        if not named and elsewhere is None:
            named = (namespace,)
        out.append(
            PodTerm(label_selector(term.get("labelSelector")), term["topologyKey"], named, label_selector(elsewhere))
        )
    return tuple(out)


def spreads(value: list[Mapping[str, Any]] | None, own: Mapping[str, str]) -> tuple[TopologySpreadConstraint, ...]:
    """The topologySpreadConstraints that forbid; `own`: the pod's labels, for matchLabelKeys."""
    out = []
    for each in value or ():
        if each.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
            continue
        selector = label_selector(each.get("labelSelector"))
        keys = [key for key in each.get("matchLabelKeys") or () if key in own]
        if keys and not selector.nothing:
            merged = tuple(LabelTerm(key, Operator.IN, (own[key],)) for key in keys)
            selector = LabelSelector(merged + selector.terms)
        out.append(
            TopologySpreadConstraint(
                max_skew=each["maxSkew"],
                topology_key=each["topologyKey"],
                selector=selector,
                min_domains=each.get("minDomains") or 1,
                node_affinity=Inclusion(each.get("nodeAffinityPolicy") or "Honor"),
                node_taints=Inclusion(each.get("nodeTaintsPolicy") or "Ignore"),
            )
        )
    return tuple(out)


# --- the same from typed parts ---


def selector_of(part: wire.Selector | None) -> LabelSelector:
    """metav1.LabelSelector."""
    if part is None:
        return NOTHING
    equal = tuple(LabelTerm(k, Operator.IN, (v,)) for k, v in sorted((part.match_labels or {}).items()))
    return LabelSelector(equal + expressions_of(part.match_expressions))


def expressions_of(parts: list[wire.Expression] | None) -> tuple[LabelTerm, ...]:
    """matchExpressions."""
    return tuple(LabelTerm(e.key, Operator(e.operator), tuple(e.values or ())) for e in parts or ())


def node_terms_of(part: wire.NodeSelector) -> tuple[NodeTerm, ...]:
    """A core/v1 NodeSelector: its alternatives."""
    return tuple(
        NodeTerm(expressions_of(term.match_expressions), expressions_of(term.match_fields))
        for term in part.node_selector_terms or ()
    )
