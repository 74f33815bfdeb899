"""Reading a cluster, by pages and with nothing but GET requests, each page pruned as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.cluster.ports import Cluster
from harness.errors import ClusterError, NotFound, Refused
from harness.model import wellknown
from harness.model.state import Subject
from harness.snapshot import wire
from harness.snapshot.convert import SUBJECTS

PAGE = 500
_EXPIRED = 410
_MAX_SERVICES = 40
_PATHS: Mapping[Subject, str] = {
    Subject.NODES: "/api/v1/nodes",
    Subject.PODS: "/api/v1/pods",
    Subject.NAMESPACES: "/api/v1/namespaces",
    Subject.SERVICES: "/api/v1/services",
    Subject.BUDGETS: "/apis/policy/v1/poddisruptionbudgets",
    Subject.DEPLOYMENTS: "/apis/apps/v1/deployments",
    Subject.STATEFUL_SETS: "/apis/apps/v1/statefulsets",
    Subject.DAEMON_SETS: "/apis/apps/v1/daemonsets",
    Subject.JOBS: "/apis/batch/v1/jobs",
    Subject.CLAIMS: "/api/v1/persistentvolumeclaims",
    Subject.VOLUMES: "/api/v1/persistentvolumes",
    Subject.STORAGE_CLASSES: "/apis/storage.k8s.io/v1/storageclasses",
    Subject.QUOTAS: "/api/v1/resourcequotas",
    Subject.LIMIT_RANGES: "/api/v1/limitranges",
    Subject.PRIORITY_CLASSES: "/apis/scheduling.k8s.io/v1/priorityclasses",
    Subject.WEBHOOKS: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    Subject.POLICIES: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
}
_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
_KINDS = {subject: kind for kind, subject in SUBJECTS.items()}


@dataclass(slots=True)
class Reading:
    """How a reading went. `missing`: what was not had, and why; filled while pages come."""

    missing: dict[Subject, str] = field(default_factory=dict)


async def pages(cluster: Cluster, reading: Reading) -> AsyncIterator[list[Any]]:
    """Every object that a plan looks at, pruned, some hundred at a time.

    What may not be listed is noted in `reading` and passed over, except nodes and pods: without them there is nothing
    to plan, so the refusal is raised (ClusterError). A type that the server does not serve has no objects.
    ReplicaSets are not read: their old revisions are ten times the rest, and pods name theirs.
    """
    selectorless: list[wire.Service] = []
    for subject, path in _PATHS.items():
        try:
            async for page in _pages_of(cluster, subject, path):
                if subject is Subject.SERVICES:
                    selectorless += [s for s in page if not s.spec.selector and s.spec.type != "ExternalName"]
                yield page
        except NotFound:
            continue
        except ClusterError as error:
            if subject in (Subject.NODES, Subject.PODS):
                raise ClusterError(f"{_why(subject, error)}: without {subject} there is nothing to plan") from error
            reading.missing[subject] = _why(subject, error)
    try:
        for first in range(0, len(selectorless), _MAX_SERVICES):
            names = ",".join(sorted({s.metadata.name for s in selectorless[first : first + _MAX_SERVICES]}))
            chosen = {"labelSelector": f"{wellknown.SERVICE_NAME} in ({names})"}
            async for page in _pages_of(cluster, Subject.ENDPOINT_SLICES, _SLICES, **chosen):
                yield page
    except ClusterError as error:
        reading.missing[Subject.ENDPOINT_SLICES] = _why(Subject.ENDPOINT_SLICES, error)


def _why(subject: Subject, error: ClusterError) -> str:
    if error.status in (401, 403):
        return f"may not list {subject} (forbidden)"
    return f"cannot list {subject}: {error}"


async def _pages_of(cluster: Cluster, subject: Subject, path: str, **query: str) -> AsyncIterator[list[Any]]:
    """One resource. A list whose continuation expired starts over, once; no object is given twice."""
    kind: Any = _KINDS[subject]
    decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[kind])
    token = ""
    restarted = False
    seen: set[str] = set()
    while True:
        more = {"continue": token} if token else {}
        try:
            page = await cluster.get(path, limit=str(PAGE), **query, **more)
        except Refused as error:
            if error.status != _EXPIRED or not token or restarted:
                raise
            token, restarted = "", True
            continue
        items = decoder.decode(msgspec.json.encode(page.get("items") or []))
        yield [item for item in items if _key(item) not in seen]
        seen.update(map(_key, items))
        token = page.get("metadata", {}).get("continue") or ""
        if not token:
            return


def _key(item: Any) -> str:
    meta = item.metadata
    return f"{getattr(meta, 'namespace', '')}/{meta.name}"
