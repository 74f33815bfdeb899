"""The undo record on the node: an annotation written in the very patch that changes the node.

``taintlab.dev/claim`` holds JSON: who changed the node, until when, and for each change what was there before. It is
all that
`taintlab recover` needs when the run folder is gone. One run at a time owns a node; a second one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.errors import ClusterError
from harness.model.taints import Effect, Taint, taint_from_api, taints_from_api

CLAIM_ANNOTATION = "taintlab.dev/claim"

#: Names one change of a claim: a taint's (key, effect), or `CORDON`.
Change = tuple[str, Effect] | Literal["cordon"]
CORDON: Literal["cordon"] = "cordon"


@dataclass(frozen=True, slots=True)
class TaintUndo:
    """We put `ours` on the node; `before` (same key and effect) stood at `index` of the list, or None: there was
    none.
    """

    ours: Taint
    before: Taint | None
    index: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What one run changed on one node. `deadline` is RFC 3339: after it nobody should still want the change.

    `unschedulable_before` is None when the run did not touch spec.unschedulable.
    """

    run: str
    deadline: str
    taints: tuple[TaintUndo, ...] = ()
    unschedulable_before: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing left to undo."""
        return not self.taints and self.unschedulable_before is None

    def to_json(self) -> str:
        """The annotation's value."""
        undo = [
            {
                "ours": change.ours.to_api(),
                "before": change.before.to_api() if change.before else None,
                "index": change.index,
            }
            for change in self.taints
        ]
        body = {
            "version": 1,
            "run": self.run,
            "deadline": self.deadline,
            "taints": undo,
            "unschedulableBefore": self.unschedulable_before,
        }
        return json.dumps(body, separators=(",", ":"))


def claim_of(node: Mapping[str, Any]) -> Claim | None:
    """The claim on a node object, None without one; ClusterError when the annotation cannot be read (it is then left
    alone).
    """
    raw = (node["metadata"].get("annotations") or {}).get(CLAIM_ANNOTATION)
    if raw is None:
        return None
    try:
        body = json.loads(raw)
        undo = tuple(
            TaintUndo(
                ours=taint_from_api(change["ours"]),
                before=taint_from_api(change["before"]) if change["before"] else None,
                index=int(change["index"]),
            )
            for change in body["taints"]
        )
        return Claim(body["run"], body["deadline"], undo, body["unschedulableBefore"])
    except (ValueError, KeyError, TypeError) as error:
        name = node["metadata"]["name"]
        raise ClusterError(
            f"node {name}: the annotation {CLAIM_ANNOTATION} cannot be read ({error}); "
            "look at it with `kubectl get node -o yaml`, take the taints off by hand and remove it"
        ) from error


def _patch(node: Mapping[str, Any], claim: Claim | None, spec: dict[str, Any]) -> dict[str, Any]:
    annotation = None if claim is None or claim.is_empty else claim.to_json()
    return {
        "metadata": {
            "resourceVersion": node["metadata"]["resourceVersion"],
            "annotations": {CLAIM_ANNOTATION: annotation},
        },
        "spec": spec,
    }


def _taint_list(taints: list[Taint]) -> list[dict[str, Any]] | None:
    return [taint.to_api() for taint in taints] or None


def _claim_for(node: Mapping[str, Any], run: str, deadline: str) -> Claim:
    claim = claim_of(node)
    if claim is not None and claim.run != run:
        name = node["metadata"]["name"]
        raise ClusterError(
            f"node {name} is claimed by run {claim.run}: wait for it, or take its changes off with `taintlab recover`"
        )
    return claim or Claim(run, deadline)


def put_taint(node: Mapping[str, Any], taint: Taint, *, run: str, deadline: str) -> dict[str, Any]:
    """The merge patch that puts `taint` on `node` (an API object) and says so in the claim, guarded by resourceVersion.

    A taint of the same key and effect is replaced where it stands and remembered. ClusterError when another run owns
    the node.
    """
    claim = _claim_for(node, run, deadline)
    taints = list(taints_from_api(node["spec"].get("taints")))
    index = next((i for i, there in enumerate(taints) if there.identity == taint.identity), None)
    before = None if index is None else taints[index]
    ours_before = next((undo for undo in claim.taints if undo.ours.identity == taint.identity), None)
    if index is None:
        index = len(taints)
        taints.append(taint)
    else:
        taints[index] = taint
    if ours_before is not None:
        undone = replace(ours_before, ours=taint)
        changes = tuple(undone if undo is ours_before else undo for undo in claim.taints)
    else:
        changes = (*claim.taints, TaintUndo(taint, before, index))
    return _patch(node, replace(claim, taints=changes), {"taints": _taint_list(taints)})


def cordon(node: Mapping[str, Any], *, run: str, deadline: str) -> dict[str, Any]:
    """The merge patch that sets spec.unschedulable and remembers what it was."""
    claim = _claim_for(node, run, deadline)
    if claim.unschedulable_before is None:
        claim = replace(claim, unschedulable_before=bool(node["spec"].get("unschedulable")))
    return _patch(node, claim, {"unschedulable": True})


@dataclass(frozen=True, slots=True)
class Release:
    """How to undo: the merge patch (None: nothing to do) and what was left alone because somebody else changed it
    since.
    """

    patch: dict[str, Any] | None
    left_alone: tuple[str, ...] = ()


def release(node: Mapping[str, Any], what: Change | None = None) -> Release:
    """Undo what the claim on `node` says: all of it (None), or only one change.

    What was there before comes back where it stood. A taint of ours whose value somebody else changed since is
    theirs now:
    it is left alone and named. Restoring spec.unschedulable restores what was there, so a node that an administrator
    had
    cordoned stays cordoned.
    """
    claim = claim_of(node)
    if claim is None:
        return Release(None)
    undo_now = [undo for undo in claim.taints if what is None or undo.ours.identity == what]
    uncordon = what in (None, CORDON) and claim.unschedulable_before is not None
    if what is not None and not undo_now and not uncordon:
        return Release(None)
    taints = list(taints_from_api(node["spec"].get("taints")))
    left_alone: list[str] = []
    for undo in reversed(undo_now):
        _undo_taint(taints, undo, left_alone)
    spec: dict[str, Any] = {"taints": _taint_list(taints)}
    remaining = replace(claim, taints=tuple(undo for undo in claim.taints if undo not in undo_now))
    if uncordon:
        spec["unschedulable"] = True if claim.unschedulable_before else None
        remaining = replace(remaining, unschedulable_before=None)
    return Release(_patch(node, remaining, spec), tuple(left_alone))


def _undo_taint(taints: list[Taint], undo: TaintUndo, left_alone: list[str]) -> None:
    at = next((i for i, there in enumerate(taints) if there.identity == undo.ours.identity), None)
    if at is not None and taints[at].value != undo.ours.value:
        left_alone.append(f"taint {taints[at]}: changed by somebody else since we wrote {undo.ours}")
    elif undo.before is not None:
        if at is None:
            taints.insert(min(undo.index, len(taints)), undo.before)
        else:
            taints[at] = undo.before
    elif at is not None:
        del taints[at]
