"""The cluster port over the official client's asyncio API.

Only the client's authentication, TLS and transport are used: its typed layer validates every object with pydantic
(1,250 pods a
second), and stamps taken after that would not be arrival stamps. Objects stay the API's own JSON.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kube_client
from kubernetes.aio.client.rest import RESTClientObject

from harness.adapters.answers import (
    Asked,
    check_items,
    check_path,
    date_s,
    decode_line,
    decode_object,
    error_body,
    error_of,
    read_capped,
    retry_after_s,
)
from harness.adapters.credentials import TROUBLES, Credentials, config_words
from harness.adapters.plugin import CredentialsError, KubeconfigError
from harness.clock import Clock
from harness.cluster.ports import Json, Listing, WatchLine
from harness.errors import Indeterminate, Refused, TryLater, UsageError

FIELD_MANAGER = "taintlab"
"""Names our writes in metadata.managedFields."""

_PAGE = 500
_EXPIRED = 410
_WATCH_LIFETIME_S = 3600
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how large. `watch_silence_s`: a watch without a byte for so long has broken (the server sends a
    bookmark each minute).
    """

    request_s: float = 15.0
    watch_silence_s: float = 75.0
    answer_bytes: int = 256 * 2**20
    line_bytes: int = 64 * 2**20


_LIMITS = Limits()


async def connect(*, kubeconfig: Path | None, context: str | None, name: str, clock: Clock) -> KubeCluster:
    """A cluster from a kubeconfig file and context; UsageError when either does not exist or cannot be read,
    ClusterError when it names a credential plugin that gives none.
    """
    try:
        credentials = Credentials(kubeconfig, context, clock)
        await credentials.load()
        return KubeCluster(credentials, name=name, clock=clock)
    except KubeconfigError as error:
        raise UsageError(_unusable(kubeconfig, context, error)) from error
    except TROUBLES as error:
        raise UsageError(_unusable(kubeconfig, context, error)) from error


def _unusable(kubeconfig: Path | None, context: str | None, error: BaseException) -> str:
    where = kubeconfig or "the usual kubeconfig"
    return f"cannot use context {context or '(current)'} of {where}: {config_words(error)}"


class KubeCluster:
    """See `harness.cluster.ports.Cluster`. No request is repeated, but once after a 401 and new credentials."""

    def __init__(self, credentials: Credentials, *, name: str, clock: Clock, limits: Limits = _LIMITS) -> None:
        """`credentials`: loaded, owned from here on."""
        self._credentials = credentials
        self._name = name
        self._clock = clock
        self._limits = limits
        self._client: Any = _Client(credentials.configuration)
        self._former: list[Any] = []
        self._certificate = credentials.certificate

    @property
    def name(self) -> str:
        """How a person would call it."""
        return self._name

    async def get(self, path: str, **query: str) -> Json:
        """GET one object."""
        return await self._json("GET", path, query=query)

    async def list(self, path: str, **query: str) -> Listing:
        """GET a collection, `_PAGE` items at a time; a list whose continuation expired starts over, once."""
        items: list[Json] = []
        token = ""
        restarted = False
        while True:
            page_query = {**query, "limit": str(_PAGE), **({"continue": token} if token else {})}
            try:
                page = await self._json("GET", path, query=page_query)
            except Refused as error:
                if error.status != _EXPIRED or not token or restarted:
                    raise
                items, token, restarted = [], "", True
                continue
            items.extend(check_items(page, Asked("GET", path)))
            meta = page.get("metadata") or {}
            token = meta.get("continue") or ""
            if not token:
                return Listing(items, meta.get("resourceVersion") or "", self._clock.now())

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST an object."""
        return await self._json("POST", path, query={"fieldManager": FIELD_MANAGER}, body=body)

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """PATCH by RFC 7386."""
        query = {"fieldManager": FIELD_MANAGER}
        return await self._json("PATCH", path, query=query, body=body, content_type="application/merge-patch+json")

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """DELETE an object."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._json("DELETE", path, body=options)

    async def watch(self, path: str, *, resource_version: str, **query: str) -> AsyncIterator[WatchLine]:
        """Lines of a watch; a line is stamped when its last bytes arrive, not when those before it are done with.

        Every trouble is Refused with the server's status, or Indeterminate: a lost connection, `watch_silence_s`
        without a byte, a line that is no event or is too large.
        """
        query = {
            **query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(_WATCH_LIFETIME_S),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=self._limits.watch_silence_s)
        response = await self._request("GET", path, query=query, timeout=timeout)
        asked = Asked("WATCH", path)
        begun: list[bytes] = []
        size = 0
        try:
            async for chunk in response.content.iter_any():
                arrived = self._clock.now()
                first, *others = chunk.split(b"\n")
                begun.append(first)
                size += len(first)
                for following in others:
                    whole = b"".join(begun)
                    begun, size = [following], len(following)
                    if whole.strip():
                        kind, obj = decode_line(whole, asked)
                        yield WatchLine(kind, obj, arrived)
                if size > self._limits.line_bytes:
                    raise Indeterminate(f"{asked}: a line is larger than {self._limits.line_bytes} bytes")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            silent = isinstance(error, TimeoutError)
            why = (
                f"no sign of life for {self._limits.watch_silence_s:g} s"
                if silent
                else str(error) or type(error).__name__
            )
            raise Indeterminate(f"{asked} broke: {why}") from error
        finally:
            response.close()
        if b"".join(begun).strip():
            raise Indeterminate(f"{asked} broke off in the middle of a line")

    async def clock_offset_ms(self) -> float | None:
        """The server's wall clock minus ours, in the middle of the second that its Date header names."""
        timeout = aiohttp.ClientTimeout(total=self._limits.request_s)
        response = await self._request("GET", "/version", query={}, timeout=timeout)
        ours_s = self._clock.now().wall_ns / 1e9
        await read_capped(response, Asked("GET", "/version"), self._limits.answer_bytes)
        theirs_s = date_s(response.headers.get("Date", ""))
        return None if theirs_s is None else (theirs_s + 0.5 - ours_s) * 1e3

    def credentials_expire_at_s(self) -> float | None:
        """By the exec plugin's expirationTimestamp or the ``exp`` of a bearer token, whichever comes first."""
        return self._credentials.expires_at_s

    @property
    def renews_credentials(self) -> bool:
        """Whether they are renewed before they end (by an exec plugin, from a token file or an auth provider)."""
        return bool(self._credentials.renews)

    async def close(self) -> None:
        """Close the client's connections."""
        await self._credentials.close()
        for client in (self._client, *self._former):
            await client.close()

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        timeout = aiohttp.ClientTimeout(total=self._limits.request_s)
        response = await self._request(
            method, path, query=query or {}, body=body, content_type=content_type, timeout=timeout
        )
        asked = Asked(method, path)
        return decode_object(await read_capped(response, asked, self._limits.answer_bytes), asked)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- handed to the client library as is
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        """The answer, its body not read yet. A 401 did not happen: it is repeated, once, with new credentials."""
        check_path(path)
        asked = Asked(method, path)
        url = self._credentials.configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        await self._credentials.renew_if_due()
        generation = self._credentials.generation
        response = await self._send(asked, url, body, content_type, timeout)
        if response.status == 401:
            refusal = error_of(asked, 401, await error_body(response))
            try:
                await self._credentials.renew(generation)
            except CredentialsError as error:
                raise TryLater(f"{refusal} ({error})", status=401, reason=refusal.reason) from error
            response = await self._send(asked, url, body, content_type, timeout)
        if response.status >= 400:
            wait_s = retry_after_s(response.headers, now_s=self._clock.now().wall_ns / 1e9)
            raise error_of(asked, response.status, await error_body(response), retry_after_s=wait_s)
        if response.status >= 300 or response.history:
            response.close()
            raise Indeterminate(f"{asked}: the answer came by a redirect: is this a Kubernetes API server?")
        return response

    async def _send(
        self,
        asked: Asked,
        url: str,
        body: Mapping[str, Any] | None,
        content_type: str,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- handed to the client library as is
    ) -> aiohttp.ClientResponse:
        configuration = self._credentials.configuration
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            self._follow_certificate()
            for setting in (await configuration.auth_settings()).values():
                if setting["in"] == "header" and setting["value"]:
                    headers[setting["key"]] = setting["value"]
            answer = await self._client.request(asked.method, url, headers=headers, body=body, _request_timeout=timeout)
        except (TimeoutError, aiohttp.ClientError, OSError, ssl.SSLError, kube_client.ApiException) as error:
            detail = str(error) or type(error).__name__
            raise Indeterminate(f"{asked}: no answer from {configuration.host}: {detail}") from error
        response: aiohttp.ClientResponse = answer.response
        return response

    def _follow_certificate(self) -> None:
        """A new client certificate needs new connections; the old ones live on for the watches that use them."""
        if self._credentials.certificate != self._certificate:
            self._former.append(self._client)
            self._client = _Client(self._credentials.configuration)
            self._certificate = self._credentials.certificate


class _Client(RESTClientObject):
    """The library's, over connections that notice when the other end has gone (a NAT or load balancer that forgot us
    answers nothing): after 25 s without an answer to a probe, or to what was sent.
    """

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, socket_factory=_kept_alive)


def _kept_alive(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        with contextlib.suppress(AttributeError, OSError):  # not every system has every one
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
