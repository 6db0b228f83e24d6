"""The OpenAPI 3.1 document, made from the routes."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiohttp import web
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from nodegraph.server.api.routing import API, BINARY, ROUTES, Route
from nodegraph.server.api.wire import ErrorAnswer

Json = Any
SCHEMAS: Final = "#/components/schemas/"
JSON_TYPE: Final = "application/json"
ANY_TYPE: Final = "*/*"
ALWAYS: Final[Mapping[int, str]] = {
    400: "It cannot be understood, or a header forbids it",
    401: "A token is needed",
    403: "Not from there, or not by this user",
    404: "It is not there, or another user's",
    415: "The body is of another type",
    422: "It is understood, but does not fit: `problems` tells where",
    429: "Too much of it: `Retry-After` tells when again",
}
TAGS: Final[Mapping[str, str]] = {
    "jobs": "Workflows to run, running and run.",
    "batches": "One workflow over many values.",
    "queue": "What waits and runs.",
    "nodes": "What workflows are made of.",
    "extensions": "What plugins add to the editor.",
    "workflows": "Saved workflows and their revisions.",
    "templates": "Workflows that come with the server.",
    "models": "Model files.",
    "files": "Pictures and texts that workflows read.",
    "outputs": "What jobs wrote.",
    "events": "What happens, as it happens.",
    "system": "The server and who asks it.",
    "users": "Who may use the server.",
}
_documents: WeakKeyDictionary[web.Application, str] = WeakKeyDictionary()
"""The document of each application, once somebody has asked for it: the routes of one do not change."""


async def document(request: web.Request) -> web.Response:
    """Answer the document."""
    if (text := _documents.get(request.app)) is None:
        routes = request.app[ROUTES]
        text = _documents[request.app] = json.dumps(describe(routes), separators=(",", ":"))
    return web.Response(text=text, content_type=JSON_TYPE)


def describe(routes: Sequence[Route]) -> dict[str, Json]:
    """Return the OpenAPI 3.1 document of these routes."""
    names, schemas = _schemas(routes)
    paths: dict[str, dict[str, Json]] = {}
    for route in routes:
        path = API + re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, names)
    used = dict.fromkeys(route.tag for route in routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nodegraph",
            "version": version("nodegraph"),
            "summary": "Workflows of typed nodes for diffusion models, run as durable jobs",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag, "description": TAGS.get(tag, "")} for tag in used],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The token that the server told at start"}
            },
            "responses": {"Error": {"description": "What went wrong", "content": _content(names[ErrorAnswer])}},
        },
    }


def _operation(route: Route, names: Mapping[type[BaseModel], str]) -> dict[str, Json]:
    operation: dict[str, Json] = {
        "tags": [route.tag],
        "summary": route.summary,
        "operationId": _operation_id(route),
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query)],
        "responses": _responses(route, names),
    }
    if route.body is not None:
        operation["requestBody"] = {"required": not route.optional, "content": _content(names[route.body])}
    elif route.takes != JSON_TYPE:
        operation["requestBody"] = {"required": True, "content": {route.takes: {}}}
    if route.admin:
        operation["description"] = "For admins."
    if route.public:
        operation["security"] = []
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", re.sub(r":[^}]*", "", route.path))
    return "_".join([route.method.lower(), *words])


def _responses(route: Route, names: Mapping[type[BaseModel], str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for status, words in {route.status: route.summary, **route.also}.items():
        found[str(status)] = {"description": words}
        if status != 204 and route.answer is not None:
            found[str(status)]["content"] = _content(names[route.answer])
        elif status != 204:
            found[str(status)]["content"] = {ANY_TYPE if route.media == BINARY else route.media: {}}
    if route.method == "GET" and route.answer is None:
        found["304"] = {"description": "It is as known"}
    if route.method == "GET" and route.media == BINARY:
        found["206"] = {"description": "The part that was asked for", "content": {ANY_TYPE: {}}}
        found["416"] = {"description": "There is no such part"}
    for status, words in {**ALWAYS, **route.errors}.items():
        error = {"description": words} | ({"content": _content(names[ErrorAnswer])} if status >= 400 else {})
        found.setdefault(str(status), error)
    any_answer: dict[str, Json] = {"description": "Whatever else it answers", "content": {ANY_TYPE: {}}}
    found["default"] = any_answer if route.media == ANY_TYPE else {"$ref": "#/components/responses/Error"}
    return found


def _content(name: str) -> dict[str, Json]:
    return {JSON_TYPE: {"schema": {"$ref": SCHEMAS + name}}}


def _path_parameters(path: str) -> Iterator[dict[str, Json]]:
    for name, pattern in re.findall(r"\{(\w+)(?::([^}]*))?\}", path):
        told = {"description": "May hold slashes"} if pattern else {}
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **told}


def _query_parameters(query: type[BaseModel] | None) -> Iterator[dict[str, Json]]:
    if query is None:
        return
    schema = query.model_json_schema(ref_template=SCHEMAS + "{model}")
    told = attribute_docs(query)
    for name, part in schema.get("properties", {}).items():
        part.pop("title", None)
        if "default" in part and part["default"] is None:  # left out, never sent as null
            kinds = [kind for kind in part["anyOf"] if kind != {"type": "null"}]
            part = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        required = name in schema.get("required", ())
        words = {"description": told[name]} if name in told else {}
        yield {"name": name, "in": "query", "required": required, "schema": part, **words}


def _schemas(routes: Iterable[Route]) -> tuple[dict[type[BaseModel], str], dict[str, Json]]:
    """Return the name of each model, and all schemas by name, with what the fields' own docstrings say."""
    from nodegraph.server.api import event_models  # its adapters take a while to build, which no start has to wait for

    models: dict[type[BaseModel], None] = {ErrorAnswer: None}
    schemas: dict[str, Json] = {}
    for route in routes:
        models |= dict.fromkeys(model for model in (route.body, route.answer) if model is not None)
        if route.query is not None:
            schemas |= route.query.model_json_schema(ref_template=SCHEMAS + "{model}").get("$defs", {})
    found, whole = models_json_schema([(model, "validation") for model in models], ref_template=SCHEMAS + "{model}")
    names = {model: found[model, "validation"]["$ref"].removeprefix(SCHEMAS) for model in models}
    messages = TypeAdapter(event_models.ServerMessage).json_schema(ref_template=SCHEMAS + "{model}")
    schemas |= {**messages.pop("$defs"), **whole["$defs"], "ServerMessage": messages}
    for model in _every([*names, event_models.Hello]):
        schema = schemas.get(names.get(model, model.__name__), {})
        for name, words in attribute_docs(model).items():
            field = model.model_fields[name].alias or name
            if field in schema.get("properties", {}):
                schema["properties"][field].setdefault("description", words)
    return names, schemas


def _every(models: Iterable[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Yield the models and those that stand in their modules."""
    seen: set[type[BaseModel]] = set()
    for model in models:
        for other in [model, *vars(sys.modules[model.__module__]).values()]:
            if isinstance(other, type) and issubclass(other, BaseModel) and other not in seen:
                seen.add(other)
                yield other


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return what the strings below the fields of a model say, those of its bases included."""
    told: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if issubclass(part, BaseModel) and part is not BaseModel:
            told |= _module_docs(part.__module__).get(part.__name__, {})
    return {name: words for name, words in told.items() if name in model.model_fields}


@cache
def _module_docs(module: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {part.name: dict(_docs(part.body)) for part in tree.body if isinstance(part, ast.ClassDef)}


def _docs(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            yield field.target.id, " ".join(after.value.value.split())
