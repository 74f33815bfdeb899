"""What a scripted API server sends: discovery documents, watch lines, answers, and answers that never arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.fakes.api_rules import Answer
from tests.fakes.api_store import KINDS, ApiError, Json, Place


def discovery_of(path: str, server_version: str) -> Json | None:
    """A discovery document, None when `path` is none's."""
    if path == "/version":
        return {"major": "1", "minor": server_version.split(".")[1], "gitVersion": server_version}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        named = [{"groupVersion": v, "version": v.split("/")[1]} for v in KINDS if "/" in v]
        groups = [{"name": v["groupVersion"].split("/")[0], "versions": [v], "preferredVersion": v} for v in named]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version not in KINDS or path not in (f"/api/{version}", f"/apis/{version}"):
        return None
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    resources = [
        {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced, "verbs": verbs}
        for plural, (kind, namespaced) in KINDS[version].items()
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def line(change: str, obj: Mapping[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": change, "object": obj}).encode() + b"\n"


def bookmark(place: Place, version: int) -> bytes:
    """A bookmark."""
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    return line("BOOKMARK", {"kind": place.kind, "apiVersion": place.group_version, "metadata": meta})


def json_answer(status: int, body: Any) -> web.Response:
    """An ordinary answer."""
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


def scripted(answer: Answer) -> web.Response:
    """The answer that a rule says."""
    body = answer.body
    if body is None:
        body = ApiError(answer.status, answer.reason or "Scripted", "as the test says").body
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(status=answer.status, body=raw, headers={"Content-Type": "application/json", **answer.headers})


def cut_off(request: web.Request) -> web.Response:
    """Reset the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # never reaches anybody


async def drip(request: web.Request, answer: web.StreamResponse, seconds: float) -> web.StreamResponse:
    """Send a byte each `seconds`."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    try:
        await response.prepare(request)
        for byte in body:
            await response.write(bytes([byte]))
            await asyncio.sleep(seconds)
    except ConnectionError:
        pass  # the client has gone
    return response
