"""The log: both forms, no secrets, and no waiting for whoever reads it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest

from nodegraph.server.logs import Redactor, logging_to_stderr

log = logging.getLogger("nodegraph.server.test")
access = logging.getLogger("nodegraph.server.access")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer [...]"),
        ("GET /login?code=a1b2&x=1", "GET /login?code=[...]&x=1"),
        ("token='s3cret'", "token='[...]'"),
        ('{"api_key": "s3cret"}', '{"api_key": "[...]"}'),
        ("Cookie: nodegraph_session_8188=abc; a=b", "Cookie: nodegraph_session_8188=[...]; a=b"),
        ("the tokens of a prompt are 77", "the tokens of a prompt are 77"),
        ("exit code 3", "exit code 3"),
    ],
)
def test_what_stands_where_a_secret_would_is_taken_out(text: str, redacted: str) -> None:
    assert Redactor()(text) == redacted


def test_known_secrets_are_taken_out_wherever_they_stand() -> None:
    redact = Redactor()
    redact.known.add("hunter2")
    assert redact("/x/hunter2/y") == "/x/[...]/y"


def written(form: str, monkeypatch: pytest.MonkeyPatch, *, debug: bool = False) -> str:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with logging_to_stderr(form, debug=debug):  # type: ignore[arg-type]
        log.info("said %s", "token=abc", extra={"job": "7"})
        access.info("GET /: 200", extra={"status": 200, "path": "/?token=abc"})
        access.info("GET /x: 500", extra={"status": 500})
        try:
            raise ValueError("token=abc")
        except ValueError:
            log.exception("failed")
    return stream.getvalue()


def test_json_lines_are_objects_with_fields_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    text = written("json", monkeypatch)
    first, second, third, last = map(json.loads, text.splitlines())
    assert (first["level"], first["message"], first["job"]) == ("info", "said token=[...]", "7")
    assert (second["status"], second["path"], third["status"]) == (200, "/?token=[...]", 500)
    assert "ValueError" in last["traceback"]
    assert "abc" not in text


def test_lines_for_people_leave_requests_out_that_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    text = written("text", monkeypatch)
    assert "GET /: 200" not in text
    assert "GET /x: 500" in text
    assert "abc" not in text
    assert "GET /: 200" in written("text", monkeypatch, debug=True)


def test_nothing_in_the_log_steers_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with logging_to_stderr("text"):
        log.info("a node printed \x1b[2J\x07\x9b1m and \ttabs")
    assert not {"\x1b", "\x07", "\x9b"} & set(stream.getvalue())
    assert "\ttabs" in stream.getvalue()


def test_handlers_that_were_there_rest_and_come_back() -> None:
    logger, handler = logging.getLogger("nodegraph"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        with logging_to_stderr("text"):
            assert handler not in logger.handlers
        assert handler in logger.handlers
    finally:
        logger.removeHandler(handler)


FLOOD = """
import logging
from nodegraph.server.logs import logging_to_stderr
with logging_to_stderr("json"):
    for _ in range(2000):
        logging.getLogger("nodegraph").info("x" * 200)
    print("logged", flush=True)
print("ended", flush=True)
"""


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    command = [sys.executable, "-c", FLOOD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "logged\n"
            assert process.stdout.readline() == "ended\n"
        finally:
            process.kill()


def test_a_log_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with logging_to_stderr("text"):
        log.info("nobody reads this")
