"""What objects of several kinds have in common."""

from __future__ import annotations

from msgspec import Struct, field

from harness.model import wellknown


class Part(Struct, rename="camel", omit_defaults=True, gc=False):
    """Base of everything below: camelCase names, defaults left out when written, no cycles to collect."""


class Owner(Part):
    """metadata.ownerReferences[]."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Notes(Part):
    """The annotations that matter, of any kind of object."""

    mirror: str | None = field(name=wellknown.MIRROR, default=None)
    bind_completed: str | None = field(name="pv.kubernetes.io/bind-completed", default=None)
    selected_node: str | None = field(name="volume.kubernetes.io/selected-node", default=None)
    default_class: str | None = field(name="storageclass.kubernetes.io/is-default-class", default=None)


class Condition(Part):
    """status.conditions[]."""

    type: str = ""
    status: str = ""


class PlainMeta(Part):
    """metadata, with labels parsed."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: Notes | None = None
    owner_references: list[Owner] | None = None
    deletion_timestamp: str | None = None


class Expression(Part):
    """matchExpressions[]; `operator` in the API's words."""

    key: str
    operator: str
    values: list[str] | None = None


class Selector(Part):
    """metav1.LabelSelector."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Expression] | None = None


class NodeSelectorTerm(Part):
    """core/v1 NodeSelectorTerm."""

    match_expressions: list[Expression] | None = None
    match_fields: list[Expression] | None = None


class NodeSelector(Part):
    """core/v1 NodeSelector."""

    node_selector_terms: list[NodeSelectorTerm] | None = None


class TargetRef(Part):
    """endpoints[].targetRef."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
