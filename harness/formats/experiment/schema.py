"""JSON Schema (2020-12) of the experiment file for editors, made from the declaration that the reader walks.

It holds what can be said of one key at a time; what needs several keys or other files is `taintlab validate`'s.
"""

from __future__ import annotations

from typing import Any

from harness.formats.document import parse
from harness.formats.experiment.fields import API_VERSION, file_shape
from harness.formats.experiment.kinds import Kinds
from harness.formats.nodes import plain
from harness.formats.shapes import Field, Leaf, ListOf, OneOf, Pairs, Record, Shape

Schema = dict[str, Any]


def json_schema(kinds: Kinds) -> Schema:
    """The schema of a whole file, as a JSON value; records are under ``$defs`` by their title."""
    definitions: dict[str, Schema] = {}
    root = _record(file_shape(kinds), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:taintlab:{API_VERSION.rpartition('/')[2]}:experiment",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _of(shape: Shape, definitions: dict[str, Schema]) -> Schema:
    match shape:
        case Leaf(schema=schema):
            return dict(schema)
        case ListOf(item=item, distinct=distinct, most=most):
            unique = {"uniqueItems": True} if distinct else {}
            return {"type": "array", "items": _of(item, definitions), "minItems": 1, "maxItems": most, **unique}
        case Pairs(key=key, value=value):
            return {
                "type": "object",
                "propertyNames": dict(key.schema),
                "additionalProperties": _of(value, definitions),
            }
        case Record():
            if shape.title not in definitions:
                definitions[shape.title] = _record(shape, definitions)
            return {"$ref": f"#/$defs/{shape.title}"}
        case OneOf():
            if shape.title not in definitions:
                members = [_of(record, definitions) for record in shape.records]
                definitions[shape.title] = {"title": shape.title, "description": shape.doc, "oneOf": members}
            return {"$ref": f"#/$defs/{shape.title}"}


def _record(record: Record, definitions: dict[str, Schema]) -> Schema:
    required = [field.key for field in record.fields if field.required]
    return {
        "title": record.title,
        "description": record.doc,
        "type": "object" if record.fields else ["object", "null"],
        "properties": {field.key: _field(field, definitions) for field in record.fields},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _field(field: Field, definitions: dict[str, Schema]) -> Schema:
    schema = _of(field.shape, definitions) | {"description": field.doc}
    if field.default is not None:
        (value,) = parse(field.default, file="the declaration").documents
        schema["default"] = plain(value)
    return schema
