"""Requests to an API server over the official client's transport: credentials, TLS, connections that notice a silence.

Only the client's authentication, TLS and transport are used: its typed layer validates every object with pydantic
(1,250 pods a second), and stamps taken after that would not be arrival stamps.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kube_client
from kubernetes.aio.client.rest import RESTClientObject

from harness.adapters.answers import Asked, check_path, error_body, error_of, retry_after_s
from harness.adapters.credentials import Credentials
from harness.adapters.plugin import CredentialsError
from harness.clock import Clock
from harness.errors import Indeterminate, TryLater

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


class Transport:
    """Sends requests. None is repeated, but once after a 401 and new credentials."""

    def __init__(self, credentials: Credentials, *, clock: Clock) -> None:
        """`credentials`: loaded, owned from here on."""
        self.credentials = credentials
        self._clock = clock
        self._client: Any = _Client(credentials.configuration)
        self._former: list[Any] = []
        self._certificate = credentials.certificate

    async def close(self) -> None:
        """Close the connections."""
        await self.credentials.close()
        for client in (self._client, *self._former):
            await client.close()

    async def request(
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
        url = self.credentials.configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        await self.credentials.renew_if_due()
        generation = self.credentials.generation
        response = await self._send(asked, url, body, content_type, timeout)
        if response.status == 401:
            refusal = error_of(asked, 401, await error_body(response))
            try:
                await self.credentials.renew(generation)
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
        configuration = self.credentials.configuration
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
        if self.credentials.certificate != self._certificate:
            self._former.append(self._client)
            self._client = _Client(self.credentials.configuration)
            self._certificate = self.credentials.certificate


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
