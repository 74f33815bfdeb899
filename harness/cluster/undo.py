"""How a node must change, and change back: merge patches that carry their own undo record on the node.

The annotation ``taintlab.dev/claim`` is written in the very patch that changes the node. One run at a time owns a node;
a second one is refused. What is undone can come from the annotation or from a copy that the process or the ledger
holds: each is sufficient alone. Entries of others in spec.taints are kept as they are, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.cluster.undo_record import (
    CLAIM_ANNOTATION,
    CLAIM_CAP,
    CORDON,
    Change,
    Claim,
    Holder,
    TaintUndo,
    claim_of,
    parse_claim,
)
from harness.errors import ClusterError
from harness.model.taints import Taint, taint_from_api

__all__ = [
    "CLAIM_ANNOTATION",
    "CLAIM_CAP",
    "CORDON",
    "FENCE_ANNOTATION",
    "Change",
    "Claim",
    "Holder",
    "Release",
    "TaintUndo",
    "claim_of",
    "cordon",
    "fence",
    "ours_on",
    "own_claim",
    "parse_claim",
    "put_taint",
    "release",
    "renew",
]

FENCE_ANNOTATION = "taintlab.dev/fence"
"""Set and taken off again so that the node's resourceVersion moves on: ``RUN VERSION``."""

_Entry = dict[str, Any]


def own_claim(node: Mapping[str, Any], run: str) -> Claim | None:
    """The claim of run `run` on `node`; None when there is none, another run's, or one that cannot be read."""
    try:
        claim = claim_of(node)
    except ClusterError:
        return None
    return claim if claim is not None and claim.run == run else None


def put_taint(
    node: Mapping[str, Any],
    taint: Taint,
    *,
    run: str,
    deadline: str,
    holder: Holder | None = None,
    heartbeat: str | None = None,
) -> dict[str, Any]:
    """The merge patch that puts `taint` on `node` (an API object) and says so in the claim, guarded by resourceVersion.

    A taint of the same key and effect is replaced where it stands and remembered. ClusterError when another run owns
    the node.
    """
    claim = _claim_for(node, Claim(run, deadline, holder=holder, heartbeat=heartbeat))
    taints = _taints(node)
    index = _at(taints, taint)
    before = None if index is None else taint_from_api(taints[index])
    ours_before = next((undo for undo in claim.taints if undo.ours.identity == taint.identity), None)
    if index is None:
        index = len(taints)
        taints.append(taint.to_api())
    else:
        taints[index] = taint.to_api()
    if ours_before is not None:
        undone = replace(ours_before, ours=taint)
        changes = tuple(undone if undo is ours_before else undo for undo in claim.taints)
    else:
        changes = (*claim.taints, TaintUndo(taint, before, index))
    return _patch(node, replace(claim, taints=changes), {"taints": taints})


def cordon(
    node: Mapping[str, Any], *, run: str, deadline: str, holder: Holder | None = None, heartbeat: str | None = None
) -> dict[str, Any]:
    """The merge patch that sets spec.unschedulable and remembers what it was."""
    claim = _claim_for(node, Claim(run, deadline, holder=holder, heartbeat=heartbeat))
    if claim.unschedulable_before is None:
        claim = replace(claim, unschedulable_before=bool(node["spec"].get("unschedulable")))
    return _patch(node, claim, {"unschedulable": True})


def renew(node: Mapping[str, Any], run: str, heartbeat: str) -> dict[str, Any] | None:
    """The merge patch that writes `heartbeat` (RFC 3339) into the claim of run `run`; None: that claim is gone."""
    claim = own_claim(node, run)
    if claim is None:
        return None
    annotations = {CLAIM_ANNOTATION: replace(claim, heartbeat=heartbeat).to_json()}
    return {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"], "annotations": annotations}}


def fence(node: Mapping[str, Any], run: str) -> dict[str, Any]:
    """The merge patch that changes nothing but the node's resourceVersion: a write that is still under way somewhere,
    guarded by an older version, is refused from then on. `release` takes the annotation off.
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


def release(node: Mapping[str, Any], claim: Claim, what: Change | None = None) -> Release:
    """Undo what `claim` says: all of it (None), or only one change. The annotation on `node` is written only if it is
    that run's.

    What was there before comes back where it stood. A taint of ours whose value somebody else changed since is theirs
    now: it is left alone and named; so is a node that somebody uncordoned which had been cordoned before us. When the
    claim is not on the node any more, a taint of before us that is gone is not put back either: whoever took off both
    had the last word.
    """
    on_node = own_claim(node, claim.run)
    taints = _taints(node)
    left_alone: list[str] = []
    missing: list[str] = []
    for undo in reversed(claim.taints):
        if what is None or undo.ours.identity == what:
            _undo_taint(taints, undo, left_alone, missing, claimed=_lists(on_node, undo))
    spec: dict[str, Any] = {} if taints == _taints(node) else {"taints": taints or None}
    if what in (None, CORDON) and claim.unschedulable_before is not None:
        if not node["spec"].get("unschedulable"):
            missing.append("cordon")
            if claim.unschedulable_before:
                left_alone.append("cordon: it was there before us, and somebody else uncordoned the node since")
        elif not claim.unschedulable_before:
            spec["unschedulable"] = None
    annotations: dict[str, Any] = {FENCE_ANNOTATION: None} if _fenced(node, claim.run) else {}
    if on_node is not None and (on_node.without(what) != on_node or on_node.is_empty):
        rest = on_node.without(what)
        annotations[CLAIM_ANNOTATION] = None if rest.is_empty else rest.to_json()
    if not spec and not annotations:
        return Release(None, tuple(left_alone), tuple(missing))
    patch: dict[str, Any] = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}}
    if annotations:
        patch["metadata"]["annotations"] = annotations
    return Release({**patch, "spec": spec} if spec else patch, tuple(left_alone), tuple(missing))


def ours_on(node: Mapping[str, Any], claim: Claim, what: Change | None = None) -> tuple[str, ...]:
    """What of `claim` is still on `node`, for people: looked at after a heal, it must be empty.

    A taint counts with our key, effect and value, unless that very taint stood there before us; a cordon unless the
    node was cordoned before. An annotation that cannot be read counts: whose it is, is not known.
    """
    found: list[str] = []
    taints = _taints(node)
    for undo in claim.taints:
        same_before = undo.before is not None and undo.before.value == undo.ours.value
        at = _at(taints, undo.ours)
        if (what is None or undo.ours.identity == what) and not same_before and at is not None:
            found += [f"taint {undo.ours}"] if _value(taints[at]) == undo.ours.value else []
    if what in (None, CORDON) and claim.unschedulable_before is False and node["spec"].get("unschedulable"):
        found.append("cordon")
    try:
        there = claim_of(node)
    except ClusterError as error:
        return (*found, str(error))
    if there is not None and there.run == claim.run and (what is None or there.without(what) != there):
        found.append(f"annotation {CLAIM_ANNOTATION}")
    if _fenced(node, claim.run):
        found.append(f"annotation {FENCE_ANNOTATION}")
    return tuple(found)


def _patch(node: Mapping[str, Any], claim: Claim, spec: dict[str, Any]) -> dict[str, Any]:
    version = node["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": {CLAIM_ANNOTATION: claim.to_json()}}, "spec": spec}


def _claim_for(node: Mapping[str, Any], ours: Claim) -> Claim:
    """The run's claim to add to: the one on the node, with our holder and heartbeat, or a new one."""
    claim = claim_of(node)
    if claim is None:
        return ours
    if claim.run != ours.run:
        name = node["metadata"]["name"]
        raise ClusterError(
            f"node {name} is claimed by run {claim.run}: wait for it, or take its changes off with `taintlab recover`"
        )
    return replace(claim, holder=ours.holder or claim.holder, heartbeat=ours.heartbeat or claim.heartbeat)


def _lists(claim: Claim | None, undo: TaintUndo) -> bool:
    return claim is not None and any(there.ours.identity == undo.ours.identity for there in claim.taints)


def _fenced(node: Mapping[str, Any], run: str) -> bool:
    value = (node["metadata"].get("annotations") or {}).get(FENCE_ANNOTATION)
    return isinstance(value, str) and value.rpartition(" ")[0] == run


def _taints(node: Mapping[str, Any]) -> list[_Entry]:
    return list(node["spec"].get("taints") or ())


def _at(taints: list[_Entry], taint: Taint) -> int | None:
    same = (i for i, entry in enumerate(taints) if (entry.get("key"), entry.get("effect")) == taint.identity)
    return next(same, None)


def _value(entry: _Entry) -> str:
    return entry.get("value") or ""


def _undo_taint(
    taints: list[_Entry], undo: TaintUndo, left_alone: list[str], missing: list[str], *, claimed: bool
) -> None:
    """Undo one taint in the list. `claimed`: the claim on the node lists it."""
    at, ours, before = _at(taints, undo.ours), undo.ours, undo.before
    if at is None:
        missing.append(f"taint {ours}")
        if before is not None and claimed:
            taints.insert(min(undo.index, len(taints)), before.to_api())
        elif before is not None:
            left_alone.append(f"taint {before}: it was there before us; it is gone, and so is our claim on the node")
    elif _value(taints[at]) == ours.value:
        if before is None:
            del taints[at]
        elif before.value != ours.value or before.time_added != taints[at].get("timeAdded"):
            taints[at] = before.to_api()
    else:
        missing.append(f"taint {ours}")
        if before is None or before.value != _value(taints[at]):
            there = taint_from_api(taints[at])
            left_alone.append(f"taint {there}: changed by somebody else since we wrote {ours}")
