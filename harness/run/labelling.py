"""What a run writes onto the objects it creates so that they can be found again, and which names it takes for them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cluster.ledger_record import EXPERIMENT_ANNOTATION, HOLDER_ANNOTATION, RUN_LABEL
from harness.cluster.undo import Holder
from harness.errors import UsageError
from harness.model.experiment import Manifest

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SEGMENT = re.compile(r"[^/%\x00-\x20\x7f]{1,253}")
_LONGEST_NAME = 253
_CLAIMS = "volumeClaimTemplates"

#: Where a kind of apps/v1 and batch/v1 keeps the templates of what it makes.
_TEMPLATES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "Deployment": (("spec", "template"),),
    "StatefulSet": (("spec", "template"),),
    "ReplicaSet": (("spec", "template"),),
    "DaemonSet": (("spec", "template"),),
    "Job": (("spec", "template"),),
    "CronJob": (("spec", "jobTemplate"), ("spec", "jobTemplate", "spec", "template")),
}


def check_names(manifest: Manifest) -> None:
    """UsageError unless name and namespace are what the API takes and a path can hold: RFC 1123 names (RBAC objects:
    any one path segment, as ``system:node``).
    """
    where = f"{manifest.file}:{manifest.line}: {manifest.kind}"
    name, namespace = manifest.name, manifest.namespace
    if manifest.api_version.startswith("rbac.authorization.k8s.io/"):
        fits = _SEGMENT.fullmatch(name) is not None and name not in (".", "..")
    else:
        fits = len(name) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(name) is not None
    if not fits:
        raise UsageError(f"{where}: the name {name[:80]!r} is no DNS name (RFC 1123: a-z, 0-9, '-' and '.')")
    if namespace is not None and _LABEL.fullmatch(namespace) is None:
        raise UsageError(f"{where}: the namespace {namespace[:80]!r} is no DNS label (RFC 1123: a-z, 0-9 and '-')")


def labelled(manifest: Manifest, *, run: str, experiment: str, holder: Holder | None = None) -> dict[str, Any]:
    """The object to create: the label of the run on it and on its pod templates, the experiment's full name in an
    annotation (a name can be longer than a label's value), and so the process that holds the run.
    """
    body = _with_label(manifest.body, run)
    meta = body["metadata"]
    if experiment:
        meta["annotations"] = {**(meta.get("annotations") or {}), EXPERIMENT_ANNOTATION: experiment}
    if holder is not None:
        text = json.dumps(holder.to_api(), separators=(",", ":"))
        meta["annotations"] = {**(meta.get("annotations") or {}), HOLDER_ANNOTATION: text}
    if manifest.namespace:
        meta["namespace"] = manifest.namespace
    for path in templates_of(manifest):
        body = _label_at(body, path, run)
    if has_claims(manifest):
        spec = body["spec"]
        claims = [_with_label(claim, run) if isinstance(claim, Mapping) else claim for claim in spec[_CLAIMS]]
        body["spec"] = {**spec, _CLAIMS: claims}
    return body


def has_claims(manifest: Manifest) -> bool:
    """Whether a StatefulSet has volumeClaimTemplates: the claims made from them stay when it is deleted."""
    spec = manifest.body.get("spec")
    return manifest.kind == "StatefulSet" and isinstance(spec, Mapping) and isinstance(spec.get(_CLAIMS), list | tuple)


def templates_of(manifest: Manifest) -> Sequence[tuple[str, ...]]:
    """Paths to the templates in a manifest of a kind that makes pods, the pod template last; () for other kinds."""
    if manifest.api_version.split("/")[0] not in ("apps", "batch"):
        return ()
    return _TEMPLATES.get(manifest.kind, ())


def longest_grace_s(manifests: Sequence[Manifest]) -> int:
    """The longest terminationGracePeriodSeconds of the pods these manifests make; Kubernetes' default is 30."""
    longest = 30
    for manifest in manifests:
        pod: Any = manifest.body
        for key in (templates_of(manifest) or ((),))[-1]:
            pod = pod.get(key) if isinstance(pod, Mapping) else None
        spec = pod.get("spec") if isinstance(pod, Mapping) else None
        grace = spec.get("terminationGracePeriodSeconds") if isinstance(spec, Mapping) else None
        if isinstance(grace, int) and (manifest.kind == "Pod" or templates_of(manifest)):
            longest = max(longest, grace)
    return longest


def _label_at(body: Mapping[str, Any], path: tuple[str, ...], run: str) -> dict[str, Any]:
    """`body` with the label on the object at `path`; as it is where there is none (the API server says so then)."""
    if not path:
        return _with_label(body, run)
    inner = body.get(path[0])
    if not isinstance(inner, Mapping):
        return dict(body)
    return {**body, path[0]: _label_at(inner, path[1:], run)}


def _with_label(body: Mapping[str, Any], run: str) -> dict[str, Any]:
    meta = dict(body.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), RUN_LABEL: run}
    return {**body, "metadata": meta}
