"""What ``kubectl drain`` does with the pods of nodes: whom it leaves alone, whom a budget holds up, and when they go.

With --ignore-daemonsets, --delete-emptydir-data and --force. Each pod is asked to leave at once, through the Eviction
API; while a PodDisruptionBudget refuses (429) it is asked again every 5 s.
Sources: k8s.io/kubectl pkg/drain/{filters,drain}.go; the API server's pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.model.state import ClusterState, Phase, Pod, PodDisruptionBudget, PodTemplate

RETRY_S = 5.0
"""How long kubectl waits before it asks again (drain.go, evictPods)."""
_FIRST_ROUND_S = 1.0
_QPS, _BURST = 50.0, 300
"""Limits of kubectl's client (k8s.io/cli-runtime, ConfigFlags)."""


class DrainRule(StrEnum):
    """What decides about a pod."""

    EVICTED = "drain-evicts"
    WAITS = "drain-waits-for-budget"
    TWO_BUDGETS = "drain-two-budgets"
    SKIPS_DAEMON_SET = "drain-skips-daemonset"
    SKIPS_MIRROR = "drain-skips-mirror"


_STAYS = (DrainRule.TWO_BUDGETS, DrainRule.SKIPS_DAEMON_SET, DrainRule.SKIPS_MIRROR)


@dataclass(frozen=True, slots=True)
class DrainedPod:
    """A pod on a drained node. Its eviction goes through in [`earliest_s`, `latest_s`], seconds since the drain began;
    both None when it stays, `latest_s` None when the end is not known.
    """

    pod: Pod
    rule: DrainRule
    because: str
    earliest_s: float | None = None
    latest_s: float | None = None

    @property
    def leaves(self) -> bool:
        """Whether it is evicted, sooner or later."""
        return self.rule not in _STAYS


def drained(state: ClusterState, nodes: Collection[str]) -> tuple[DrainedPod, ...]:
    """Every pod bound to `nodes` (names), in the order of `state`, drained at the same moment.

    Which of several pods under one budget comes first is kubectl's chance; here it is the one that `state` has first.
    """
    names = frozenset(nodes)
    pods = [pod for pod in state.pods if pod.node in names]
    budgets = _Budgets(state.budgets)
    leaving = sum(_skipped(pod) is None for pod in pods)
    latest_s = _FIRST_ROUND_S + max(0, leaving - _BURST) / _QPS
    return tuple(_drained(pod, budgets, latest_s) for pod in pods)


def _drained(pod: Pod, budgets: _Budgets, latest_s: float) -> DrainedPod:
    skipped = _skipped(pod)
    if skipped is not None:
        because = f"{skipped.value.removeprefix('drain-skips-')} pods are left alone by kubectl drain"
        return DrainedPod(pod, skipped, because)
    guards = [] if _ignores_budgets(pod) else budgets.of(pod.template)
    if len(guards) > 1:
        names = ", ".join(budget.key for budget in guards)
        because = f"its eviction fails (500): the Eviction API serves no pod of several budgets, here {names}"
        return DrainedPod(pod, DrainRule.TWO_BUDGETS, because)
    if guards and not budgets.take(guards[0]):
        because = f"its eviction is refused (429) while budget {guards[0].key} allows none; asked again every 5 s"
        return DrainedPod(pod, DrainRule.WAITS, because, RETRY_S)
    return DrainedPod(pod, DrainRule.EVICTED, "evicted by the drain", 0.0, latest_s)


def _skipped(pod: Pod) -> DrainRule | None:
    """Why kubectl leaves the pod alone (filters.go: mirrorPodFilter, daemonSetFilter); None when it does not."""
    owner = pod.template.owner
    if pod.template.is_mirror:
        return DrainRule.SKIPS_MIRROR
    if owner is not None and owner.kind == "DaemonSet" and not pod.finished:
        return DrainRule.SKIPS_DAEMON_SET
    return None


def _ignores_budgets(pod: Pod) -> bool:
    """Whether the API evicts it without asking, or using up, a budget (eviction.go: canIgnorePDB)."""
    return pod.finished or pod.deleting or pod.phase is Phase.PENDING


class _Budgets:
    """What the budgets of a cluster still allow."""

    def __init__(self, budgets: Sequence[PodDisruptionBudget]) -> None:
        self._budgets = budgets
        self._left = {budget.key: budget.allowed for budget in budgets}
        self._known: dict[PodTemplate, list[PodDisruptionBudget]] = {}

    def of(self, template: PodTemplate) -> list[PodDisruptionBudget]:
        """Those that select pods of `template`."""
        found = self._known.get(template)
        if found is None:
            found = self._known[template] = [
                budget
                for budget in self._budgets
                if budget.namespace == template.namespace and budget.selector.matches(template.labels)
            ]
        return found

    def take(self, budget: PodDisruptionBudget) -> bool:
        """One disruption of it; False when it allows none."""
        allowed = self._left[budget.key] > 0
        self._left[budget.key] -= allowed
        return allowed
