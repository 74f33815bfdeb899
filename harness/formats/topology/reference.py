"""docs/reference/topology.md and the JSON Schema of topologies, made from the declaration."""

from __future__ import annotations

from harness.formats.reference import sections
from harness.formats.schema import Schema, schema_of
from harness.formats.topology.fields import TOPOLOGY
from harness.model.topology import MAX_NODES

_HEAD = f"""# The topology file

<!-- Made by `taintlab schema topology --markdown` from harness/formats/topology/fields.py. Do not edit: a test holds it
to the code. -->

The nodes of a [lab](lab.md#topology): `taintlab lab up --topology FILE`, or `lab.topology` of an
[experiment](experiment.md). `taintlab schema topology` prints its JSON Schema for editors.

**Reading is strict**: a key that is not listed here, a key given twice, a value of another type are errors, all at
once, each at file:line:column. Node names are taken once, a taint's key and effect once a node, and there are at most
{MAX_NODES} nodes in all.
"""


def json_schema() -> Schema:
    """The schema of a whole file, as a JSON value."""
    return schema_of(TOPOLOGY, identity="urn:taintlab:topology:1")


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join((_HEAD, *sections(TOPOLOGY)))
