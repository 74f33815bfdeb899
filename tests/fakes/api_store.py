"""Objects of a scripted API server: versions, conflicts, field owners, finalizers. No controller, no admission.

What it keeps of the real server's rules (Kubernetes API concepts): one rising resourceVersion; a write that changes
nothing changes no version; a resourceVersion or uid in a write that is not the stored one is 409 Conflict; an object
with finalizers gets a deletionTimestamp and stays until the last one is taken off; a bound pod terminates first;
managedFields name who changed a field last (lists are atomic here, which is right for a node's taints).
"""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.testing import merged

Json = dict[str, Any]

KINDS: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "v1": {
        "nodes": ("Node", False),
        "namespaces": ("Namespace", False),
        "persistentvolumes": ("PersistentVolume", False),
        "pods": ("Pod", True),
        "events": ("Event", True),
        "configmaps": ("ConfigMap", True),
        "secrets": ("Secret", True),
        "services": ("Service", True),
        "serviceaccounts": ("ServiceAccount", True),
        "persistentvolumeclaims": ("PersistentVolumeClaim", True),
    },
    "apps/v1": {
        "deployments": ("Deployment", True),
        "replicasets": ("ReplicaSet", True),
        "statefulsets": ("StatefulSet", True),
        "daemonsets": ("DaemonSet", True),
    },
    "discovery.k8s.io/v1": {"endpointslices": ("EndpointSlice", True)},
    "policy/v1": {"poddisruptionbudgets": ("PodDisruptionBudget", True)},
    "coordination.k8s.io/v1": {"leases": ("Lease", True)},
}
"""What is served: plural to (kind, namespaced), by group version."""

_PATH = re.compile(
    r"(?P<root>/api/v1|/apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
_SERVER_FIELDS = frozenset(
    {"managedFields", "resourceVersion", "uid", "name", "namespace", "creationTimestamp", "generation"}
    | {"deletionTimestamp", "deletionGracePeriodSeconds"}
)


class ApiError(Exception):
    """A Status with this code and reason."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def body(self) -> Json:
        """The Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }


@dataclass(frozen=True)
class Place:
    """A path, taken apart. `name` None: a collection; `namespace` None: of all namespaces, or not namespaced."""

    group_version: str
    plural: str
    namespace: str | None
    name: str | None
    sub: str | None

    @property
    def kind(self) -> str:
        """The kind of its objects."""
        return KINDS[self.group_version][self.plural][0]

    def holds(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object of this type is in this collection."""
        return self.namespace is None or obj["metadata"].get("namespace") == self.namespace


def place_of(path: str) -> Place:
    """ApiError 404 when nothing is served there."""
    found = _PATH.fullmatch(path)
    version = (found["group"] or "v1") if found else ""
    if found is None or found["plural"] not in KINDS.get(version, {}):
        raise ApiError(404, "NotFound", f"the server could not find the requested resource ({path})")
    return Place(version, found["plural"], found["namespace"], found["name"], found["sub"])


def rfc3339(moment: datetime) -> str:
    """Whole seconds, as metav1.Time has them."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Change:
    """One line of the log that watches read. `at_s`: time.monotonic of the write."""

    version: int
    type: str
    path: str
    object: Json
    at_s: float


class Store:
    """Safe to use from any thread. `on_change()` is called after each change, `on_terminating(path, uid)` when a bound
    pod got its deletionTimestamp: somebody has to play the kubelet.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owners: dict[str, dict[str, tuple[set[tuple[str, ...]], str]]] = {}
        self.version = 100
        self.oldest = 0
        self.objects: dict[str, Json] = {}
        self.log: list[Change] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_terminating: Callable[[str, str], None] = lambda path, uid: None

    def get(self, path: str) -> Json:
        """A copy; ApiError 404 when there is none."""
        with self._lock:
            if path not in self.objects:
                place = place_of(path)
                raise ApiError(404, "NotFound", f'{place.plural} "{place.name}" not found')
            return copy.deepcopy(self.objects[path])

    def list(self, place: Place) -> tuple[list[Json], int]:
        """Copies of what is in a collection, by path, and the version that they are of."""
        with self._lock:
            found = [
                (path, copy.deepcopy(obj))
                for path, obj in self.objects.items()
                if self._in(place, path) and place.holds(obj)
            ]
            return [obj for _, obj in sorted(found, key=lambda pair: pair[0])], self.version

    @staticmethod
    def _in(place: Place, path: str) -> bool:
        there = place_of(path)
        return (there.group_version, there.plural) == (place.group_version, place.plural)

    def since(self, place: Place, version: int) -> list[Change]:
        """The changes of a collection after `version`; ApiError 410 when it is older than `oldest`."""
        with self._lock:
            if version < self.oldest:
                raise ApiError(410, "Expired", f"too old resource version: {version} ({self.oldest})")
            return [c for c in self.log if c.version > version and self._in(place, c.path) and place.holds(c.object)]

    def create(self, path: str, body: Mapping[str, Any], *, manager: str) -> Json:
        """POST to a collection."""
        place = place_of(path)
        name = (body.get("metadata") or {}).get("name")
        if not name:
            raise ApiError(422, "Invalid", "metadata.name: Required value")
        at = f"{path}/{name}"
        with self._lock:
            if at in self.objects:
                raise ApiError(409, "AlreadyExists", f'{place.plural} "{name}" already exists')
            return self.put(at, body, manager=manager)

    def put(self, path: str, body: Mapping[str, Any], *, manager: str = "test") -> Json:
        """Store an object whole, as some actor would; a new one gets its server fields."""
        place = place_of(path)
        with self._lock:
            before = self.objects.get(path)
            obj = copy.deepcopy(dict(body))
            meta = obj["metadata"] = dict(obj.get("metadata") or {})
            obj.setdefault("apiVersion", place.group_version)
            obj.setdefault("kind", place.kind)
            meta["name"] = place.name
            if place.namespace is not None:
                meta["namespace"] = place.namespace
            if before is None:
                meta.setdefault("uid", f"00000000-0000-4000-8000-{self.version + 1:012x}")
                meta.setdefault("creationTimestamp", rfc3339(datetime.now(UTC)))
            else:
                for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
                    if field in before["metadata"]:
                        meta[field] = before["metadata"][field]
            self._own(path, before or {}, obj, manager)
            if before is not None and _bare(before) == _bare(obj):
                return copy.deepcopy(before)
            return self._write(path, obj, "ADDED" if before is None else "MODIFIED")

    def patch(self, path: str, body: Mapping[str, Any], *, manager: str) -> Json:
        """PATCH by RFC 7386, with the preconditions in the body's metadata."""
        with self._lock:
            before = self.get(path)
            wanted = body.get("metadata") or {}
            for field in ("resourceVersion", "uid"):
                if wanted.get(field) is not None and wanted[field] != before["metadata"][field]:
                    raise ApiError(409, "Conflict", "the object has been modified; please apply your changes to it")
            after = self.put(path, merged(before, body), manager=manager)
            held, holds = before["metadata"].get("finalizers"), after["metadata"].get("finalizers")
            if "deletionTimestamp" in after["metadata"] and held and not holds:
                self.remove(path)
            return after

    def delete(self, path: str, *, uid: str | None = None, grace_s: int | None = None) -> Json:
        """DELETE: gone, or terminating (a bound pod; anything with finalizers)."""
        with self._lock:
            obj = self.get(path)
            meta = obj["metadata"]
            if uid is not None and uid != meta["uid"]:
                raise ApiError(409, "Conflict", f"the UID in the precondition ({uid}) does not match ({meta['uid']})")
            bound_pod = obj["kind"] == "Pod" and bool(obj.get("spec", {}).get("nodeName"))
            if grace_s is None:
                grace_s = int(obj.get("spec", {}).get("terminationGracePeriodSeconds", 30)) if bound_pod else 0
            if not meta.get("finalizers") and not (bound_pod and grace_s > 0):
                return self.remove(path)
            if "deletionTimestamp" not in meta:
                meta["deletionTimestamp"] = rfc3339(datetime.now(UTC) + timedelta(seconds=grace_s))
                meta["deletionGracePeriodSeconds"] = grace_s
                obj = self._write(path, obj, "MODIFIED")
                if bound_pod:
                    self.on_terminating(path, meta["uid"])
            return obj

    def remove(self, path: str, *, uid: str | None = None) -> Json:
        """Take an object out whatever holds it; with `uid`, only that very one and only without finalizers."""
        with self._lock:
            obj = self.get(path)
            if uid is not None and (obj["metadata"]["uid"] != uid or obj["metadata"].get("finalizers")):
                return obj
            del self.objects[path]
            self._owners.pop(path, None)
            return self._log(path, obj, "DELETED")

    def _write(self, path: str, obj: Json, change: str) -> Json:
        self.objects[path] = obj
        return self._log(path, obj, change)

    def _log(self, path: str, obj: Json, change: str) -> Json:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.log.append(Change(self.version, change, path, copy.deepcopy(obj), time.monotonic()))
        self.on_change()
        return copy.deepcopy(obj)

    def _own(self, path: str, before: Mapping[str, Any], after: Json, manager: str) -> None:
        """Fields that changed are `manager`'s from now on; fields that are gone are nobody's."""
        owners = self._owners.setdefault(path, {})
        was, now = _leaves(before), _leaves(after)
        changed = {field for field, value in now.items() if field not in was or was[field] != value}
        for name, (fields, stamp) in list(owners.items()):
            left = {field for field in fields if field in now and field not in changed}
            owners[name] = (left, stamp)
        if changed:
            mine = owners[manager][0] if manager in owners else set()
            owners[manager] = (mine | changed, rfc3339(datetime.now(UTC)))
        after["metadata"]["managedFields"] = [
            {
                "manager": name,
                "operation": "Update",
                "apiVersion": after["apiVersion"],
                "time": stamp,
                "fieldsType": "FieldsV1",
                "fieldsV1": _fields_v1(fields),
            }
            for name, (fields, stamp) in sorted(owners.items())
            if fields
        ]


def _bare(obj: Mapping[str, Any]) -> Json:
    """Without what every write changes."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return {**obj, "metadata": meta}


def _leaves(obj: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    out: dict[tuple[str, ...], Any] = {}
    for key, value in obj.items():
        at = (*prefix, key)
        if at in (("apiVersion",), ("kind",)) or (prefix == ("metadata",) and key in _SERVER_FIELDS):
            continue
        if isinstance(value, Mapping) and value:
            out |= _leaves(value, at)
        else:
            out[at] = value
    return out


def _fields_v1(fields: set[tuple[str, ...]]) -> Json:
    out: Json = {}
    for field in sorted(fields):
        level = out
        for word in field:
            level = level.setdefault(f"f:{word}", {})
    return out
