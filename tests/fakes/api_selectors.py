"""Label and field selectors, as far as taintlab asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SET = re.compile(r"(?P<key>\S+)\s+(?P<word>in|notin)\s+\((?P<values>[^)]*)\)")
_FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "status.phase": ("status", "phase"),
}


def selected(obj: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether an object answers a query's labelSelector and fieldSelector; ValueError for what is not supported."""
    labels = obj["metadata"].get("labels") or {}
    terms = re.split(r",(?![^(]*\))", query.get("labelSelector", ""))
    if not all(_label(term.strip(), labels) for term in terms if term.strip()):
        return False
    return all(_field(term, obj) for term in query.get("fieldSelector", "").split(",") if term)


def _label(term: str, labels: Mapping[str, str]) -> bool:
    found = _SET.fullmatch(term)
    if found:
        there = labels.get(found["key"]) in {value.strip() for value in found["values"].split(",")}
        return there == (found["word"] == "in")
    key, sign, value = re.fullmatch(r"(!?[^!=]+)(?:(!=|==?)(.*))?", term).groups()  # type: ignore[union-attr]
    if sign is None:
        return key.lstrip("!") not in labels if key.startswith("!") else key in labels
    return (labels.get(key) == value) == (sign != "!=")


def _field(term: str, obj: Mapping[str, Any]) -> bool:
    path, sign, value = re.fullmatch(r"([^!=]+)(!=|==?)(.*)", term).groups()  # type: ignore[union-attr]
    one, two = _FIELDS[path]
    return ((obj.get(one) or {}).get(two, "") == value) == (sign != "!=")
