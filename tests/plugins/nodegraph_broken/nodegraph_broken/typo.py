"""Its hook is one letter short."""

from nodegraph import hookimpl


@hookimpl
def register_node() -> list[object]:
    """Misspell the hook."""
    return []
