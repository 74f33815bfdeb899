"""Files: read only what is a file of reasonable size, written so that they are whole or not there, for the owner alone.

Run folders, worlds and claims come from strangers: no link is followed, no pipe or device is waited on, and nothing is
read beyond a cap.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from harness.errors import UsageError

MIB = 1 << 20
EVIDENCE_CAP = 512 * MIB
"""Bytes. The history of a long run on a large cluster stays below; what is larger is no evidence of ours."""
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def read_regular(path: Path, *, cap: int = EVIDENCE_CAP, follow_link: bool = False) -> bytes:
    """The bytes of a regular file; UsageError naming `path` when it is missing, a link (unless `follow_link`), a pipe,
    a device, a folder, not readable, or larger than `cap` bytes.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_link else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {_why(error)}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):  # before fdopen, which refuses a folder in words of its own
        os.close(descriptor)
        raise UsageError(f"{path}: is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > cap:
            raise UsageError(f"{path}: {status.st_size} bytes, more than the {cap} that are read")
        try:
            data = file.read(cap + 1)
        except OSError as error:
            raise UsageError(f"{path}: {_why(error)}") from error
    if len(data) > cap:
        raise UsageError(f"{path}: grew beyond the {cap} bytes that are read")
    return data


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a symbolic link, which is not followed"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def write_whole(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, for the owner alone: readers see the old file or the new one, also after a power cut.

    The temporary file is new and has a name nobody can guess: a link that lies in the folder is never written through.
    OSError as the operating system has it.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Put the entries of a folder on the disk: a file that was created or renamed is there after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
