"""Credential plugins of a kubeconfig (``user.exec``, client.authentication.k8s.io), run with a time-out.

The client library's own runner has none, logs what goes wrong and then asks without credentials. How a plugin is
called is in the Kubernetes docs, "client-go credential plugins".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ClusterError

TIMEOUT_S = 30.0
_OUTPUT_CAP = 2**20
_INFO = "KUBERNETES_EXEC_INFO"


class CredentialsError(ClusterError):
    """No credentials could be had; the message is one sentence and holds none."""


class KubeconfigError(CredentialsError):
    """The kubeconfig does not say who we are."""


async def run_plugin(config: object, *, folder: Path | None, timeout_s: float = TIMEOUT_S) -> Mapping[str, Any]:
    """The ``status`` of the ExecCredential that the plugin printed. CredentialsError when it fails, prints something
    else, or takes longer than `timeout_s` (it and its children are then killed).

    `config`: the mapping under ``exec``. `folder`: of the kubeconfig; a command with a slash is relative to it.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("command"), str) or not config["command"]:
        raise CredentialsError("the credential plugin in the kubeconfig has no command")
    command = _command(config["command"], folder)
    arguments = [str(argument) for argument in config.get("args") or ()]
    version = str(config.get("apiVersion", ""))
    name = Path(command).name
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *arguments,
            env=_environment(config.get("env"), version),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C ends the run in order: healing still needs credentials
        )
    except (OSError, ValueError) as error:
        raise CredentialsError(f"the credential plugin {name} cannot be started: {error}") from error
    code: int | None = None
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            code = await process.wait()
    except TimeoutError:
        raise CredentialsError(f"the credential plugin {name} gave no answer in {timeout_s:g} s") from None
    finally:
        if code is None:
            await _end(process)
    if code != 0:
        raise CredentialsError(f"the credential plugin {name} failed (exit code {code}){_last_words(err)}")
    return _status(out, name, version)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it and its children, and take its last words off its pipes; a child that got away may hold these."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await process.communicate()


def _command(command: str, folder: Path | None) -> str:
    if "/" in command and folder is not None:
        return str(folder / command)  # an absolute one stays as it is
    return command


def _environment(extra: object, version: str) -> dict[str, str]:
    env = dict(os.environ)
    for item in extra if isinstance(extra, list) else ():
        if isinstance(item, Mapping) and "name" in item:
            env[str(item["name"])] = str(item.get("value", ""))
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    return {**env, _INFO: json.dumps(info)}


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    """All of it; what is beyond the cap is read and dropped, so that the plugin does not block."""
    assert stream is not None
    out = bytearray()
    while chunk := await stream.read(2**16):
        out += chunk[: max(0, _OUTPUT_CAP - len(out))]
    return bytes(out)


def _last_words(err: bytes) -> str:
    lines = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
    words = "".join(char for char in lines[-1] if char.isprintable())[:200] if lines else ""
    return f": {words}" if words else ""


def _status(out: bytes, name: str, version: str) -> Mapping[str, Any]:
    try:
        said = msgspec.json.decode(out)
    except (ValueError, RecursionError):
        said = None
    status = said.get("status") if isinstance(said, dict) else None
    if not isinstance(status, dict):
        raise CredentialsError(f"the credential plugin {name} printed no ExecCredential")
    if said.get("apiVersion") != version:
        raise CredentialsError(f"the credential plugin {name} speaks another version than the kubeconfig ({version})")
    return status
