"""From a manifest's apiVersion and kind to an API path, by the server's own discovery documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ClusterError, NotFound, UsageError
from harness.run.ledger import RUN_LABEL
from harness.run.ports import Cluster, Json


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type: ``apps/v1`` Deployment is ``deployments``, namespaced, with its verbs."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    def collection(self, namespace: str | None = None) -> str:
        """The path of the collection: of one namespace, or of the whole cluster (None)."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        middle = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{middle}/{self.plural}"


class Resources:
    """Discovery, asked once per group version and kept."""

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is asked yet."""
        self._cluster = cluster
        self._known: dict[str, tuple[Resource, ...]] = {}

    async def of_version(self, api_version: str) -> tuple[Resource, ...]:
        """All types of one group version; NotFound when the server does not serve it."""
        if api_version not in self._known:
            root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            body = await self._cluster.get(root)
            self._known[api_version] = tuple(
                Resource(api_version, item["kind"], item["name"], item["namespaced"], frozenset(item["verbs"]))
                for item in body["resources"]
                if "/" not in item["name"]
            )
        return self._known[api_version]

    async def find(self, api_version: str, kind: str, *, where: str) -> Resource:
        """The type of a manifest; UsageError (starting with `where`) when the cluster does not know it."""
        try:
            types = await self.of_version(api_version)
        except NotFound:
            types = ()
        for resource in types:
            if resource.kind == kind:
                return resource
        raise UsageError(f"{where}: the cluster knows no {kind} in {api_version} (is a CRD missing?)")

    async def labelled(self) -> list[tuple[str, Json]]:
        """(path, object) of everything on the cluster that carries our run label and has no owner (owned things go
        with theirs).
        """
        groups = await self._cluster.get("/apis")
        versions = ["v1"] + [group["preferredVersion"]["groupVersion"] for group in groups["groups"]]
        found: list[tuple[str, Json]] = []
        for version in versions:
            try:
                types = await self.of_version(version)
            except ClusterError:
                continue  # an aggregated API that is down holds nothing of ours: we create through the types we find
            for resource in types:
                if {"list", "delete"} <= resource.verbs:
                    found.extend(await self._labelled_of(resource))
        return found

    async def _labelled_of(self, resource: Resource) -> list[tuple[str, Json]]:
        listing = await self._cluster.list(resource.collection(), labelSelector=RUN_LABEL)
        out = []
        for item in listing.items:
            meta: Mapping[str, Any] = item["metadata"]
            if not meta.get("ownerReferences"):
                item.setdefault("kind", resource.kind)
                out.append((f"{resource.collection(meta.get('namespace'))}/{meta['name']}", item))
        return out
