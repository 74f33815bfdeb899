"""Every kind of fault. A new one is a file of its own and a line here."""

from __future__ import annotations

from typing import Any

from harness.cluster.undo import UndoKinds
from harness.faults import cordon, evict, restart, taint, tolerations
from harness.faults.kind import FaultKind

FAULTS: tuple[FaultKind[Any], ...] = (taint.KIND, tolerations.KIND, restart.KIND, cordon.KIND, evict.KIND)
"""In the order of the declaration."""

UNDO: UndoKinds = {kind.change.kind: kind.change for kind in FAULTS if kind.change is not None}
"""The readers of what undo records on nodes and in ledgers hold."""
