"""The folder where built and fetched programs are kept, and who may fill it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def xdg(variable: str, fallback: str) -> Path:
    """An XDG base directory: the variable when it holds an absolute path, else `fallback` below the home folder."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


def cache_home() -> Path:
    """``XDG_CACHE_HOME/taintlab``"""
    return xdg("XDG_CACHE_HOME", ".cache") / "taintlab"


@contextmanager
def one_at_a_time(place: Path, *, report: Callable[[str], None]) -> Iterator[None]:
    """Holds the right to make `place` (flock on a file beside it, which ends with its process); waits for it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"another command is making {place.name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
