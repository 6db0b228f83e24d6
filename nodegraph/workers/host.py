"""The host process: knows the plugins, checks workflows, tells of models and pictures, runs the plugins' routes."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from nodegraph.collection.kinds import WEIGHTS
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.fits import fits
from nodegraph.engine.folders import FolderError
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.schema import node_schema
from nodegraph.interop.comfy_api import is_api
from nodegraph.runtime import Runtime
from nodegraph.server.protocol import Header
from nodegraph.workers import pictures
from nodegraph.workers.channel import Channel
from nodegraph.workers.checking import Checks, load
from nodegraph.workers.packages import remember
from nodegraph.workers.routes import NoRouteError, Request, collect_routes
from nodegraph.workers.setup import input_folders, open_runtime, redactor, versions
from nodegraph.workers.web import collect_web

log = logging.getLogger(__name__)
Json = Any
Answer = tuple[Json, bytes]
THREADS: Final = 4
OTHER_KINDS: Final = ("input", "output", "temp")
"""Kinds of folders that hold no models."""


class _NotFoundError(LookupError):
    """What is asked for is not there."""


def serve(channel: Channel) -> None:
    """Answer the server's calls until it has gone."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="call")
    routes = ThreadPoolExecutor(THREADS, thread_name_prefix="route")  # those that hang keep no other call waiting
    waiting: list[tuple[Header, bytes]] = []
    service: list[Service] = []
    turn = threading.Lock()  # each call is either among those that wait, or finds the service

    def receive(header: Header, payload: bytes) -> None:
        with turn:
            if "call" in header and service:
                submit(header, payload)
            elif "call" in header:
                waiting.append((header, payload))

    def submit(header: Header, payload: bytes) -> None:
        (routes if header["method"] == "route" else pool).submit(service[0].answer, header, payload)

    config = channel.start(receive)
    made = Service(config, channel)
    with turn:
        service.append(made)
        for header, payload in waiting:
            submit(header, payload)
    threading.Event().wait()  # the thread that reads ends the process


class Service:
    """Answers calls; each method named `call_...` is one, and may run in several threads at once."""

    def __init__(self, config: Mapping[str, Any], channel: Channel) -> None:
        self._channel = channel
        self._redact = redactor(config)
        self._limits = Limits(nodes=config["nodes"], depth=config["depth"])
        self._runtime: Runtime = open_runtime(config, channel)
        # The pictures that all users have; those of the working directory, which may be somebody's own, no job finds.
        self._folders = self._runtime.folders.placed({"input": tuple(input_folders(config["input"]))})
        remember(Path(config["data"]), self._runtime.plugins)
        self._routes, self._web = collect_routes(self._runtime.plugins), collect_web(self._runtime.plugins)
        specs = {spec.id: spec for spec in self._runtime.plugins.registry.values()}
        self._specs = [specs[id] for id in sorted(specs)]
        self._fits = fits(self._specs)
        self._checks = Checks(self._runtime, self._redact, self._limits)
        channel.tell("ready", device="", devices=[], versions=versions())

    def answer(self, header: Header, payload: bytes) -> None:
        """Answer a call, with an error where it fails."""
        number, method, params = header["call"], header["method"], header.get("params") or {}
        call: Callable[[dict[str, Any], bytes], Answer] | None = getattr(self, f"call_{method}", None)
        try:
            if call is None:
                self._channel.refuse(number, "unknown_method", f"the host process answers no {method!r}")
                return
            self._channel.reply(number, *call(params, payload))
        except WorkflowError as error:
            problems = self._checks.problems(error.problems)
            self._channel.refuse(number, "invalid_workflow", problems[0]["message"], problems)
        except pictures.RefusedError as error:
            self._channel.refuse(number, "refused", self._redact(str(error)))
        except (_NotFoundError, NoRouteError) as error:
            self._channel.refuse(number, "not_found", self._redact(str(error)))
        except BaseException as error:
            reference = token_hex(4)
            log.exception("the call %s failed [%s]", method, reference)
            message = f"the call failed; the server's log tells more under {reference}"
            self._channel.refuse(number, "no_memory" if isinstance(error, MemoryError) else "internal", message)

    def call_catalogue(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Tell the node types and plugins, unless they are those of `etag`."""
        plugins = self._runtime.plugins
        nodes = {spec.id: node_schema(spec, self._folders) for spec in self._specs}
        states = []
        for state in plugins.report:
            told = {**asdict(state), "reason": None if state.reason is None else self._redact(state.reason)}
            routes = self._routes.get(state.name)
            told |= {"routes": 0 if routes is None else len(routes)}
            added = self._web.get(state.name)
            refused = [*(() if routes is None else routes.refused), *(() if added is None else added.refused)]
            told |= {"refused": [self._redact(reason) for reason in refused]}
            told.pop("import_seconds")  # it differs from start to start, and the rest has a name by its content
            states.append(told)
        web = {
            name: {"modules": part.modules, "files": {path: file.etag for path, file in part.files.items()}}
            for name, part in self._web.items()
            if part.files
        }
        document = {"nodes": nodes, "fits": self._fits, "plugins": states, "web": web}
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str)
        data = text.encode("utf-8", "replace")
        etag = hashlib.sha256(data).hexdigest()[:32]
        same = etag == params.get("etag")
        return {"etag": etag, "same": same}, b"" if same else data

    def call_check(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Check a workflow with each set of inputs."""
        folders = input_folders(params["input"]) if params["input"] else []
        return self._checks.check(json.loads(payload), params["inputs"], params["targets"], folders)

    def call_read(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Read a workflow of any known format into our own, without checking it."""
        document = json.loads(payload)
        workflow = load(self._runtime, document, self._limits)
        told = {
            "format": "comfyui" if is_api(document) else "nodegraph",
            "problems": self._checks.problems(workflow.problems),
        }
        return told, json.dumps(workflow.dump(), separators=(",", ":")).encode()

    def call_models(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Tell the model files by kind."""
        folders = self._runtime.folders
        return {kind: list(folders.names(kind)) for kind in folders.kinds if kind not in OTHER_KINDS}, b""

    def call_model(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Describe a model file."""
        kind, name = params["kind"], params["name"]
        folders = self._runtime.folders
        if kind in OTHER_KINDS or kind not in folders.kinds:
            raise _NotFoundError(f"there is no kind of models {kind!r}")
        try:
            path = folders.path(kind, name)
        except FolderError as error:
            near = f" (did you mean {error.nearest!r}?)" if error.nearest else ""
            raise _NotFoundError(f"there is no file {name!r} among the {kind}{near}") from error
        status = path.stat()
        told: dict[str, Json] = {"kind": kind, "name": folders.plain(name), "modified": status.st_mtime}
        told["size"] = status.st_size if path.is_file() else _size_of(path)
        if path.is_dir() or path.suffix.lower() in WEIGHTS:
            told |= self._describe(kind, path)
        return told, b""

    def _describe(self, kind: str, path: Path) -> dict[str, Json]:
        """Tell what a file of weights is, by its head; of checkpoints each part too."""
        from nodegraph.collection.identify import identify
        from nodegraph.diffusion.weights.describe import describe
        from nodegraph.diffusion.weights.errors import WeightsError

        try:
            info = asdict(describe(path) if kind == "checkpoints" else identify(path))
        except (WeightsError, OSError) as error:
            return {"problem": self._redact(str(error))}
        belongs = info.pop("path" if kind == "checkpoints" else "kind")
        plain: dict[str, Json] = json.loads(json.dumps(info, default=str))
        return plain if kind == "checkpoints" else {**plain, "belongs": belongs}

    def call_inspect(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Say what a picture is."""
        return pictures.inspect(Path(params["path"]), pixels=params["pixels"], frames=params["frames"]), b""

    def call_thumbnail(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Make a small picture."""
        return {}, pictures.thumbnail(Path(params["path"]), params["size"])

    def call_web(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Give a file that a plugin adds to the editor."""
        part = self._web.get(params["plugin"])
        file = None if part is None else part.files.get(params["path"])
        if file is None:
            raise _NotFoundError("there is no file of that name among what plugins add")
        return {"media": file.media}, file.data

    def call_route(self, params: dict[str, Any], payload: bytes) -> Answer:
        """Have a plugin answer a request."""
        routes = self._routes.get(params["plugin"])
        if routes is None:
            raise NoRouteError(f"there is no plugin {params['plugin']!r} with routes")
        names = ("method", "path", "query", "media", "user")
        try:
            found = routes.answer(Request(**{name: params[name] for name in names}, body=payload))
        except (ValueError, KeyError, TypeError) as error:
            reference = token_hex(4)
            log.exception(
                "%s %s of the plugin %s failed [%s]", params["method"], params["path"], routes.plugin, reference
            )
            message = self._redact(f"{type(error).__name__}: {error}")
            text = json.dumps({"error": {"code": "plugin_failed", "message": message, "reference": reference}})
            return {"status": 500, "media": "application/json"}, text.encode()
        return {"status": found.status, "media": found.media}, found.body


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
