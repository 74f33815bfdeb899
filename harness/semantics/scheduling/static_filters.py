"""The nodes that a pod's own words allow: taints, cordons, node selector and affinity, and where its volumes are.

None of it changes while pods are placed, so it is found once for all pods that say the same. Filter order as in
pkg/scheduler/apis/config/v1/default_plugins.go: NodeUnschedulable, TaintToleration, NodeAffinity; volumes come later,
but are as the static filters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from harness.model import wellknown
from harness.model.state import Node, NodeTerm, Operator, PodTemplate, any_matches
from harness.model.taints import Effect, Taint, Toleration
from harness.semantics.decision import Action, decide, no_execute
from harness.semantics.matching import tolerates
from harness.semantics.scheduling import reasons
from harness.semantics.scheduling.nodes import NodeTable
from harness.semantics.scheduling.volumes import NO_VOLUMES, VolumeNeed

_UNSCHEDULABLE = Taint(wellknown.UNSCHEDULABLE, Effect.NO_SCHEDULE)


class NodeRank(IntEnum):
    """How good a node is, before room is looked at. EVICTS: the scheduler allows it, but the pod tolerates a NoExecute
    taint there for some time only, and will be evicted again. AVOIDED: an untolerated PreferNoSchedule taint.
    """

    GOOD = 0
    AVOIDED = 1
    EVICTS = 2


@dataclass(slots=True)
class FeasibleNodes:
    """`tiers`: allowed nodes by tier. `refused`: how many nodes are ruled out before room is looked at, by reason.
    `early`: the nodes that everything but the volumes allows. `full`: requests that no node of this feasible could meet
    when they were tried (room only shrinks, so greater ones need not be tried).
    """

    tiers: tuple[list[int], list[int], list[int]]
    refused: Counter[str]
    early: list[Sequence[int]]
    full: list[Mapping[str, int]] = field(default_factory=list)

    @property
    def allowed(self) -> list[int]:
        """All allowed nodes."""
        return self.tiers[0] + self.tiers[1] + self.tiers[2]

    def is_full_for(self, requests: Mapping[str, int]) -> bool:
        """Whether requests no greater have been tried on every node in vain."""
        return any(all(requests.get(name, 0) >= number for name, number in tried.items()) for tried in self.full)


class StaticFilters:
    """Finds the feasible nodes of a template, and remembers them by what they depend on."""

    def __init__(self, table: NodeTable, *, compares: bool, kubernetes_version: str) -> None:
        """`compares`: the scheduler understands Gt and Lt tolerations."""
        self._table = table
        self._compares = compares
        self._version = kubernetes_version
        self._known: dict[object, FeasibleNodes] = {}
        self._verdicts: dict[tuple[Toleration, ...], list[str | NodeRank]] = {}
        self._tainted: dict[tuple[tuple[Taint, ...], bool], list[int]] = {}
        for which, members in enumerate(table.classes):
            first = table.nodes[members[0]]
            self._tainted.setdefault((first.taints, first.unschedulable), []).append(which)

    def of(self, template: PodTemplate, volumes: VolumeNeed) -> FeasibleNodes:
        """The feasible nodes of pods of this template whose volumes need that."""
        key = template.tolerations, template.node_selector, template.node_affinity, volumes
        feasible = self._known.get(key)
        if feasible is None:
            feasible = self._known[key] = self._find(template, volumes)
        return feasible

    def forget_full(self) -> None:
        """Room was given back: what was full may not be any more."""
        for feasible in self._known.values():
            feasible.full.clear()

    def tolerated(self, template: PodTemplate) -> list[str | NodeRank]:
        """By node class: why its taints or its cordon refuse the pod, or how good it is."""
        known = self._verdicts.get(template.tolerations)
        if known is None:
            known = self._verdicts[template.tolerations] = [NodeRank.GOOD] * len(self._table.classes)
            for classes in self._tainted.values():
                node = self._table.nodes[self._table.classes[classes[0]][0]]
                verdict = self._judge_taints(node, template.tolerations)
                for which in classes:
                    known[which] = verdict
        return known

    def ignoring_cordons(self, template: PodTemplate) -> list[bool]:
        """By node class: whether no taint (a cordon's own taint included) keeps such pods from being placed there."""
        nodes = (self._table.nodes[members[0]] for members in self._table.classes)
        return [self._untolerated(node, template.tolerations) is None for node in nodes]

    def _untolerated(self, node: Node, tolerations: tuple[Toleration, ...]) -> Taint | None:
        """The first taint that keeps such pods away."""
        for taint in node.taints:
            if taint.effect is not Effect.PREFER_NO_SCHEDULE and not self._tolerates(tolerations, taint):
                return taint
        return None

    def _tolerates(self, tolerations: tuple[Toleration, ...], taint: Taint) -> bool:
        return any(tolerates(toleration, taint, compares=self._compares) for toleration in tolerations)

    def _judge_taints(self, node: Node, tolerations: tuple[Toleration, ...]) -> str | NodeRank:
        if node.unschedulable and not self._tolerates(tolerations, _UNSCHEDULABLE):
            return reasons.UNSCHEDULABLE
        untolerated = self._untolerated(node, tolerations)
        if untolerated is not None:
            return reasons.untolerated(untolerated, self._version)
        evicting = no_execute(node.taints)
        if evicting and decide(evicting, tolerations, compares=self._compares).action is not Action.NEVER:
            return NodeRank.EVICTS
        avoided = [taint for taint in node.taints if not self._tolerates(tolerations, taint)]
        return NodeRank.AVOIDED if avoided else NodeRank.GOOD

    def _find(self, template: PodTemplate, volumes: VolumeNeed) -> FeasibleNodes:
        table = self._table
        feasible = FeasibleNodes(([], [], []), Counter(), [])
        meant = self._meant(template)
        tied = self._tied(volumes)
        named = meant if _names_nodes(template.node_affinity) else None
        for which, verdict in enumerate(self.tolerated(template)):
            members: Sequence[int] = table.classes[which]
            if named is not None:
                looked_at = [n for n in named if table.class_of[n] == which]
                feasible.refused[reasons.ABSENT] += len(members) - len(looked_at)
                members = looked_at
            if isinstance(verdict, str):
                feasible.refused[verdict] += len(members)
                continue
            early = self._early(template, members, which, meant)
            feasible.refused[reasons.NODE_AFFINITY] += len(members) - len(early)
            if early:
                feasible.early.append(early)
                feasible.tiers[verdict].extend(self._usable(early, which, volumes, tied))
        return feasible

    def _early(
        self, template: PodTemplate, members: Sequence[int], which: int, meant: set[int] | None
    ) -> Sequence[int]:
        """The members of a class that selector and affinity allow. `meant`: see `_meant`."""
        table = self._table
        if meant is None or not members:
            return members if members and matches_node(template, table.nodes[members[0]]) else ()
        few: Iterable[int] = meant if len(meant) < len(members) else members
        return [n for n in few if table.class_of[n] == which and n in meant and matches_node(template, table.nodes[n])]

    def _usable(self, early: Sequence[int], which: int, volumes: VolumeNeed, tied: set[int] | None) -> Collection[int]:
        """The members that the volumes allow. `tied`: see `_tied`."""
        table = self._table
        if volumes is NO_VOLUMES:
            return early
        if tied is None and not volumes.keys & table.wide:
            return early if volumes.refuses(table.nodes[early[0]]) is None else ()
        if tied is None:
            return [n for n in early if volumes.refuses(table.nodes[n]) is None]
        within = None if len(early) == len(table.classes[which]) else set(early)
        mine = [n for n in tied if table.class_of[n] == which and (within is None or n in within)]
        return [n for n in mine if volumes.refuses(table.nodes[n]) is None]

    def _meant(self, template: PodTemplate) -> set[int] | None:
        """The only nodes that can match, found by name or by a label that nearly every node has its own value for; None
        when the template looks at neither.
        """
        table = self._table
        terms = template.node_affinity or ()
        for key, value in template.node_selector:
            if key in table.wide:
                return set(table.with_value(key, value))
        if not any(term.names or any(r.key in table.wide for r in term.labels) for term in terms):
            return None
        return self._named_by_all(terms)

    def _tied(self, volumes: VolumeNeed) -> set[int] | None:
        """The only nodes that volumes bound to single nodes allow; None without such volumes."""
        tied: set[int] | None = None
        for terms in volumes.bound + volumes.waiting:
            if terms and all(self._named_by(term) is not None for term in terms):
                named = self._named_by_all(terms)
                tied = named if tied is None else tied & named
        return tied

    def _named_by_all(self, terms: Iterable[NodeTerm]) -> set[int]:
        found: set[int] = set()
        for term in terms:
            named = self._named_by(term)
            if named is None:
                return set(range(len(self._table.nodes)))
            found |= named
        return found

    def _named_by(self, term: NodeTerm) -> set[int] | None:
        table = self._table
        for requirement in term.names:
            if requirement.operator is Operator.IN:
                return {table.index[name] for name in requirement.values if name in table.index}
        for requirement in term.labels:
            if requirement.operator is Operator.IN and requirement.key in table.wide:
                return {n for value in requirement.values for n in table.with_value(requirement.key, value)}
        return None


def matches_node(template: PodTemplate, node: Node) -> bool:
    """nodeSelector and required node affinity (GetRequiredNodeAffinity.Match)."""
    for key, value in template.node_selector:
        if node.labels.get(key) != value:
            return False
    return template.node_affinity is None or any_matches(template.node_affinity, node.name, node.labels)


def _names_nodes(terms: tuple[NodeTerm, ...] | None) -> bool:
    """Whether every alternative names nodes: then the scheduler does not look at the others at all (PreFilter)."""
    return bool(terms) and all(any(r.operator is Operator.IN for r in term.names) for term in terms or ())
