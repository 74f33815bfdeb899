"""Plans of experiments: the workload applied to a cluster's state, then the faults, as `taintlab run` would do them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.formats.values import format_duration
from harness.impact import EXPECTATIONS, Change, PolicyPlan, PredictedEvictions, assess, judge
from harness.impact.applied import applied, counted_budgets
from harness.impact.evictions import pods_on
from harness.impact.impact import workload_of
from harness.impact.request import PlanInput
from harness.model.experiment import Experiment, Manifest, PhaseName
from harness.model.faults import Fault
from harness.model.finding import Expectation
from harness.model.state import ClusterState
from harness.plan.predict import predict_planned
from harness.plan.schedule import make_steps
from harness.plan.targets import choose_targets
from harness.semantics.eviction.settings import Settings
from harness.snapshot.manifests import new_pods, with_objects


def plan_experiment(experiment: Experiment, seen: PlanInput, expectations: Sequence[Expectation]) -> PolicyPlan:
    """What an experiment would do: its workload applied (unless it is there already), then its faults."""
    inventory, notes = _with_workload(seen.inventory, experiment.workload, seen.settings)
    targets = choose_targets(experiment.target, inventory.nodes) if experiment.target is not None else ()
    pods = pods_on(inventory, targets)
    here = replace(inventory, pods=pods)
    steps = make_steps(experiment, targets)
    predictions = {p.pod: p for p in predict_planned(experiment, steps, targets, here, seen.settings)}
    marks = [fault.mark for fault in experiment.faults if fault.mark is not None]
    taints = tuple(mark.taint for mark in marks if mark.taint is not None)
    change = Change(targets, taints, cordon=any(mark.taint is None for mark in marks))
    unplanned = tuple(f"{fault}: {fault.unplanned}" for fault in experiment.faults if fault.unplanned)
    departures = PredictedEvictions(pods, tuple(predictions[pod.key] for pod in pods))
    words = [_words(fault) for fault in experiment.faults]
    impact = assess(inventory, change, departures, seen.settings, words=words)
    impact = replace(impact, notes=seen.notes + notes, unplanned=unplanned)
    return judge(impact, _expectations(experiment, expectations), source=seen.source, title=experiment.name)


def _expectations(experiment: Experiment, asked: Sequence[Expectation]) -> tuple[Expectation, ...]:
    """What was asked for; an objective in the fault phase asks for no outage of the Service that the load goes to."""
    if not any(PhaseName.FAULT in slo.phases for slo in experiment.expect.slos):
        return tuple(asked)
    outage, served = EXPECTATIONS["no-outage"], _served(experiment)
    narrowed = outage if served is None else replace(outage, subject=f"Service {served}")
    return tuple(dict.fromkeys(narrowed if each == outage else each for each in (*asked, outage)))


def _words(fault: Fault) -> str:
    """What is done and when, counted from the start of the fault phase: ``taint spot=x:NoExecute at 5s for 10s``."""
    at = f" at {format_duration(fault.at_s)}" if fault.at_s else ""
    return f"{fault}{at}" + (f" for {format_duration(fault.for_s)}" if fault.for_s is not None else "")


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
