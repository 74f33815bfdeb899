"""What was probably meant by a word that is not known: the fix for a problem."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_WORD = 100
"""Characters of a word that are compared; no name that we know is longer."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The fix for a word that is not among `known`: the closest one, or all of them."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word[:_WORD].lower(), by_lower, n=1, cutoff=0.6)
    return closest_is(by_lower[close[0]]) if close else f"one of: {', '.join(known)}"


def closest_is(name: str) -> str:
    """The fix when `name` is what was probably meant."""
    return f"did you mean {name}?"
