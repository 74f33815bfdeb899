"""A snapshot of objects that somebody has at hand already: what a run sees, as a cluster state and as a world file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from harness.cluster.ports import Json
from harness.errors import ClusterError
from harness.model.state import ClusterState, Node, Subject
from harness.snapshot import wire
from harness.snapshot.convert import Builder
from harness.snapshot.worldfile import VERSION, Header, WorldWriter

_READ = (Subject.NODES, Subject.PODS)
_NOT_READ: dict[Subject, str] = {subject: "not read by a run" for subject in Subject if subject not in _READ}


@dataclass(frozen=True, slots=True, repr=False)
class LiveSnapshot:
    """Nodes and pods as the API gave them, not looked at yet: both conversions take a while for many pods.

    `taken`: RFC 3339. `flags`: of the control plane, as in `ClusterState`.
    """

    nodes: Sequence[Json]
    pods: Sequence[Json]
    kubernetes_version: str
    taken: str
    flags: tuple[str, ...] = ()

    def state(self) -> ClusterState:
        """The cluster state, nodes and pods by name; ClusterError naming the object that cannot be read."""
        builder = Builder()
        try:
            builder.add(_items(wire.Node, self.nodes))
            builder.add(_items(wire.Pod, self.pods))
            state = builder.build(kubernetes_version=self.kubernetes_version, taken=self.taken, missing=dict(_NOT_READ))
        except ValueError as error:
            raise ClusterError(f"an object of the cluster cannot be read: {error}") from error
        return replace(
            state,
            nodes=tuple(sorted(state.nodes, key=lambda node: node.name)),
            pods=tuple(sorted(state.pods, key=lambda pod: pod.key)),
            flags=self.flags,
        )

    def world_file(self, *, cluster: str) -> bytes:
        """The world file that `read_world` reads, without annotations: nobody can tell what is in them. ClusterError
        as `state`.
        """
        stream = io.BytesIO()
        writer = WorldWriter(stream, packed=False)
        try:
            writer.add(map(_without_notes, _items(wire.Node, self.nodes)))
            writer.add(map(_without_templates, _items(wire.Pod, self.pods)))
        except ValueError as error:
            raise ClusterError(f"an object of the cluster cannot be read: {error}") from error
        header = Header(
            version=VERSION,
            kubernetes=self.kubernetes_version,
            taken=self.taken,
            cluster=cluster,
            missing={subject.value: why for subject, why in _NOT_READ.items()},
            flags=list(self.flags),
        )
        writer.close(header)
        return stream.getvalue()


def nodes_of(objects: Iterable[Json]) -> tuple[Node, ...]:
    """Node objects of the API as nodes of a cluster state, in their order; ClusterError as `LiveSnapshot.state`."""
    builder = Builder()
    try:
        builder.add(_items(wire.Node, objects))
        return builder.build(kubernetes_version="", taken=None, missing={}).nodes
    except ValueError as error:
        raise ClusterError(f"an object of the cluster cannot be read: {error}") from error


def _items(kind: type[Any], objects: Iterable[Mapping[str, Any]]) -> list[Any]:
    """msgspec.ValidationError, which is a ValueError, for a field of another type than the API's."""
    decode, encode = msgspec.json.Decoder(kind).decode, msgspec.json.encode
    return [decode(encode(each)) for each in objects]


def _without_notes(node: wire.Node) -> wire.Node:
    node.metadata.annotations = None
    return node


def _without_templates(pod: wire.Pod) -> wire.Pod:
    """Of an ephemeral volume's claim, the storage class alone is read."""
    for volume in pod.spec.volumes or ():
        if volume.ephemeral is not UNSET:
            template = msgspec.json.decode(volume.ephemeral).get("volumeClaimTemplate") or {}
            spec = {k: v for k, v in (template.get("spec") or {}).items() if k == "storageClassName"}
            volume.ephemeral = Raw(msgspec.json.encode({"volumeClaimTemplate": {"spec": spec}}))
    return pod
