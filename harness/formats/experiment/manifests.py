"""Workload manifests: what the API server would refuse, or misread, is said before anything is applied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import InvalidFile, Problem
from harness.formats.document import parse, read_text
from harness.formats.experiment.fields_faults import TOLERATION
from harness.formats.experiment.semantic_faults import check_tolerations
from harness.formats.labels import DNS_LABEL, SUBDOMAIN, SUBDOMAIN_MAX
from harness.formats.nodes import START, Listing, Node, Scalar, Table, describe, plain, shorten
from harness.formats.problems import Problems, TooMany
from harness.formats.read import read
from harness.formats.shapes import ListOf
from harness.model.experiment import Manifest

_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"), ("spec", "template")
    ),
}
"""Where each kind keeps the pod it makes."""
_STRING_MAPS = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "nodeSelector"),
    ("spec", "selector", "matchLabels"),
)
"""Maps of text to text, where an unquoted number or ``true`` makes the API server refuse the whole object."""
_PLAIN_SELECTORS = ("Service", "ReplicationController")
"""Kinds whose spec.selector is such a map too."""


def pod_template(manifest: Manifest) -> Mapping[str, Any] | None:
    """The pod (metadata, spec) that the object is or makes; None if its kind makes none that we know of."""
    path = _TEMPLATES.get(manifest.kind)
    if path is None:
        return None
    body: Any = manifest.body
    for step in path:
        body = body.get(step) if isinstance(body, Mapping) else None
    return body if isinstance(body, Mapping) else None


def read_manifests(path: Path) -> tuple[tuple[Manifest, ...], tuple[Problem, ...]]:
    """The objects of one YAML file in written order (a v1 List gives its items), and every problem found in it."""
    problems = Problems(str(path))
    try:
        parsed = parse(read_text(path), file=str(path))
    except InvalidFile as error:
        return (), error.problems
    problems.extend(parsed.problems)
    if not parsed.documents and not parsed.broken:
        problems.add(START, "the file holds no object", "write a Kubernetes object into it")
    manifests: list[Manifest] = []
    try:
        for document in parsed.documents:
            manifests += _manifests(document, problems)
    except TooMany:
        problems.stopped()
    return tuple(manifests), problems.found


def _manifests(node: Node, problems: Problems) -> list[Manifest]:
    if not isinstance(node, Table):
        problems.add(node.at, f"a Kubernetes object is a mapping, found {describe(node)}")
        return []
    kind = _word(node, "kind", problems)
    api_version = _word(node, "apiVersion", problems)
    if kind == "List" and isinstance(items := node.get("items"), Listing):
        return [manifest for item in items.items for manifest in _manifests(item, problems)]
    if api_version.startswith("taintlab.dev/"):
        problems.add(node.place_of("apiVersion"), f"{kind} is not a Kubernetes object of a workload", "take it out")
        return []
    metadata = node.get("metadata")
    if not isinstance(metadata, Table):
        problems.add(node.place_of("metadata"), "metadata: a mapping is needed", "write metadata: {name: ...}")
        return []
    if metadata.get("generateName") and not metadata.get("name"):
        problems.add(
            metadata.place_of("generateName"),
            "generateName leaves the name to the server, but a run removes what it applied by name",
            "write name",
        )
        return []
    name = _word(metadata, "name", problems)
    namespace = _word(metadata, "namespace", problems) if metadata.get("namespace") else None
    _check_names(node, metadata, problems)
    _check_texts(node, kind, problems)
    _check_tolerations(node, kind, problems)
    if not (kind and api_version and name):
        return []
    return [
        Manifest(
            api_version=api_version,
            kind=kind,
            name=name,
            namespace=namespace,
            body=plain(node),
            file=problems.file,
            line=node.at.line,
        )
    ]


_API_VERSION = re.compile(rf"(?:{SUBDOMAIN}/)?[a-z0-9]{{1,63}}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_NAME = re.compile(r"(?!\.{1,2}\Z)[!-$&-.0-~]{1,253}")
"""What may stand in a path (apimachinery, IsValidPathSegmentName): a name goes into one. Some kinds allow more than DNS
names, such as RBAC's ``system:node``."""


def _check_names(node: Table, metadata: Table, problems: Problems) -> None:
    """What the object's path is made of: nothing in it may lead elsewhere."""
    for table, key, form in (
        (node, "apiVersion", _API_VERSION),
        (node, "kind", _KIND),
        (metadata, "name", _NAME),
        (metadata, "namespace", re.compile(DNS_LABEL)),
    ):
        value = table.get(key)
        if isinstance(value, Scalar) and isinstance(value.value, str) and value.value.strip():
            text = value.value
            if len(text) > SUBDOMAIN_MAX + 64 or not form.fullmatch(text):
                problems.add(value.at, f'{key}: "{shorten(text)}" cannot be one', "check the spelling")


def _word(table: Table, key: str, problems: Problems) -> str:
    """The text of `key`; empty, with a problem, if there is none."""
    node = table.get(key)
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        return node.value
    if node is None:
        problems.add(table.at, f"{key} is missing", f"write {key}: ...")
    else:
        quotable = isinstance(node, Scalar) and node.text
        problems.add(node.at, f"{key}: text is needed, found {describe(node)}", "quote it" if quotable else "")
    return ""


def _follow(table: Table, path: tuple[str, ...]) -> Table | None:
    """The mapping at the end of `path`, if all of it is there."""
    node: Node | None = table
    for step in path:
        node = node.get(step) if isinstance(node, Table) else None
    return node if isinstance(node, Table) else None


def _check_texts(node: Table, kind: str, problems: Problems) -> None:
    """Wherever the API takes only text, in the object and in the pod it makes."""
    for name, value in _texts(node, kind):
        if not (isinstance(value, Scalar) and isinstance(value.value, str)):
            fix = f'quote it: "{value.text}"' if isinstance(value, Scalar) else ""
            problems.add(value.at, f"{name}: the API server takes only text here, found {describe(value)}", fix)


def _texts(node: Table, kind: str) -> Iterator[tuple[str, Node]]:
    """Every such value with the name to call it by."""
    for path in _STRING_MAPS:
        for root in dict.fromkeys(((), _TEMPLATES.get(kind, ()))):
            yield from _entries(_follow(node, (*root, *path)))
    if kind in _PLAIN_SELECTORS:
        yield from _entries(_follow(node, ("spec", "selector")))
    if pod := _follow(node, (*_TEMPLATES[kind], "spec")) if kind in _TEMPLATES else None:
        for container in (*_tables(pod.get("initContainers")), *_tables(pod.get("containers"))):
            for key in ("command", "args"):
                words = container.get(key)
                yield from ((key, word) for word in (words.items if isinstance(words, Listing) else ()))
            for variable in _tables(container.get("env")):
                yield from ((entry.key, entry.value) for entry in variable.entries if entry.key in ("name", "value"))


def _entries(table: Table | None) -> Iterator[tuple[str, Node]]:
    return ((entry.key, entry.value) for entry in (table.entries if table else ()))


def _tables(node: Node | None) -> Iterator[Table]:
    return (item for item in (node.items if isinstance(node, Listing) else ()) if isinstance(item, Table))


def _check_tolerations(node: Table, kind: str, problems: Problems) -> None:
    """The tolerations of the pod it makes, by the API server's own rules."""
    pod = _follow(node, (*_TEMPLATES[kind], "spec")) if kind in _TEMPLATES else None
    tolerations = pod.get("tolerations") if pod else None
    is_null = isinstance(tolerations, Scalar) and tolerations.value is None
    is_empty = isinstance(tolerations, Listing) and not tolerations.items
    if tolerations is None or is_null or is_empty:
        return
    reading = read(ListOf(TOLERATION), tolerations, problems, root=("tolerations",))
    check_tolerations(reading, problems, ("tolerations",))
