"""Where a pod's volumes let it go: bound volumes by their node affinity, waiting claims by what could still be had.

Source: pkg/scheduler/framework/plugins/volumebinding (binder.go, volume_binding.go) and volumezone. Not modelled: the
number of volumes a node may attach (CSINode) and storage capacity tracking.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model import wellknown
from harness.model.state import (
    ClusterState,
    LabelTerm,
    Node,
    NodeTerm,
    Operator,
    PersistentVolume,
    PersistentVolumeClaim,
    PodTemplate,
    StorageClass,
    Subject,
    any_matches,
)
from harness.semantics.scheduling import reasons
from harness.semantics.scheduling.nodes import term_keys

_ZONE_LABELS = (
    wellknown.ZONE,
    wellknown.REGION,
    wellknown.BETA_ZONE,
    wellknown.BETA_REGION,
)
_ZONE_SEPARATOR = "__"


@dataclass(frozen=True, slots=True)
class VolumeNeed:
    """What a pod's volumes ask of its node: one of the alternatives of each of `bound`, one of each of `waiting` (what
    could be bound or provisioned), and the labels in `zones`. `blocked`: why no node at all will do, "" when some may.
    `unknown`: the claims could not be looked at.
    """

    bound: tuple[tuple[NodeTerm, ...], ...] = ()
    waiting: tuple[tuple[NodeTerm, ...], ...] = ()
    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()
    lost: bool = False
    blocked: str = ""
    unknown: bool = False

    @property
    def keys(self) -> set[str]:
        """The node labels it looks at."""
        return {key for key, _ in self.zones}.union(*(term_keys(terms) for terms in self.bound + self.waiting))

    def refuses(self, node: Node) -> str | None:
        """Why this node will not do, in the scheduler's words; None when it will."""
        if any(not any_matches(terms, node.name, node.labels) for terms in self.bound):
            return reasons.VOLUME_AFFINITY
        if any(not any_matches(terms, node.name, node.labels) for terms in self.waiting):
            return reasons.VOLUME_BINDING
        if self.lost:
            return reasons.VOLUME_MISSING
        if any(key in node.labels and node.labels[key] not in values for key, values in self.zones):
            return reasons.VOLUME_ZONE
        return None


NO_VOLUMES = VolumeNeed()
"""What a pod without claims needs."""


class Volumes:
    """Claims and volumes of a cluster, by name."""

    def __init__(self, state: ClusterState) -> None:
        """`state.missing` decides what is unknown."""
        self._claims = {(claim.namespace, claim.name): claim for claim in state.claims}
        self._volumes = {volume.name: volume for volume in state.volumes}
        self._classes = {each.name: each for each in state.storage_classes}
        self._default = next((each for each in state.storage_classes if each.is_default), None)
        self._readable = state.knows(Subject.CLAIMS, Subject.VOLUMES)
        self._classes_readable = state.knows(Subject.STORAGE_CLASSES)
        self._taken: set[str] = set()

    def keys(self) -> set[str]:
        """The node labels that volumes and storage classes look at."""
        out = {key for volume in self._volumes.values() if volume.affinity for key in term_keys(volume.affinity)}
        return out.union(*(term_keys(each.topologies) for each in self._classes.values()))

    def need(self, template: PodTemplate) -> VolumeNeed:
        """What pods of this template need now."""
        if not template.claims and not template.ephemeral_classes:
            return NO_VOLUMES
        if not self._readable:
            return VolumeNeed(unknown=True)
        need = VolumeNeed()
        for name in template.claims:
            claim = self._claims.get((template.namespace, name))
            need = _joined(need, self._of_claim(name, claim))
        for name in template.ephemeral_classes:
            need = _joined(need, self._provisioned(self._class(name or None)))
        return need

    def _class(self, name: str | None) -> StorageClass | None:
        return self._default if name is None else self._classes.get(name)

    def _of_claim(self, name: str, claim: PersistentVolumeClaim | None) -> VolumeNeed:
        if claim is None:
            return VolumeNeed(blocked=f'persistentvolumeclaim "{name}" not found')
        if claim.lost:
            why = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.volume}"'
            return VolumeNeed(blocked=why)
        if claim.deleting:
            return VolumeNeed(blocked=f'persistentvolumeclaim "{name}" is being deleted')
        if claim.bound:
            return self._of_volume(self._volumes.get(claim.volume))
        if not self._classes_readable:
            return VolumeNeed(unknown=True)
        storage = self._class(claim.storage_class)
        if storage is None or not storage.waits or claim.volume:
            return VolumeNeed(blocked="pod has unbound immediate PersistentVolumeClaims")
        return self._waiting(claim, storage)

    def _of_volume(self, volume: PersistentVolume | None) -> VolumeNeed:
        if volume is None:
            return VolumeNeed(lost=True)
        zones = tuple(
            (key, tuple(volume.labels[key].split(_ZONE_SEPARATOR))) for key in _ZONE_LABELS if key in volume.labels
        )
        return VolumeNeed(bound=(volume.affinity,) if volume.affinity is not None else (), zones=zones)

    def _waiting(self, claim: PersistentVolumeClaim, storage: StorageClass) -> VolumeNeed:
        """An unbound claim that waits for its pod: any free volume that matches, or a new one where the class makes
        them.
        """
        if claim.selected_node:
            return VolumeNeed(waiting=((_on_node(claim.selected_node),),))
        free = [volume for volume in self._volumes.values() if self._is_free(volume, claim, storage.name)]
        provisioned = self._provisioned(storage) if storage.provisions else None
        if any(volume.affinity is None for volume in free) or provisioned == NO_VOLUMES:
            return NO_VOLUMES
        terms = tuple(term for volume in free for term in volume.affinity or ())
        if provisioned is not None:
            terms += tuple(term for each in provisioned.waiting for term in each)
        return VolumeNeed(waiting=(terms,))

    def _is_free(self, volume: PersistentVolume, claim: PersistentVolumeClaim, class_name: str) -> bool:
        return (
            volume.name not in self._taken
            and volume.claim in ("", f"{claim.namespace}/{claim.name}")
            and volume.phase in ("", "Available")
            and volume.storage_class == class_name
            and volume.size >= claim.size
            and set(claim.access_modes) <= set(volume.access_modes)
            and (claim.selector.nothing or claim.selector.matches(volume.labels))
        )

    def _provisioned(self, storage: StorageClass | None) -> VolumeNeed:
        if not self._classes_readable:
            return VolumeNeed(unknown=True)
        if storage is None or not storage.topologies:
            return NO_VOLUMES
        return VolumeNeed(waiting=(storage.topologies,))

    def bind(self, template: PodTemplate, node: Node) -> None:
        """A pod of this template was placed: waiting claims take the smallest free volume that the node can use."""
        if not template.claims or not self._readable:
            return
        for name in template.claims:
            claim = self._claims.get((template.namespace, name))
            if claim is None or claim.bound:
                continue
            storage = self._class(claim.storage_class)
            usable = [
                volume
                for volume in self._volumes.values()
                if storage is not None
                and self._is_free(volume, claim, storage.name)
                and (volume.affinity is None or any_matches(volume.affinity, node.name, node.labels))
            ]
            if usable:
                self._taken.add(min(usable, key=lambda volume: volume.size).name)


def _on_node(name: str) -> NodeTerm:
    return NodeTerm(names=(LabelTerm("metadata.name", Operator.IN, (name,)),))


def _joined(one: VolumeNeed, other: VolumeNeed) -> VolumeNeed:
    return VolumeNeed(
        bound=one.bound + other.bound,
        waiting=one.waiting + other.waiting,
        zones=one.zones + other.zones,
        lost=one.lost or other.lost,
        blocked=one.blocked or other.blocked,
        unknown=one.unknown or other.unknown,
    )
