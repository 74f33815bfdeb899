"""What must be watched so that an experiment can be run and judged. Pure.

Pods are watched in the whole cluster and not in the workload's namespaces alone: what leaves a target is judged pod by
pod, whoever's it is, and the API has no field selector for "on any of these nodes". Nodes are watched as a whole too:
the zones of the others decide how fast a lost node's pods are evicted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from harness.check.base import Check
from harness.model.experiment import Experiment
from harness.model.needs import Watched, WatchNeed

_OF_EVERY_RUN = (Watched.PODS, Watched.NODES, Watched.ENDPOINT_SLICES)


def needs_of(experiment: Experiment, checks: Iterable[Check] = ()) -> tuple[WatchNeed, ...]:
    """What a run of `experiment` must see, and those of `checks` that apply. What can be nowhere, such as slices
    without a Service, is not needed.

    The run itself needs pods and nodes (targets, readiness, whether the fault stood, the state before the fault), and,
    with Services in its workload, their EndpointSlices (waited for before the load starts, shown in the report).
    """
    of_checks = (watch for check in checks if check.applies(experiment) for watch in sorted(check.needs))
    needs = (WatchNeed(watch, _where(watch, experiment)) for watch in dict.fromkeys((*_OF_EVERY_RUN, *of_checks)))
    return tuple(need for need in needs if need.namespaces != frozenset())


def _where(watch: Watched, experiment: Experiment) -> frozenset[str] | None:
    """In which namespaces it must be seen; None: in the whole cluster."""
    match watch:
        case Watched.PODS | Watched.NODES:
            return None
        case Watched.ENDPOINT_SLICES:
            return frozenset(m.namespace or "default" for m in experiment.workload if m.kind == "Service")
        case _ as never:
            assert_never(never)
