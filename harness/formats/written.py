"""The JSON files that we write, as JSON Schema and as tables for the reference: both are made from the types in model.

One schema file for each of `SCHEMAS`; a test holds the file to the type, and the page in docs/reference to both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.model import plan_file, result

Schema = dict[str, Any]
SCHEMAS: Mapping[str, tuple[type[msgspec.Struct], str, str]] = {
    "reports/assets/result.schema.json": (result.Result, result.SCHEMA_ID, "taintlab result, version 1"),
    "harness/impact/plan.schema.json": (plan_file.PlanFile, plan_file.SCHEMA_ID, "taintlab plan, version 1"),
}
"""By the schema's file: the type, ``$id`` and title."""


def schema_of(kind: type[msgspec.Struct], *, identity: str, title: str) -> Schema:
    """The JSON Schema (2020-12) of a typed file; the types that it is made of are under ``$defs`` by their names, each
    described by its docstring.
    """
    made = msgspec.json.schema(kind)
    root = made["$defs"].pop(kind.__name__)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity}
    definitions = {name: _described(each) for name, each in sorted(made["$defs"].items())}
    return {**head, **_described(root), "title": title, "$defs": definitions}


def schema_text(file: str) -> str:
    """What the schema file `file` (a key of `SCHEMAS`) has to hold."""
    kind, identity, title = SCHEMAS[file]
    return json.dumps(schema_of(kind, identity=identity, title=title), indent=1, ensure_ascii=False) + "\n"


def _described(schema: Schema) -> Schema:
    """Docstrings are wrapped in the source, not in the schema."""
    text = schema.get("description")
    return schema if text is None else {**schema, "description": " ".join(text.split())}


def table(schema: Schema, name: str = "") -> tuple[str, ...]:
    """The rows of the reference's table for the definition `name`, the file itself by default."""
    record = schema["$defs"][name] if name else schema
    required = record.get("required", ())
    return tuple(
        f"| `{key}`{' (required)' if key in required else ''} | {_type(each, schema)} | {each['description']} |"
        for key, each in record["properties"].items()
    )


_WORDS = {"null": "null", "boolean": "boolean", "integer": "integer", "number": "number", "string": "string"}


def _type(schema: Schema, root: Schema) -> str:
    """What a value may be, in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(each, root) for each in schema["anyOf"])
    if "$ref" in schema:
        named = root["$defs"][schema["$ref"].rpartition("/")[2]]
        return _type(named, root) if "enum" in named else "object"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return "[low, high]"
        return f"list of {_plural(_type(schema['items'], root))}"
    return _WORDS.get(schema.get("type", ""), "object")


def _plural(words: str) -> str:
    return {"number or null": "numbers and nulls"}.get(words, f"{words}s")
