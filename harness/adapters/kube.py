"""The cluster port over the official client's asyncio API. Objects stay the API's own JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp

from harness.adapters.answers import Asked, check_items, date_s, decode_line, decode_object, read_capped
from harness.adapters.credentials import TROUBLES, Credentials, config_words
from harness.adapters.plugin import KubeconfigError
from harness.adapters.transport import Limits, Transport
from harness.clock import Clock, Instant
from harness.cluster.ports import Json, Listing, WatchLine
from harness.errors import Indeterminate, Refused, UsageError

FIELD_MANAGER = "taintlab"
"""Names our writes in metadata.managedFields."""

_PAGE = 500
_EXPIRED = 410
_WATCH_LIFETIME_S = 3600
_LIMITS = Limits()

_Line = tuple[bytes, Instant]
"""A line, and when its last bytes arrived."""


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
        self._transport = Transport(credentials, clock=clock)
        self._name = name
        self._clock = clock
        self._limits = limits

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
        response = await self._transport.request("GET", path, query=query, timeout=timeout)
        asked = Asked("WATCH", path)
        try:
            async with aclosing(self._lines(response, asked)) as lines:
                async for whole, arrived in lines:
                    kind, obj = decode_line(whole, asked)
                    yield WatchLine(kind, obj, arrived)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Indeterminate(f"{asked} broke: {self._broke(error)}") from error
        finally:
            response.close()

    async def _lines(
        self, response: aiohttp.ClientResponse, asked: Asked
    ) -> AsyncGenerator[tuple[bytes, Instant], None]:
        """Whole lines. Indeterminate for one that is too large or breaks off."""
        begun: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            arrived = self._clock.now()
            first, *others = chunk.split(b"\n")
            begun.append(first)
            size += len(first)
            for following in others:
                whole = b"".join(begun)
                begun, size = [following], len(following)
                if whole.strip():
                    yield whole, arrived
            if size > self._limits.line_bytes:
                raise Indeterminate(f"{asked}: a line is larger than {self._limits.line_bytes} bytes")
        if b"".join(begun).strip():
            raise Indeterminate(f"{asked} broke off in the middle of a line")

    def _broke(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no sign of life for {self._limits.watch_silence_s:g} s"
        return str(error) or type(error).__name__

    async def clock_offset_ms(self) -> float | None:
        """The server's wall clock minus ours, in the middle of the second that its Date header names."""
        timeout = aiohttp.ClientTimeout(total=self._limits.request_s)
        response = await self._transport.request("GET", "/version", query={}, timeout=timeout)
        ours_s = self._clock.now().wall_ns / 1e9
        await read_capped(response, Asked("GET", "/version"), self._limits.answer_bytes)
        theirs_s = date_s(response.headers.get("Date", ""))
        return None if theirs_s is None else (theirs_s + 0.5 - ours_s) * 1e3

    def credentials_expire_at_s(self) -> float | None:
        """By the exec plugin's expirationTimestamp or the ``exp`` of a bearer token, whichever comes first."""
        return self._transport.credentials.expires_at_s

    @property
    def renews_credentials(self) -> bool:
        """Whether they are renewed before they end (by an exec plugin, from a token file or an auth provider)."""
        return bool(self._transport.credentials.renews)

    async def close(self) -> None:
        """Close the client's connections."""
        await self._transport.close()

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
        response = await self._transport.request(
            method, path, query=query or {}, body=body, content_type=content_type, timeout=timeout
        )
        asked = Asked(method, path)
        return decode_object(await read_capped(response, asked, self._limits.answer_bytes), asked)
