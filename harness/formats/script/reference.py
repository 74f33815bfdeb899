"""docs/reference/script.md and the JSON Schema of write scripts, made from the declaration."""

from __future__ import annotations

from harness.formats.reference import sections
from harness.formats.schema import Schema, schema_of
from harness.formats.script.fields import SCRIPT, VERSION

_HEAD = """# The write script

<!-- Made by `taintlab schema script --markdown` from harness/formats/script/fields.py. Do not edit: a test holds it to
the code. -->

A world and timed writes to it, in YAML or JSON, for [`taintlab predict` and `taintlab
replay`](../how-to/predict-and-replay.md). `taintlab schema script` prints its JSON Schema for editors.

**Reading is strict**: a key that is not listed here, a key given twice, a value of another type are errors, all at
once, each at file:line:column. Nothing defaults: lists and mappings that are left out are empty. Null and empty text
in a taint or toleration are as if the key were absent, as they are to the API server. Names are taken once, a write
names a node of `nodes` and a pod that is there or will be created, and what the API server would refuse is fine in a
write, but not at time 0.
"""


def json_schema() -> Schema:
    """The schema of a whole file, as a JSON value."""
    return schema_of(SCRIPT, identity=f"urn:taintlab:script:{VERSION}")


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join((_HEAD, *sections(SCRIPT)))
