"""Gives tasks their recipes: (node type, versions, parameters, sources' names, file identities, declared settings)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from nodegraph.engine.errors import NodegraphError
from nodegraph.engine.graph import Body
from nodegraph.engine.node import spec_of
from nodegraph.engine.recipe import FLEETING, FORMAT, UncacheableError, canonical, digest, value_name
from nodegraph.engine.spec import MISSING, InputPort, Json, NodeSpec
from nodegraph.engine.task import Task


class Identities(Protocol):
    """Tells files apart by their content; `engine.folders.Folders` does."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of files that there are."""
        ...

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all files of a kind."""
        ...

    def identity(self, kind: str, name: str) -> str:
        """Return what changes when the file does."""
        ...


class Guard(NamedTuple):
    """An input whose values are looked at when they come by wire; values of the type `exact` fit as they are."""

    port: InputPort
    exact: type | None


class Signature:
    """What there is to know of a node type, worked out once a plan.

    `head` and `ports` are what enters each recipe, `obstacle` tells why there is none; `guards` are the inputs whose
    values are checked when they come by wire; `settings` are those of the run that the node may see.
    """

    __slots__ = ("files", "guards", "head", "lazy", "mentions", "obstacle", "ports", "settings", "spec")

    def __init__(self, spec: NodeSpec, settings: Mapping[str, Json]) -> None:
        self.spec = spec
        self.lazy = frozenset(name for name, port in spec.inputs.items() if port.lazy)
        self.files = {name: port.file for name, port in spec.inputs.items() if port.file is not None}
        self.mentions = {name: port.mentions for name, port in spec.inputs.items() if port.mentions is not None}
        self.guards = {name: _guard(port) for name, port in spec.inputs.items() if not _takes_all(port)}
        self.obstacle = ""
        if spec.output:
            self.obstacle = "a sink runs each time"
        elif not spec.cache:
            self.obstacle = "`cache=False`: it runs each time"
        # A setting that a cached node has not declared is no part of its recipe: it must not depend on it.
        self.settings = {
            name: settings[name] for name in (settings if self.obstacle else spec.settings) if name in settings
        }
        try:
            chosen = [f"${name}={canonical(settings.get(name))}" for name in sorted(spec.settings)]
            self.head = "\n".join((FORMAT, *map(canonical, spec.identity), *chosen))
            self.ports = tuple((name, self._default(name)) for name in sorted(spec.inputs))
        except UncacheableError as error:
            self.head, self.ports, self.obstacle = "", (), str(error)

    def _default(self, name: str) -> str:
        """Return what stands in the recipe for an input that is left out."""
        port = self.spec.inputs[name]
        if port.default is MISSING or port.body:
            return f"{name}-"
        try:
            return f"{name}={canonical(port.default)}"
        except UncacheableError:  # it cannot change without a new version of the plugin, as the node's code cannot
            return f"{name}-"


def _takes_all(port: InputPort) -> bool:
    return port.body or port.type.annotation in (Any, object)


def _guard(port: InputPort) -> Guard:
    annotation = port.type.annotation
    plain = isinstance(annotation, type) and port.choices is None and port.file is None
    return Guard(port, annotation if plain else None)


class Namer:
    """Names tasks and results of one run."""

    def __init__(self, settings: Mapping[str, Json], folders: Identities | None) -> None:
        self.settings, self.folders = settings, folders
        self._signatures: dict[int, Signature] = {}
        self._bodies: dict[int, tuple[Body, str | UncacheableError]] = {}
        self._specs: dict[tuple[int, str, str], NodeSpec] = {}
        self._run, self._fleeting = uuid4().hex, count()

    def signature(self, spec: NodeSpec) -> Signature:
        """Return what enters the recipes of a node type."""
        known = self._signatures.get(id(spec))
        if known is None:
            known = self._signatures[id(spec)] = Signature(spec, self.settings)
        return known

    def name(self, task: Task) -> None:
        """Give a task its recipe; else count in `unnamed` the sources it waits for, or make it `volatile`."""
        signature = task.signature
        if signature.obstacle:
            task.volatile, task.reason = True, signature.obstacle
        elif signature.files and any(port in task.links for port in signature.files):
            self._await_names(task)
            self._late_file(task)
        else:
            for source, _ in task.links.values():
                if source.recipe is None and source.names is None:
                    if self._await_names(task):
                        return
                    break
            self.finish_name(task)

    def _await_names(self, task: Task) -> int:
        """Put a task on the lists of the strict sources that have no names yet; return how many those are."""
        for port, (source, _) in task.links.items():
            if not source.named and not task.is_lazy(port):
                task.unnamed += 1
                if source.namers is None:
                    source.namers = []
                source.namers.append(task)
        return task.unnamed

    def _late_file(self, task: Task) -> None:
        """A file's name comes by wire: its identity is known when the name is."""
        task.volatile = True
        if any(port in task.instance.mapped for port in task.signature.files):
            task.reason = "it is mapped over file names"
        else:
            task.late, task.reason = True, "the name of its file comes by wire"

    def finish_name(self, task: Task, wired: Mapping[str, str] | None = None) -> None:
        """Give a task whose strict sources are all named its recipe; `wired`: the names of files that came by wire."""
        try:
            text, fleeting = self.text(task, wired)
        except UncacheableError as error:
            task.volatile, task.late, task.reason = True, False, str(error)
            return
        task.text = text
        task.recipe = fleeting + sha256(text.encode()).hexdigest()

    def text(self, task: Task, wired: Mapping[str, str] | None = None, unread: Collection[str] = ()) -> tuple[str, str]:
        """Return what a task's recipe is the hash of, and the mark of a recipe that holds for this run only.

        One line an input: `steps=20` for a value, `image<name` for a wire, `image*name` for one that the node is mapped
        over, `body&name` for a subgraph, `file@identity` beside the name of a file, `seed-` for what is left out.
        Inputs in `unread`, which the node did not look at, stay out of it.
        """
        links, params, constants = task.links, task.instance.params, task.constants
        signature, mapped = task.signature, task.instance.mapped
        lines, fleeting = [signature.head], ""
        for port, default in signature.ports:
            link = links.get(port)
            if link is not None:
                if port in unread:
                    continue
                source, output = link
                names = source.names
                if names is not None:
                    name = names[output]
                elif source.recipe is not None:
                    name = f"{source.recipe}.{output}"
                else:
                    raise UncacheableError("its recipe depends on which lazy inputs it reads")
                if name[0] == FLEETING:
                    fleeting = FLEETING
                lines.append(f"{port}*{name}" if port in mapped else f"{port}<{name}")
            elif port in params:
                value = params[port]
                lines.append(f"{port}&{self.body(value)}" if type(value) is Body else f"{port}={canonical(value)}")
            elif constants is not None and port in constants:
                name = constants[port].name
                if name[0] == FLEETING:
                    fleeting = FLEETING
                lines.append(f"{port}<{name}")
            else:
                lines.append(default)
        if signature.files:
            lines.extend(f"{port}@{canonical(identity)}" for port, identity in self.files(task, wired).items())
        if signature.mentions:
            lines.extend(f"{port}@{canonical(identity)}" for port, identity in self.mentioned(task).items())
        return "\n".join(lines), fleeting

    def files(self, task: Task, wired: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """Return the identities of the files that a task's inputs name, by input."""
        found: dict[str, str] = {}
        for port, kind in sorted(task.signature.files.items()):
            name = task.instance.params.get(port, task.spec.inputs[port].default)
            if wired is not None and port in wired:
                name = wired[port]
            elif port in task.links:
                continue
            if not isinstance(name, str) or not name or self.folders is None:
                continue
            try:
                found[port] = self.folders.identity(kind, name)
            except (NodegraphError, OSError, ValueError) as error:
                raise UncacheableError(f"the file {name!r} cannot be looked at: {error}") from error
        return found

    def mentioned(self, task: Task) -> Mapping[str, str]:
        """Return the identities of the files that a task's texts may mean, by input."""
        found: dict[str, str] = {}
        for port, mark in sorted(task.signature.mentions.items()):
            wired = port in task.links or (task.constants is not None and port in task.constants)
            text = task.instance.params.get(port, task.spec.inputs[port].default)
            if (
                self.folders is None
                or mark.kind not in self.folders.kinds
                or not (wired or (isinstance(text, str) and mark.sign in text))
            ):
                continue
            try:
                names = self.folders.names(mark.kind)
                meant = names if wired else sorted(mark.find(text, names))
                if meant:
                    found[port] = ",".join(f"{name}={self.folders.identity(mark.kind, name)}" for name in meant)
            except (NodegraphError, OSError, ValueError) as error:
                raise UncacheableError(f"files of the kind {mark.kind!r} cannot be looked at: {error}") from error
        return found

    def body(self, body: Body) -> str:
        """Return the name of a subgraph: of what it gives, whatever its nodes are called."""
        known = self._bodies.get(id(body))
        if known is None:  # the body is held, so that its id stays its own
            known = self._bodies[id(body)] = (body, self._body(body))
        if isinstance(known[1], UncacheableError):
            raise known[1]
        return known[1]

    def _body(self, body: Body) -> str | UncacheableError:
        from nodegraph.engine.splice import outline  # which names what it makes

        parts = [FORMAT]
        # Once with each input open, for where it leads, and once with what the subgraph says where nothing is given.
        for every in (True, False):
            tasks = outline(body, self, every=every)
            for task in tasks.values():
                if task.recipe is None:
                    return UncacheableError(
                        f"`{task.id}` in {body.name!r}: {task.reason or 'it reads what runs each time'}"
                    )
            for output, source in sorted(body.sources.items()):
                parts.append(f"{output}<{tasks[source.node].name(source.output)}")
            parts.extend(f"{name}?" for name in sorted(body.inputs))
        return digest(parts)

    def spec(self, function: Callable[..., Any], owner: NodeSpec) -> NodeSpec:
        """Return the node type of a marked function that a node expands into, as if `owner`'s plugin had it."""
        key = (id(function), owner.plugin, owner.plugin_version)
        if key not in self._specs:
            spec = spec_of(function, plugin=owner.plugin, plugin_version=owner.plugin_version)
            self._specs[key] = spec  # which holds the function, so that its id stays its own
        return self._specs[key]

    def result_names(self, values: Mapping[str, object]) -> Mapping[str, str]:
        """Return names for the outputs of a task without a recipe: by value where that can be written."""
        names = {}
        for output, value in values.items():
            try:
                names[output] = value_name(value)
            except UncacheableError:
                names[output] = self.fleeting()
        return names

    def fleeting(self) -> str:
        """Return a name that no other result has, in this run or another."""
        return f"{FLEETING}{self._run}.{next(self._fleeting)}"
