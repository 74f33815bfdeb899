"""POST .../pods/NAME/eviction as the API server does it (pkg/registry/core/pod/storage/eviction.go), in short.

What is kept: the precondition on the UID (409); pods that are Pending, finished or being deleted ask no budget; two
budgets over one pod are 500; a budget whose status allows no disruption is 429, else its status is decremented; the
condition DisruptionTarget (EvictionByEvictionAPI), then the deletion. What is not: unhealthyPodEvictionPolicy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.api_store import ApiError, Store, place_of

_REASON = "EvictionByEvictionAPI"


def evict(store: Store, path: str, body: Mapping[str, Any]) -> None:
    """Evict the pod at `path`; ApiError as the server answers."""
    pod = store.get(path)
    meta, status = pod["metadata"], pod.get("status") or {}
    uid = ((body.get("deleteOptions") or {}).get("preconditions") or {}).get("uid")
    if uid is not None and uid != meta["uid"]:
        raise ApiError(
            409, "Conflict", f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}"
        )
    asks = status.get("phase") not in ("Pending", "Succeeded", "Failed") and not meta.get("deletionTimestamp")
    if asks:
        _ask_budgets(store, meta)
    conditions = [c for c in status.get("conditions") or [] if c.get("type") != "DisruptionTarget"]
    conditions.append({"type": "DisruptionTarget", "status": "True", "reason": _REASON})
    store.patch(path, {"status": {"conditions": conditions}}, manager="kube-apiserver")
    store.delete(path, uid=uid)


def _ask_budgets(store: Store, meta: Mapping[str, Any]) -> None:
    collection = f"/apis/policy/v1/namespaces/{meta['namespace']}/poddisruptionbudgets"
    budgets, _ = store.list(place_of(collection))
    mine = [budget for budget in budgets if _selects(budget, meta.get("labels") or {})]
    if len(mine) > 1:
        words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(500, "InternalError", words)
    for budget in mine:
        allowed = (budget.get("status") or {}).get("disruptionsAllowed", 0)
        if allowed <= 0:
            raise ApiError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
        path = f"{collection}/{budget['metadata']['name']}"
        store.patch(path, {"status": {"disruptionsAllowed": allowed - 1}}, manager="kube-apiserver")


def _selects(budget: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = ((budget.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())
