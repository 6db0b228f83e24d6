"""The API of a real server, each answer held against the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from nodegraph.server.api.openapi import describe
from nodegraph.server.api.routing import API, ROUTES

ROOT = Path(__file__).parents[3]
Document = dict[str, Any]


@dataclass
class Answer:
    """What was answered, and that it fits what the document says of it."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Api:
    """Asks a server, and holds what it answers against its document."""

    url: str
    token: str
    document: Document
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    async def __call__(
        self, method: str, path: str, status: int = 200, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Ask; see that the status is the expected one and that the answer is as the document has it."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        async with (
            aiohttp.ClientSession(headers=sent) as session,
            session.request(method, f"{self.url}{API}{path}", **options) as response,
        ):
            data = await response.read()
            got = f"{method} {path}: {response.status} {data[:2000]!r}"
            assert response.status == status, got
            body = self._hold(method, path.partition("?")[0], response, data)
            return Answer(response.status, response.headers, body)

    async def json(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Ask and return the body."""
        return (await self(method, path, status, **options)).body

    def as_user(self, token: str) -> Api:
        """Return the same for somebody else."""
        return Api(self.url, token, self.document, self.seen)

    def _hold(self, method: str, path: str, response: aiohttp.ClientResponse, data: bytes) -> Any:
        place, operation = self._operation(method, path)
        self.seen.add((method, place, response.status))
        known = operation["responses"]
        if "*/*" in known["default"].get("content", ()) and str(response.status) not in known:
            return data
        assert str(response.status) in known, f"{method} {place}: {response.status} is not in the document"
        content = known[str(response.status)].get("content")
        if content is None:
            assert data == b"", f"{method} {place} {response.status} has a body"
            return None
        if "*/*" in content:
            return data
        assert response.content_type in content, f"{method} {place}: {response.content_type} is not in the document"
        if response.content_type != "application/json":
            return data
        body = json.loads(data)
        if (schema := content["application/json"].get("schema")) is not None:
            self._validator(schema).validate(body)
        return body

    def _operation(self, method: str, path: str) -> tuple[str, Any]:
        fixed = sorted(self.document["paths"], key=lambda place: place.count("{"))
        for place in fixed:
            pattern = re.sub(
                r"\\\{\w+\\\}", ".+" if "plugins" in place or place.endswith("name}") else "[^/]+", re.escape(place)
            )
            if re.fullmatch(pattern, f"{API}{path}") and method.lower() in self.document["paths"][place]:
                return place, self.document["paths"][place][method.lower()]
        raise AssertionError(f"{method} {path} is not in the document")

    def _validator(self, schema: Any) -> OAS31Validator:
        resource = DRAFT202012.create_resource(self.document)
        registry: Registry[Any] = Registry().with_resource("urn:api", resource)
        return OAS31Validator({"$ref": "urn:api" + schema["$ref"]}, registry=registry)


@pytest.fixture
async def api(shared: Any) -> Api:
    """Return the API of the module's server, asked by its owner."""
    routes = shared.server.app[ROUTES]
    return Api(shared.url, shared.token, describe(routes))


def sums(**changes: Any) -> Document:
    """Return a workflow that adds two numbers and exposes them."""
    nodes = {"sum": {"type": "faults.Add", "params": {"a": 1, "b": 2}}}
    document = {"format": 1, "nodes": nodes, "inputs": {"a": "sum.a", "b": "sum.b"}, "outputs": {"sum": "sum.out"}}
    return {**document, **changes}


def sleeps(seconds: float = 30.0) -> Document:
    """Return a workflow that takes its time."""
    nodes = {"sleep": {"type": "faults.Sleep", "params": {"seconds": seconds, "steps": 100}}}
    return {"format": 1, "nodes": nodes, "inputs": {"seconds": "sleep.seconds"}, "outputs": {"out": "sleep.out"}}


def texts(text: str = "a red circle") -> Document:
    """Return a workflow that passes a text, with a seed."""
    nodes = {"text": {"type": "faults.Text", "params": {"text": text, "seed": 0}}}
    inputs = {"prompt": "text.text", "seed": "text.seed"}
    return {"format": 1, "nodes": nodes, "inputs": inputs, "outputs": {"out": "text.out"}}
