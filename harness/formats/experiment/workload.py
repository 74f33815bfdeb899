"""The workload of an experiment: its manifest files read, and held against each other and against the faults."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from harness.files import MIB
from harness.formats.document import is_file, is_folder
from harness.formats.experiment.kinds import Kinds, PodMaker, entries, matching
from harness.formats.experiment.manifests import pod_template, read_manifests
from harness.formats.nodes import Place
from harness.formats.problems import Problems
from harness.formats.read import Reading
from harness.model.experiment import Manifest

MAX_WORKLOAD_BYTES = 2 * MIB
"""All manifest files together."""
MAX_OBJECTS = 2000
_MAX_MATCHES = 1_000_000
"""Selector terms of the faults times pods of the workload: about a second."""


def read_workload(folder: Path, reading: Reading, problems: Problems, kinds: Kinds) -> tuple[Manifest, ...]:
    """All objects of the files in spec.workload, whose paths count from `folder`, in the order to apply them."""
    manifests: list[Manifest] = []
    complete = True
    left = MAX_WORKLOAD_BYTES
    seen: set[tuple[int, int]] = set()
    for path, written in reading.each(str, "spec", "workload"):
        file = folder / written
        if not is_file(file):
            problems.add(reading.place(*path), f"workload: {_absent(file)}", _closest(folder, written))
            complete = False
            continue
        status = file.stat()
        left -= status.st_size
        if (status.st_dev, status.st_ino) in seen:
            problems.add(reading.place(*path), f"workload: {file} is listed twice", "keep one of them")
            complete = False
            continue
        seen.add((status.st_dev, status.st_ino))
        found, wrong = read_manifests(file) if left >= 0 else ((), ())
        manifests.extend(found)
        if left < 0 or len(manifests) > MAX_OBJECTS:
            words = f"more than {MAX_WORKLOAD_BYTES // MIB} MiB of manifests, or more than {MAX_OBJECTS:,} objects"
            problems.add(reading.place(*path), f"workload: {words}", "leave out what the experiment does not need")
            return ()
        problems.extend(wrong)
        complete = complete and not wrong
    _check_unique(manifests, problems)
    if complete and reading.written("spec", "workload"):
        _check_pods(manifests, reading, problems, kinds)
    return tuple(manifests)


def _absent(file: Path) -> str:
    return f"{file} is a folder" if is_folder(file) else f"there is no file {file}"


def _closest(folder: Path, written: str) -> str:
    """The fix: a file beside it with nearly that name, or how paths count."""
    if is_folder(folder / written):
        return "name the files in it"
    try:
        found = islice((folder / written).parent.iterdir(), _MAX_LOOKED_AT)
        names = [entry.name for entry in found if is_file(entry)]
    except (OSError, ValueError):
        names = []
    close = difflib.get_close_matches(Path(written).name[:100], names, n=1)
    return f"did you mean {Path(written).parent / close[0]}?" if close else "paths count from the experiment file"


_MAX_LOOKED_AT = 200
"""Entries of a folder that a file's name is compared with."""


def _check_unique(manifests: Iterable[Manifest], problems: Problems) -> None:
    """One object applied twice would be one object, and removed once."""
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


def _check_pods(manifests: Sequence[Manifest], reading: Reading, problems: Problems, kinds: Kinds) -> None:
    """A fault that acts on pods must find some in the workload; what else it asks of them, its kind says."""
    made = [(manifest, pod_template(manifest)) for manifest in manifests]
    makers = [PodMaker(manifest, _labels_of(pod), pod) for manifest, pod in made if pod is not None]
    all_known = all(pod is not None or not _may_make_pods(manifest) for manifest, pod in made)
    acting = [(fault.pods_with, fault, kind, entry) for fault, kind, entry in entries(reading, problems, kinds)]
    terms = sum(len(selector) for selector, *_ in acting if selector is not None)
    if terms * len(makers) > _MAX_MATCHES:
        at = reading.place("spec", "faults")
        words = f"{terms:,} terms of selectors for {len(makers):,} pods of the workload"
        problems.add(at, f"faults: {words} are more than can be checked", "use fewer faults, or fewer objects")
        return
    for selector, fault, kind, entry in acting:
        if selector is None:
            continue
        meant = matching(makers, selector)
        if not meant and all_known:
            entry.note(
                (fault.kind, "pods"),
                "pods: no pod of the workload has these labels",
                "look at metadata.labels of the pod template",
            )
        kind.check_pods(fault, meant, entry)


_NO_PODS = {"Service", "ConfigMap", "Secret", "Namespace", "ServiceAccount", "PodDisruptionBudget", "PriorityClass"}


def _may_make_pods(manifest: Manifest) -> bool:
    """Whether a controller that we do not know might make pods of it."""
    return manifest.kind not in _NO_PODS


def _labels_of(template: Mapping[str, Any]) -> Mapping[str, str]:
    labels = _mapping(_mapping(template.get("metadata")).get("labels"))
    return {key: value for key, value in labels.items() if isinstance(value, str)}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
