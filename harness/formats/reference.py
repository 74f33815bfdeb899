"""The reference of a file in Markdown, made from its declaration: every key with its type, default and meaning."""

from __future__ import annotations

from collections.abc import Iterator

from harness.formats.shapes import Field, Leaf, ListOf, OneOf, Pairs, Record, Shape, Short


def sections(file: Record, *, heading: str = "##") -> Iterator[str]:
    """One section for each mapping, in the order a reader of the file meets it, under its path."""
    for record, path, is_one_of in _records(file, "", is_one_of=False):
        alternative = f", with `{record.keys[0]}`" if is_one_of else ""
        title = f"`{path}`{alternative}" if path else "The file"
        rows = "\n".join(_row(field) for field in record.fields)
        head = "| key | type | default | meaning |\n|---|---|---|---|"
        yield f"{heading} {title}\n\n{record.doc}\n\n{head}\n{rows}\n"


def _records(shape: Shape, path: str, *, is_one_of: bool) -> Iterator[tuple[Record, str, bool]]:
    """Every record with the path that leads to it, and whether others may stand in its place."""
    match shape:
        case Record():
            if shape.fields:
                yield shape, path, is_one_of
            for field in shape.fields:
                yield from _records(field.shape, f"{path}.{field.key}" if path else field.key, is_one_of=False)
        case ListOf(item=item):
            yield from _records(item, f"{path}[]", is_one_of=False)
        case OneOf(records=records):
            for record in records:
                yield from _records(record, path, is_one_of=True)
        case Short(record=record):
            yield from _records(record, path, is_one_of=False)
        case Leaf() | Pairs():
            return


def _row(field: Field) -> str:
    default = "**needed**" if field.required else f"`{field.default}`" if field.default is not None else ""
    return f"| `{field.key}` | {_type(field.shape)} | {default} | {field.doc} |"


def _type(shape: Shape) -> str:
    match shape:
        case Leaf(schema={"enum": words}):
            return ", ".join(f"`{word}`" for word in words)
        case Leaf(schema={"const": word}):
            return f"`{word}`"
        case Leaf(name=name):
            return name.removeprefix("a ").removeprefix("an ").replace("<=", "&lt;=")
        case ListOf(item=Leaf() as item):
            return f"list of {_type(item)}"
        case ListOf(item=Short()):
            return "list of texts or mappings"
        case ListOf():
            return "list of mappings"
        case Pairs(value=ListOf()):
            return "mapping of text to lists"
        case Pairs():
            return "mapping of text to text"
        case Record() | OneOf():
            return "mapping"
        case Short(text=text):
            return f"{_type(text)} or mapping"
