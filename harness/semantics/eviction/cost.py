"""What a prediction costs, counted before it is made: a small file must not keep anybody waiting."""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from harness.model.scenario import (
    CreatePod,
    DeleteNode,
    DeletePod,
    Restart,
    Scenario,
    SetCondition,
    SetTaints,
    SetTolerations,
    StartHeartbeat,
    StopHeartbeat,
)
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.variants import variants_of

MAX_WORK = 8_000_000
"""Units of `work` that an answer within 5 s may cost (about 0.2 µs each, on a machine that has other things to do)."""
_VISIT = 10
"""Looking at one pod after one write, in comparisons of a taint with a toleration."""


def work(scenario: Scenario, settings: Settings) -> int:
    """How much is to be done, in comparisons of a taint with a toleration: after each write to a node every pod on it
    is looked at, after each restart every pod, all of it once in each simulation. An upper bound: pods that have left
    count too.
    """
    pods = [*scenario.pods, *(write.pod for write in scenario.writes if isinstance(write, CreatePod))]
    on_node = Counter(pod.node for pod in pods)
    tolerations: Counter[str] = Counter()
    for pod in pods:
        tolerations[pod.node] += len(pod.tolerations)
    longest = max((len(node.taints) for node in scenario.nodes), default=0)
    longest = max(longest, max((len(w.taints) for w in scenario.writes if isinstance(w, SetTaints)), default=0))
    everything = _VISIT * len(pods) + longest * tolerations.total()
    total = everything + _VISIT * len(scenario.writes)
    for write in scenario.writes:
        match write:
            case SetTaints(node=node, taints=taints):
                total += _VISIT * on_node[node] + len(taints) * tolerations[node] + len(taints)
            case SetTolerations(tolerations=own):
                total += longest * len(own)
            case Restart():
                total += everything
            case CreatePod() | DeletePod() | DeleteNode() | StopHeartbeat() | StartHeartbeat() | SetCondition():
                pass  # one object, looked at once: counted above
            case _ as never:
                assert_never(never)
    return total * len(variants_of(scenario, settings))
