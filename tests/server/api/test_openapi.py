"""The OpenAPI document: valid, and of every route."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from nodegraph.server.api.openapi import attribute_docs, describe
from nodegraph.server.api.routing import API, ROUTES, Model
from nodegraph.server.api.wire import Errand, JobAnswer
from nodegraph.server.app import build
from nodegraph.server.settings import Settings


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build(Settings(data=tmp_path_factory.mktemp("openapi") / "data"))


@pytest.fixture(scope="module")
def document(app: Any) -> dict[str, Any]:
    return describe(app[ROUTES])


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    errors = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert errors == []


def test_every_route_below_the_api_is_in_the_document_and_the_other_way_round(
    app: Any, document: dict[str, Any]
) -> None:
    served = {
        (route.method, re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical))
        for route in app.router.routes()
        if route.resource.canonical.startswith(API) and route.method not in ("HEAD", "OPTIONS", "*")
    }
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert served == described
    assert len(served) > 40


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_known_tag(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in operations)
    assert {tag for operation in operations for tag in operation["tags"]} == set(tags)
    assert all(tags.values())


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


def test_what_stands_below_a_field_describes_it(document: dict[str, Any]) -> None:
    told = document["components"]["schemas"]["Errand"]["properties"]
    assert "Idempotency-Key" in told["key"]["description"]
    assert "ComfyUI" in told["workflow"]["description"]  # of the base class
    assert "ComfyUI" in attribute_docs(Errand)["workflow"]


def test_models_are_described(app: Any) -> None:
    models = {model for route in app[ROUTES] for model in (route.body, route.answer, route.query) if model is not None}
    assert JobAnswer in models
    assert [model.__name__ for model in models if not model.__doc__ or model.__doc__ == Model.__doc__] == []


def test_the_document_tells_nothing_of_this_machine(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert str(Path.home()) not in text
    assert str(Path(__file__).parents[3]) not in text


async def test_the_server_gives_its_own_document(shared: Any, client: aiohttp.ClientSession) -> None:
    for _ in range(2):
        async with client.get("/openapi.json") as response:
            assert (response.status, response.content_type) == (200, "application/json")
            assert await response.json() == describe(shared.server.app[ROUTES])
