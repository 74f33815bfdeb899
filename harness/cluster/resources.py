"""From a manifest's apiVersion and kind to an API path, by the server's own discovery documents; and every type that
can hold an object of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from harness.cluster.ports import Cluster, Json
from harness.errors import ClusterError, NotFound, UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource type: ``apps/v1`` Deployment is ``deployments``, namespaced, with its verbs."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def group(self) -> str:
        """``apps``; "" for the core group."""
        return self.api_version.rpartition("/")[0]

    def collection(self, namespace: str | None = None) -> str:
        """The path of the collection: of one namespace, or of the whole cluster (None)."""
        middle = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{_root(self.api_version)}{middle}/{self.plural}"


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


class _Type(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool = False
    verbs: list[str] = []


class _Types(msgspec.Struct):
    """An APIResourceList."""

    resources: list[_Type]


class _Version(msgspec.Struct):
    groupVersion: str  # noqa: N815 -- the API's own name


class _Group(msgspec.Struct):
    name: str
    versions: list[_Version]
    preferredVersion: _Version | None = None  # noqa: N815 -- the API's own name

    def ordered(self) -> list[str]:
        """Every served version, the preferred one first."""
        first = [self.preferredVersion.groupVersion] if self.preferredVersion else []
        return list(dict.fromkeys(first + [version.groupVersion for version in self.versions]))


class _Groups(msgspec.Struct):
    """An APIGroupList."""

    groups: list[_Group]


class Resources:
    """Discovery, asked once per group version and kept."""

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is asked yet."""
        self._cluster = cluster
        self._known: dict[str, tuple[Resource, ...]] = {}

    async def versions(self) -> list[list[str]]:
        """The versions that each API group serves, the preferred one first; ``v1`` of the core group leads.
        ClusterError when the groups cannot be listed.
        """
        path = "/apis"
        groups = _converted(await self._cluster.get(path), _Groups, path).groups
        return [["v1"], *(group.ordered() for group in groups)]

    async def of_version(self, api_version: str) -> tuple[Resource, ...]:
        """All types of one group version; NotFound when the server does not serve it, ClusterError when what it says
        cannot be read.
        """
        if api_version not in self._known:
            path = _root(api_version)
            types = _converted(await self._cluster.get(path), _Types, path).resources
            self._known[api_version] = tuple(
                Resource(api_version, each.kind, each.name, each.namespaced, frozenset(each.verbs))
                for each in types
                if "/" not in each.name
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


def _converted(body: Json, kind: type[T], path: str) -> T:
    """Discovery comes from aggregated API servers too, and these are anybody's."""
    try:
        return msgspec.convert(body, type=kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ClusterError(f"GET {path}: is no discovery document ({error})") from error
