"""The lab's private network: how it is made (unshare) and entered (nsenter), with root's rights or without."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError
from harness.lab.processes import LAB_VARIABLE
from harness.lab.state import Folder

AS_ROOT = ("unshare", "--net")
ROOTLESS = ("unshare", "--user", "--map-root-user", "--net")

_SYSCTLS = (
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"),
)
"""(file, the content that forbids user namespaces, the fix): Ubuntu 23.10 and later, older Debian, RHEL 7 style."""


@dataclass(frozen=True, slots=True)
class Maker:
    """How to start a program in a new network namespace. `argv` goes before the program's own."""

    argv: tuple[str, ...]
    rootless: bool


def find_maker() -> Maker:
    """The first way that works here, tried for real: root's own rights, else a user namespace.

    LabError, with the fix, when the machine allows neither.
    """
    ways = [Maker(ROOTLESS, rootless=True)]
    if os.geteuid() == 0:
        ways.insert(0, Maker(AS_ROOT, rootless=False))
    said = ""
    for way in ways:
        try:
            tried = subprocess.run([*way.argv, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise LabError(
                "the program `unshare` is missing: install util-linux, or use kind (--context kind-...)"
            ) from error
        if tried.returncode == 0:
            return way
        said = tried.stderr.strip() or said
    raise LabError(_forbidden(said))


def _forbidden(said: str) -> str:
    """One message for a machine that lets nobody make namespaces."""
    fix = "run as root, or allow user namespaces for this user"
    for file, forbidding, command in _SYSCTLS:
        try:
            if Path(file).read_text().strip() == forbidding:
                fix = f"{command}   ({file} forbids it now)"
                break
        except OSError:
            continue
    return (
        f"this machine does not let the lab have a private network ({said}).\n"
        f"  fix: {fix}\n"
        "  or use a kind cluster instead: kind create cluster, then --context kind-kind"
    )


def prefix(*, pid: int, rootless: bool, folder: Folder, lab_id: str) -> tuple[str, ...]:
    """An argv that runs a program in the network namespace of process `pid`.

    The program gets the lab's resolv.conf as /etc/resolv.conf (bound in a mount namespace of its own, where the host's
    later mounts still appear), the lab's kubectl first on its PATH, the lab's kubeconfig as KUBECONFIG, the caller's
    working directory, and the lab's variable, by which `down` finds it. A user namespace must be entered by the user
    who made it.
    """
    enter = ["nsenter", f"--target={pid}", "--net"]
    if rootless:
        enter += ["--user", "--preserve-credentials"]
    quoted = {
        key: shlex.quote(str(path))
        for key, path in (("resolv", folder.resolv_conf), ("config", folder.kubeconfig), ("bin", folder.bin))
    }
    setup = (
        f"if [ -e /etc/resolv.conf ]; then mount --bind {quoted['resolv']} /etc/resolv.conf; fi; "
        f'export {LAB_VARIABLE}={lab_id} KUBECONFIG={quoted["config"]} PATH={quoted["bin"]}:"$PATH"; exec "$@"'
    )
    return (*enter, "--", "unshare", "--mount", "--propagation", "slave", "--", "sh", "-c", setup, "taintlab")
