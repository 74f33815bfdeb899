"""The YAML of an experiment as it is kept and shown: secrets hashed by their place, comments left out, nothing moved.

Comments are left out because nobody can tell what stands in them. Anchors and aliases stay what they are and are never
expanded; a value that is hidden in one of its places is hidden in all.
"""

from __future__ import annotations

import io
from typing import Any

import yaml

from harness.history.redact import Place, hashed, place_below, redact_text, redact_url

MAX_BYTES = 1 << 20
MAX_DEPTH, MAX_NODES = 64, 100_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_KEPT_TAGS = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
_TEXT_TAG = "tag:yaml.org,2002:str"


class _TooLarge(yaml.YAMLError):
    """Beyond MAX_DEPTH or MAX_NODES."""


def stored_spec(text: str, *, keep_secrets: bool) -> str:
    """What ``spec.yaml`` of a run folder holds: the file as given, or redacted; a comment where it cannot be."""
    if keep_secrets:
        return text
    redacted = redact_yaml(text)
    return "# not kept: its secrets could not be told apart\n" if redacted is None else redacted


def redact_yaml(text: str) -> str | None:
    """`text` with `hashed` in the place of each secret, without comments; None when it is not YAML of at most
    MAX_BYTES, MAX_DEPTH and MAX_NODES, and so cannot be shown safely.
    """
    if len(text) > MAX_BYTES:
        return None
    try:
        _require_small(text)
        documents = list(yaml.compose_all(text, Loader=_LOADER))
        walk = _Walk()
        for document in documents:
            walk.at(document, Place.OPEN, "")
        out = io.StringIO()
        yaml.serialize_all(documents, out, Dumper=_DUMPER, width=120, allow_unicode=True)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, AttributeError):
        return None  # AttributeError: PyYAML's serializer and an empty document
    return out.getvalue()


def _require_small(text: str) -> None:
    """By events, which need no stack and no memory: a bomb is told before it is built."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise _TooLarge


class _Walk:
    """Changes scalars in place. Each node is looked at once for each place it stands in, however often it is named."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, Place, str]] = set()

    def at(self, node: yaml.Node | None, place: Place, key: str) -> None:
        """`key`: under which `node` stands; only ``url`` matters."""
        mark = (id(node), place, "url" if key == "url" else "")
        if node is None or mark in self._seen:
            return
        self._seen.add(mark)
        if isinstance(node, yaml.ScalarNode):
            _change(node, place, key)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.at(item, place, key)
        elif isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                text = name.value if isinstance(name, yaml.ScalarNode) else ""
                self.at(name, Place.OPEN, "")
                self.at(value, place_below(text, place), text)


def _change(node: yaml.ScalarNode, place: Place, key: str) -> None:
    if place is not Place.HIDDEN:
        node.value = redact_url(node.value) if key == "url" else redact_text(node.value)
    elif node.value and node.tag not in _KEPT_TAGS:
        node.value, node.tag, node.style = hashed(node.value), _TEXT_TAG, None
