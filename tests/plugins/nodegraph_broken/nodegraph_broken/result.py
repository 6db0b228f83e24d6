"""Its hook returns something else than nodes."""

from nodegraph import hookimpl


@hookimpl
def register_nodes() -> dict[str, object]:
    """Return the mapping that another system wants."""
    return {"NODE_CLASS_MAPPINGS": object}
