"""Plugins: how they are found, what they may register, and how one that fails is put aside while the rest works.

A plugin is a module (or an object) with functions marked `@hookimpl`. Another distribution's plugin is found by its
entry point in the group `nodegraph`; the built-in ones are given by the caller and treated alike, save that their node
ids need no namespace and that their failure is an error of ours, hence raised.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from importlib.metadata import entry_points as find_entry_points
from types import ModuleType
from typing import Any, Literal

import pluggy

from nodegraph.engine import hooks
from nodegraph.engine.errors import PluginError
from nodegraph.engine.hooks import hookimpl
from nodegraph.engine.nearest import nearest
from nodegraph.engine.node import spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.spec import NodeSpec
from nodegraph.engine.values import verify

__all__ = ["PluginState", "Plugins", "Registry", "hookimpl", "load_plugins"]

log = logging.getLogger(__name__)
GROUP = "nodegraph"


@dataclass(frozen=True)
class PluginState:
    """What became of one plugin."""

    name: str
    version: str = ""
    package: str = ""
    """The distribution that it comes from."""
    state: Literal["loaded", "quarantined"] = "loaded"
    reason: str | None = None
    """Why it is quarantined."""
    import_seconds: float = 0.0
    """How long it took to import it and to register its nodes."""
    nodes: tuple[str, ...] = ()
    builtin: bool = False

    @property
    def label(self) -> str:
        """Return the plugin's name, with its distribution where that is called otherwise."""
        return f"{self.name!r} (of {self.package})" if self.package not in ("", self.name) else repr(self.name)


@dataclass
class Plugins:
    """The plugins that were found: their hooks, their node types and what became of each."""

    manager: pluggy.PluginManager
    registry: Registry
    states: dict[str, PluginState] = field(default_factory=dict)

    @property
    def report(self) -> tuple[PluginState, ...]:
        """Return what became of each plugin, in the order in which they were loaded."""
        return tuple(self.states.values())

    def collect(self, hook: str, **arguments: Any) -> Iterator[tuple[PluginState, Any]]:
        """Call a hook plugin by plugin and give what each returns; a plugin that raises is quarantined."""
        for state in self.report:
            for result in self.call(state.name, hook, **arguments):
                yield state, result

    def call(self, name: str, hook: str, **arguments: Any) -> Sequence[Any]:
        """Call a hook of one plugin and return its results; quarantine the plugin if it raises."""
        if self.states[name].state != "loaded":
            return ()
        others = [plugin for plugin in self.manager.get_plugins() if self.manager.get_name(plugin) != name]
        with self._guard(name, f"{hook} failed: "), _silence(name):
            results: Sequence[Any] = self.manager.subset_hook_caller(hook, others)(**arguments)
            return results
        return ()

    @contextlib.contextmanager
    def _guard(self, name: str, prefix: str = "") -> Iterator[None]:
        """Quarantine the plugin on whatever it raises, SystemExit too; an interrupt from the keyboard goes on."""
        try:
            yield
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001
            self.quarantine(name, prefix + _told(error), error)

    def quarantine(self, name: str, reason: str, cause: BaseException | None = None) -> None:
        """Put a plugin aside: its hooks are no longer called, its nodes are gone; a built-in one raises instead."""
        state = self.states[name]
        if state.builtin:
            raise PluginError(f"built-in plugin {name!r}: {reason}") from cause
        log.info("plugin %s is quarantined: %s", name, reason, exc_info=cause)
        if self.manager.has_plugin(name):
            self.manager.unregister(name=name)
        self.registry.remove_plugin(name, reason)
        self.states[name] = replace(state, state="quarantined", reason=reason, nodes=())


def load_plugins(
    *,
    builtin: Sequence[ModuleType | str] = (),
    specs: Sequence[ModuleType | type] = (),
    entry_points: bool = True,
    skip: Collection[str] = (),
    importing: Callable[[str], None] | None = None,
) -> Plugins:
    """Load the built-in plugins, given as modules or their names, then those of other distributions.

    `specs` are the hook specifications of further layers. Of other distributions' plugins those in `skip` are put
    aside without being imported; a mapping tells why. `importing` is told the name of each plugin before its import.
    Raise `PluginError` only where a built-in plugin fails.
    """
    tell = importing or _tell_nobody
    manager = pluggy.PluginManager("nodegraph")
    for spec in (hooks, *specs):
        manager.add_hookspecs(spec)
    plugins = Plugins(manager, Registry())
    for module in builtin:
        name = module if isinstance(module, str) else module.__name__
        state = PluginState(name, _version("nodegraph"), "nodegraph", builtin=True)
        tell(name)
        _load(plugins, state, module)
    if entry_points:
        found = [(entry.name, *_distribution(entry), entry) for entry in find_entry_points(group=GROUP)]
        for name, package, number, entry in sorted(found, key=lambda item: item[:3]):
            if name in skip and name not in plugins.states:
                plugins.states[name] = PluginState(name, number, package)
                plugins.quarantine(name, skip[name] if isinstance(skip, Mapping) else "it was left out on request")
                continue
            tell(name)
            _load(plugins, PluginState(name, number, package), entry)
    return plugins


def _tell_nobody(name: str) -> None:
    """Stand for a listener that is not there."""


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Return the name and version of the distribution that an entry point is of."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("", "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _told(error: BaseException) -> str:
    """Return an exception as one says it: its type and text."""
    text = str(error)
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}" if text else repr(error)


@contextlib.contextmanager
def _silence(name: str) -> Iterator[None]:
    """Keep what a plugin prints out of the output, which may be read by a program; it goes to the log."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        if said.getvalue():
            log.info("plugin %s printed: %s", name, said.getvalue().rstrip())


def _load(plugins: Plugins, state: PluginState, source: ModuleType | str | EntryPoint) -> None:
    """Import a plugin, register its hooks and add its nodes; put it aside where one of these fails."""
    other = plugins.states.get(state.name)
    if other is not None:
        name = f"{state.name}@{state.package or len(plugins.states)}"
        plugins.states[name] = replace(state, name=name)
        plugins.quarantine(name, f"the name {state.name!r} is taken by the plugin {other.label}")
        return
    plugins.states[state.name] = state
    start = time.perf_counter()
    with plugins._guard(state.name), _silence(state.name):
        plugin = _import(source)
        _register(plugins.manager, plugin, state.name)
    results = plugins.call(state.name, "register_nodes")
    with plugins._guard(state.name):
        specs = [spec for result in results for spec in _specs(result, plugins.states[state.name])]
        plugins.registry.add(specs)
        nodes, seconds = tuple(spec.id for spec in specs), time.perf_counter() - start
        plugins.states[state.name] = replace(plugins.states[state.name], nodes=nodes, import_seconds=seconds)


def _import(source: ModuleType | str | EntryPoint) -> object:
    if isinstance(source, EntryPoint):
        plugin: object = source.load()
        return plugin
    return importlib.import_module(source) if isinstance(source, str) else source


def _register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Register the plugin's hooks; raise where it takes arguments that the hook lacks, or implements no known hook."""
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(_wrong_hook(manager, plugin) or " ".join(str(error).split())) from error
    callers = manager.get_hookcallers(plugin) or []
    known = [hook for hook in vars(manager.hook) if getattr(manager.hook, hook).spec is not None]
    for caller in callers:
        impls = [impl for impl in caller.get_hookimpls() if impl.plugin is plugin]
        if caller.spec is None and not all(impl.optionalhook for impl in impls):
            near = nearest(caller.name, known)
            hint = f" (did you mean {near!r}?)" if near else ""
            raise PluginError(f"unknown hook {caller.name!r}{hint}; the hooks are {', '.join(sorted(known))}")
    if not callers:
        raise PluginError(f"{plugin!r} implements no hook; mark one with @hookimpl: {', '.join(sorted(known))}")


def _wrong_hook(manager: pluggy.PluginManager, plugin: object) -> str | None:
    """Return which hook of a plugin takes an argument that it is not given."""
    for hook, caller in vars(manager.hook).items():
        function = getattr(plugin, hook, None)
        if caller.spec is not None and callable(function):
            wrong = [name for name in inspect.signature(function).parameters if name not in caller.spec.argnames]
            if wrong:
                given = ", ".join(name for name in caller.spec.argnames if name != "self")
                return f"wrong hook: {hook} takes {', '.join(map(repr, wrong))}; what it is given is ({given})"
    return None


def _specs(result: object, state: PluginState) -> list[NodeSpec]:
    """Read the node types that a plugin's `register_nodes` returned."""
    if isinstance(result, str) or not isinstance(result, Iterable):
        raise PluginError(f"register_nodes returned {result!r}; it returns a list of functions marked with @node(...)")
    specs = []
    for function in result:
        if not callable(function):
            raise PluginError(f"register_nodes returned {function!r} among its nodes; a node is a function")
        spec = spec_of(function, plugin=state.name, plugin_version=state.version)
        if not state.builtin and "." not in spec.id:
            raise PluginError(f"the node id {spec.id!r} has no namespace; a plugin's ids are 'pack.{spec.id}'")
        if not state.builtin:  # the built-in ones are verified by tests, to start faster
            verify(spec)
        specs.append(spec)
    return specs
