"""Facts to JSON objects and back: one flat object a line, ``kind`` names the class."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from harness.model import events

_KINDS: dict[str, type[Any]] = {cls.__name__: cls for cls in typing.get_args(events.Fact)}


def to_json(entry: events.Entry) -> dict[str, Any]:
    """The flat JSON object of one entry: envelope, ``kind``, then the fact's own fields; absent optionals are left
    out.
    """
    out: dict[str, Any] = {"id": entry.id, "t_ns": entry.t_ns, "wall": entry.wall, "source": entry.source}
    out["kind"] = type(entry.fact).__name__
    if entry.origin_wall is not None:
        out["origin_wall"] = entry.origin_wall
    if entry.cause is not None:
        out["cause"] = entry.cause
    for field in dataclasses.fields(entry.fact):
        out[field.name] = getattr(entry.fact, field.name)
    return out


def from_json(obj: Mapping[str, Any]) -> events.Entry:
    """The entry that `to_json` wrote; ValueError for a kind this version does not know, TypeError for missing
    fields.
    """
    cls = _KINDS.get(obj["kind"])
    if cls is None:
        raise ValueError(f"unknown kind of fact {obj['kind']!r}: written by a newer taintlab?")
    values = {field.name: _frozen(obj[field.name]) for field in dataclasses.fields(cls) if field.name in obj}
    return events.Entry(
        id=obj["id"],
        t_ns=obj["t_ns"],
        wall=obj["wall"],
        source=obj["source"],
        fact=cls(**values),
        origin_wall=obj.get("origin_wall"),
        cause=obj.get("cause"),
    )


def _frozen(value: Any) -> Any:
    """JSON arrays become tuples, as the facts have them."""
    return tuple(value) if isinstance(value, list) else value
