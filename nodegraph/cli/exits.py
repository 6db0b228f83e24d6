"""What the command line's exit codes mean, and the errors that end a command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit code of a command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INVALID = 3
    WAITING = 4
    CANCELLED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed: a node failed, or a file could not be read or written",
    Exit.USAGE: "usage: an unknown option or name, or a value that cannot be read",
    Exit.INVALID: "the workflow is invalid; each problem stands on a line of its own",
    Exit.WAITING: "waiting: a node asks something that nobody has answered",
    Exit.CANCELLED: "cancelled",
}
VERIFY_MEANINGS = {
    Exit.DONE: "every picture is the same",
    Exit.FAILED: "a picture differs",
    Exit.USAGE: "a picture cannot be verified, or the command cannot be read",
    Exit.CANCELLED: "cancelled",
}
"""What `nodegraph verify` means by its codes, as programs that compare do."""
TROUBLE = {"verify": Exit.USAGE}
"""The code of commands by which FAILED means something else, for when something went wrong."""


class CommandError(Exception):
    """Something foreseeable that ends a command: what to say, and the exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        self.code = code
        super().__init__(message)
