"""Run a command so that whatever goes wrong ends in one message and an exit code, never in a traceback."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from nodegraph.cli.exits import TROUBLE, CommandError, Exit
from nodegraph.engine.errors import Cancelled, NodegraphError, WorkflowError


def guarded(options: argparse.Namespace) -> int:
    """Run the command that was asked for and return its exit code."""
    debug = getattr(options, "debug", False)
    with _log(logging.DEBUG if debug else logging.WARNING):
        try:
            command = importlib.import_module(f"nodegraph.cli.{options.command.replace('-', '_')}")
            code: int = command.main(options)
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            return _reader_gone()
        except BaseException as error:  # noqa: BLE001 - the one place where every error ends
            if debug:
                traceback.print_exception(error, file=sys.stderr)
            code = _tell(error)
            return TROUBLE.get(options.command, code) if code in (Exit.FAILED, Exit.INVALID) else code


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at the time: a live display puts itself before it, so that lines scroll by above."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.stream = sys.stderr
        super().emit(record)


@contextmanager
def _log(level: int) -> Iterator[None]:
    """Write what nodegraph logs to stderr."""
    logger, handler = logging.getLogger("nodegraph"), _ToStderr()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(level)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _reader_gone() -> int:
    """Stop quietly where whoever read our output has gone, as in `nodegraph nodes | head`."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())  # or the interpreter fails once more when it ends
    os.close(null)
    return Exit.FAILED


def _tell(error: BaseException) -> int:
    """Write what went wrong to stderr and return the exit code."""
    match error:
        case CommandError():
            return _say(str(error), error.code)
        case WorkflowError():
            return _say("\n".join(str(problem) for problem in error.problems), Exit.INVALID)
        case KeyboardInterrupt() | Cancelled():
            return _say("cancelled", Exit.CANCELLED)
        case NodegraphError():
            return _say(str(error), Exit.FAILED)
        case OSError() if error.filename is not None:
            return _say(f"{error.filename}: {error.strerror}", Exit.FAILED)
        case MemoryError():
            return _say("out of memory", Exit.FAILED)
        case SystemExit():
            return error.code if isinstance(error.code, int) else Exit.FAILED
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return _say(f"this should not have happened: {said} (--debug shows where)", Exit.FAILED)


def _say(message: str, code: Exit) -> int:
    sys.stderr.write(f"{message}\n")
    return code
