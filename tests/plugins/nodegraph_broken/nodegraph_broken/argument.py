"""Its hook asks for an argument that there is not."""

from nodegraph import hookimpl


@hookimpl
def register_nodes(registry: object) -> list[object]:
    """Ask for a registry, as another system's hook would."""
    return [registry]
