"""JSON Schema (2020-12) of a file for editors, made from the declaration that the reader walks.

It holds what can be said of one key at a time; what needs several keys or other files is `taintlab validate`'s.
"""

from __future__ import annotations

from typing import Any

from harness.formats.document import parse
from harness.formats.nodes import plain
from harness.formats.shapes import Field, Leaf, ListOf, OneOf, Pairs, Record, Shape, Short

Schema = dict[str, Any]


def schema_of(file: Record, *, identity: str) -> Schema:
    """The schema of a whole file, as a JSON value; records are under ``$defs`` by their title. `identity`: its
    ``$id``.
    """
    definitions: dict[str, Schema] = {}
    root = _record(file, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identity,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _of(shape: Shape, definitions: dict[str, Schema]) -> Schema:
    match shape:
        case Leaf(schema=schema):
            return dict(schema)
        case ListOf(item=item):
            least = {} if shape.may_be_empty else {"minItems": 1}
            unique = {"uniqueItems": True} if shape.distinct else {}
            return {"type": "array", "items": _of(item, definitions), **least, "maxItems": shape.most, **unique}
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
        case Short(text=text, record=record):
            return {"anyOf": [dict(text.schema), _of(record, definitions)]}


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
    schema = _of(field.shape, definitions)
    if field.blank:
        schema = {"anyOf": [schema, {"enum": [None, ""]}]}
    schema["description"] = field.doc
    if field.default is not None:
        (value,) = parse(field.default, file="the declaration").documents
        schema["default"] = plain(value)
    return schema
