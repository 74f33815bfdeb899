"""What an API server may be asked and what it may answer: paths checked, sizes bounded, every odd answer an error.

An answer that makes no sense (no JSON, no object, too large, somebody's login page) is Indeterminate, as no answer
is: what it means for a write is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec

from harness.cluster.ports import Json
from harness.errors import ClusterError, Conflict, Indeterminate, NotFound, Refused, TryLater, UsageError

_ERROR_CAP = 2**16
_MESSAGE_CHARS = 2000
_FORBIDDEN = re.compile(r"\.\.|//|/\.(/|$)|[\x00-\x20\x7f-\x9f?#%\\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as it is named in messages: ``GET /api/v1/nodes``, ``the watch of /api/v1/nodes``."""

    method: str
    path: str

    def __str__(self) -> str:
        """In words."""
        return f"the watch of {self.path}" if self.method == "WATCH" else f"{self.method} {self.path}"

    @property
    def is_core(self) -> bool:
        """Of core/v1, where spec and status are always mappings (a custom resource may have what it likes there)."""
        return self.path.startswith("/api/v1/")


def check_path(path: str) -> None:
    """UsageError unless `path` names what it seems to name: names from files become parts of paths, and a ``..``, a
    query or an escape in one would make it another request.
    """
    found = _FORBIDDEN.search(path)
    if found is not None or not path.startswith("/"):
        what = repr(found[0]) if found else "no slash at the beginning"
        raise UsageError(f"this is no path of the Kubernetes API: {path[:200]!r} (it has {what})")


async def read_capped(response: aiohttp.ClientResponse, what: Asked, cap: int) -> bytes:
    """The whole body; Indeterminate when it breaks off or is larger than `cap` bytes."""
    out = bytearray()
    try:
        async for chunk in response.content.iter_any():
            out += chunk
            if len(out) > cap:
                response.close()
                raise Indeterminate(f"{what}: the answer is larger than {cap} bytes")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Indeterminate(f"{what}: the answer broke off: {error or type(error).__name__}") from error
    return bytes(out)


async def error_body(response: aiohttp.ClientResponse) -> Json:
    """The Status object of a refusal, or what else was said; {} when nothing could be read: the status counts."""
    out = b""
    try:
        while len(out) < _ERROR_CAP and (chunk := await response.content.read(_ERROR_CAP - len(out))):
            out += chunk
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    finally:
        response.release()
    try:
        parsed = msgspec.json.decode(out)
    except (ValueError, RecursionError):
        return {"message": out[:200].decode(errors="replace")}
    return parsed if isinstance(parsed, dict) else {}


def decode_object(raw: bytes, what: Asked) -> Json:
    """A JSON object whose metadata, if any, has the types that everybody relies on."""
    try:
        obj = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise Indeterminate(f"{what}: the answer is no JSON: is this a Kubernetes API server?") from error
    if not isinstance(obj, dict):
        raise Indeterminate(f"{what}: the answer is no object: is this a Kubernetes API server?")
    check_object(obj, what)
    return obj


def check_items(page: Json, what: Asked) -> list[Json]:
    """The items of a list's page: objects with a metadata mapping and a name."""
    items = page.get("items")
    if items is None:
        items = []
    if not isinstance(items, list):
        raise Indeterminate(f"{what}: the items of the list are no list")
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("metadata"), dict):
            raise Indeterminate(f"{what}: an item of the list is no object with metadata")
        check_object(item, what)
        if not item["metadata"].get("name"):
            raise Indeterminate(f"{what}: an item of the list has no name")
    return items


def check_object(obj: Mapping[str, Any], what: Asked) -> None:
    """Indeterminate when a part that everybody relies on has another type than the API says."""
    core = what.is_core and obj.get("kind") != "Status"  # there, status is a word
    for key in ("metadata", "spec", "status") if core else ("metadata",):
        if not isinstance(obj.get(key), (dict, type(None))):
            raise Indeterminate(f"{what}: {key} of the answer is no object")
    meta = obj.get("metadata") or {}
    for key in ("name", "namespace", "uid", "resourceVersion", "continue"):
        if not isinstance(meta.get(key), (str, type(None))):
            raise Indeterminate(f"{what}: metadata.{key} of the answer is no text")
    for key in ("labels", "annotations"):
        if not isinstance(meta.get(key), (dict, type(None))):
            raise Indeterminate(f"{what}: metadata.{key} of the answer is no mapping")


def decode_line(raw: bytes, what: Asked) -> tuple[str, Json]:
    """Type and object of one line of a watch; the error that an ERROR line stands for is raised."""
    line = decode_object(raw, what)
    kind, obj = line.get("type"), line.get("object")
    if not isinstance(kind, str) or not isinstance(obj, dict):
        raise Indeterminate(f"{what}: a line that is no watch event")
    if kind == "ERROR":
        code = obj.get("code")
        if not isinstance(code, int) or not 400 <= code <= 599:
            raise Indeterminate(f"{what}: an error without a code: {_words(obj)}")
        raise error_of(what, code, obj)
    check_object(obj, what)
    meta = obj.get("metadata") or {}
    if not meta.get("resourceVersion") or (kind != "BOOKMARK" and not (meta.get("uid") and meta.get("name"))):
        raise Indeterminate(f"{what}: a {kind[:40]} line whose object has no name, uid or resourceVersion")
    return kind, obj


def error_of(what: Asked, status: int, obj: Json, *, retry_after_s: float | None = None) -> ClusterError:
    """The exception that an HTTP status stands for. 5xx is Indeterminate: etcd may have taken the write before the
    answer was lost. 429 is TryLater: it did not happen, and may be tried again.
    """
    message = f"{what}: {status} {_words(obj)}"
    reason = obj.get("reason")
    reason = reason if isinstance(reason, str) else ""
    if status == 429 or status == 401:
        return TryLater(message, status=status, reason=reason, retry_after_s=retry_after_s)
    if status >= 500:
        return Indeterminate(message, status=status, reason=reason, retry_after_s=retry_after_s)
    kind: type[ClusterError] = Refused
    if status == 404:
        kind = NotFound
    elif status == 409 and reason != "AlreadyExists":
        kind = Conflict
    return kind(message, status=status, reason=reason)


def _words(obj: Json) -> str:
    said = f"{obj.get('reason') or ''}: {obj.get('message') or ''}".strip(": ")
    return said[:_MESSAGE_CHARS]


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Retry-After in seconds (RFC 9110: a number of them, or a date, which is taken against the answer's own Date,
    else against `now_s`); None without one that can be read.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit() and len(said) < 10:
        return float(said)
    at_s = date_s(said)
    if at_s is None:
        return None
    server_s = date_s(headers.get("Date", ""))
    return max(0.0, at_s - (now_s if server_s is None else server_s))


def date_s(text: str) -> float | None:
    """An HTTP date as seconds since the epoch."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _utc(moment).timestamp()


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
