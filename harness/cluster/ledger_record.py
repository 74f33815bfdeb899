"""What the undo record on disk is made of: the lines that `harness.cluster.ledger` writes and
`harness.cluster.ledger_read` reads, and the marks on objects that go with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

RUN_LABEL = "taintlab.dev/run"
EXPERIMENT_ANNOTATION = "taintlab.dev/experiment"
HOLDER_ANNOTATION = "taintlab.dev/holder"
"""On objects: the process of the run (`harness.cluster.undo.Holder` as JSON), so that a run that has claimed no node
yet can be seen to be alive.
"""
FORMAT = 2
"""Of the lines, in the header."""


class RecordKind(StrEnum):
    """What a record is about."""

    NODE = "node"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing we change. `subject`: a node's name, or an object's API path. `what`: for people. `uid`: of the node,
    or of the object once it was created ("" before). `undo`: for a node, the claim as its annotation has it
    (`NodeUndo.to_json`), "" in ledgers that did not hold it.
    """

    id: str
    kind: RecordKind
    subject: str
    what: str
    uid: str = ""
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """The ledger's first line. `reach`: how the run reached its cluster (``{"lab": NAME}`` or ``{"context": NAME,
    "kubeconfig": PATH or None}``): a hint for people, never followed unasked.
    """

    run: str
    experiment: str
    reach: Mapping[str, Any] = field(default_factory=dict)
