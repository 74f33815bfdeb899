"""The workload of an experiment: its manifest files read, and held against each other and against the faults."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.model.experiment import Manifest, Requirement, TolerationsFault
from harness.model.taints import Operator, Toleration
from harness.spec.manifests import pod_template, read_manifests
from harness.spec.nodes import Place
from harness.spec.problems import Problems
from harness.spec.read import Reading


def read_workload(folder: Path, reading: Reading, problems: Problems) -> tuple[Manifest, ...]:
    """All objects of the files in spec.workload, whose paths count from `folder`, in the order to apply them."""
    manifests: list[Manifest] = []
    complete = True
    for path, written in reading.each(str, "spec", "workload"):
        file = folder / written
        if not file.is_file():
            problems.add(reading.place(*path), f"workload: {_absent(file)}", _closest(folder, written))
            complete = False
            continue
        found, wrong = read_manifests(file)
        manifests.extend(found)
        problems.extend(wrong)
        complete = complete and not wrong
    _check_unique(manifests, problems)
    if complete and reading.written("spec", "workload"):
        _check_tolerations_faults(manifests, reading, problems)
    return tuple(manifests)


def _absent(file: Path) -> str:
    return f"{file} is a folder" if file.is_dir() else f"there is no file {file}"


def _closest(folder: Path, written: str) -> str:
    """The mend: a file beside it with nearly that name, or how paths count."""
    home = (folder / written).parent
    names = [entry.name for entry in home.iterdir() if entry.is_file()] if home.is_dir() else []
    if (folder / written).is_dir():
        return "name the files in it"
    close = difflib.get_close_matches(Path(written).name, names, n=1)
    return f"did you mean {Path(written).parent / close[0]}?" if close else "paths count from the experiment file"


def _check_unique(manifests: Iterable[Manifest], problems: Problems) -> None:
    """One object applied twice would be one object, and taken off once."""
    seen: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in manifests:
        group = manifest.api_version.rpartition("/")[0]
        identity = (group, manifest.kind, manifest.namespace or "default", manifest.name)
        if first := seen.get(identity):
            again = Problems(manifest.file)
            again.add(
                Place(manifest.line, 1),
                f"{manifest.kind} {manifest.name} is there already, from {first.file}:{first.line}",
                "take one of them out, or give it another name",
            )
            problems.extend(again.found)
        seen.setdefault(identity, manifest)


def _check_tolerations_faults(manifests: Sequence[Manifest], reading: Reading, problems: Problems) -> None:
    """A change of tolerations must find pods, and must keep what they have: the API takes no toleration away (422)."""
    templates = [(manifest, pod_template(manifest)) for manifest in manifests]
    for path, fault in reading.each(TolerationsFault, "spec", "faults"):
        meant = [(m, t) for m, t in templates if t is not None and _matches(fault.selector, t)]
        if not meant and all(template is not None or not _may_make_pods(m) for m, template in templates):
            problems.add(
                reading.place(*path, "tolerations", "pods"),
                "pods: no pod of the workload has these labels",
                "look at metadata.labels of the pod template",
            )
        kept = {_identity(toleration) for toleration in fault.tolerations}
        for manifest, template in meant:
            for lost in sorted(_own_tolerations(template) - kept):
                problems.add(
                    reading.place(*path, "tolerations", "set"),
                    f"set: {manifest.kind} {manifest.name} already tolerates {_spell(lost)}, "
                    "and the API server lets no toleration be taken off a running pod",
                    "add it to the list; only its tolerationSeconds may differ",
                )


_NO_PODS = {"Service", "ConfigMap", "Secret", "Namespace", "ServiceAccount", "PodDisruptionBudget", "PriorityClass"}


def _may_make_pods(manifest: Manifest) -> bool:
    """Whether a controller that we do not know might make pods of it."""
    return manifest.kind not in _NO_PODS


def _matches(selector: Iterable[Requirement], template: Mapping[str, Any]) -> bool:
    labels = _mapping(_mapping(template.get("metadata")).get("labels"))
    return all(requirement.matches(labels) for requirement in selector)


_Identity = tuple[str, str, str, str]
"""Key, operator, value, effect: what the API server holds a toleration by."""


def _identity(toleration: Toleration) -> _Identity:
    effect = toleration.effect.value if toleration.effect else ""
    return toleration.key, toleration.operator.value, toleration.value, effect


def _own_tolerations(template: Mapping[str, Any] | None) -> set[_Identity]:
    tolerations = _mapping(_mapping(template).get("spec")).get("tolerations")
    return {
        (
            item.get("key") or "",
            item.get("operator") or Operator.EQUAL.value,
            item.get("value") or "",
            item.get("effect") or "",
        )
        for item in tolerations or ()
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _spell(identity: _Identity) -> str:
    key, operator, value, effect = identity
    how = "=" if operator == Operator.EQUAL else f" {operator} "
    return f"{key or 'every key'}{f'{how}{value}' if value else ''}:{effect or 'every effect'}"
