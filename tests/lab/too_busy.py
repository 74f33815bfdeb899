"""The third answer of a test about time: neither passed nor failed, this machine is too busy to tell.

It is reported as skipped, and named at the end of the session (conftest.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

PREFIX = "too busy to tell: "
_notes: list[str] = []


def tell_if_busy(reasons: Sequence[str]) -> None:
    """Skips when there is any reason."""
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        pytest.skip(f"{PREFIX}{reasons[0]}{more}")


def note(line: str) -> None:
    """Something about this machine to be printed at the end of the session."""
    _notes.append(line)


def notes() -> Sequence[str]:
    """All notes so far."""
    return tuple(_notes)
