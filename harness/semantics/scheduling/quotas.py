"""Whether a namespace's ResourceQuotas let one more pod be created.

Source: pkg/quota/v1/evaluator/core/pods.go and the quota admission plugin. A terminating pod counts until it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.model.state import LabelTerm, Operator, PodTemplate, ResourceQuota

_COUNTED = ("pods", "count/pods")
_PLAIN = ("cpu", "memory", "ephemeral-storage")


class Quotas:
    """The quotas of a cluster, with what is used of them, charged as pods are admitted."""

    def __init__(self, quotas: Iterable[ResourceQuota]) -> None:
        """`used` of each quota is where counting starts."""
        self._quotas: dict[str, list[ResourceQuota]] = {}
        self._used: dict[tuple[str, str], dict[str, int]] = {}
        for quota in quotas:
            self._quotas.setdefault(quota.namespace, []).append(quota)
            self._used[quota.namespace, quota.name] = dict(quota.used)

    def admit(self, template: PodTemplate) -> str:
        """Charge one more pod of this template; empty, or why it may not be created, naming the quota."""
        charges = []
        for quota in self._quotas.get(template.namespace, ()):
            if not _covers(quota, template):
                continue
            used = self._used[quota.namespace, quota.name]
            wanted = _usage(quota.hard, template)
            missing = [name for name, number in wanted.items() if number is None]
            if missing:
                return f"failed quota: {quota.name}: must specify {', '.join(missing)}"
            over = [n for n, number in wanted.items() if used.get(n, 0) + (number or 0) > quota.hard[n]]
            if over:
                return f"exceeded quota: {quota.name}, for {', '.join(over)}"
            charges.append((used, wanted))
        for used, wanted in charges:
            for name, number in wanted.items():
                used[name] = used.get(name, 0) + (number or 0)
        return ""

    def release(self, template: PodTemplate) -> None:
        """A pod of this template is gone."""
        for quota in self._quotas.get(template.namespace, ()):
            if _covers(quota, template):
                used = self._used[quota.namespace, quota.name]
                for name, number in _usage(quota.hard, template).items():
                    used[name] = used.get(name, 0) - (number or 0)


def _usage(hard: Mapping[str, int], template: PodTemplate) -> dict[str, int | None]:
    """What one pod uses of the quota's resources; None for one that it would have to name. Limits are not looked at."""
    out: dict[str, int | None] = {}
    for name in hard:
        if name in _COUNTED:
            out[name] = 1
            continue
        resource = name.removeprefix("requests.")
        if name.startswith("limits.") or (resource == name and name not in _PLAIN):
            continue
        asked = template.requests.get(resource)
        if asked is not None or resource not in _PLAIN:
            out[name] = asked or 0
        else:
            out[name] = None
    return out


def _covers(quota: ResourceQuota, template: PodTemplate) -> bool:
    """Whether the quota's scopes include the pod. Scopes by running time (Terminating) are taken to include none."""
    for scope in quota.scopes:
        if scope == "BestEffort" and template.requests:
            return False
        if scope == "NotBestEffort" and not template.requests:
            return False
        if scope not in ("BestEffort", "NotBestEffort", "NotTerminating"):
            return False
    return all(_has_class(term, template) for term in quota.priority_classes)


def _has_class(term: LabelTerm, template: PodTemplate) -> bool:
    labels = {"PriorityClass": template.priority_class} if template.priority_class else {}
    return term.matches(labels) if term.operator is not Operator.EXISTS else bool(labels)
