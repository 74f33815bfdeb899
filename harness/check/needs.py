"""What must be watched so that an experiment can be run and judged. Pure.

Pods are watched in the whole cluster and not in the workload's namespaces alone: what leaves a target is judged pod by
pod, whoever's it is, and the API has no field selector for "on any of these nodes". Nodes are watched as a whole too:
the zones of the others decide how fast a lost node's pods are evicted.
"""

from __future__ import annotations

from harness.model.experiment import Experiment
from harness.model.needs import Need, Watched


def needs_of(experiment: Experiment) -> tuple[Need, ...]:
    """What the checks of `experiment`, and the run itself, must see."""
    return (*_of_targets(), *_of_services(experiment))


def _of_targets() -> tuple[Need, ...]:
    """Evictions, whether the fault stood, readiness of the workload, the state before the fault."""
    return Need(Watched.PODS), Need(Watched.NODES)


def _of_services(experiment: Experiment) -> tuple[Need, ...]:
    """Ready endpoints: waited for before the load starts, judged by the recovery check, shown in the report."""
    namespaces = frozenset(m.namespace or "default" for m in experiment.workload if m.kind == "Service")
    return (Need(Watched.ENDPOINT_SLICES, namespaces),) if namespaces else ()
