"""Files as users write them, read strictly: every problem at once, each at file:line:column with the fix.

Data runs: text -> `document` (nodes with positions) -> `read` along the declaration in `fields` (values by path) ->
`semantic` and `workload` (checks across keys and files) -> `experiment` (the model). `schema` and `reference` are made
from the same declaration.
"""

from harness.formats.experiment.files import (
    Examined,
    examine,
    examine_text,
    experiment_files,
    read_experiment,
    read_experiment_text,
    validate,
)
from harness.formats.experiment.reference import reference
from harness.formats.experiment.schema import json_schema

__all__ = [
    "Examined",
    "examine",
    "examine_text",
    "experiment_files",
    "json_schema",
    "read_experiment",
    "read_experiment_text",
    "reference",
    "validate",
]
