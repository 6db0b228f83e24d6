"""Its hook raises."""

from nodegraph import hookimpl


@hookimpl
def register_nodes() -> list[object]:
    """Fail as code does."""
    raise ZeroDivisionError("no nodes today")
