"""Who we are for an API server, as a kubeconfig says it, renewed for as long as a run lasts.

The client library loads credentials once. A token of an exec plugin lives for minutes (15 on EKS) and a run may take
a day, so the loader is kept and asked again: before the end of what we have, and when the server answers 401.
The kubeconfig itself is read once, and is never written.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml
from kubernetes.aio import client as kube_client
from kubernetes.aio.config import ConfigException, kube_config

from harness.adapters.plugin import CredentialsError, KubeconfigError, run_plugin
from harness.clock import Clock

_MARGIN_S = 60.0
_FILE_S = 60.0
_PAUSE_S = 5.0
_LOAD_S = 40.0
TROUBLES = (
    *(ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
    *(TimeoutError, aiohttp.ClientError, yaml.YAMLError),
)
"""What the library's loader raises for a kubeconfig that is not as it should be, or for a login that fails."""


_library: Any = kube_config
"""Without its hints: there are none."""


class _Loader(kube_config.KubeConfigLoader):
    """The library's, with a plugin that has a time-out and whose failure is not passed over in silence."""

    expires_at_s: float | None = None

    async def load_from_exec_plugin(self) -> bool:
        """Set the token, or the certificate and key, that the plugin gives; CredentialsError without either."""
        user: Any = self._user
        config, path = user["exec"], user.path
        status = await run_plugin(getattr(config, "value", config), folder=Path(path).parent if path else None)
        self.expires_at_s = _stamp_s(status.get("expirationTimestamp"))
        if isinstance(status.get("token"), str) and status["token"]:
            self.token = f"Bearer {status['token']}"
            return True
        if not (status.get("clientCertificateData") and status.get("clientKeyData")):
            raise CredentialsError("the credential plugin gave neither a token nor a certificate with its key")
        self.cert_file = _file_of(status, "clientCertificateData")
        self.key_file = _file_of(status, "clientKeyData")
        return True

    @property
    def renews(self) -> str:
        """What gives new credentials: ``exec``, ``tokenFile``, ``auth-provider``, or "" when nothing does."""
        user = self._user or ()
        return next((way for way in ("auth-provider", "exec", "tokenFile") if way in user), "")


class Credentials:
    """The connection settings of one context. `configuration` always holds the newest credentials; `generation` counts
    how often they were loaded.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None, clock: Clock) -> None:
        """Reads the kubeconfig (None: the usual one); raises one of the library's or of OSError, ValueError and the
        like when it is no kubeconfig or has no such context. Nothing is run yet.
        """
        where = str(kubeconfig) if kubeconfig else kube_config.KUBE_CONFIG_DEFAULT_LOCATION
        self._config = _library.KubeConfigMerger(where).config
        self._context = context
        self._clock = clock
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._due_s = math.inf
        self._failed: tuple[float, CredentialsError] | None = None
        self.configuration: Any = kube_client.Configuration()
        self.generation = 0
        self.expires_at_s: float | None = None
        self.renews = self._loader().renews

    def _loader(self) -> Any:
        made: Any = _Loader
        return made(config_dict=self._config, config_base_path=None, active_context=self._context)

    @property
    def _now_s(self) -> float:
        return self._clock.now().wall_ns / 1e9

    @property
    def certificate(self) -> tuple[str | None, str | None]:
        """The files of the client certificate and its key."""
        return self.configuration.cert_file, self.configuration.key_file

    async def load(self) -> None:
        """Load, or load again; CredentialsError when there are none to be had."""
        loader = self._loader()
        try:
            async with asyncio.timeout(_LOAD_S):
                await loader.load_and_set(self.configuration)
            bearer = self._bearer()
        except CredentialsError as error:
            self._failed = (self._now_s, error)
            self._due_s = self._now_s + _PAUSE_S
            raise
        except TROUBLES as error:
            wrapped = KubeconfigError(f"no credentials: {config_words(error)}")
            self._failed = (self._now_s, wrapped)
            self._due_s = self._now_s + _PAUSE_S
            raise wrapped from error
        ends = [end for end in (loader.expires_at_s, _jwt_end_s(bearer)) if end is not None]
        self.expires_at_s = min(ends, default=None)
        self._failed = None
        self._due_s = self._next_s()
        self.generation += 1

    def _next_s(self) -> float:
        """When to look again: a minute before the end, or after three quarters of a shorter life; a token file each
        minute, as client-go does it.
        """
        if not self.renews:
            return math.inf
        now_s = self._now_s
        due_s = now_s + _FILE_S if self.renews == "tokenFile" else math.inf
        if self.expires_at_s is not None:
            life_s = self.expires_at_s - now_s
            due_s = min(due_s, now_s + max(_PAUSE_S if life_s <= 0 else 0.0, life_s - min(_MARGIN_S, life_s / 4)))
        return due_s

    def _bearer(self) -> str:
        """The bearer token, "" without one. A token with a line end is one with its file's last line end."""
        header = str(self.configuration.api_key.get("BearerToken", "")).strip()
        if not header.isascii() or not header.isprintable():
            raise CredentialsError("the token has characters that no HTTP header may have")
        if header:
            self.configuration.api_key["BearerToken"] = header
        return header.removeprefix("Bearer ") if header.startswith("Bearer ") else ""

    async def renew_if_due(self) -> None:
        """Renew what ends soon, beside the requests; wait for it only when what we have has ended already.

        A failure is not raised: the server decides whether the old ones still do.
        """
        if self._now_s < self._due_s:
            return
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew_quietly(self.generation))
        if self.expires_at_s is not None and self.expires_at_s <= self._now_s:
            await asyncio.shield(self._renewal)

    async def _renew_quietly(self, generation: int) -> None:
        try:
            await self.renew(generation)
        except CredentialsError:
            return  # kept in `_failed`, and told when the server says 401

    async def renew(self, generation: int) -> None:
        """Load again, unless that was done since `generation`, or failed just now (the same error is then raised)."""
        async with self._lock:
            if self.generation != generation or not self.renews:
                return
            if self._failed is not None and self._now_s < self._failed[0] + _PAUSE_S:
                raise self._failed[1]
            await self.load()

    async def close(self) -> None:
        """End a renewal that is under way."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)


def config_words(error: BaseException) -> str:
    """The error in words; the library's end in the very part of the kubeconfig that is wrong, secrets and all."""
    text = str(error)
    if text.startswith("Invalid kube-config file. Expected"):
        text = text.split(" in ", 1)[0]
    return text or type(error).__name__


def _file_of(status: Mapping[str, Any], key: str) -> str:
    found = _library.FileOrData(dict(status), None, data_key_name=key, base64_file_content=False).as_file()
    return str(found)


def _stamp_s(stamp: object) -> float | None:
    """RFC 3339 as seconds since the epoch."""
    try:
        moment = datetime.fromisoformat(str(stamp))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _jwt_end_s(token: str) -> float | None:
    """The ``exp`` of a JWT, None when it is none. Its signature is the server's to check."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > 2**16:
        return None
    try:
        payload = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        end_s = payload["exp"]
    except (ValueError, binascii.Error, RecursionError, KeyError, TypeError):
        return None
    known = isinstance(end_s, (int, float)) and not isinstance(end_s, bool) and 0 < end_s < 1e12
    return float(end_s) if known else None
