"""Routes of plugins: what each answers below `/api/v1/plugins/<plugin>/`, within its own folders."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import mimetypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nodegraph.engine.errors import PluginError
from nodegraph.engine.plugins import Plugins

log = logging.getLogger(__name__)
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.~-]+|\{[a-z_][a-z0-9_]*\}")
LARGEST_FILE: Final = 64 * 2**20


class NoRouteError(LookupError):
    """A path that the plugin does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a route is asked. The server has seen to it that the asker may ask."""

    method: str
    path: str
    """Below the plugin's own, without a leading slash."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What stands for `{name}` in the route's path."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    media: str = ""
    user: str = ""

    def json(self) -> Any:
        """Return the body's JSON; raise ValueError where it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a route answers, where it is not simply JSON."""

    body: bytes = b""
    media: str = "application/octet-stream"
    status: int = 200


Handler = Callable[[Request], Any]


@dataclass(frozen=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    answer: Callable[[Request], Any]


class Routes:
    """Gathers the routes of one plugin. What is refused raises `PluginError` and is left out; the others stay."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self._routes: dict[tuple[str, str], _Route] = {}
        self.refused: list[str] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Have `handler` answer: it takes a `Request` and returns JSON, bytes or a `Response`; it may be async.

        `path` is relative, such as `presets/{name}`.
        """
        if method not in METHODS:
            self._refuse(f"{method} {path}", f"the method is none of {', '.join(METHODS)}")
        segments = self._segments(path)
        shape = "/".join("{}" if segment.startswith("{") else segment for segment in segments)
        if (method, shape) in self._routes:
            self._refuse(f"{method} {path}", "another route answers there already")
        pattern = "/".join(_pattern(segment) for segment in segments)
        self._routes[method, shape] = _Route(method, re.compile(pattern), handler)

    def static(self, name: str, folder: str | Path) -> None:
        """Serve the files of a folder below `name/`."""
        segments = self._segments(name)
        root = Path(folder)
        if ".." in root.parts or not root.is_absolute() or not root.is_dir():
            self._refuse(name, f"{str(folder)!r} is not the absolute path of a folder")
        if any("{" in segment for segment in segments):
            self._refuse(name, "a folder's name has no variables")
        key = ("GET", f"{name}/**")
        if key in self._routes:
            self._refuse(name, "another folder is served there already")
        pattern = re.compile(f"{re.escape(name)}/(?P<file>.+)")
        self._routes[key] = _Route("GET", pattern, lambda request: _file(root.resolve(), request.variables["file"]))

    def answer(self, request: Request) -> Response:
        """Answer a request; raise `NoRouteError` where no route is meant. What a handler raises goes on."""
        for route in self._routes.values():
            match = route.pattern.fullmatch(request.path)
            if match is not None and route.method == request.method:
                found = Request(
                    method=request.method, path=request.path, variables=match.groupdict(), query=request.query,
                    body=request.body, media=request.media, user=request.user,
                )  # fmt: skip
                return _response(_called(route.answer, found))
        raise NoRouteError(f"the plugin {self.plugin} answers no {request.method} {request.path}")

    def __len__(self) -> int:
        return len(self._routes)

    def _segments(self, path: str) -> list[str]:
        segments = path.split("/")
        if any(segment in (".", "..") or not _SEGMENT.fullmatch(segment) for segment in segments):
            self._refuse(path, "a path is relative, of letters, digits, `_.~-` and `{variables}`, without `..`")
        return segments

    def _refuse(self, path: str, why: str) -> None:
        reason = f"the route {path!r} is refused: {why}"
        self.refused.append(reason)
        raise PluginError(reason)


def collect_routes(plugins: Plugins) -> dict[str, Routes]:
    """Have each plugin add its routes; one that raises keeps those that it added before."""
    found: dict[str, Routes] = {}
    for name, state in plugins.states.items():
        routes = Routes(name)
        others = [other for other in plugins.manager.get_plugins() if plugins.manager.get_name(other) != name]
        if state.state == "loaded":
            try:
                plugins.manager.subset_hook_caller("register_routes", others)(routes=routes)
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything; its nodes stay
                log.warning("routes of the plugin %s: %s: %s", name, type(error).__name__, error)
                if not isinstance(error, PluginError):
                    routes.refused.append(f"register_routes failed: {type(error).__name__}: {error}")
        if len(routes) or routes.refused:
            found[name] = routes
    return found


def _pattern(segment: str) -> str:
    return f"(?P<{segment[1:-1]}>[^/]+)" if segment.startswith("{") else re.escape(segment)


def _called(handler: Handler, request: Request) -> Any:
    result = handler(request)
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Any) -> Any:
    return await result


def _response(result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, bytes):
        return Response(body=result)
    text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    return Response(body=text.encode("utf-8", "replace"), media="application/json")


def _file(root: Path, name: str) -> Response:
    """Read a file of a served folder; links do not lead out of it."""
    try:
        path = (root / name).resolve(strict=True)
        if not path.is_relative_to(root) or not path.is_file() or path.stat().st_size > LARGEST_FILE:
            raise NoRouteError(f"there is no file {name!r}")
        body = path.read_bytes()
    except (OSError, ValueError) as error:
        raise NoRouteError(f"there is no file {name!r}") from error
    return Response(body=body, media=mimetypes.guess_type(path.name)[0] or "application/octet-stream")
