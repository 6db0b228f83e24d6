"""What can go wrong with the store."""

from __future__ import annotations

import errno

from nodegraph.engine.errors import NodegraphError


class StoreError(NodegraphError):
    """The store cannot do what it was asked; the text says why and what to do. Nothing was changed."""


class StoreFullError(StoreError, OSError):
    """There is no room on the disk; nothing was half done, and the next write works once there is room."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOSPC, message)

    def __str__(self) -> str:
        """Return the sentence alone."""
        return str(self.strerror)


class StoreBusyError(StoreError):
    """Another process holds the store; the text names it where that can be found out."""


class NewerStoreError(StoreError):
    """A newer version wrote the store."""


class AlreadyError(StoreError):
    """What shall be added is there already."""


class CursorError(StoreError, ValueError):
    """A cursor that no list gave out."""


class ImportedError(StoreError, ValueError):
    """An item of an import is not one that an export wrote; the text tells which, and what is wrong with it."""
