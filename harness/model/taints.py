"""Taints and tolerations as Kubernetes stores them (core/v1), order kept: the order of both lists decides evictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Operator(StrEnum):
    """How a toleration's value is held against a taint's. GT and LT: Kubernetes 1.35, behind an alpha gate
    (KEP-5471).
    """

    EQUAL = "Equal"
    EXISTS = "Exists"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class Taint:
    """One entry of node.spec.taints. `time_added` is RFC 3339 (whole seconds) or None; no controller times evictions
    by it.
    """

    key: str
    effect: Effect
    value: str = ""
    time_added: str | None = None

    @property
    def identity(self) -> tuple[str, Effect]:
        """(key, effect): the API allows one taint of each on a node."""
        return self.key, self.effect

    def __str__(self) -> str:
        """kubectl's spelling: ``key=value:Effect``, or ``key:Effect`` without a value."""
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"

    def to_api(self) -> dict[str, Any]:
        """The JSON object of core/v1 Taint, empty fields left out as the API server does."""
        out: dict[str, Any] = {"key": self.key, "effect": self.effect.value}
        if self.value:
            out["value"] = self.value
        if self.time_added is not None:
            out["timeAdded"] = self.time_added
        return out


@dataclass(frozen=True, slots=True)
class Toleration:
    """One entry of pod.spec.tolerations. Empty `key`: every key (then Exists); `effect` None: every effect;
    `seconds` None: for ever.
    """

    key: str = ""
    operator: Operator = Operator.EQUAL
    value: str = ""
    effect: Effect | None = None
    seconds: int | None = None

    @property
    def is_blanket(self) -> bool:
        """Tolerates every taint (of its effect): Exists without a key."""
        return not self.key and self.operator is Operator.EXISTS

    def __str__(self) -> str:
        """In one word, like kubectl's: ``spot:NoExecute op=Exists for 5s``; ``*`` for every key."""
        value = "" if self.operator is Operator.EXISTS else f"={self.value}"
        effect = f":{self.effect}" if self.effect else ""
        seconds = "" if self.seconds is None else f" for {self.seconds}s"
        return f"{self.key or '*'}{value}{effect} op={self.operator}{seconds}"

    def to_api(self) -> dict[str, Any]:
        """The JSON object of core/v1 Toleration."""
        out: dict[str, Any] = {"operator": self.operator.value}
        if self.key:
            out["key"] = self.key
        if self.value:
            out["value"] = self.value
        if self.effect is not None:
            out["effect"] = self.effect.value
        if self.seconds is not None:
            out["tolerationSeconds"] = self.seconds
        return out


def taint_from_api(obj: Mapping[str, Any]) -> Taint:
    """A core/v1 Taint object; ValueError for an effect we do not know."""
    return Taint(
        key=obj["key"],
        effect=Effect(obj["effect"]),
        value=obj.get("value") or "",
        time_added=obj.get("timeAdded"),
    )


def toleration_from_api(obj: Mapping[str, Any]) -> Toleration:
    """A core/v1 Toleration object (an absent operator means Equal); ValueError for an operator or effect we do not
    know.
    """
    return Toleration(
        key=obj.get("key") or "",
        operator=Operator(obj.get("operator") or "Equal"),
        value=obj.get("value") or "",
        effect=Effect(obj["effect"]) if obj.get("effect") else None,
        seconds=obj.get("tolerationSeconds"),
    )


def taints_from_api(objs: Sequence[Mapping[str, Any]] | None) -> tuple[Taint, ...]:
    """node.spec.taints (or None) in order."""
    return tuple(taint_from_api(obj) for obj in objs or ())


def tolerations_from_api(objs: Sequence[Mapping[str, Any]] | None) -> tuple[Toleration, ...]:
    """pod.spec.tolerations (or None) in order."""
    return tuple(toleration_from_api(obj) for obj in objs or ())


def with_taints(taints: Sequence[Taint], more: Sequence[Taint]) -> tuple[Taint, ...]:
    """`taints` with `more`: one of the same key and effect is replaced where it stands."""
    out = {taint.identity: taint for taint in taints}
    out.update({taint.identity: taint for taint in more})
    return tuple(out.values())
