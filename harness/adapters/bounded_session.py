"""A requests session whose answers are bounded in size and in total time, for libraries that read a body whole.

requests limits the wait for each byte only: an answer of a byte each second never ends, and one of gigabytes is kept.
"""

from __future__ import annotations

import io
import time
from typing import Any

import msgspec
import requests
import urllib3


class AnswerTooLarge(requests.RequestException):
    """More bytes than allowed."""


class AnswerTooSlow(requests.RequestException):
    """Not whole when its time was over."""


class _Whole(requests.Response):
    """An answer whose body has been read. JSON strictly, and in a small part of the memory that requests needs."""

    def json(self, **_: Any) -> Any:
        """As requests, but msgspec.DecodeError (a ValueError) or RecursionError when it is none."""
        return msgspec.json.decode(self.content)


class BoundedSession(requests.Session):
    """Reads every answer to its end, at most `cap` bytes of it and until `deadline_s` after the request began.

    The head of an answer is bounded by the time-out of each read only; who must not wait longer lets a thread wait.
    """

    def __init__(self, *, cap: int, deadline_s: float) -> None:
        """`cap` counts bytes after decompression."""
        super().__init__()
        self._cap = cap
        self._deadline_s = deadline_s

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests; AnswerTooLarge or AnswerTooSlow (RequestException)."""
        end_s = time.monotonic() + self._deadline_s
        answer = super().request(method, url, *args, **{**kwargs, "stream": True})
        try:
            body = self._body(answer.raw, end_s)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise requests.ConnectionError(f"the answer broke off: {error}") from error
        finally:
            answer.close()
        whole = _Whole()
        whole.status_code, whole.reason, whole.url = answer.status_code, answer.reason, answer.url
        whole.headers["Content-Type"] = answer.headers.get("Content-Type", "")
        whole.raw = io.BytesIO(body)
        return whole

    def _body(self, raw: urllib3.HTTPResponse, end_s: float) -> bytes:
        out = bytearray()
        while chunk := raw.read1(2**16, decode_content=True):
            out += chunk
            if len(out) > self._cap:
                raise AnswerTooLarge(f"the answer is larger than {self._cap} bytes")
            if time.monotonic() > end_s:
                raise AnswerTooSlow(f"the answer was not whole after {self._deadline_s:g} s")
        return bytes(out)
