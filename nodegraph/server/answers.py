"""Whether answers fit what a job asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodegraph.engine.errors import told
from nodegraph.server.errors import ApiError
from nodegraph.server.records import Job

Json = Any


def check_answers(job: Job, answers: Mapping[str, Json]) -> None:
    """Raise `ApiError` 422 where an answer is to no question of the job, or none of its choices."""
    asked = {question.node: question for question in job.questions}
    problems = []
    for node, choice in answers.items():
        if node not in asked:
            text = f"the job asks nothing at the node {node!r}"
            problems.append({"code": "no_question", "message": text, "node": node, "expected": ", ".join(asked)})
        elif asked[node].choices and choice not in asked[node].choices:
            expected = " or ".join(json.dumps(choice, ensure_ascii=False) for choice in asked[node].choices)
            text = f"got {told(choice)}; expected {expected}"
            problems.append({"code": "no_choice", "message": text, "node": node, "got": choice, "expected": expected})
    if problems or not answers:
        raise ApiError(422, "invalid_answer", "the answers do not fit what the job asks", problems=problems)
