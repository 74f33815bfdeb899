"""Which pods are where: what affinity, anti-affinity, spread constraints and host ports are held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.model.state import HostPort, LabelSelector, PodTemplate, PodTerm, TemplateIndex


class ExistingPods:
    """Nodes by template, for pods that are bound and not on their way out, changed as pods come and go."""

    def __init__(self, members: Mapping[PodTemplate, list[int]], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        """`members`: the node of each pod, by template; owned from here on. `namespaces`: labels by name."""
        self._namespaces = namespaces
        self._members: dict[PodTemplate, list[int]] = {}
        self._index = TemplateIndex()
        self._repelling: dict[str, list[tuple[PodTerm, PodTemplate]]] = {}
        self._repelling_anywhere: list[tuple[PodTerm, PodTemplate]] = []
        self._porters: list[PodTemplate] = []
        for template, nodes in members.items():
            self._list(template, nodes)

    def _list(self, template: PodTemplate, nodes: list[int]) -> None:
        self._members[template] = nodes
        self._index.add(template)
        if template.host_ports:
            self._porters.append(template)
        for term in template.anti_affinity:
            if not term.namespace_selector.nothing:
                self._repelling_anywhere.append((term, template))
            for namespace in term.namespaces:
                self._repelling.setdefault(namespace, []).append((term, template))

    def add(self, template: PodTemplate, nodes: Iterable[int]) -> None:
        """Pods of this template came to these nodes (one for each mention)."""
        if template in self._members:
            self._members[template].extend(nodes)
        else:
            self._list(template, list(nodes))

    def remove(self, template: PodTemplate, node: int) -> None:
        """One pod of this template left that node."""
        self._members[template].remove(node)

    def nodes_of(self, template: PodTemplate) -> Sequence[int]:
        """The node of each of its pods."""
        return self._members.get(template, ())

    def selected(self, namespace: str, selector: LabelSelector) -> list[PodTemplate]:
        """The templates in that namespace whose pods are selected."""
        return self._index.selected(namespace, selector)

    def attracted(self, terms: Sequence[PodTerm]) -> list[PodTemplate]:
        """The templates whose pods all of these terms mean."""
        first, *others = terms
        return [each for each in self.meant(first) if all(self.means(term, each) for term in others)]

    def meant(self, term: PodTerm) -> list[PodTemplate]:
        """The templates whose pods a term means."""
        named = set(term.namespaces)
        if not term.namespace_selector.nothing:
            named |= {
                namespace
                for namespace in self._index.namespaces
                if term.namespace_selector.matches(self._namespaces.get(namespace, {}))
            }
        return [template for namespace in sorted(named) for template in self.selected(namespace, term.selector)]

    def means(self, term: PodTerm, template: PodTemplate) -> bool:
        """Whether a term means pods of this template."""
        return (
            template.namespace in term.namespaces
            or term.namespace_selector.matches(self._namespaces.get(template.namespace, {}))
        ) and term.selector.matches(template.labels)

    def repelling(self, template: PodTemplate) -> list[tuple[str, PodTemplate]]:
        """(topology key, template) of pods whose required anti-affinity keeps pods of this template away."""
        near = self._repelling.get(template.namespace, ())
        if not near and not self._repelling_anywhere:
            return []
        return [
            (term.topology_key, other)
            for term, other in (*near, *self._repelling_anywhere)
            if self._members[other] and self.means(term, template)
        ]

    def with_ports(self, wanted: Sequence[HostPort]) -> list[PodTemplate]:
        """The templates whose host ports conflict with these."""
        return [
            template
            for template in self._porters
            if any(mine.conflicts(theirs) for mine in wanted for theirs in template.host_ports)
        ]
