"""Which rules hold for a template, with everybody counted who is there now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from harness.model.state import Inclusion, PodTemplate, TopologySpreadConstraint
from harness.semantics.scheduling import reasons
from harness.semantics.scheduling.existing_pods import ExistingPods
from harness.semantics.scheduling.nodes import NodeTable
from harness.semantics.scheduling.plugins import (
    Domains,
    Filter,
    InterPodAffinity,
    InterPodAntiAffinity,
    NodePorts,
    PodTopologySpread,
)
from harness.semantics.scheduling.static_filters import StaticFilters, matches_node

Leaving = Mapping[PodTemplate, int]
"""How many pods of each template to leave out on one node."""


class Filters:
    """Makes rules in the order that the scheduler's filters run: ports, spread, affinity, anti-affinity."""

    def __init__(self, table: NodeTable, static_filters: StaticFilters, existing: ExistingPods) -> None:
        """`existing` is looked at anew for each template."""
        self._table = table
        self._static_filters = static_filters
        self._company = existing
        self._domains: dict[object, Domains] = {}

    def of(self, template: PodTemplate, *, without: tuple[int, Leaving] | None = None) -> list[Filter]:
        """The rules for pods of this template; `without`: as if these pods were not on that node."""
        rules: list[Filter] = []
        if template.host_ports:
            rules.append(self._ports(template, without))
        rules += [self._spread(template, spread, without) for spread in template.spread]
        if template.affinity:
            rules.append(self._near(template, without))
        rules += self._away(template, without)
        return rules

    def _ports(self, template: PodTemplate, without: tuple[int, Leaving] | None) -> Filter:
        users: Counter[int] = Counter()
        for other in self._company.with_ports(template.host_ports):
            users.update(self._company.nodes_of(other))
            if without is not None:
                users[without[0]] -= without[1].get(other, 0)
        return NodePorts((node for node, count in users.items() if count > 0))

    def _spread(
        self, template: PodTemplate, spread: TopologySpreadConstraint, without: tuple[int, Leaving] | None
    ) -> Filter:
        rule = PodTopologySpread(
            spread.topology_key,
            self._domains_of(template, spread),
            max_skew=spread.max_skew,
            min_domains=spread.min_domains,
            selects_itself=spread.selector.matches(template.labels),
        )
        if not spread.selector.is_empty:  # upstream counts nobody for a selector without terms
            for other in self._company.selected(template.namespace, spread.selector):
                rule.count(self._company.nodes_of(other))
                if without is not None:
                    rule.uncount(without[0], without[1].get(other, 0))
        return rule

    def _domains_of(self, template: PodTemplate, spread: TopologySpreadConstraint) -> Domains:
        """Nodes count when they carry the keys of all the pod's constraints, and are not left out by its policies."""
        table = self._table
        affinity = spread.node_affinity is Inclusion.HONOR
        taints = spread.node_taints is Inclusion.HONOR
        keys = tuple(each.topology_key for each in template.spread)
        known_as = (
            spread.topology_key,
            keys,
            (template.node_selector, template.node_affinity) if affinity else None,
            template.tolerations if taints else None,
        )
        known = self._domains.get(known_as)
        if known is not None:
            return known
        columns = [table.values(key) for key in set(keys)]
        tolerated = self._static_filters.ignoring_cordons(template) if taints else None
        eligible = bytearray(len(table.nodes))
        for number, node in enumerate(table.nodes):
            eligible[number] = (
                all(column[number] is not None for column in columns)
                and (not affinity or matches_node(template, node))
                and (tolerated is None or tolerated[table.class_of[number]])
            )
        values = table.values(spread.topology_key)
        names = frozenset(value for number, value in enumerate(values) if eligible[number] and value is not None)
        self._domains[known_as] = Domains(values, eligible, names)
        return self._domains[known_as]

    def _near(self, template: PodTemplate, without: tuple[int, Leaving] | None) -> Filter:
        existing = self._company
        friends = existing.attracted(template.affinity)
        rule = InterPodAffinity(
            {term.topology_key: self._table.values(term.topology_key) for term in template.affinity},
            (node for friend in friends for node in existing.nodes_of(friend)),
            means_itself=all(existing.means(term, template) for term in template.affinity),
        )
        if without is not None:
            for friend in friends:
                rule.uncount(without[0], without[1].get(friend, 0))
        return rule

    def _away(self, template: PodTemplate, without: tuple[int, Leaving] | None) -> list[Filter]:
        existing, table = self._company, self._table
        rules: list[Filter] = []
        for term in template.anti_affinity:
            others = existing.meant(term)
            rule = InterPodAntiAffinity(
                term.topology_key,
                table.values(term.topology_key),
                (node for other in others for node in existing.nodes_of(other)),
                why=reasons.ANTI_AFFINITY,
                itself=existing.means(term, template),
            )
            if without is not None:
                for other in others:
                    rule.uncount(without[0], without[1].get(other, 0))
            rules.append(rule)
        by_key: dict[str, list[PodTemplate]] = {}
        for key, other in existing.repelling(template):
            by_key.setdefault(key, []).append(other)
        for key, repelling in by_key.items():
            rule = InterPodAntiAffinity(
                key,
                table.values(key),
                (node for other in repelling for node in existing.nodes_of(other)),
                why=reasons.EXISTING_ANTI_AFFINITY,
                itself=template in repelling,
            )
            if without is not None:
                for other in repelling:
                    rule.uncount(without[0], without[1].get(other, 0))
            rules.append(rule)
        return rules
