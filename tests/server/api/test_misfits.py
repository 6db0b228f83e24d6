"""What is said of a body or a query that does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from nodegraph.server.api.misfits import LONGEST, MOST, misfit
from nodegraph.server.api.routing import Model
from nodegraph.server.api.wire import Errand


def refused(body: Any, model: type[Model] = Errand) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    error: dict[str, Any] = misfit("body", model, caught.value).document["error"]
    json.dumps(error, allow_nan=False, ensure_ascii=False).encode()
    return error


def test_an_unknown_field_is_told_with_what_may_stand_there_and_the_nearest() -> None:
    error = refused({"workflow": {}, "input": {"steps": 3}})
    problem = error["problems"][0]
    assert error["message"] == f"the body does not fit at input: {problem['message']}"
    assert problem["message"].startswith("unknown field 'input'; what may stand here is workflow, ")
    assert (problem["field"], problem["got"], problem["nearest"]) == ("input", {"steps": 3}, "inputs")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"workflow": "x"}, 'the body does not fit at workflow: got the text "x"; expected a JSON object'),
        ({"workflow": {}, "timeout": -1}, "the body does not fit at timeout: got -1; expected greater than 0"),
        ({}, "the body does not fit: give either `workflow` or `workflow_name`"),
        ([], "the body does not fit: got []; expected a JSON object"),
    ],
)
def test_the_sentence_tells_the_place_what_was_got_and_what_fits(body: Any, message: str) -> None:
    assert refused(body)["message"] == message


def test_a_missing_field_is_named() -> None:
    class Needs(Model):
        answers: dict[str, int]

    assert refused({}, Needs)["problems"] == [
        {"code": "missing", "field": "answers", "message": "the field 'answers' is missing"}
    ]


def test_what_is_long_or_no_text_is_told_in_short() -> None:
    error = refused({"workflow": {}, "\ud800" * 9000: 1, "name": ["x" * 9000], "client": "\ud800"})
    assert all(len(str(problem["got"])) <= LONGEST for problem in error["problems"])
    assert len(json.dumps(error)) < 4000
    many = refused({"workflow": {}, **{f"field{number}": 1 for number in range(3 * MOST)}})
    assert len(many["problems"]) == MOST
