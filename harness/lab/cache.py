"""The folder where built and fetched programs are kept, and who may fill it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import LabError


def xdg(variable: str, fallback: str) -> Path:
    """An XDG base directory: the variable when it holds an absolute path, else `fallback` below the home folder."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


def cache_home() -> Path:
    """``XDG_CACHE_HOME/taintlab``"""
    return xdg("XDG_CACHE_HOME", ".cache") / "taintlab"


def private(folder: Path) -> Path:
    """Makes `folder`, for this user only, or checks that it is: what lies in it is run, or holds keys.

    One of ours that others may only read is closed to them. LabError when it is somebody else's, or when others may
    have written into it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    looked = folder.stat()
    if looked.st_uid != os.geteuid():
        raise LabError(
            f"{folder} belongs to another user (uid {looked.st_uid}): nothing in it is trusted\n"
            "  fix: name a folder of your own with XDG_CACHE_HOME or XDG_STATE_HOME"
        )
    if looked.st_mode & 0o022:
        raise LabError(
            f"others may write into {folder}: nothing in it is trusted\n"
            f"  fix: delete it, so that it is made anew (or, if nobody has changed it, chmod 700 {folder})"
        )
    if looked.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


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
