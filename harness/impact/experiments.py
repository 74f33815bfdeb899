"""Plans of experiments: the workload applied to a cluster's state, then the faults, as `taintlab run` would do them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.impact import EXPECTATIONS, PolicyPlan, PredictedEvictions, assess, judge
from harness.impact.applied import applied, counted_budgets
from harness.impact.evictions import pods_on
from harness.impact.impact import Impact, workload_of
from harness.impact.request import PlanInput
from harness.model.experiment import Experiment, Manifest, PhaseName
from harness.model.faults import Fault
from harness.model.finding import Expectation
from harness.model.planned_fault import TimedFault
from harness.model.state import ClusterState
from harness.plan.predict import predict_planned
from harness.plan.schedule import make_steps
from harness.plan.targets import choose_targets
from harness.semantics.eviction.settings import Settings
from harness.semantics.scheduling import PlacementOutcome
from harness.snapshot.manifests import new_pods, with_objects


def plan_experiment(experiment: Experiment, seen: PlanInput, expectations: Sequence[Expectation]) -> PolicyPlan:
    """What an experiment would do: its workload applied (unless it is there already), then its faults."""
    inventory, notes = _with_workload(seen.inventory, experiment.workload, seen.settings)
    targets = choose_targets(experiment.target, inventory.nodes) if experiment.target is not None else ()
    pods = pods_on(inventory, targets)
    here = replace(inventory, pods=pods)
    steps = make_steps(experiment, targets)
    predictions = {p.pod: p for p in predict_planned(experiment, steps, targets, here, seen.settings)}
    zero_s = min((fault.at_s for fault in experiment.faults), default=0.0)
    end_s = experiment.phases.fault_s - zero_s
    faults = tuple(_timed(fault, targets, zero_s, end_s) for fault in experiment.faults)
    unplanned = tuple(f"{fault}: {fault.unplanned}" for fault in experiment.faults if fault.unplanned)
    evictions = PredictedEvictions(pods, tuple(predictions[pod.key] for pod in pods))
    impact = assess(inventory, faults, targets, evictions, seen.settings)
    impact = replace(impact, notes=seen.notes + notes + _later_looks(impact, end_s), unplanned=unplanned)
    return judge(impact, _expectations(experiment, expectations), source=seen.source, title=experiment.name)


def _timed(fault: Fault, targets: Sequence[str], zero_s: float, end_s: float) -> TimedFault:
    """The fault by its steps' times (`make_steps`), counted from the first injection. `end_s`: of the fault phase."""
    on_s = fault.at_s - zero_s
    until_s = end_s if fault.for_s is None else min(end_s, on_s + fault.for_s)
    return TimedFault(fault, tuple(fault.subjects(targets)), on_s, until_s if fault.is_undone else None)


def _later_looks(impact: Impact, end_s: float) -> tuple[str, ...]:
    """What a plan leaves open where the nodes change while the faults last: the answer is that of the first look."""
    fates = [each.placement.fate for each in impact.leaving if each.placement is not None]
    pending = fates.count(PlacementOutcome.PENDING)
    spans = [
        f"{each.fault} is on from {each.on_s:g} s to {each.off_s:g} s"
        for each in impact.faults
        if each.off_s is not None and (each.on_s > 0 or each.off_s < end_s)
    ]
    if not pending or not spans:
        return ()
    whose = f"{pending} replacement that is" if pending == 1 else f"{pending:,} replacements that are"
    return (f"whether {whose} Pending when due find a node later: {', '.join(spans)}",)


def _expectations(experiment: Experiment, asked: Sequence[Expectation]) -> tuple[Expectation, ...]:
    """What was asked for; an objective in the fault phase asks for no outage of the Service that the load goes to."""
    if not any(PhaseName.FAULT in slo.phases for slo in experiment.expect.slos):
        return tuple(asked)
    outage, served = EXPECTATIONS["no-outage"], _served(experiment)
    narrowed = outage if served is None else replace(outage, subject=f"Service {served}")
    return tuple(dict.fromkeys(narrowed if each == outage else each for each in (*asked, outage)))


def _served(experiment: Experiment) -> str | None:
    """The Service that the load goes to, if its URL names one: ``http://web.shop.svc``, or ``http://web``."""
    host = urlsplit(experiment.load.url).hostname if experiment.load is not None else None
    parts = (host or "").split(".")
    if not parts[0] or parts[0].isdecimal():
        return None
    namespaces = {manifest.namespace or "default" for manifest in experiment.workload} or {"default"}
    return f"{parts[1] if len(parts) > 1 else sorted(namespaces)[0]}/{parts[0]}"


def _with_workload(
    inventory: ClusterState, manifests: Sequence[Manifest], settings: Settings
) -> tuple[ClusterState, tuple[str, ...]]:
    """The world with the manifests' objects and pods in it, except for workloads that run there already."""
    there = {workload_of(template) for template in {pod.template for pod in inventory.pods}}
    bodies = [_body(m) for m in manifests if f"{m.kind} {m.namespace or 'default'}/{m.name}" not in there]
    try:
        whole, more = with_objects(inventory, bodies)
        running, notes = applied(whole, new_pods(bodies, whole), compares=settings.compares)
        return replace(running, budgets=running.budgets + counted_budgets(running, more.budgets)), notes
    except ValueError as error:
        raise UsageError(f"the experiment's workload could not be stored: {error}") from error


def _body(manifest: Manifest) -> dict[str, Any]:
    """The object as plain JSON, its namespace filled in."""
    body: dict[str, Any] = json.loads(json.dumps(manifest.body, default=dict))
    body.setdefault("metadata", {}).setdefault("namespace", manifest.namespace or "default")
    return body
