"""Facts to JSON objects and back: one flat object a line, ``kind`` names the class."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.history.redact import redact_text
from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.taints import Effect, tolerations_from_api
from harness.model.words import Action

_KINDS: dict[str, type[Any]] = {cls.__name__: cls for cls in typing.get_args(events.Fact)}
MAX_T_NS = 30 * 24 * 3600 * 10**9
"""No run lasts longer than 30 days: each of its four phases has at most one."""
_PROSE = frozenset(("message", "why"))
"""Fields that hold other programs' words, and so perhaps a URL with its password."""
_BEYOND = {math.inf: "+Inf", -math.inf: "-Inf"}
"""Prometheus's spelling of values that JSON has no number for."""
_RETIRED = frozenset(("KubeEventSeen",))
"""Kinds of earlier formats that nobody reads any more."""


class _Envelope(msgspec.Struct):
    id: int
    t_ns: int
    wall: str
    source: str
    kind: str
    origin_wall: str | None = None
    cause: int | None = None


class _Taint(msgspec.Struct):
    key: str
    effect: Effect
    value: str | None = None


class _Toleration(msgspec.Struct):
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    tolerationSeconds: int | None = None  # noqa: N815 -- the API's name


def to_json(entry: events.Entry) -> dict[str, Any]:
    """The flat JSON object of one entry: envelope, ``kind``, then the fact's own fields; absent optionals are left
    out. Infinities become texts; credentials in messages are taken out.
    """
    out: dict[str, Any] = {"id": entry.id, "t_ns": entry.t_ns, "wall": entry.wall, "source": entry.source}
    out["kind"] = type(entry.fact).__name__
    if entry.origin_wall is not None:
        out["origin_wall"] = entry.origin_wall
    if entry.cause is not None:
        out["cause"] = entry.cause
    for field in dataclasses.fields(entry.fact):
        out[field.name] = _written(field.name, getattr(entry.fact, field.name))
    return out


def _written(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return _BEYOND.get(value)  # NaN is no value
    return redact_text(value) if name in _PROSE and isinstance(value, str) else value


def from_json(obj: Any) -> events.Entry:
    """The entry that `to_json` wrote; ValueError naming the place for a kind this version does not know, a field that
    is missing or of another type, and for values that no run can have written.
    """
    envelope = msgspec.convert(obj, _Envelope)
    if abs(envelope.t_ns) > MAX_T_NS:
        raise ValueError(f"no run lasts {envelope.t_ns / 1e9:.3g} s - at `$.t_ns`")
    cls = _KINDS.get(envelope.kind)
    if envelope.kind in _RETIRED:
        return _entry(envelope, events.Retired(envelope.kind))
    if cls is None:
        raise ValueError(f"unknown kind of fact {envelope.kind[:60]!r}: written by a newer taintlab?")
    if cls is events.Sample and isinstance(obj, Mapping) and obj.get("value") in _BEYOND.values():
        obj = {**obj, "value": float(obj["value"])}
    fact = msgspec.convert(obj, cls)
    _require_sense(fact)
    return _entry(envelope, fact)


def _entry(envelope: _Envelope, fact: events.Fact | events.Retired) -> events.Entry:
    return events.Entry(
        id=envelope.id,
        t_ns=envelope.t_ns,
        wall=envelope.wall,
        source=envelope.source,
        fact=fact,
        origin_wall=envelope.origin_wall,
        cause=envelope.cause,
    )


def _require_sense(fact: events.Fact) -> None:
    """What types alone do not say, and the judges rely on."""
    if isinstance(fact, events.RunStarted):
        if not 0 <= fact.mono_ns < 1 << 62:
            raise ValueError("no clock shows that - at `$.mono_ns`")
    elif isinstance(fact, events.NodeSeen):
        msgspec.convert(fact.taints, list[_Taint])
    elif isinstance(fact, events.PodSeen):
        msgspec.convert(fact.tolerations, list[_Toleration])
        tolerations_from_api(fact.tolerations)
    elif isinstance(fact, events.StepInvoked) and fact.action is Action.PHASE:
        msgspec.convert(fact.subject, PhaseName)
    elif isinstance(fact, events.Sample) and "t_s" in fact.labels:
        second = float(fact.labels["t_s"])
        if not abs(second) <= MAX_T_NS / 1e9:
            raise ValueError("no second of a run - at `$.labels.t_s`")
