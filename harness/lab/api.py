"""A small client for the lab's API server: HTTPS with a client certificate, JSON in and out, and watches.

The harness's real client is harness.adapters; the lab needs a handful of requests while it starts and depends on none.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import LabError

NO_ANSWER = (OSError, http.client.HTTPException)
"""What requests raise when there was no answer (ssl.SSLError is an OSError)."""

MERGE_PATCH = "application/merge-patch+json"


class ApiRefused(LabError):
    """The API server answered with an error; `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        """`message` is the server's own."""
        super().__init__(message)
        self.status = status


class Api:
    """One API server, as one user. Not for use by several threads at once."""

    def __init__(self, kubeconfig: Path, *, timeout_s: float = 10.0) -> None:
        """`kubeconfig`: one that `harness.lab.pki` wrote (JSON, everything inlined)."""
        config = json.loads(kubeconfig.read_text())
        url = urlsplit(config["clusters"][0]["cluster"]["server"])
        self._host, self._port = str(url.hostname), int(url.port or 443)
        self._timeout_s = timeout_s
        self._tls = _context(config)
        self._connection: http.client.HTTPSConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
    ) -> Any:
        """The decoded answer. ApiRefused for an error status; OSError or http.client.HTTPException without answer."""
        if self._connection is None:
            self._connection = self._connect(self._timeout_s)
        try:
            self._connection.request(method, path, _encoded(body), {"Content-Type": content_type})
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise
        if response.status >= 400:
            raise ApiRefused(_message(data), status=response.status)
        return json.loads(data) if response.headers.get_content_type() == "application/json" else data.decode()

    def ensure(self, path: str, body: Mapping[str, Any]) -> None:
        """Creates an object; one of that name that is there already is left as it is."""
        try:
            self.request("POST", path, body)
        except ApiRefused as refused:
            if refused.status != 409:
                raise

    @contextmanager
    def watch(self, path: str, *, resource_version: str, timeout_s: float) -> Iterator[Iterator[dict[str, Any]]]:
        """An iterator of watch events from `resource_version` on; it ends after `timeout_s` or with the server."""
        connection = self._connect(timeout_s)
        try:
            query = f"watch=1&resourceVersion={resource_version}&timeoutSeconds={max(1, int(timeout_s))}"
            connection.request("GET", f"{path}?{query}")
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiRefused(_message(response.read()), status=response.status)
            yield _lines(response)
        finally:
            connection.close()

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, timeout_s: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)


def _lines(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    try:
        while line := response.readline():
            yield json.loads(line)
    except TimeoutError:
        return


def _encoded(body: Mapping[str, Any] | None) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip()


def _context(config: Mapping[str, Any]) -> ssl.SSLContext:
    user = config["users"][0]["user"]
    context = ssl.create_default_context(
        cadata=base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    )
    context.check_hostname = True
    with tempfile.NamedTemporaryFile() as pem:  # ssl takes a client certificate only from a file; mode 0600
        pem.write(base64.b64decode(user["client-certificate-data"]))
        pem.write(base64.b64decode(user["client-key-data"]))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context
