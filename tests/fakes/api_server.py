"""A scripted Kubernetes API server for tests of bad weather: it is told what to do wrong, and when.

It stands on 127.0.0.1 in a thread of its own, so that a test's own code, its event loop and a command in another
process can all use it::

    with ApiServer() as server:
        server.put("/api/v1/nodes/n1", objects.node({"pool": "spot"}))
        server.put("/api/v1/namespaces/default/pods/a", objects.pod("n1"))
        server.rule(Answer(429, headers={"Retry-After": "1"}), method="PATCH", path=".*/nodes/.*", first=2, times=3)
        server.when(lambda: server.evict("default", "a"), after_s=0.5, method="PATCH", path="/api/v1/nodes/.*")
        server.when(lambda: server.weather("/api/v1/pods", silent=True), method="PATCH", path="/api/v1/nodes/.*")
        ended = api_command.run(server, tmp_path)  # taintlab run, in a process of its own
        assert ended.result["verdict"] == "PASS"
        assert [r.status for r in server.requests if r.method == "PATCH"] == [...]

It imitates no controller, no kubelet and no admission: a scripted action plays one. The one exception is a pod that
terminates: it is taken out `pod_stop_s` after its deletion began, unless a finalizer holds it (None: it stays).
What it keeps of the real server's rules is in `tests.fakes.api_store`; tests/contract/test_api_server.py shows it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from harness.testing import selected
from tests.fakes.api_eviction import evict
from tests.fakes.api_http import cut_off, discovery_of, drip, json_answer, scripted
from tests.fakes.api_rules import FAIR, Answer, Drip, Drop, Hold, HoldAnswer, Match, Rule, Trouble, Weather
from tests.fakes.api_store import ApiError, Json, Place, Store, place_of
from tests.fakes.api_watch import Watch, follow

CONTEXT = "scripted"
VERSION = "v1.34.1"


@dataclass(frozen=True)
class Request:
    """A request as it came. `at_s`: seconds since the server began; `status` 0: no answer was given (yet)."""

    at_s: float
    method: str
    path: str
    query: Mapping[str, str]
    authorization: str
    body: Json
    status: int = 0


@dataclass
class _Action:
    match: Match
    nth: int
    after_s: float
    do: Callable[[], object]
    seen: int = 0


class ApiServer:
    """See the module. Every method may be called from any thread, and from scripted actions."""

    def __init__(self, *, bookmark_s: float = 1.0, pod_stop_s: float | None = 0.1, version: str = VERSION) -> None:
        """`bookmark_s`: how often watches get a bookmark."""
        self.store = Store()
        self.requests: list[Request] = []
        self.accepts: Callable[[str], bool] = lambda authorization: True
        self._bookmark_s = bookmark_s
        self._pod_stop_s = pod_stop_s
        self._version = version
        self._rules: list[Rule] = []
        self._actions: list[_Action] = []
        self._weather: list[tuple[Match, Weather]] = []
        self._watches: set[Watch] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-api-server", daemon=True)
        self._began_s = time.monotonic()
        self.errors: list[BaseException] = []
        self.url = ""

    # ---- life

    def __enter__(self) -> ApiServer:
        """Listen on a free port."""
        self.store.on_change = self._wake
        self.store.on_terminating = self._play_kubelet
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything. AssertionError when a scripted action failed."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        assert not self.errors, self.errors

    def kubeconfig(self, path: Path, *, user: Mapping[str, Any] | None = None) -> Path:
        """Write a kubeconfig with the one context `CONTEXT`. `user`: its credentials (token, tokenFile, exec ...)."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "clusters": [{"name": CONTEXT, "cluster": {"server": self.url}}],
            "users": [{"name": CONTEXT, "user": dict(user or {"token": "a-token"})}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    # ---- what is there

    def put(self, path: str, obj: Mapping[str, Any], *, manager: str = "test") -> Json:
        """Store an object whole."""
        return self.store.put(path, obj, manager=manager)

    def get(self, path: str) -> Json:
        """An object as stored; ApiError 404."""
        return self.store.get(path)

    def patch(self, path: str, body: Mapping[str, Any], *, manager: str = "somebody-else") -> Json:
        """Change an object as somebody else would."""
        return self.store.patch(path, body, manager=manager)

    def delete(self, path: str) -> Json:
        """Delete an object as somebody else would."""
        return self.store.delete(path)

    def taints(self, node: str) -> list[Json]:
        """A node's taints."""
        found: list[Json] = self.get(f"/api/v1/nodes/{node}").get("spec", {}).get("taints") or []
        return found

    def taint(self, node: str, *taints: Mapping[str, Any], manager: str = "somebody-else") -> None:
        """Set a node's taints, all of them."""
        wanted = [dict(taint) for taint in taints] or None
        self.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": wanted}}, manager=manager)

    def evict(self, namespace: str, pod: str, *, reason: str = "DeletionByTaintManager") -> None:
        """What the taint eviction controller does to a pod: the condition DisruptionTarget, then DELETE."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        status = self.get(path).get("status") or {}
        conditions = [c for c in status.get("conditions") or [] if c.get("type") != "DisruptionTarget"]
        conditions.append({"type": "DisruptionTarget", "status": "True", "reason": reason})
        self.patch(path, {"status": {"conditions": conditions}}, manager="kube-controller-manager")
        self.delete(path)

    def forget_history(self) -> None:
        """Compaction: a watch from before now answers 410 Expired."""
        self.store.oldest = self.store.version

    # ---- what goes wrong, and when

    def rule(
        self,
        what: Trouble,
        *,
        method: str = "*",
        path: str = ".*",
        watch: bool | None = None,
        first: int = 1,
        times: int | None = None,
    ) -> Rule:
        """From now on `what` happens to matching requests (see Rule). Earlier rules go first; set `off` to end one."""
        rule = Rule(Match(method, path, watch), what, first, times)
        self._rules.append(rule)
        return rule

    def when(
        self,
        do: Callable[[], object],
        *,
        after_s: float = 0.0,
        method: str = "*",
        path: str = ".*",
        watch: bool | None = None,
        nth: int = 1,
    ) -> None:
        """`after_s` seconds after the nth matching request from now on was done, call `do()` (in the server's
        thread).
        """
        self._actions.append(_Action(Match(method, path, watch), nth, after_s, do))

    def later(self, after_s: float, do: Callable[[], object]) -> None:
        """Call `do()` in `after_s` seconds."""
        self._loop.call_soon_threadsafe(self._loop.call_later, after_s, self._act, do)

    def weather(
        self, path: str = ".*", *, silent: bool = False, late_s: float = 0.0, loses: str = "", bookmarks: bool = True
    ) -> None:
        """How watches whose path matches are served from now on, open ones too. Without more: fair again."""
        self._weather.insert(0, (Match(path=path), Weather(silent, late_s, loses, bookmarks)))
        self._wake()

    def cut(self, path: str = ".*", *, clean: bool = False) -> None:
        """End the open watches whose path matches: by a reset, or as the server does when their time is over."""
        self._each_watch(path, lambda watch: setattr(watch, "cut", clean))

    def send(self, raw: bytes, path: str = ".*") -> None:
        """Put bytes (a whole line, or not) into the open watches whose path matches."""
        self._each_watch(path, lambda watch: watch.raw.append(raw))

    # ---- inside

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        for watch in list(self._watches):
            watch.cut = False
        self._notify()
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _wake(self) -> None:
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        for watch in self._watches:
            watch.woken.set()

    def _each_watch(self, path: str, change: Callable[[Watch], object]) -> None:
        def apply() -> None:
            for watch in self._watches:
                if Match(path=path).hits("GET", watch.path, {}):
                    change(watch)
                    watch.woken.set()

        self._loop.call_soon_threadsafe(apply)

    def _play_kubelet(self, path: str, uid: str) -> None:
        if self._pod_stop_s is not None:
            self.later(self._pod_stop_s, lambda: path in self.store.objects and self.store.remove(path, uid=uid))

    def _act(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as error:  # a test must learn of it: raised again at the end
            self.errors.append(error)

    def _done(self, method: str, path: str, query: Mapping[str, str]) -> None:
        for action in self._actions:
            if action.match.hits(method, path, query):
                action.seen += 1
                if action.seen == action.nth:
                    self._loop.call_later(action.after_s, self._act, action.do)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method, path, query = request.method, request.path, dict(request.query)
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        seen = Request(
            time.monotonic() - self._began_s, method, path, query, request.headers.get("Authorization", ""), body
        )
        index = len(self.requests)
        self.requests.append(seen)
        if not self.accepts(seen.authorization):
            answer: web.StreamResponse = json_answer(401, ApiError(401, "Unauthorized", "Unauthorized").body)
        else:
            troubles = [rule.what for rule in list(self._rules) if rule.takes(method, path, query)]
            trouble = troubles[0] if troubles else None
            answer = await self._with(trouble, request, seen)
        self.requests[index] = Request(**{**_fields(seen), "status": answer.status})
        return answer

    async def _with(self, trouble: Trouble | None, request: web.Request, seen: Request) -> web.StreamResponse:
        match trouble:
            case Answer():
                return scripted(trouble)
            case Drop(after=after):
                if after:
                    await self._do(request, seen)
                return cut_off(request)
            case Hold(seconds=seconds):
                await asyncio.sleep(seconds)
                return await self._do(request, seen)
            case HoldAnswer(seconds=seconds):
                answer = await self._do(request, seen)
                await asyncio.sleep(seconds)
                return answer
            case Drip(seconds=seconds):
                return await drip(request, await self._do(request, seen), seconds)
            case None:
                return await self._do(request, seen)

    async def _do(self, request: web.Request, seen: Request) -> web.StreamResponse:
        """As the real one would."""
        try:
            discovery = discovery_of(seen.path, self._version)
            if discovery is not None:
                return json_answer(200, discovery)
            place = place_of(seen.path)
            if seen.method == "GET" and place.name is None and seen.query.get("watch") in ("true", "1"):
                return await self._watch(request, seen, place)
            status, body = self._object(request, seen, place)
        except ApiError as error:
            status, body = error.code, error.body
        if status < 400:
            self._done(seen.method, seen.path, seen.query)
        return json_answer(status, body)

    def _object(self, request: web.Request, seen: Request, place: Place) -> tuple[int, Json]:
        store, path = self.store, seen.path
        manager = seen.query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0]
        if place.sub is not None:
            path = path.rsplit("/", 1)[0]
        match seen.method, place.name, place.sub:
            case "GET", None, None:
                return 200, self._list(seen.query, place)
            case "GET", _, _:
                return 200, store.get(path)
            case "POST", None, None:
                return 201, store.create(path, seen.body, manager=manager)
            case "POST", _, "eviction":
                evict(store, path, seen.body)
                return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}
            case "PATCH", _, None | "status":
                return 200, store.patch(path, seen.body, manager=manager)
            case "DELETE", _, None:
                uid = (seen.body.get("preconditions") or {}).get("uid")
                return 200, store.delete(path, uid=uid, grace_s=seen.body.get("gracePeriodSeconds"))
        raise ApiError(405, "MethodNotAllowed", f"{seen.method} is not supported on {seen.path}")

    def _list(self, query: Mapping[str, str], place: Place) -> Json:
        items, version = self.store.list(place)
        items = [item for item in items if selected(item, query)]
        meta: Json = {"resourceVersion": str(version)}
        begin, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
        if limit and begin + limit < len(items):
            meta["continue"] = str(begin + limit)
        page = items[begin : begin + limit] if limit else items[begin:]
        return {"kind": f"{place.kind}List", "apiVersion": place.group_version, "metadata": meta, "items": page}

    # ---- watches

    def _weather_on(self, path: str) -> Weather:
        return next((weather for match, weather in self._weather if match.hits("GET", path, {})), FAIR)

    async def _watch(self, request: web.Request, seen: Request, place: Place) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        watch = Watch(seen.path)
        self._watches.add(watch)
        try:
            await response.prepare(request)
            self._done(seen.method, seen.path, seen.query)
            await follow(
                request, response, self.store, place, watch, lambda: self._weather_on(seen.path), self._bookmark_s
            )
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the server is being closed
        finally:
            self._watches.discard(watch)
        return response


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__dataclass_fields__}
