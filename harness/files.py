"""Files: read only what is a file of reasonable size, written so that they are whole or not there, for the owner alone.

Run folders, worlds and claims come from strangers: no link is followed, no pipe or device is waited on, and nothing is
read beyond a cap.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.errors import UsageError

MIB = 1 << 20
EVIDENCE_CAP = 512 * MIB
"""Bytes. The history of a long run on a large cluster stays below; what is larger is no evidence of ours."""
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_HOLES_FROM = MIB
"""Bytes from which a file must not have holes: a few bytes on the disk would else cost a cap's worth of memory."""
_USUAL_MODE = 0o666
"""Less what the user's umask takes away."""
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def shown(path: Path) -> str:
    """A path for messages: one line that can be printed, whatever bytes the name has."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def read_regular(path: Path, *, cap: int = EVIDENCE_CAP, follow_link: bool = False) -> bytes:
    """The bytes of a regular file; UsageError naming `path` when it is missing, a link (unless `follow_link`), a pipe,
    a device, a folder, not readable, larger than `cap` bytes, or large and full of holes.
    """
    with _opened(path, cap=cap, follow_link=follow_link) as file:
        try:
            data = file.read(cap + 1)
        except OSError as error:
            raise UsageError(f"{shown(path)}: {_why(error)}") from error
    if len(data) > cap:
        raise UsageError(f"{shown(path)}: grew beyond the {cap} bytes that are read")
    return data


def digest_regular(path: Path, *, cap: int) -> tuple[str, int]:
    """(SHA-256 in hex, size in bytes) of a regular file, read piece by piece; UsageError as `read_regular`."""
    digest, size = hashlib.sha256(), 0
    with _opened(path, cap=cap, follow_link=False) as file:
        try:
            while piece := file.read(MIB):
                digest.update(piece)
                size += len(piece)
                if size > cap:
                    raise UsageError(f"{shown(path)}: grew beyond the {cap} bytes that are read")
        except OSError as error:
            raise UsageError(f"{shown(path)}: {_why(error)}") from error
    return digest.hexdigest(), size


@contextmanager
def _opened(path: Path, *, cap: int, follow_link: bool) -> Iterator[BinaryIO]:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_link else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown(path)}: {_why(error)}") from error
    try:
        _require_plain(descriptor, path, cap)
    except BaseException:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _require_plain(descriptor: int, path: Path, cap: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{shown(path)}: is no regular file")
    if status.st_size > cap:
        raise UsageError(f"{shown(path)}: {status.st_size} bytes, more than the {cap} that are read")
    if status.st_size > _HOLES_FROM:
        if os.lseek(descriptor, 0, os.SEEK_HOLE) < status.st_size:
            raise UsageError(f"{shown(path)}: has holes, as no file has that was written whole")
        os.lseek(descriptor, 0, os.SEEK_SET)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a symbolic link, which is not followed"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def write_whole(path: Path, data: bytes, *, mode: int = PRIVATE_FILE, durable: bool = True) -> None:
    """Replace `path` by `data`, as `whole_file` does."""
    with whole_file(path, mode=mode, durable=durable) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path, *, mode: int | None = PRIVATE_FILE, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that replaces `path` when the block ends, and is gone when it raises: readers see the old file
    or the whole new one. `mode`: its permissions, by default for the owner alone; None: the usual ones. `durable`: it
    is there after a power cut as well, at the price of waiting for the disk.

    The temporary file is new and has a name nobody can guess: a link that lies in the folder is never written through.
    OSError as the operating system has it.
    """
    temporary = path.with_name(f".{secrets.token_hex(16)}.new")
    descriptor = os.open(temporary, _NEW_FILE, _USUAL_MODE if mode is None else mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)
            yield file
            file.flush()
            if durable:
                os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def create_private(path: Path) -> int:
    """A descriptor to write the new file `path`, for the owner alone. FileExistsError when there is anything of that
    name, be it a link: evidence is never overwritten.
    """
    return os.open(path, _NEW_FILE, PRIVATE_FILE)


def make_private_folder(path: Path) -> None:
    """The folder `path`, for the owner alone; those above it are made with the usual mode. One that is there already
    keeps what it holds and is closed to others. OSError as the operating system has it, NotADirectoryError for a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=PRIVATE_FOLDER)
        return
    except FileExistsError:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, PRIVATE_FOLDER)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Put the entries of a folder on the disk: a file that was created or renamed is there after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
