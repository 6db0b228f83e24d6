"""`/models`: the model files that workflows may name."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from nodegraph.server.api.routing import Model, Route
from nodegraph.server.keys import HOST


class ModelsAnswer(Model):
    """The names of the model files by kind."""

    models: dict[str, list[str]]


class ModelAnswer(Model):
    """What a model file is, as far as its head tells; `problem` says why not."""

    kind: str
    name: str
    size: int
    modified: float
    problem: str | None = None
    about: dict[str, Any]


async def index(request: web.Request) -> ModelsAnswer:
    """List the model files."""
    return ModelsAnswer(models=await request.app[HOST].models())


async def show(request: web.Request) -> ModelAnswer:
    """Describe a model file."""
    found = await request.app[HOST].model(request.match_info["kind"], request.match_info["name"])
    known = {name: found.pop(name, None) for name in ("kind", "name", "size", "modified", "problem")}
    return ModelAnswer(**known, about=found)


LATER = {503: "The process that knows them is being started"}
ROUTES: tuple[Route, ...] = (
    Route("GET", "/models", index, "List the model files by kind", answer=ModelsAnswer, errors=LATER),
    Route("GET", "/models/{kind}/{name:.+}", show, "Describe a model file", answer=ModelAnswer, errors=LATER),
)
