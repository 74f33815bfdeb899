"""From evictions to an impact: who is replaced by whom, and where the replacements go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.impact.change import Change, nodes_after
from harness.impact.evictions import PredictedEvictions
from harness.impact.impact import Displaced, Impact, Leaving, Replacement, Staying
from harness.model.state import ClusterState, Node, Pod, PodTemplate
from harness.model.taints import Taint
from harness.model.words import Outcome
from harness.semantics.decision import Action, decide, first_match, no_execute
from harness.semantics.eviction.settings import Settings
from harness.semantics.scheduling import Placements, Request, Scheduler, place_all

_SEEKING = (Replacement.NEW, Replacement.SAME_NAME)
_BEFORE_S = -1.0


def assess(
    inventory: ClusterState,
    change: Change,
    evictions: PredictedEvictions,
    settings: Settings,
    *,
    words: Sequence[str] = (),
) -> Impact:
    """Everything that follows from the evictions: replacements placed one after the other on the nodes as they are
    after `change`. `words`: what is done, if not what `change` says.
    """
    after = nodes_after(inventory.nodes, change)
    by_name = {node.name: node for node in after}
    evicting: dict[PodTemplate, dict[tuple[Taint, ...], bool]] = {}
    leaving: list[tuple[Pod, int, Replacement]] = []
    staying: list[Staying] = []
    unsure: list[Staying] = []
    blanket = _Blankets(settings)
    for number, (pod, prediction) in enumerate(zip(evictions.pods, evictions.predictions, strict=True)):
        if prediction.outcome in (Outcome.EVICTED, Outcome.DELETED):
            back = _comes_back(pod, by_name[pod.node], change, settings, evicting)
            leaving.append((pod, number, back))
        else:
            kept = Staying(pod, prediction, blanket.keeps(pod, by_name[pod.node]))
            (unsure if prediction.outcome is Outcome.UNSURE else staying).append(kept)
    placed, idle = _placed(inventory, after, leaving, evictions, settings)
    placements = placed.placements
    return Impact(
        inventory=inventory,
        change=change,
        words=tuple(words) or change.words,
        leaving=tuple(
            Leaving(pod, evictions.predictions[number], back, placements.get(pod.key) if back in _SEEKING else None)
            for pod, number, back in leaving
        ),
        staying=tuple(staying),
        unsure=tuple(unsure),
        displaced=_displaced(inventory, placed),
        idle={key: placements[key] for key in idle if key in placements},
    )


def _comes_back(
    pod: Pod,
    node: Node,
    change: Change,
    settings: Settings,
    evicting: dict[PodTemplate, dict[tuple[Taint, ...], bool]],
) -> Replacement:
    template = pod.template
    owner = template.owner
    if template.is_mirror:
        return Replacement.SAME_NODE
    if pod.finished or pod.deleting:
        return Replacement.DONE
    if owner is None:
        return Replacement.NONE
    if change.lose and owner.kind in ("DaemonSet", "StatefulSet"):
        return Replacement.STUCK_TERMINATING
    if owner.kind == "DaemonSet":
        known = evicting.setdefault(template, {})
        if node.taints not in known:
            known[node.taints] = _returns_to(template, node, settings)
        return Replacement.EVICT_LOOP if known[node.taints] else Replacement.NOT_RECREATED
    return Replacement.SAME_NAME if owner.kind == "StatefulSet" else Replacement.NEW


def _returns_to(template: PodTemplate, node: Node, settings: Settings) -> bool:
    """Whether its DaemonSet would put it back: it does where every NoExecute taint is tolerated, however shortly."""
    taints = no_execute(node.taints)
    return bool(taints) and decide(taints, template.tolerations, compares=settings.compares).action is not Action.NOW


class _Blankets:
    """Which pods stay because of a toleration of everything."""

    def __init__(self, settings: Settings) -> None:
        self._compares = settings.compares
        self._known: dict[tuple[int, int], bool] = {}

    def keeps(self, pod: Pod, node: Node) -> bool:
        """Whether a blanket toleration is the one taken for a NoExecute taint of the node."""
        tolerations = pod.template.tolerations
        key = id(node.taints), id(tolerations)
        known = self._known.get(key)
        if known is None:
            taken = (first_match(t, tolerations, compares=self._compares) for t in no_execute(node.taints))
            known = self._known[key] = any(each is not None and each.is_blanket for each in taken)
        return known


def _placed(
    inventory: ClusterState,
    after: tuple[Node, ...],
    leaving: Sequence[tuple[Pod, int, Replacement]],
    evictions: PredictedEvictions,
    settings: Settings,
) -> tuple[Placements, list[str]]:
    """Placements of the replacements and of the pods that were waiting before (their keys come second)."""
    gone = {id(pod) for pod, _, back in leaving if back not in (Replacement.SAME_NODE, Replacement.EVICT_LOOP)}
    if not gone:
        return Placements(), []
    rest = [pod for pod in inventory.pods if id(pod) not in gone]
    waiting = [p for p in rest if not p.node and not p.deleting and not p.finished and not p.template.gates]
    requests = [Request(pod.key, pod.template, _BEFORE_S) for pod in waiting]
    for pod, number, back in leaving:
        if back in _SEEKING:
            earliest_s = evictions.predictions[number].earliest_s or 0.0
            later_s = pod.template.grace_s if back is Replacement.SAME_NAME else 0.0
            requests.append(Request(pod.key, pod.template, earliest_s + later_s))
    engine = Scheduler(replace(inventory, nodes=after), rest, compares=settings.compares)
    return place_all(engine, requests, staying=rest, budgets=inventory.budgets), [pod.key for pod in waiting]


def _displaced(inventory: ClusterState, placed: Placements) -> tuple[Displaced, ...]:
    by = {victim: key for key, placement in placed.placements.items() for victim in placement.victims}
    if not by:
        return ()
    return tuple(Displaced(pod, by[pod.key], placed.placements.get(pod.key)) for pod in inventory.pods if pod.key in by)
