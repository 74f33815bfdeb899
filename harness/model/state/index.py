"""Templates found by what selects them, without asking each of them."""

from __future__ import annotations

from collections.abc import Iterable

from harness.model.state.pods import PodTemplate
from harness.model.state.selectors import LabelSelector


class TemplateIndex:
    """Templates by namespace and label. Most selectors name one value of some label: that finds nearly all there is."""

    def __init__(self, templates: Iterable[PodTemplate] = ()) -> None:
        """With these templates in it."""
        self._of_namespace: dict[str, list[PodTemplate]] = {}
        self._with_label: dict[tuple[str, str, str], list[PodTemplate]] = {}
        for template in templates:
            self.add(template)

    def add(self, template: PodTemplate) -> None:
        """One more, which must not be in it yet."""
        namespace = template.namespace
        self._of_namespace.setdefault(namespace, []).append(template)
        for key, value in template.labels.items():
            self._with_label.setdefault((namespace, key, value), []).append(template)

    def selected(self, namespace: str, selector: LabelSelector) -> list[PodTemplate]:
        """Those in a namespace whose labels are selected."""
        handle = selector.handle
        if handle is None:
            found = self._of_namespace.get(namespace, [])
        else:
            found = self._with_label.get((namespace, *handle), [])
            if len(selector.terms) == 1:
                return found
        return [template for template in found if selector.matches(template.labels)]

    @property
    def namespaces(self) -> Iterable[str]:
        """All that have templates."""
        return self._of_namespace
