"""A world with an experiment's workload in it: for plans made before anything is applied."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.model.state import ClusterState, NewPod, Phase, Pod, PodDisruptionBudget
from harness.semantics.scheduling import PlacementOutcome, Request, Scheduler, place_all

_SHARE = re.compile(r"[0-9]{1,10}%?")


def applied(state: ClusterState, pods: Sequence[NewPod], *, compares: bool) -> tuple[ClusterState, tuple[str, ...]]:
    """`state` with `pods` scheduled and running, and notes about those that find no node. `compares`: see
    `Scheduler`.
    """
    engine = Scheduler(state, state.pods, compares=compares, coming=[pod.template for pod in pods])
    records: list[Pod] = []
    for pod in pods:
        if pod.everywhere:
            records += _everywhere(engine, state, pod)
    single = [pod for pod in pods if not pod.everywhere]
    requests = [Request(f"{pod.template.namespace}/{pod.name}", pod.template) for pod in single]
    placed = place_all(engine, requests, staying=state.pods).placements
    notes = []
    for pod, request in zip(single, requests, strict=True):
        placement = placed[request.key]
        node = placement.node or ""
        records.append(_record(pod, pod.name, node))
        if placement.fate is PlacementOutcome.PENDING:
            notes.append(f"{request.key} finds no node even before the change: {placement.reason}")
    return replace(state, pods=state.pods + tuple(records)), tuple(notes)


def _everywhere(engine: Scheduler, state: ClusterState, pod: NewPod) -> list[Pod]:
    """A DaemonSet's pods: on every node that its taints, selector and affinity allow and that has room."""
    feasible = engine.feasible(pod.template)
    need = engine.need(pod.template)
    nodes = [] if feasible is None else [n for n in sorted(feasible.allowed) if engine.room.fits(n, need)]
    for node in nodes:
        engine.put(pod.template, node)
    names = [state.nodes[node].name for node in nodes]
    return [_record(pod, f"{pod.name}-{name}", name) for name in names]


def _record(pod: NewPod, name: str, node: str) -> Pod:
    return Pod(
        name=name,
        uid="",
        node=node,
        phase=Phase.RUNNING if node else Phase.PENDING,
        ready=bool(node),
        deleting=False,
        template=pod.template,
    )


def counted_budgets(state: ClusterState, budgets: Iterable[PodDisruptionBudget]) -> tuple[PodDisruptionBudget, ...]:
    """New budgets with the status that their controller would give them: all matching pods healthy.

    Percentages are rounded up (pkg/controller/disruption, getExpectedPodCount). ValueError for what is no number.
    """
    out = []
    for budget in budgets:
        healthy = sum(
            pod.alive and pod.template.namespace == budget.namespace and budget.selector.matches(pod.template.labels)
            for pod in state.pods
        )
        word, text = budget.spec.split(" ", 1)
        if not _SHARE.fullmatch(text):
            raise ValueError(f"PodDisruptionBudget {budget.name}: {word} is a number or a percentage, not {text[:60]}")
        share = math.ceil(int(text[:-1]) * healthy / 100) if text.endswith("%") else int(text)
        desired = healthy - share if word == "maxUnavailable" else share
        allowed = max(0, healthy - desired)
        out.append(replace(budget, healthy=healthy, desired=max(0, desired), allowed=allowed))
    return tuple(out)
