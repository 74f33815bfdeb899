"""The third answer of a test about time: neither passed nor failed, this machine is too busy to tell.

It is reported as skipped, and named at the end of the session (conftest.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

PREFIX = "too busy to tell: "
_TOLD = "too busy to tell"
_OURS = ("load-sent", "load-punctual", "load-cpu")
_BLIND = ("the watch was blind", "something happened that nobody saw")
_RACED = "a taint had just gone"
"""Kubernetes' own race, which no test can prevent: bound to a node whose taint the controller still sees."""
_notes: list[str] = []


def tell_if_busy(reasons: Sequence[str]) -> None:
    """Skips when there is any reason."""
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        pytest.skip(f"{PREFIX}{reasons[0]}{more}")


def too_busy_for(result: Mapping[str, Any]) -> list[str]:
    """Why a run's result (result.json) says that this machine was too busy for it: the harness could not send in time,
    or nobody can tell who was late, or it stood still about when a pod was due, or the taint-eviction controller was
    behind the scheduler. [] when it says nothing of the kind.
    """
    gates = [f"{gate['id']}: {gate['measured']}" for gate in result["gates"] if gate["id"] in _OURS and not gate["ok"]]
    checks = [check["reason"] for check in result["checks"] if _TOLD in check["reason"]]
    still = any(event["kind"] == "gap" for event in result["events"])
    blind = [
        f"evictions: {check['reason']}"
        for check in result["checks"]
        if check["id"] == "evictions" and check["verdict"] == "INCONCLUSIVE"
        if _RACED in check["reason"] or (still and any(words in check["reason"] for words in _BLIND))
    ]
    return gates + checks + blind


def note(line: str) -> None:
    """Something about this machine to be printed at the end of the session."""
    _notes.append(line)


def notes() -> Sequence[str]:
    """All notes so far."""
    return tuple(_notes)
