"""From evictions to an impact: who is replaced by whom, and where the replacements go."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.impact.evictions import PredictedEvictions
from harness.impact.impact import Displaced, Impact, Leaving, Replacement, Staying, lost_nodes, words_of
from harness.impact.moments import Moments, moments
from harness.impact.placing import Placed, Seeker, place
from harness.model.plan import Prediction
from harness.model.planned_fault import TimedFault
from harness.model.state import ClusterState, Node, Pod, PodTemplate
from harness.model.taints import Taint
from harness.model.words import Outcome
from harness.semantics.decision import Action, decide, first_match, no_execute
from harness.semantics.eviction.settings import Settings

_SEEKING = (Replacement.NEW, Replacement.SAME_NAME)


def assess(
    inventory: ClusterState,
    faults: Sequence[TimedFault],
    targets: Sequence[str],
    evictions: PredictedEvictions,
    settings: Settings,
    *,
    words: Sequence[str] = (),
) -> Impact:
    """Everything that follows from the evictions: replacements placed one after the other, each on the nodes as they
    are when it is due. `words`: what is done, if not what the faults say of themselves.
    """
    through = moments(inventory.nodes, faults)
    back = _ComesBack(through, lost_nodes(faults), settings)
    leaving: list[tuple[Pod, Prediction, Replacement]] = []
    staying: list[Staying] = []
    unsure: list[Staying] = []
    blanket = _Blankets(settings)
    for pod, prediction in zip(evictions.pods, evictions.predictions, strict=True):
        if prediction.outcome in (Outcome.EVICTED, Outcome.DELETED):
            leaving.append((pod, prediction, back.of(pod, prediction)))
        else:
            kept_by = any(blanket.keeps(pod, moment.by_name[pod.node]) for moment in through.all)
            (unsure if prediction.outcome is Outcome.UNSURE else staying).append(Staying(pod, prediction, kept_by))
    placed = _placed(inventory, leaving, through, settings)
    placements = placed.placements
    return Impact(
        inventory=inventory,
        targets=tuple(targets),
        faults=tuple(faults),
        words=tuple(words) or tuple(words_of(each.fault) for each in faults),
        leaving=tuple(
            Leaving(pod, prediction, comes_back, placements.get(pod.key) if comes_back in _SEEKING else None)
            for pod, prediction, comes_back in leaving
        ),
        staying=tuple(staying),
        unsure=tuple(unsure),
        displaced=_displaced(inventory, placed),
        idle={key: placements[key] for key in placed.idle if key in placements},
    )


class _ComesBack:
    """Who brings a pod back, by the state of its node when it leaves."""

    def __init__(self, through: Moments, lost: frozenset[str], settings: Settings) -> None:
        self._through = through
        self._lost = lost
        self._settings = settings
        self._evicting: dict[PodTemplate, dict[tuple[Taint, ...], bool]] = {}

    def of(self, pod: Pod, prediction: Prediction) -> Replacement:
        """See `Replacement`."""
        owner = pod.template.owner
        if pod.template.is_mirror:
            return Replacement.SAME_NODE
        if pod.finished or pod.deleting:
            return Replacement.DONE
        if owner is None:
            return Replacement.NONE
        if pod.node in self._lost and owner.kind in ("DaemonSet", "StatefulSet"):
            return Replacement.STUCK_TERMINATING
        if owner.kind == "DaemonSet":
            moment = self._through.all[self._through.at(prediction.earliest_s or 0.0)]
            again = self._returns_to(pod.template, moment.by_name[pod.node])
            return Replacement.EVICT_LOOP if again else Replacement.NOT_RECREATED
        return Replacement.SAME_NAME if owner.kind == "StatefulSet" else Replacement.NEW

    def _returns_to(self, template: PodTemplate, node: Node) -> bool:
        """Whether its DaemonSet would put it back: it does where every NoExecute taint is tolerated, however
        shortly.
        """
        known = self._evicting.setdefault(template, {})
        if node.taints not in known:
            taints = no_execute(node.taints)
            decision = decide(taints, template.tolerations, compares=self._settings.compares) if taints else None
            known[node.taints] = decision is not None and decision.action is not Action.NOW
        return known[node.taints]


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
    leaving: Sequence[tuple[Pod, Prediction, Replacement]],
    through: Moments,
    settings: Settings,
) -> Placed:
    """Placements of the replacements and of the pods that were waiting before."""
    gone = {id(pod) for pod, _, back in leaving if back not in (Replacement.SAME_NODE, Replacement.EVICT_LOOP)}
    if not gone:
        return Placed({})
    rest = [pod for pod in inventory.pods if id(pod) not in gone]
    seekers = [_seeker(pod, prediction, back) for pod, prediction, back in leaving if back in _SEEKING]
    return place(inventory, rest, seekers, through, compares=settings.compares)


def _seeker(pod: Pod, prediction: Prediction, back: Replacement) -> Seeker:
    """A StatefulSet waits until the old pod is gone, which takes up to its grace period; the others do not."""
    later_s = pod.template.grace_s if back is Replacement.SAME_NAME else 0.0
    earliest_s, latest_s = prediction.earliest_s or 0.0, prediction.latest_s
    if prediction.outcome is Outcome.DELETED:
        latest_s = earliest_s
    return Seeker(
        pod,
        earliest_s=earliest_s,
        latest_s=math.inf if latest_s is None else latest_s + later_s,
        due_s=earliest_s + later_s,
    )


def _displaced(inventory: ClusterState, placed: Placed) -> tuple[Displaced, ...]:
    by = placed.by
    if not by:
        return ()
    return tuple(Displaced(pod, by[pod.key], placed.placements.get(pod.key)) for pod in inventory.pods if pod.key in by)
