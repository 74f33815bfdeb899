"""Where labs live on disk, and what is known of each: one folder a lab, one record (lab.json) in it.

Everything a lab writes lies in its folder, ``XDG_STATE_HOME/taintlab/labs/NAME``, but for Unix sockets when that path
is too long for them (107 bytes, unix(7)): then those lie in ``XDG_RUNTIME_DIR/taintlab/NAME`` or, without that,
``/tmp/taintlab-UID/NAME``.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import LabError, UsageError
from harness.files import write_whole
from harness.lab.cache import private, xdg
from harness.lab.processes import ProcessId, boot_id

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
SOCKET_PATH_BYTES = 107
"""The longest path of a Unix socket (unix(7): sun_path has 108 bytes with its NUL)."""
_LONGEST_SOCKET_NAME = 44  # below the sockets' folder: /node-254 and then harness.lab.nodes.BELOW_ROOT_BYTES


class Condition(StrEnum):
    """How a lab is, judged from its record and the processes it names."""

    STARTING = "starting"
    UP = "up"
    ORPHANED = "orphaned"  # its owner was killed: the next `up` takes it down
    DEAD = "dead"  # its supervisor is gone (killed, or the machine was started anew): only files are left


@dataclass(frozen=True, slots=True)
class Record:
    """lab.json. `supervisor` and `owner` mean processes of the boot `boot`; `owner` None: nobody's, until `down`.

    `nodes`: names in index order. `ports`: the port-forwards on the host's 127.0.0.1, by what is behind them.
    `programs`: the paths of the programs in use (harness.lab.launch.Setting). `flags`: the user's, as `lab up` took
    them.
    """

    name: str
    id: str
    kubernetes_version: str
    sockets: str
    boot: str
    up: bool
    rootless: bool
    supervisor: ProcessId | None
    owner: ProcessId | None
    nodes: tuple[str, ...]
    ports: Mapping[str, int]
    programs: Mapping[str, str]
    flags: tuple[str, ...]

    @property
    def condition(self) -> Condition:
        """Reads /proc: whether the supervisor and the owner still run."""
        if self.boot != boot_id() or self.supervisor is None or not self.supervisor.alive:
            return Condition.DEAD
        if self.owner is not None and not self.owner.alive:
            return Condition.ORPHANED
        return Condition.UP if self.up else Condition.STARTING


@dataclass(frozen=True, slots=True)
class Folder:
    """The paths inside one lab's folder."""

    path: Path

    @property
    def record(self) -> Path:
        """The lab's record."""
        return self.path / "lab.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, good on the host and inside."""
        return self.path / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: every write, at level Metadata."""
        return self.path / "audit.log"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.path / "logs"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.path / "pki"

    @property
    def programs(self) -> Path:
        """programs.json."""
        return self.path / "programs.json"

    @property
    def bin(self) -> Path:
        """First on the PATH of `lab exec`: the lab's own kubectl."""
        return self.path / "bin"

    @property
    def discovered(self) -> Path:
        """What Prometheus is to scrape."""
        return self.path / "discovered"

    @property
    def resolv_conf(self) -> Path:
        """What programs inside see as /etc/resolv.conf."""
        return self.path / "resolv.conf"

    def node(self, name: str) -> Path:
        """The root of one node's files."""
        return self.path / "nodes" / name


def labs_home() -> Path:
    """The folder of all lab folders."""
    return xdg("XDG_STATE_HOME", ".local/state") / "taintlab" / "labs"


def folder_of(name: str) -> Folder:
    """The folder of the lab called `name`, there or not; UsageError for what cannot be a name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a lab: use lower-case letters, digits and dashes, at most 40")
    return Folder(labs_home() / name)


def read(name: str) -> Record | None:
    """The record of a lab; None when there is no such lab or its folder holds no readable record."""
    try:
        fields = json.loads(folder_of(name).record.read_text())
        for key in ("supervisor", "owner"):
            fields[key] = None if fields[key] is None else ProcessId(**fields[key])
        fields["nodes"] = tuple(fields["nodes"])
        fields["flags"] = tuple(fields["flags"])
        return Record(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(record: Record) -> None:
    """Puts the record in place in one step, readable by nobody else."""
    write_whole(folder_of(record.name).record, json.dumps(asdict(record), indent=1).encode(), durable=False)


def names() -> list[str]:
    """The names of all lab folders, those of dead and half-made labs included."""
    try:
        return sorted(entry.name for entry in labs_home().iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name))
    except FileNotFoundError:
        return []


def binaries_in_use() -> set[Path]:
    """The folders whose programs the labs of this user were started from."""
    records = [read(name) for name in names()]
    return {Path(record.programs["kubeplane"]).parent for record in records if record is not None}


@contextmanager
def claim(name: str) -> Iterator[Folder]:
    """The lab's folder, made if need be and locked against every other command that makes or removes it.

    The lock is on the folder itself (flock), so nothing is left beside it. LabError when another command has it.
    """
    folder = folder_of(name)
    while True:
        private(folder.path)
        handle = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LabError(
                    f"lab {name!r} is being started or stopped by another command right now: "
                    "wait for it, or use another --name"
                ) from error
            if _same(handle, folder.path):  # else it was removed between our mkdir and our lock
                yield folder
                return
        finally:
            os.close(handle)


def is_claimed(name: str) -> bool:
    """Whether a command is starting or stopping the lab right now."""
    try:
        handle = os.open(folder_of(name).path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def sockets_folder(name: str) -> Path:
    """A folder for Unix sockets that leaves room below the limit, made for this user only."""
    inside = folder_of(name).path / "sockets"
    if len(os.fsencode(inside)) + _LONGEST_SOCKET_NAME <= SOCKET_PATH_BYTES:
        inside.mkdir(mode=0o700, exist_ok=True)
        return inside
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and os.access(runtime, os.W_OK) and len(runtime) < 24:
        parent = Path(runtime) / "taintlab"
    else:
        parent = Path(f"/tmp/taintlab-{os.getuid()}")  # noqa: S108 - private: made with mode 0700 and checked below
    parent.mkdir(mode=0o700, exist_ok=True)
    if parent.is_symlink() or parent.stat().st_uid != os.getuid() or parent.stat().st_mode & 0o077:
        raise LabError(f"{parent} belongs to somebody else or is open to others: remove it, or set XDG_RUNTIME_DIR")
    place = parent / name
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def clear(name: str, *, keep_logs: bool = False) -> None:
    """Empties the lab's folder (but for logs/ and audit.log if asked) and deletes the folder of its sockets."""
    folder = folder_of(name)
    record = read(name)
    if record is not None:
        sockets = Path(record.sockets)
        shutil.rmtree(sockets, ignore_errors=True)
        if sockets.parent != folder.path and sockets.parent.name.startswith("taintlab"):
            with suppress(OSError):  # other labs' sockets lie there too
                sockets.parent.rmdir()
    for entry in folder.path.iterdir():
        if keep_logs and entry in (folder.logs, folder.audit_log):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def remove(name: str) -> None:
    """Deletes the lab's folder and all in it."""
    clear(name)
    folder_of(name).path.rmdir()
