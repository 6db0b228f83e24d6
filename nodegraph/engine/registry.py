"""The node types that are known, by id and by the ids they had before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nodegraph.engine.errors import PluginError
from nodegraph.engine.nearest import nearest
from nodegraph.engine.spec import NodeSpec


class Registry(Mapping[str, NodeSpec]):
    """Node types by id; an alias finds its type too, but iteration gives ids only."""

    def __init__(self, specs: Iterable[NodeSpec] = ()) -> None:
        self._specs: dict[str, NodeSpec] = {}
        self._names: dict[str, NodeSpec] = {}
        self._absent: dict[str, str] = {}
        self.add(specs)

    def __getitem__(self, name: str) -> NodeSpec:
        return self._names[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def nearest(self, name: str) -> str | None:
        """Return the known id or alias nearest to `name`."""
        return nearest(name, self._names)

    def why_absent(self, name: str) -> str | None:
        """Return why there is no node type `name` where the plugin that has it was put aside."""
        return self._absent.get(name) or self._absent.get(name.partition(".")[0])

    def add(self, specs: Iterable[NodeSpec]) -> None:
        """Add node types, all or none; raise `PluginError` where an id or alias is taken, naming both plugins."""
        added, names = list(specs), dict[str, NodeSpec]()
        for spec in added:
            for name in (spec.id, *spec.aliases):
                other = names.get(name) or self._names.get(name)
                if other is not None:
                    raise PluginError(_clash(name, spec, other))
                names[name] = spec
        self._names.update(names)
        self._specs.update((spec.id, spec) for spec in added)

    def remove_plugin(self, plugin: str, reason: str) -> None:
        """Take the node types of a plugin out, and remember why."""
        for name, spec in list(self._names.items()):
            if spec.plugin == plugin:
                self._absent[name] = f"its plugin {plugin!r} is quarantined: {reason}"
                del self._names[name]
                self._specs.pop(name, None)
        self._absent.setdefault(plugin, f"the plugin {plugin!r} is quarantined: {reason}")


def _clash(name: str, spec: NodeSpec, other: NodeSpec) -> str:
    what = "node id" if name == other.id else "alias"
    if spec.plugin == other.plugin:
        return f"plugin {spec.plugin!r} registers the {what} {name!r} twice"
    return f"{name!r} of plugin {spec.plugin!r} is already a {what} of plugin {other.plugin!r}"
