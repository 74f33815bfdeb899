"""Pods placed one after the other, each consuming room: the filters of kube-scheduler over a snapshot.

Which of several possible nodes the scheduler takes is partly chance (ties are broken at random); here it is always the
emptiest one, nodes where the pod would be evicted again last. What is promised is not the node but whether there is
one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.model.state import ClusterState, Pod, PodTemplate, Subject
from harness.semantics.scheduling import reasons
from harness.semantics.scheduling.candidates import Candidates, Placed
from harness.semantics.scheduling.existing_pods import ExistingPods
from harness.semantics.scheduling.filters import Filters
from harness.semantics.scheduling.free_resources import FreeResources, Need
from harness.semantics.scheduling.nodes import NodeTable
from harness.semantics.scheduling.plugins import Filter, FilterResult
from harness.semantics.scheduling.static_filters import FeasibleNodes, NodeRank, StaticFilters
from harness.semantics.scheduling.volumes import NO_VOLUMES, Volumes


class Scheduler:
    """A cluster that takes pods. `table`, `room`, `existing`, `filters`: its state, for those that look closer."""

    def __init__(
        self,
        state: ClusterState,
        staying: Iterable[Pod],
        *,
        compares: bool,
        coming: Iterable[PodTemplate] = (),
    ) -> None:
        """The nodes of `state` with the bound pods in `staying` on them (finished and terminating ones take no
        room); `compares`: see `StaticFilters`. `coming`: templates to be placed that no pod of `state` has.
        """
        bound: dict[PodTemplate, list[int]] = {}
        index = {node.name: number for number, node in enumerate(state.nodes)}
        for pod in staying:
            if pod.alive and pod.node in index:
                bound.setdefault(pod.template, []).append(index[pod.node])
        self._state = state
        self._volumes = Volumes(state)
        templates = dict.fromkeys(pod.template for pod in state.pods) | dict.fromkeys(coming)
        self.table = NodeTable(state.nodes, templates, self._volumes.keys())
        self.room = FreeResources(state.nodes)
        for template, nodes in bound.items():
            self.room.take(nodes, self.room.need(template.requests))
        version = state.kubernetes_version
        self._static_filters = StaticFilters(self.table, compares=compares, kubernetes_version=version)
        self.existing = ExistingPods(bound, state.namespaces)
        self.filters = Filters(self.table, self._static_filters, self.existing)
        self._candidates = Candidates(self.table, self.room)
        self._needs: dict[PodTemplate, Need] = {}
        self._explained: dict[tuple[int, tuple[tuple[str, int], ...]], str] = {}

    def prefer(self, order: Sequence[float]) -> None:
        """From now on take the node with the lowest figure, not the emptiest: to see what other choices lead to."""
        self.room.order = order
        self._candidates.forget()

    def need(self, template: PodTemplate) -> Need:
        """What one pod of this template takes."""
        need = self._needs.get(template)
        if need is None:
            need = self._needs[template] = self.room.need(template.requests)
        return need

    def feasible(self, template: PodTemplate) -> FeasibleNodes | None:
        """The nodes that its own words allow; None when it is refused before any node is looked at."""
        volumes = self._volumes.need(template)
        return None if volumes.blocked or template.gates else self._static_filters.of(template, volumes)

    def place(self, template: PodTemplate, count: int) -> list[Placed]:
        """Place up to `count` pods; as many spots as found one."""
        feasible = self.feasible(template)
        if feasible is None:
            return []
        rules = self.filters.of(template)
        if not rules and feasible.is_full_for(template.requests):
            return []
        need = self.need(template)
        search = self._candidates.search(feasible, rules, need)
        spots: list[Placed] = []
        if not rules and not template.claims:
            spots = search.fill(count)
        else:
            while len(spots) < count and (found := search.next()) is not None:
                node, tier = found
                again = tier is NodeRank.EVICTS or search.has(NodeRank.EVICTS)
                self.room.take_one(node, need)
                self._volumes.bind(template, self.table.nodes[node])
                search.placed(node)
                spots.append(Placed(node, tier, again))
        search.close()
        if spots:
            self._explained.clear()
            self.existing.add(template, [spot.node for spot in spots])
        if len(spots) < count and not rules:
            feasible.full.append(template.requests)
        return spots

    def put(self, template: PodTemplate, node: int) -> None:
        """A pod is on that node now, by somebody else's choice."""
        self.room.take_one(node, self.need(template))
        self.existing.add(template, (node,))

    def clear(self, victims: Sequence[tuple[PodTemplate, int]]) -> None:
        """Pods leave their nodes: (template, node) each."""
        for template, node in victims:
            self.room.give(node, self.need(template))
            self.existing.remove(template, node)
        self._static_filters.forget_full()
        self._candidates.forget()
        self._explained.clear()

    def unknown(self, template: PodTemplate) -> str:
        """What would have to be known for "it fits" to be certain; "" when everything is."""
        if template.unmodelled:
            return ", ".join(template.unmodelled) + " are not modelled"
        need = self._volumes.need(template)
        if need.unknown:
            missing = [s for s in (Subject.CLAIMS, Subject.VOLUMES, Subject.STORAGE_CLASSES) if not self.knows(s)]
            return "its volumes: " + "; ".join(self._state.missing[subject] for subject in missing)
        terms = template.affinity + template.anti_affinity
        if any(not term.namespace_selector.nothing for term in terms) and not self.knows(Subject.NAMESPACES):
            return "its namespaceSelector: " + self._state.missing[Subject.NAMESPACES]
        return ""

    def knows(self, subject: Subject) -> bool:
        """Whether that could be read."""
        return self._state.knows(subject)

    def would_fit(self, template: PodTemplate, node: int, without: Sequence[PodTemplate]) -> bool:
        """Whether one more pod would fit on an allowed node if pods of these templates left it."""
        need, leaving = self.need(template), [self.need(other) for other in without]
        for other in leaving:
            self.room.give(node, other)
        fits = self.room.fits(node, need)
        for other in leaving:
            self.room.take_one(node, other)
        if not fits:
            return False
        rules = self.filters.of(template, without=(node, Counter(without)))
        return all(rule.verdict(node) is FilterResult.OK for rule in rules)

    def explain(self, template: PodTemplate) -> str:
        """Why no pod of this template fits now, as the scheduler would put it."""
        nodes = len(self.table.nodes)
        if template.gates:
            return "Scheduling is blocked due to non-empty scheduling gates"
        feasible = self.feasible(template)
        if feasible is None:
            return reasons.refused(nodes, self._volumes.need(template).blocked)
        rules = self.filters.of(template)
        known_as = id(feasible), tuple(template.requests.items())
        if not rules and known_as in self._explained:
            return self._explained[known_as]
        text = reasons.unavailable(self._counted(template, feasible, rules), nodes)
        if not rules:
            self._explained[known_as] = text
        return text

    def _counted(self, template: PodTemplate, feasible: FeasibleNodes, rules: list[Filter]) -> Counter[str]:
        """Refusals by reason. On each node the first filter that refuses speaks, with all it has to say: ports, room,
        volumes, then the other rules.
        """
        counted = Counter(feasible.refused)
        volumes, need = self._volumes.need(template), self.need(template)
        rest = [node for early in feasible.early for node in early]
        for rule in rules:
            if rule.per_node:
                rest = _passing(rule, rest, counted)
        self.room.count_lacking(rest, template.requests, counted)
        rest = [node for node in rest if self.room.fits(node, need)]
        if volumes is not NO_VOLUMES:
            refusals = {node: volumes.refuses(self.table.nodes[node]) for node in rest}
            counted.update(why for why in refusals.values() if why is not None)
            rest = [node for node in rest if refusals[node] is None]
        for rule in rules:
            if not rule.per_node:
                rest = _passing(rule, rest, counted)
        return counted


def _passing(rule: Filter, nodes: list[int], counted: Counter[str]) -> list[int]:
    """The nodes that a rule is not against; the others are counted."""
    passing = []
    for node in nodes:
        if rule.verdict(node) is FilterResult.OK:
            passing.append(node)
        else:
            counted[rule.reason(node)] += 1
    return passing
