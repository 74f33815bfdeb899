"""JSON Schema (2020-12) of the experiment file for editors, made from the declaration that the reader walks."""

from __future__ import annotations

from harness.formats.experiment.expectations import ExpectKeys, with_keys
from harness.formats.experiment.fields import API_VERSION, file_shape
from harness.formats.experiment.kinds import Kinds
from harness.formats.schema import Schema, schema_of


def json_schema(kinds: Kinds, expect_keys: ExpectKeys) -> Schema:
    """The schema of a whole file, as a JSON value."""
    return schema_of(
        with_keys(file_shape(kinds), expect_keys), identity=f"urn:taintlab:{API_VERSION.rpartition('/')[2]}:experiment"
    )
