"""The cluster port over the official client's asyncio API.

Only the client's authentication, TLS and transport are used: its typed layer validates every object with pydantic
(1,250 pods a
second), and stamps taken after that would not be arrival stamps. Objects stay the API's own JSON.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kube_client
from kubernetes.aio import config as kube_config

from harness.clock import Clock
from harness.errors import ClusterError, Conflict, Indeterminate, NotFound, Refused, UsageError
from harness.run.ports import Json, Listing, WatchLine

_PAGE = 500
_REQUEST_TIMEOUT_S = 15.0
_WATCH_LIFETIME_S = 3600


async def connect(*, kubeconfig: Path | None, context: str | None, name: str, clock: Clock) -> KubeCluster:
    """A cluster from a kubeconfig file and context; UsageError when either does not exist or cannot be read."""
    try:
        api = await kube_config.new_client_from_config(  # type: ignore[no-untyped-call]  # the client ships no hints
            config_file=str(kubeconfig) if kubeconfig else None, context=context, persist_config=False
        )
    except (kube_config.ConfigException, OSError, ValueError) as error:
        where = kubeconfig or "the usual kubeconfig"
        raise UsageError(f"cannot use context {context or '(current)'} of {where}: {error}") from error
    return KubeCluster(api, name=name, clock=clock)


class KubeCluster:
    """See `harness.run.ports.Cluster`."""

    def __init__(self, api: Any, *, name: str, clock: Clock) -> None:
        """`api`: a kubernetes.aio ApiClient, owned from here on."""
        self._api = api
        self._name = name
        self._clock = clock

    @property
    def name(self) -> str:
        """How a person would call it."""
        return self._name

    async def get(self, path: str, **query: str) -> Json:
        """GET one object."""
        return await self._json("GET", path, query=query)

    async def list(self, path: str, **query: str) -> Listing:
        """GET a collection, `_PAGE` items at a time; a list whose continuation expired starts over once."""
        items: list[Json] = []
        token = ""
        while True:
            page_query = {**query, "limit": str(_PAGE), **({"continue": token} if token else {})}
            page = await self._json("GET", path, query=page_query)
            items.extend(page.get("items") or [])
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return Listing(items, page.get("metadata", {}).get("resourceVersion", ""), self._clock.now())

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST an object."""
        return await self._json("POST", path, body=body)

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """PATCH by RFC 7386."""
        return await self._json("PATCH", path, body=body, content_type="application/merge-patch+json")

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """DELETE an object."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._json("DELETE", path, body=options)

    async def watch(self, path: str, *, resource_version: str, **query: str) -> AsyncIterator[WatchLine]:
        """Lines of a watch; a line is stamped when its last bytes arrive, not when those before it are done with."""
        query = {
            **query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(_WATCH_LIFETIME_S),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=None)
        response = await self._request("GET", path, query=query, timeout=timeout)
        try:
            rest = b""
            async for chunk in response.content.iter_any():
                arrived = self._clock.now()
                *whole, rest = (rest + chunk).split(b"\n")
                for raw in whole:
                    line = json.loads(raw)
                    if line["type"] == "ERROR":
                        raise _error("GET", path, line["object"].get("code", 0), line["object"])
                    yield WatchLine(line["type"], line["object"], arrived)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise Indeterminate(f"the watch of {path} broke: {error or type(error).__name__}") from error
        finally:
            response.close()

    async def clock_offset_ms(self) -> float | None:
        """The server's wall clock minus ours, in the middle of the second that its Date header names."""
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)
        response = await self._request("GET", "/version", query={}, timeout=timeout)
        ours_s = self._clock.now().wall_ns / 1e9
        await response.read()
        date = response.headers.get("Date")
        return None if date is None else (parsedate_to_datetime(date).timestamp() + 0.5 - ours_s) * 1e3

    async def close(self) -> None:
        """Close the client's connections."""
        await self._api.close()

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)
        response = await self._request(
            method, path, query=query or {}, body=body, content_type=content_type, timeout=timeout
        )
        try:
            out: Json = json.loads(await response.read())
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise Indeterminate(f"{method} {path}: the answer broke off: {error}") from error
        except ValueError as error:
            raise ClusterError(f"{method} {path}: the answer is no JSON: is this a Kubernetes API server?") from error
        return out

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
        configuration = self._api.configuration
        headers = {"Accept": "application/json", "Content-Type": content_type}
        for setting in (await configuration.auth_settings()).values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        url = configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await self._api.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
        except (TimeoutError, aiohttp.ClientError, OSError, ssl.SSLError, kube_client.ApiException) as error:
            detail = str(error) or type(error).__name__
            raise Indeterminate(f"{method} {path}: no answer from {configuration.host}: {detail}") from error
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 400:
            raw = await response.read()
            raise _error(method, path, response.status, _status_object(raw))
        return response


def _status_object(raw: bytes) -> Json:
    try:
        parsed = json.loads(raw)
    except ValueError:
        return {"message": raw[:200].decode(errors="replace")}
    return parsed if isinstance(parsed, dict) else {}


def _error(method: str, path: str, status: int, obj: Json) -> ClusterError:
    """The exception an HTTP status stands for. 5xx is Indeterminate: etcd may have taken the write before the answer
    was lost.
    """
    message = f"{method} {path}: {status} {obj.get('reason', '')}: {obj.get('message', '')}".replace(" :", ":")
    kind: type[ClusterError] = Refused
    if status == 404:
        kind = NotFound
    elif status == 409 and obj.get("reason") != "AlreadyExists":
        kind = Conflict
    elif status >= 500:
        kind = Indeterminate
    return kind(message, status=status, reason=obj.get("reason", ""))
