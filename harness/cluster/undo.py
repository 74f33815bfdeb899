"""How a node must change, and change back: merge patches that carry their own undo record on the node.

The annotation ``taintlab.dev/claim`` is written in the very patch that changes the node. One run at a time owns a node;
a second one is refused. What is undone can come from the annotation or from a copy that the process or the ledger
holds: each is sufficient alone. What a change does to the spec, and how it is put back, its kind of fault says
(`NodeChange`); what others wrote there stays as it is, byte for byte.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.cluster.undo_record import (
    CLAIM_ANNOTATION,
    CLAIM_CAP,
    Holder,
    NodeChange,
    NodeUndo,
    Spec,
    UndoKinds,
    Undone,
    claim_of,
    parse_claim,
)
from harness.errors import ClusterError

__all__ = [
    "CLAIM_ANNOTATION",
    "CLAIM_CAP",
    "FENCE_ANNOTATION",
    "Holder",
    "NodeChange",
    "NodeUndo",
    "Put",
    "Release",
    "Spec",
    "UndoKinds",
    "Undone",
    "changed",
    "claim_of",
    "fence",
    "ours_on",
    "own_claim",
    "parse_claim",
    "release",
    "renew",
]

FENCE_ANNOTATION = "taintlab.dev/fence"
"""Set and removed again so that the node's resourceVersion moves on: ``RUN VERSION``."""

Put = Callable[[Spec, NodeUndo], NodeChange]
"""Changes a node's spec in place; the change, to be undone later. It is given what the run changed there already."""


def own_claim(node: Mapping[str, Any], run: str, kinds: UndoKinds) -> NodeUndo | None:
    """The record of run `run` on `node`; None when there is none, another run's, or one that cannot be read."""
    try:
        claim = claim_of(node, kinds)
    except ClusterError:
        return None
    return claim if claim is not None and claim.run == run else None


def changed(node: Mapping[str, Any], put: Put, ours: NodeUndo, kinds: UndoKinds) -> tuple[dict[str, Any], NodeUndo]:
    """The merge patch that does `put` to `node` (an API object) and says so in its record, guarded by resourceVersion;
    and that record. `ours`: run, deadline, holder and heartbeat of a new one. ClusterError when another run owns the
    node.
    """
    claim = _claim_for(node, ours, kinds)
    spec = copy.deepcopy(dict(node["spec"]))
    claim = claim.with_change(put(spec, claim))
    meta = {
        "resourceVersion": node["metadata"]["resourceVersion"],
        "annotations": {CLAIM_ANNOTATION: claim.to_json()},
    }
    return {"metadata": meta, "spec": _difference(node["spec"], spec)}, claim


def renew(node: Mapping[str, Any], run: str, heartbeat: str, kinds: UndoKinds) -> dict[str, Any] | None:
    """The merge patch that writes `heartbeat` (RFC 3339) into the claim of run `run`; None: that claim is gone."""
    claim = own_claim(node, run, kinds)
    if claim is None:
        return None
    annotations = {CLAIM_ANNOTATION: replace(claim, heartbeat=heartbeat).to_json()}
    return {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"], "annotations": annotations}}


def fence(node: Mapping[str, Any], run: str) -> dict[str, Any]:
    """The merge patch that changes nothing but the node's resourceVersion: a write that is still under way somewhere,
    guarded by an older version, is refused from then on. `release` removes the annotation.
    """
    version = node["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": {FENCE_ANNOTATION: f"{run} {version}"}}}


@dataclass(frozen=True, slots=True)
class Release:
    """How to undo: the merge patch (None: nothing to do), what was left alone because somebody else changed it since,
    and what was to be undone but was not there any more.
    """

    patch: dict[str, Any] | None
    left_alone: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def release(node: Mapping[str, Any], claim: NodeUndo, kinds: UndoKinds, what: str | None = None) -> Release:
    """Undo what `claim` says: all of it (None), or the change with that id. The annotation on `node` is written only
    if it is that run's. The changes are undone latest first, each as its kind does it.
    """
    on_node = own_claim(node, claim.run, kinds)
    spec = copy.deepcopy(dict(node["spec"]))
    undone = [
        change.undo(spec, claimed=on_node is not None and on_node.change(change.id) is not None)
        for change in reversed(claim.changes)
        if what in (None, change.id)
    ]
    left_alone = tuple(each.left_alone for each in undone if each.left_alone)
    missing = tuple(each.missing for each in undone if each.missing)
    spec_patch = _difference(node["spec"], spec)
    annotations: dict[str, Any] = {FENCE_ANNOTATION: None} if _fenced(node, claim.run) else {}
    if on_node is not None and (on_node.without(what) != on_node or on_node.is_empty):
        rest = on_node.without(what)
        annotations[CLAIM_ANNOTATION] = None if rest.is_empty else rest.to_json()
    if not spec_patch and not annotations:
        return Release(None, left_alone, missing)
    patch: dict[str, Any] = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}}
    if annotations:
        patch["metadata"]["annotations"] = annotations
    return Release({**patch, "spec": spec_patch} if spec_patch else patch, left_alone, missing)


def ours_on(node: Mapping[str, Any], claim: NodeUndo, kinds: UndoKinds, what: str | None = None) -> tuple[str, ...]:
    """What of `claim` is still on `node`, for people: looked at after a heal, it must be empty. An annotation that
    cannot be read counts: whose it is, is not known.
    """
    found = [str(change) for change in claim.changes if what in (None, change.id) and change.is_on(node["spec"])]
    try:
        there = claim_of(node, kinds)
    except ClusterError as error:
        return (*found, str(error))
    if there is not None and there.run == claim.run and (what is None or there.without(what) != there):
        found.append(f"annotation {CLAIM_ANNOTATION}")
    if _fenced(node, claim.run):
        found.append(f"annotation {FENCE_ANNOTATION}")
    return tuple(found)


def _claim_for(node: Mapping[str, Any], ours: NodeUndo, kinds: UndoKinds) -> NodeUndo:
    """The run's record to add to: the one on the node, with our holder and heartbeat, or a new one."""
    claim = claim_of(node, kinds)
    if claim is None:
        return ours
    if claim.run != ours.run:
        name = node["metadata"]["name"]
        raise ClusterError(
            f"node {name} is claimed by run {claim.run}: wait for it, or revert it with `taintlab recover`"
        )
    return replace(claim, holder=ours.holder or claim.holder, heartbeat=ours.heartbeat or claim.heartbeat)


def _fenced(node: Mapping[str, Any], run: str) -> bool:
    value = (node["metadata"].get("annotations") or {}).get(FENCE_ANNOTATION)
    return isinstance(value, str) and value.rpartition(" ")[0] == run


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7386) that makes `after` of `before`."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        there = before.get(key)
        if isinstance(value, dict) and isinstance(there, Mapping):
            nested = _difference(there, value)
            if nested:
                patch[key] = nested
        elif key not in before or value != there:
            patch[key] = value
    return patch
