"""The Kubernetes port against a server that misbehaves: every trouble is an error of ours, never a defect.

The numbers are those of the review's findings: A1 (watches), B4 and B5 (credentials, throttling), E7 (paths).
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from harness.adapters.credentials import Credentials
from harness.adapters.kube import KubeCluster, connect
from harness.adapters.transport import Limits
from harness.clock import SystemClock
from harness.errors import ClusterError, Indeterminate, Refused, TryLater, UsageError
from tests.fakes import api_objects as objects
from tests.fakes.api_command import run
from tests.fakes.api_rules import Answer, Drip, Drop
from tests.fakes.api_server import CONTEXT, ApiServer

N1 = "/api/v1/nodes/n1"
PODS = "/api/v1/pods"
BRACKETS = b"[" * 200_000


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.put(N1, objects.node({"pool": "spot"}))
        yield server


@asynccontextmanager
async def cluster_of(server: ApiServer, folder: Path, *, user: Any = None, **limits: Any) -> AsyncIterator[KubeCluster]:
    credentials = Credentials(server.kubeconfig(folder / "kubeconfig", user=user), CONTEXT, SystemClock())
    await credentials.load()
    cluster = KubeCluster(credentials, name="scripted", clock=SystemClock(), limits=Limits(**limits))
    try:
        yield cluster
    finally:
        await cluster.close()


def ask(
    server: ApiServer, folder: Path, do: Callable[[KubeCluster], Awaitable[Any]], *, user: Any = None, **limits: Any
) -> Any:
    """What `do(cluster)` gives, or the ClusterError it raised; anything else is raised."""

    async def asking() -> Any:
        async with cluster_of(server, folder, user=user, **limits) as cluster:
            try:
                return await do(cluster)
            except ClusterError as error:
                return error

    return asyncio.run(asking())


# ---- B5: throttling


@pytest.mark.parametrize(("said", "seconds"), [("3", 3.0), ("date", 20.0), (None, None), ("soon", None), ("-1", None)])
def test_b5_a_throttled_write_may_be_tried_later(
    server: ApiServer, tmp_path: Path, said: str | None, seconds: float | None
) -> None:
    if said == "date":
        said = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.rule(Answer(429, headers={} if said is None else {"Retry-After": said}), method="PATCH")
    error = ask(server, tmp_path, lambda cluster: cluster.merge_patch(N1, {"metadata": {"labels": {"a": "b"}}}))
    assert isinstance(error, TryLater)
    assert error.status == 429
    assert error.retry_after_s == (seconds if seconds is None else pytest.approx(seconds, abs=2))
    assert len([r for r in server.requests if r.method == "PATCH"]) == 1, "the port repeats no write"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_b5_a_failing_server_leaves_a_write_open_and_says_when(server: ApiServer, tmp_path: Path, status: int) -> None:
    server.rule(Answer(status, body=b"<html>bad gateway</html>", headers={"Retry-After": "7"}))
    error = ask(server, tmp_path, lambda cluster: cluster.merge_patch(N1, {}))
    assert isinstance(error, Indeterminate)
    assert (error.status, error.retry_after_s) == (status, 7.0)


# ---- B4: credentials


def plugin(folder: Path, *, life_s: float, body: str = "", sleep_s: float = 0) -> dict[str, Any]:
    """A user with an exec plugin that gives tok1, tok2, ... each good for `life_s`, and counts its runs."""
    script = folder / "plugin.sh"
    says = body or (
        '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"tok%s","expirationTimestamp":"%s"}}'
    )
    script.write_text(
        "#!/bin/sh\n"
        f"cd {folder}\n"
        "n=$(( $(cat runs 2>/dev/null || echo 0) + 1 )); echo $n > runs\n"
        f"sleep {sleep_s}\n"
        f"""printf '{says}' "$n" "$(date -u -d '+{life_s} seconds' +%Y-%m-%dT%H:%M:%S.%NZ)"\n"""
    )
    script.chmod(0o755)
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    return {"exec": command}


def runs(folder: Path) -> int:
    return int((folder / "runs").read_text())


def expiring(server: ApiServer, *, life_s: float) -> None:
    """The server takes each token for `life_s` from its first use on."""
    first: dict[str, float] = {}

    def accepts(authorization: str) -> bool:
        since = first.setdefault(authorization, time.monotonic())
        return authorization.startswith("Bearer tok") and time.monotonic() - since < life_s

    server.accepts = accepts


def test_b4_a_401_is_answered_by_new_credentials_and_one_repetition(server: ApiServer, tmp_path: Path) -> None:
    server.accepts = lambda authorization: authorization == "Bearer tok2"
    node = ask(server, tmp_path, lambda cluster: cluster.get(N1), user=plugin(tmp_path, life_s=3600))
    assert node["metadata"]["name"] == "n1"
    assert [r.authorization for r in server.requests] == ["Bearer tok1", "Bearer tok2"]


def test_b4_a_401_that_new_credentials_do_not_cure_did_not_happen(server: ApiServer, tmp_path: Path) -> None:
    server.accepts = lambda authorization: False
    patch = {"metadata": {"labels": {"a": "b"}}}
    error = ask(server, tmp_path, lambda c: c.merge_patch(N1, patch), user=plugin(tmp_path, life_s=3600))
    assert isinstance(error, TryLater)
    assert error.status == 401
    assert len(server.requests) == 2
    assert "tok" not in str(error)


def test_b4_credentials_are_renewed_before_they_end(server: ApiServer, tmp_path: Path) -> None:
    expiring(server, life_s=1.2)

    async def use(cluster: KubeCluster) -> float | None:
        begun = time.monotonic()
        while time.monotonic() - begun < 2.5:
            await cluster.get(N1)
            await asyncio.sleep(0.05)
        return cluster.credentials_expire_at_s()

    end_s = ask(server, tmp_path, use, user=plugin(tmp_path, life_s=1.2))
    assert end_s == pytest.approx(time.time() + 0.6, abs=1.5)
    assert {r.status for r in server.requests} == {200}, "no request was ever refused"
    assert runs(tmp_path) >= 3


def test_b4_watches_and_requests_that_are_refused_together_run_the_plugin_once(
    server: ApiServer, tmp_path: Path
) -> None:
    server.accepts = lambda authorization: authorization == "Bearer tok2"

    async def use(cluster: KubeCluster) -> list[Any]:
        return await asyncio.gather(*(cluster.get(N1) for _ in range(8)))

    assert len(ask(server, tmp_path, use, user=plugin(tmp_path, life_s=3600))) == 8
    assert runs(tmp_path) == 2


def test_b4_a_token_file_is_read_again(server: ApiServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    server.accepts = lambda authorization: authorization == "Bearer new"

    async def use(cluster: KubeCluster) -> Any:
        file.write_text("new\n")
        return await cluster.get(N1)

    assert ask(server, tmp_path, use, user={"tokenFile": str(file)})["metadata"]["name"] == "n1"
    assert [r.authorization for r in server.requests] == ["Bearer old", "Bearer new"]


PLUGINS = {
    "fails": ("exit 3", "failed (exit code 3)"),
    "says why": ("echo 'login first' >&2; exit 1", "login first"),
    "prints no JSON": ("echo hello", "printed no ExecCredential"),
    "prints a list": ("echo '[]'", "printed no ExecCredential"),
    "prints brackets": ("yes '[' | head -n 100000 | tr -d '\\n'", "printed no ExecCredential"),
    "gives nothing": (
        'echo \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{}}\'',
        "neither a token nor a certificate",
    ),
    "another version": ('echo \'{"apiVersion":"v0","status":{"token":"x"}}\'', "another version"),
    "a token with a line end inside": (
        'printf \'{"apiVersion":"client.authentication.k8s.io/v1","status":{"token":"a\\\\nb"}}\'',
        "no HTTP header",
    ),
}


@pytest.mark.parametrize(("script", "expected"), PLUGINS.values(), ids=PLUGINS.keys())
def test_b4_a_plugin_that_fails_is_one_sentence(server: ApiServer, tmp_path: Path, script: str, expected: str) -> None:
    file = tmp_path / "plugin.sh"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(file)}}
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig", user=user)
    with pytest.raises(ClusterError, match=expected.replace("(", "\\(").replace(")", "\\)")) as raised:
        asyncio.run(connect(kubeconfig=kubeconfig, context=CONTEXT, name="scripted", clock=SystemClock()))
    assert "\n" not in str(raised.value)


def test_b4_a_plugin_that_hangs_is_ended(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.adapters import plugin as plugins

    async def briefly(config: object, *, folder: Path | None) -> Any:
        return await plugins.run_plugin(config, folder=folder, timeout_s=0.5)

    monkeypatch.setattr("harness.adapters.credentials.run_plugin", briefly)
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig", user=plugin(tmp_path, life_s=60, sleep_s=60))
    begun = time.monotonic()
    with pytest.raises(ClusterError, match=r"no answer in 0\.5 s"):
        asyncio.run(connect(kubeconfig=kubeconfig, context=CONTEXT, name="scripted", clock=SystemClock()))
    assert time.monotonic() - begun < 5


def test_b4_a_plugin_that_fails_later_is_told_with_the_401(server: ApiServer, tmp_path: Path) -> None:
    user = plugin(tmp_path, life_s=3600)
    server.accepts = lambda authorization: False

    async def use(cluster: KubeCluster) -> Any:
        (tmp_path / "plugin.sh").write_text("#!/bin/sh\necho 'session over' >&2\nexit 1\n")
        return await cluster.get(N1)

    error = ask(server, tmp_path, use, user=user)
    assert isinstance(error, TryLater)
    assert error.status == 401
    assert "session over" in str(error)


def test_b4_a_whole_run_outlives_its_token(server: ApiServer, tmp_path: Path) -> None:
    """The review's own case: a token good for 1.5 s, a run of 4 s; the heal came with the old token and was refused."""
    expiring(server, life_s=1.5)
    server.put("/api/v1/namespaces/default/pods/a", objects.pod("n1"))
    server.when(lambda: server.evict("default", "a"), after_s=0.1, method="PATCH", path=N1)
    ended = run(server, tmp_path, user=plugin(tmp_path, life_s=1.5))
    assert server.taints("n1") == []
    assert ended.code == 0, ended.out + ended.err
    assert runs(tmp_path) >= 2


def jwt(payload: object) -> str:
    parts = [b'{"alg":"none"}', json.dumps(payload).encode(), b"signature"]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


ENDS = {
    "a JWT": (jwt({"exp": 2_000_000_000}), 2_000_000_000.0),
    "a JWT without end": (jwt({"sub": "x"}), None),
    "an end that is text": (jwt({"exp": "soon"}), None),
    "an end that is true": (jwt({"exp": True}), None),
    "a payload that is a list": (jwt([1]), None),
    "no base64": ("a.%%%.c", None),
    "three words": ("a.b.c", None),
    "an opaque token": ("abcdef", None),
}


@pytest.mark.parametrize(("token", "end_s"), ENDS.values(), ids=ENDS.keys())
def test_b4_the_end_of_a_token_is_known(server: ApiServer, tmp_path: Path, token: str, end_s: float | None) -> None:
    async def end(cluster: KubeCluster) -> float | None:
        return cluster.credentials_expire_at_s()

    assert ask(server, tmp_path, end, user={"token": token}) == end_s


KUBECONFIGS = {
    "empty": "",
    "a list": "[1, 2]",
    "a word": "hello",
    "no YAML": "a: [",
    "no contexts": "current-context: scripted",
    "contexts that are text": "{contexts: x, clusters: y, users: z}",
    "no cluster of that name": "{contexts: [{name: scripted, context: {cluster: x}}], clusters: []}",
    "a secret at the wrong place": "{contexts: [{name: scripted, context: {cluster: c, user: u}}],"
    " clusters: [{name: c, cluster: {server: 'http://x'}}], users: [{name: u, token: s3cret}]}",
}


@pytest.mark.parametrize("text", KUBECONFIGS.values(), ids=KUBECONFIGS.keys())
def test_a_kubeconfig_that_is_none_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(UsageError) as raised:
        asyncio.run(connect(kubeconfig=file, context=CONTEXT, name="scripted", clock=SystemClock()))
    assert "s3cret" not in str(raised.value)


# ---- E7: paths


@pytest.mark.parametrize(
    "name", ["../../../../version", "a?limit=1", "a#b", "a%2e", "a\nb", "a b", "a\\b", "./a", "a/../b", "a//b", "\x7f"]
)
@pytest.mark.parametrize("verb", ["get", "list", "merge_patch", "delete", "create", "watch"])
def test_e7_a_name_cannot_become_another_path(server: ApiServer, tmp_path: Path, name: str, verb: str) -> None:
    async def use(cluster: KubeCluster) -> None:
        path = f"/api/v1/namespaces/default/configmaps/{name}"
        match verb:
            case "merge_patch" | "create":
                await getattr(cluster, verb)(path, {})
            case "watch":
                await anext(cluster.watch(path, resource_version="1"))
            case _:
                await getattr(cluster, verb)(path)

    with pytest.raises(UsageError):
        ask(server, tmp_path, use)
    assert server.requests == []


# ---- A1: watches


def watch_until_trouble(server: ApiServer, folder: Path, disturb: Callable[[], object], **limits: Any) -> Any:
    """The error of a pod watch; `disturb()` is called once it stands."""

    async def use(cluster: KubeCluster) -> None:
        standing = threading.Event()
        server.when(standing.set, watch=True)
        lines = cluster.watch(PODS, resource_version=str(server.store.version))
        following = asyncio.ensure_future(anext(lines))
        await asyncio.to_thread(standing.wait, 5)
        disturb()
        async with asyncio.timeout(20):
            await following
            async for _ in lines:
                pass

    return ask(server, folder, use, **limits)


def _line(kind: object, obj: object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


META = {"name": "a", "uid": "u", "resourceVersion": "9"}
LINES = {
    "an ERROR without a code": _line("ERROR", {"message": "no"}),
    "an ERROR with a word for a code": _line("ERROR", {"code": "x"}),
    "an ERROR that is text": _line("ERROR", "x"),
    "no JSON": b"hello\n",
    "HTML": b"<html>\n<body>log in</body></html>\n",
    "brackets": BRACKETS + b"\n",
    "a list": b"[]\n",
    "a number": b"1\n",
    "no type": b'{"object": {}}\n',
    "no object": b'{"type": "ADDED"}\n',
    "an object without metadata": _line("ADDED", {}),
    "metadata that is text": _line("ADDED", {"metadata": "x"}),
    "no uid": _line("MODIFIED", {"metadata": {"name": "a", "resourceVersion": "9"}}),
    "a version that is a number": _line("ADDED", {"metadata": {**META, "resourceVersion": 9}}),
    "labels that are a list": _line("ADDED", {"metadata": {**META, "labels": ["x"]}}),
    "a bookmark without a version": _line("BOOKMARK", {"metadata": {}}),
    "no UTF-8": b'{"type": "ADDED\xff"}\n',
    "a lone surrogate": b'{"type": "ADDED", "object": {"a": "\\ud800"}}\n',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a1_a_line_that_is_no_event_ends_the_watch_as_not_known(server: ApiServer, tmp_path: Path, line: bytes) -> None:
    assert isinstance(watch_until_trouble(server, tmp_path, lambda: server.send(line)), Indeterminate)


@pytest.mark.parametrize(
    ("code", "kind"), [(410, Refused), (403, Refused), (404, Refused), (429, TryLater), (500, Indeterminate)]
)
def test_a1_an_error_line_has_its_status(server: ApiServer, tmp_path: Path, code: int, kind: type) -> None:
    error = watch_until_trouble(server, tmp_path, lambda: server.send(_line("ERROR", {"code": code, "message": "m"})))
    assert isinstance(error, kind)
    assert error.status == code


def test_a1_a_line_without_end_is_not_kept(server: ApiServer, tmp_path: Path) -> None:
    def flood() -> None:
        for _ in range(32):
            server.send(b"x" * 2**16)

    error = watch_until_trouble(server, tmp_path, flood, line_bytes=2**20)
    assert isinstance(error, Indeterminate)
    assert "larger" in str(error)


def test_a1_a_large_line_is_whole(server: ApiServer, tmp_path: Path) -> None:
    async def use(cluster: KubeCluster) -> int:
        version = str(server.store.version)
        pod = objects.pod("n1", labels={f"l{i}": "x" * 60 for i in range(40_000)})
        server.put("/api/v1/namespaces/default/pods/a", pod)
        line = await anext(cluster.watch(PODS, resource_version=version))
        return len(line.object["metadata"]["labels"])

    assert ask(server, tmp_path, use) == 40_000


def test_a1_a_silent_watch_is_noticed(server: ApiServer, tmp_path: Path) -> None:
    error = watch_until_trouble(server, tmp_path, lambda: server.weather(PODS, silent=True), watch_silence_s=1.5)
    assert isinstance(error, Indeterminate)
    assert "no sign of life for 1.5 s" in str(error)


def test_a1_a_watch_with_bookmarks_alone_lives(server: ApiServer, tmp_path: Path) -> None:
    """The twin of the silent one: nothing happens, and nothing is wrong."""

    async def use(cluster: KubeCluster) -> int:
        seen = 0
        async for line in cluster.watch(PODS, resource_version=str(server.store.version)):
            assert line.type == "BOOKMARK"
            seen += 1
            if seen == 3:
                break
        return seen

    assert ask(server, tmp_path, use, watch_silence_s=1.5) == 3


@pytest.mark.parametrize("ending", ["reset", "half a line"])
def test_a1_a_lost_watch_is_not_known(server: ApiServer, tmp_path: Path, ending: str) -> None:
    def disturb() -> None:
        if ending == "reset":
            server.cut(PODS)
        else:
            server.send(b'{"type": "ADD')
            server.later(0.2, lambda: server.cut(PODS, clean=True))

    assert isinstance(watch_until_trouble(server, tmp_path, disturb), Indeterminate)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Answer(401), TryLater),
        (Answer(403), Refused),
        (Answer(404), Refused),
        (Answer(429), TryLater),
        (Answer(503), Indeterminate),
        (Answer(200, body=b"<html></html>"), Indeterminate),
        (Answer(302, headers={"Location": "/version"}), Indeterminate),
        (Drop(), Indeterminate),
    ],
    ids=lambda value: getattr(value, "status", getattr(value, "__name__", "drop")),
)
def test_a1_a_watch_that_cannot_begin(server: ApiServer, tmp_path: Path, trouble: Any, kind: type) -> None:
    server.rule(trouble, watch=True)

    async def use(cluster: KubeCluster) -> None:
        async for _ in cluster.watch(PODS, resource_version="1"):
            pass

    assert isinstance(ask(server, tmp_path, use), kind)


def test_a1_connections_are_probed(server: ApiServer, tmp_path: Path) -> None:
    """The kernel's own table says so: an idle connection of ours has its keepalive timer running (tr 02)."""
    sockets = Path("/proc/net/tcp")

    async def use(cluster: KubeCluster) -> list[str]:
        lines = cluster.watch(PODS, resource_version=str(server.store.version))
        await anext(lines)
        port = f":{int(server.url.rsplit(':', 1)[1]):04X}"
        table = [line.split() for line in (await asyncio.to_thread(sockets.read_text)).splitlines()[1:]]
        timers = [row[5][:2] for row in table if row[2].endswith(port) and row[3] == "01"]
        await lines.aclose()
        return timers

    timers = ask(server, tmp_path, use)
    assert timers
    assert set(timers) == {"02"}


# ---- answers

JUNK = {
    "HTML": b"<html></html>",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"7",
    "brackets": BRACKETS,
    "metadata that is a list": b'{"metadata": []}',
    "a name that is a number": b'{"metadata": {"name": 7}}',
    "annotations that are text": b'{"metadata": {"annotations": "x"}}',
    "a spec that is text": b'{"metadata": {}, "spec": "x"}',
    "no UTF-8": b'{"a": "\xff"}',
}


@pytest.mark.parametrize("body", JUNK.values(), ids=JUNK.keys())
@pytest.mark.parametrize("verb", ["get", "merge_patch", "list"])
def test_an_answer_that_makes_no_sense_is_no_answer(server: ApiServer, tmp_path: Path, body: bytes, verb: str) -> None:
    server.rule(Answer(200, body=body))

    async def use(cluster: KubeCluster) -> Any:
        if verb == "merge_patch":
            return await cluster.merge_patch(N1, {})
        return await (cluster.get(N1) if verb == "get" else cluster.list("/api/v1/nodes"))

    error = ask(server, tmp_path, use)
    if verb == "list" and body == JUNK["a name that is a number"]:
        assert isinstance(error, ClusterError)
    assert isinstance(error, Indeterminate)
    assert "/api/v1/nodes" in str(error)


ITEMS = {
    "items that are text": {"items": "x"},
    "an item that is text": {"items": ["x"]},
    "an item that is null": {"items": [None]},
    "an item without metadata": {"items": [{"kind": "Node"}]},
    "an item without a name": {"items": [{"metadata": {}}]},
}


@pytest.mark.parametrize("body", ITEMS.values(), ids=ITEMS.keys())
def test_a_list_of_no_objects_names_its_path(server: ApiServer, tmp_path: Path, body: Any) -> None:
    server.rule(Answer(200, body=body))
    error = ask(server, tmp_path, lambda cluster: cluster.list("/api/v1/nodes"))
    assert isinstance(error, ClusterError)
    assert "/api/v1/nodes" in str(error)


def test_an_answer_without_end_is_not_kept(server: ApiServer, tmp_path: Path) -> None:
    server.rule(Answer(200, body=b" " * 2**21))
    error = ask(server, tmp_path, lambda cluster: cluster.get(N1), answer_bytes=2**20)
    assert isinstance(error, Indeterminate)
    assert "larger" in str(error)


def test_an_answer_that_drips_is_given_up(server: ApiServer, tmp_path: Path) -> None:
    server.rule(Drip(0.1))
    begun = time.monotonic()
    error = ask(server, tmp_path, lambda cluster: cluster.get(N1), request_s=1.0)
    assert isinstance(error, Indeterminate)
    assert time.monotonic() - begun < 3


def test_a_list_whose_continuation_expired_starts_over_once(server: ApiServer, tmp_path: Path) -> None:
    for number in range(501):
        server.put(f"/api/v1/namespaces/default/configmaps/c{number}", {})
    rule = server.rule(Answer(410, reason="Expired"), path="/api/v1/configmaps", first=2, times=1)
    listing = ask(server, tmp_path, lambda cluster: cluster.list("/api/v1/configmaps"))
    assert len(listing.items) == 501
    assert rule.seen == 4


def test_writes_are_named(server: ApiServer, tmp_path: Path) -> None:
    """A3: managedFields tell our writes from anybody else's."""

    async def use(cluster: KubeCluster) -> Any:
        await cluster.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
        return await cluster.merge_patch(N1, {"spec": {"unschedulable": True}})

    node = ask(server, tmp_path, use)
    mine = next(entry for entry in node["metadata"]["managedFields"] if entry["manager"] == "taintlab")
    assert mine["fieldsV1"] == {"f:spec": {"f:unschedulable": {}}}
    made = server.get("/api/v1/namespaces/default/configmaps/a")
    assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["taintlab"]
